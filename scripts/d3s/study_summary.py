"""A study of encoders in one page of Markdown: what each objective keeps and leaks, and which goals hold."""

from collections.abc import Iterator

import pandas as pd

from d3s.markdown import code

FITTED_ON = "val_crossfit"
"""Probes that saw other exemplars and templates of val: the strictest that there are."""
_OTHER = {"foreground": "background", "background": "class"}
_OWN = {"foreground": "class", "background": "background"}


def summary(leakage: pd.DataFrame, usefulness: pd.DataFrame, probes: pd.DataFrame) -> str:
    """Two tables for each data set: accuracies with intervals, and verdicts.

    Args:
        leakage, usefulness: as ``d3s.probing.goals`` makes them.
        probes: as ``d3s.probing.tables.score_table`` makes it; only means over seeds are read.
    """
    means = probes[(probes["seed"].astype(str) == "mean") & (probes["metric"] == "top1")]
    lines = ["# Verdicts of the study", ""]
    lines += [
        "Percent, mean over seeds, 95 % intervals clustered by exemplar and panorama. Probes are cross-fitted on val:",
        "they have seen neither the exemplar nor the panorama. Written by `make study`; see ../study.md.",
    ]
    for dataset in ("images", "guides"):
        parts = [
            table[(table["fitted_on"] == FITTED_ON) & (table["dataset"] == dataset)] for table in (leakage, usefulness)
        ]
        leaks, uses = parts
        if len(leaks) and len(uses):
            scores = means[(means["fitted_on"] == FITTED_ON) & (means["evaluated_on"] == dataset)]
            lines += ["", f"## On {dataset}", "", *_accuracies(leaks, uses, scores), "", *_verdicts(leaks, uses)]
    return "\n".join(lines) + "\n"


def _accuracies(leaks: pd.DataFrame, uses: pd.DataFrame, scores: pd.DataFrame) -> Iterator[str]:
    wanted = [(part, _OWN[part], "linear") for part in _OWN]
    unwanted = [(part, _OTHER[part], probe) for part in _OTHER for probe in ("linear", "mlp")]
    heads = [f"{label} from {part}" for part, label, _ in wanted]
    heads += [f"*{label} from {part}, {probe}*" for part, label, probe in unwanted]
    yield from _table(["encoder", *heads])
    chance = [""] * len(wanted)
    chance += [f"{100 * _own(leaks, part, probe)['chance'].mean():.0f}" for part, _, probe in unwanted]
    yield _row(["chance", *chance])
    for objective in _names(leaks):
        own = scores[(scores["objective"] == objective) & (scores["probe"] == "linear")]
        useful = [own[(own["features"] == part) & (own["target"] == part)] for part, _, _ in wanted]
        leaked = [_own(leaks, part, probe, objective) for part, _, probe in unwanted]
        yield _row([code(objective), *map(_share, [*useful, *leaked])])


def _verdicts(leaks: pd.DataFrame, uses: pd.DataFrame) -> Iterator[str]:
    unwanted = [(part, probe) for part in _OTHER for probe in ("linear", "mlp")]
    heads = [f"{_OWN[part]} from {part} kept, share of erm's" for part in _OWN]
    heads += [f"{_OTHER[part]} from {part} at chance, {probe}: upper bound less chance" for part, probe in unwanted]
    yield from _table(["encoder", *heads])
    for objective in _names(leaks):
        cells = []
        for part in _OWN:
            found = _own(uses, part, "linear", objective)
            cells.append(f"{found['holds'].iloc[0]} ({_share(found, digits=0)})")
        for part, probe in unwanted:
            found = _own(leaks, part, probe, objective)
            cells.append(f"{found['holds'].iloc[0]} ({100 * found['upper_minus_chance'].iloc[0]:+.1f})")
        yield _row([code(objective), *cells])


def _own(table: pd.DataFrame, part: str, probe: str, objective: str | None = None) -> pd.DataFrame:
    rows = table[(table["part"] == part) & (table["probe"] == probe)]
    return rows if objective is None else rows[rows["objective"] == objective]


def _names(leaks: pd.DataFrame) -> list[str]:
    """Plain training first, then those that leak least."""
    linear = leaks[leaks["probe"] == "linear"]
    worst = (linear["value"] - linear["chance"]).groupby(linear["objective"]).mean()
    return sorted(worst.index, key=lambda name: (name != "erm", worst[name]))


def _share(rows: pd.DataFrame, digits: int = 1) -> str:
    if rows.empty:
        return ""
    row = rows.iloc[0]
    return f"{100 * row['value']:.{digits}f} [{100 * row['ci_low']:.0f}, {100 * row['ci_high']:.0f}]"


def _table(heads: list[str]) -> Iterator[str]:
    yield _row(heads)
    yield _row(["---"] * len(heads))


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
