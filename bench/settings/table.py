"""From measures to the table of settings, the setting that it recommends, and the page that shows both."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from d3s.errors import D3SError
from d3s.kernel_distance import kernel_distance, pair_terms
from d3s.stats import clustered_mean_interval, paired_clustered_difference
from settings.grid import REFERENCE, Setting
from settings.measuring import Seen

MARKS = "<!-- settings: begin -->", "<!-- settings: end -->"
"""Between these lines of the page, the script writes."""


def settings_table(
    settings: Sequence[Setting],
    seen: Mapping[str, Seen],
    guides: Mapping[tuple[float, float], Seen],
    clusters: Sequence[str],
    seconds: Mapping[str, Sequence[float]],
) -> pd.DataFrame:
    """One row per setting, with its differences to the reference, which is paired with it sample by sample.

    Args:
        settings: the reference among them.
        seen: by the name of a setting, what the judge sees in its images; the samples are those of all others.
        guides: by foreground size, what it sees in the guides.
        clusters: exemplar of each sample.
        seconds: by the name of a setting, the times of an image, in the order of the rounds.

    Returns:
        The table. KID is to the guides of the same samples, and to the images of the reference. A setting is not worse
        if neither difference to the reference is a loss with its whole 95 % interval.
    """
    by_name = {setting.name: setting for setting in settings}
    first = seen[REFERENCE]
    first_terms = pair_terms(guides[by_name[REFERENCE].scale].features, first.features)
    rows = []
    for setting in settings:
        own = seen[setting.name]
        top1 = clustered_mean_interval(own.correct, clusters, 0)
        top1_difference = paired_clustered_difference(own.correct, first.correct, clusters, 0)
        terms = pair_terms(guides[setting.scale].features, own.features)
        to_guides = kernel_distance(terms, clusters)
        difference = kernel_distance(terms - first_terms, clusters)
        to_reference = kernel_distance(pair_terms(first.features, own.features), clusters)
        kid_difference = (difference.value, *difference.interval())
        rows.append(
            {
                "group": setting.group,
                "setting": setting.name,
                "scheduler": setting.sampling.scheduler,
                "options": " ".join(f"{name}={value}" for name, value in setting.sampling.options),
                "steps": setting.sampling.steps,
                "strength": setting.sampling.strength,
                "guidance": setting.sampling.guidance,
                "scale_low": setting.scale[0],
                "scale_high": setting.scale[1],
                "start_timestep": setting.start,
                "denoiser_calls": setting.calls,
                **_speed(seconds.get(setting.name, ()), seconds.get(REFERENCE, ())),
                "n": len(own.correct),
                "exemplars": len(set(clusters)),
                **dict(zip(("top1", "top1_low", "top1_high"), top1, strict=True)),
                "guides_top1": float(guides[setting.scale].correct.mean()),
                **dict(zip(_with_interval("top1_difference"), top1_difference, strict=True)),
                "kid_guides": to_guides.value,
                "kid_guides_se": to_guides.standard_error,
                **dict(zip(_with_interval("kid_guides_difference"), kid_difference, strict=True)),
                "kid_reference": to_reference.value,
                "kid_reference_se": to_reference.standard_error,
                "not_worse": bool(top1_difference[2] >= 0 and kid_difference[1] <= 0),
            }
        )
    return pd.DataFrame(rows)


def _with_interval(name: str) -> tuple[str, str, str]:
    return name, f"{name}_low", f"{name}_high"


def _speed(own: Sequence[float], first: Sequence[float]) -> dict[str, float]:
    """Medians over the rounds: seconds of an image, and of what it takes of the reference's time in the same round."""
    ratios = [mine / its for mine, its in zip(own, first, strict=False)]
    return {
        "seconds_per_image": statistics.median(own) if own else float("nan"),
        "seconds_ratio": statistics.median(ratios) if ratios else float("nan"),
        "rounds": len(own),
    }


def recommend(table: pd.DataFrame) -> pd.Series:
    """The row of the cheapest sampler that is not worse than the reference: of the fewest calls, the one of least KID.

    Settings of other strengths and sizes make other images on purpose, so they don't compete.
    """
    fit = table[(table["group"] == "sampler") & table["not_worse"]]
    return fit.sort_values(["denoiser_calls", "kid_guides", "setting"]).iloc[0]


def render(table: pd.DataFrame, host: str) -> str:
    """The tables and the recommendation as Markdown; KID in thousandths, with standard errors."""
    first = table[table["setting"] == REFERENCE].iloc[0]
    headings = {
        "sampler": f"Samplers, each from the noise level nearest to {first['start_timestep']} of 1000",
        "strength": "Strengths",
        "scale": "Foreground sizes",
    }
    lines = [f"{first['n']} val images of {first['exemplars']} exemplars per setting."]
    if rounds := first["rounds"]:
        lines[0] += f" Times: {host}, the median of {rounds} rounds by turns."
    for group, heading in headings.items():
        part = table[(table["group"] == group) | (table["setting"] == REFERENCE)]
        if len(part) == 1 and group != "sampler":
            continue
        lines += ["", f"**{heading}**", ""]
        lines += [
            f"| setting | strength | size | starts at | calls | s per image | of {REFERENCE}'s time | top-1 "
            f"| on guides | KID to guides | KID to {REFERENCE} | not worse |",
            "| --- " * 12 + "|",
        ]
        lines += [_line(row) for row in part.to_dict("records")]
    return "\n".join([*lines, "", _sentence(recommend(table), first)]) + "\n"


def _line(row: Mapping[str, Any]) -> str:
    cells = [
        row["setting"],
        f"{row['strength']:.3g}",
        f"{row['scale_low']:g}" + (f" to {row['scale_high']:g}" if row["scale_high"] != row["scale_low"] else ""),
        row["start_timestep"],
        row["denoiser_calls"],
        _shown(row["seconds_per_image"], ".2f"),
        _shown(100 * row["seconds_ratio"], ".0f", " %"),
        f"{100 * row['top1']:.0f} % ({100 * row['top1_low']:.0f} to {100 * row['top1_high']:.0f})",
        f"{100 * row['guides_top1']:.0f} %",
        _kid(row, "kid_guides"),
        "0" if row["setting"] == REFERENCE else _kid(row, "kid_reference"),
        "yes" if row["not_worse"] else "no",
    ]
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def _kid(row: Mapping[str, Any], name: str) -> str:
    return f"{1000 * row[name]:.1f} ± {1000 * row[name + '_se']:.1f}"


def _shown(value: float, form: str, unit: str = "") -> str:
    return "" if math.isnan(value) else format(value, form) + unit


def _sentence(best: pd.Series, first: pd.Series) -> str:
    """What the table recommends, with the figures that it rests on."""
    if best["setting"] == REFERENCE:
        return f"No cheaper sampler was found that is not worse than {REFERENCE} beyond the intervals."
    top1, kid = _with_interval("top1_difference"), _with_interval("kid_guides_difference")
    text = (
        f"The cheapest sampler that is not worse than {REFERENCE} beyond the intervals is **{best['setting']}**: "
        f"{best['denoiser_calls']} denoiser calls instead of {first['denoiser_calls']}. Its top-1 differs by "
        f"{_spread(100 * best[list(top1)], '.1f')} points and its KID to the guides by "
        f"{_spread(1000 * best[list(kid)], '.1f')} thousandths (paired, 95 % intervals, n = {best['n']} images of "
        f"{best['exemplars']} exemplars)."
    )
    if not math.isnan(best["seconds_ratio"]):
        text += f" It is {1 / best['seconds_ratio']:.1f} times as fast."
    return text


def _spread(values: pd.Series, form: str) -> str:
    value, low, high = (format(number, "+" + form) for number in values)
    return f"{value} ({low} to {high})"


def put_on_page(page: str, block: str) -> str:
    """A page with the block between its marks.

    Raises:
        D3SError: the marks are not there, once each and in their order.
    """
    begin, end = MARKS
    before, found, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end or begin in rest or end in after:
        raise D3SError(f"the page has no place for the table: {begin} ... {end}", "put these two lines into it, once")
    return f"{before}{begin}\n\n{block}\n{end}{after}"
