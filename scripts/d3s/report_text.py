"""Numbers and names as the report writes them."""

import math
from collections.abc import Iterable

import pandas as pd

DASH = "\u2013"


def percent(value: float | None, digits: int = 1) -> str:
    """A share as text, ``82.9 %`` with a blank that does not break; a dash where there is none."""
    return DASH if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f}\u00a0%"


def interval(low: float, high: float) -> str:
    """An interval of shares as text, in per cent; empty where there is none."""
    return f"{100 * low:.1f} to {100 * high:.1f}" if math.isfinite(low) and math.isfinite(high) else ""


def points(value: float) -> str:
    """A difference of shares as text, in percentage points with its sign."""
    return f"{100 * value:+.1f}".replace("-", "\u2212") if math.isfinite(value) else DASH


def points_interval(low: float, high: float) -> str:
    """An interval of differences as text."""
    return f"{points(low)} to {points(high)}" if math.isfinite(low) and math.isfinite(high) else ""


def hundredths(value: float) -> str:
    """A number with two digits, and no minus before a zero; a dash where there is none."""
    return DASH if pd.isna(value) else f"{round(value, 2) + 0.0:.2f}".replace("-", "\u2212")


def whole(value: float) -> str:
    """A count as text, with thousands set apart; a dash where there is none."""
    return DASH if pd.isna(value) else f"{int(value):,}"


def duration(seconds: float) -> str:
    """A duration as text, in the unit that suits it."""
    if not math.isfinite(seconds):
        return DASH
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def words(name: object) -> str:
    """A machine's word as a person writes it."""
    return str(name).replace("_", " ")


def span(values: Iterable[object]) -> str:
    """What a column holds, said once: its only value, or all of them."""
    return ", ".join(dict.fromkeys(str(value) for value in values))


def count(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def probability(value: float) -> str:
    """A p value as text, with its sign of equality: ``= 0.031``, ``< 0.001``; empty where there is none."""
    if pd.isna(value):
        return ""
    return "< 0.001" if value < 0.001 else f"= {value:.3f}" if value < 0.1 else f"= {value:.2f}"
