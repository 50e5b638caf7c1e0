"""Figures of encoders: what each objective keeps and leaks, how it was trained, and its features as a map."""

from collections.abc import Callable, Sequence

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from d3s.drawing import BLUE, GREEN, INK, MUTED, ORANGE, PAPER, PINK, RED, SKY, YELLOW, figure_of, words_only

BASELINE = "erm"
PARTS = {"foreground": ("foreground", "background"), "background": ("background", "foreground")}
"""Of each part, the target that it is for and the one that it should not tell."""
CALLED = {"foreground": "class", "background": "background"}
TARGETS = {"class_name": "class", "background": "background"}
"""Columns that a map is coloured by, and what they are called."""
GOALS = {"linear": 0.05, "mlp": 0.15}
"""By probe: how far above chance the unwanted target may be told."""
KEPT = 0.95
"""Share of the baseline's accuracy on all features that the wanted target should keep."""
COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY, RED, YELLOW, INK, MUTED)
MARKERS = "oDs^vPX*p"

TRADE_COLUMNS = (
    *("objective", "seed", "features", "target", "probe", "fitted_on", "evaluated_on", "metric"),
    *("value", "ci_low", "ci_high", "chance"),
)
TRAINING_COLUMNS = ("objective", "seed", "step", "term", "value")
MAP_COLUMNS = ("objective", "part", "class_name", "background", "x", "y")
RHO_COLUMNS = (
    *("objective", "seed", "features", "pairing", "rho", "method", "target", "tested_on", "metric"),
    *("value", "ci_low", "ci_high"),
)
END_TO_END = "end_to_end"
BROKEN = {
    "images_anticorr": "generated images, pairing broken",
    "guides_anticorr": "guides (real pixels), pairing broken",
}
"""Where pairings are broken, and what panels are called."""
ENTROPIES = {"class_entropy": BLUE, "background_entropy": ORANGE}
"""Terms that every objective has; the others are its own."""


def objectives_in(table: pd.DataFrame) -> list[str]:
    """The objectives of a table by name, the baseline first."""
    return sorted(set(table["objective"].dropna().astype(str)), key=lambda name: (name != BASELINE, name))


def look_of(place: int) -> tuple[str, str]:
    """The colour and the marker of the n-th name; no two of the first 81 have the same pair."""
    count = len(COLOURS)
    return COLOURS[place % count], MARKERS[(place + place // count) % len(MARKERS)]


def draw_tradeoff(table: pd.DataFrame) -> Figure:
    """What each part keeps of its own target against what it tells of the other: a panel per part.

    Cross-fitted probes on val images, mean over seeds; bars are 95 % intervals. The shaded corner is the goal of linear
    probes.
    """
    rows = table[
        (table["seed"].astype(str) == "mean")
        & (table["fitted_on"] == "val_crossfit")
        & (table["evaluated_on"] == "images")
        & (table["metric"] == "top1")
        & table["probe"].isin(list(GOALS))
    ]
    names = objectives_in(rows)
    if BASELINE not in names:
        return words_only(f"the table of probes has no rows of {BASELINE}, which the others are held against")
    values = rows.set_index(["objective", "probe", "target", "features"]).sort_index()
    looks = {name: look_of(place) for place, name in enumerate(names)}
    probes = [probe for probe in GOALS if probe in set(rows["probe"])]
    figure = figure_of(5.4)
    panels = figure.subplots(2, 1)
    for axes, (part, (wanted, unwanted)) in zip(panels, PARTS.items(), strict=True):
        axes.axvline(0, color=MUTED, linewidth=1)
        for probe in probes:
            for name in names:
                try:
                    kept, leak = values.loc[name, probe, wanted, part], values.loc[name, probe, unwanted, part]
                    whole = values.loc[BASELINE, probe, wanted, "all"]["value"]
                except KeyError:
                    continue
                _cross(axes, leak, kept, whole, *looks[name], filled=probe == "linear")
        axes.set_title(f"{part} part")
        axes.set_xlabel(f"{CALLED[unwanted]} told above chance, percentage points (unwanted)")
        axes.set_ylabel(f"{CALLED[wanted]} told, % of {BASELINE} on all", fontsize=7.5)
        axes.grid()
        axes.margins(0.06)
        low, high = axes.get_ylim()
        axes.set_ylim(max(0.0, min(low, 90.0)), min(max(high, 105.0), 140.0))
        left, right = axes.get_xlim()
        axes.set_xlim(min(left, -5.0), max(right, 12.0))
        goal = Rectangle((-200, 100 * KEPT), 200 + 100 * GOALS["linear"], 200, color=GREEN, alpha=0.14, linewidth=0)
        axes.add_patch(goal).set_clip_on(True)
        axes.autoscale(False)
    handles = [
        matplotlib.lines.Line2D([], [], color=colour, marker=marker, linestyle="", markersize=5)
        for colour, marker in looks.values()
    ]
    note = "filled: linear probes; hollow: MLPs" if len(probes) == 2 else f"{probes[0]} probes"
    said = figure.legend(handles, names, loc="outside upper left", ncols=3, borderpad=0, alignment="left")
    said.set_title(note, prop={"size": 7.5})
    return figure


def _cross(axes: Axes, leak: pd.Series, kept: pd.Series, whole: float, colour: str, marker: str, filled: bool) -> None:
    """One objective: leakage along x, usefulness along y, with both intervals."""
    x, y = 100 * (leak["value"] - leak["chance"]), 100 * kept["value"] / whole
    ends = [100 * (leak[end] - leak["chance"]) for end in ("ci_low", "ci_high")]
    heights = [100 * kept[end] / whole for end in ("ci_low", "ci_high")]
    thin = {"color": colour, "linewidth": 0.9, "alpha": 0.45, "solid_capstyle": "butt", "zorder": 2}
    axes.plot(ends, [y, y], **thin)
    axes.plot([x, x], heights, **thin)
    face = colour if filled else PAPER
    axes.plot([x], [y], marker, color=colour, markerfacecolor=face, markersize=5.2, markeredgewidth=1.1, zorder=4)


def draw_training(table: pd.DataFrame) -> Figure:
    """Terms of each objective over its steps, a line a seed: cross entropies on the left, its own on the right."""
    table = table[~table["term"].astype(str).str.startswith("inner_") & (table["term"] != "loss")]
    names = objectives_in(table)
    if not names:
        return words_only("the table of trainings has no rows")
    figure = figure_of(0.5 + 1.15 * len(names))
    panels = figure.subplots(len(names), 2, sharex=True, squeeze=False)
    for (left, right), name in zip(panels, names, strict=True):
        part = table[table["objective"].astype(str) == name]
        own = sorted(set(part["term"]) - set(ENTROPIES))
        looks = dict(zip(own, (GREEN, PINK, RED, SKY, YELLOW, INK), strict=False))
        for axes, terms in ((left, ENTROPIES), (right, looks)):
            for term, colour in terms.items():
                for _, line in part[part["term"] == term].sort_values("step").groupby("seed"):
                    axes.plot(line["step"], line["value"], color=colour, linewidth=0.9, alpha=0.75)
            axes.grid(axis="y")
        left.set_title(name)
        left.set_ylim(bottom=0)
        if own:
            handles = [matplotlib.lines.Line2D([], [], color=colour, linewidth=1.4) for colour in looks.values()]
            labels = [term.replace("_", " ") for term in looks]
            right.legend(handles, labels, loc="best", fontsize=6.2, handlelength=1.0)
        else:
            right.set_axis_off()
    for axes in panels[-1]:
        axes.set_xlabel("step")
    handles = [matplotlib.lines.Line2D([], [], color=colour, linewidth=1.6) for colour in ENTROPIES.values()]
    labels = [term.replace("_", " ") for term in ENTROPIES]
    figure.legend(handles, labels, loc="outside upper left", ncols=2, borderpad=0)
    return figure


def draw_feature_map(table: pd.DataFrame) -> Figure:
    """Val images on a map of each part, coloured by class and by background: the baseline, and one other objective."""
    names = objectives_in(table)
    if not names:
        return words_only("the table of feature maps has no rows")
    names = names[:1] + [name for name in ("matched", "hsic", "wasserstein", *names[1:]) if name in names[1:]][:1]
    shown = [(name, part) for name in names for part in PARTS]
    figure = figure_of(0.35 + 1.75 * len(shown))
    panels = figure.subplots(len(shown), 2, squeeze=False)
    for row, (name, part) in zip(panels, shown, strict=True):
        own = table[(table["objective"].astype(str) == name) & (table["part"] == part)]
        for axes, column in zip(row, TARGETS, strict=True):
            labels = sorted(own[column].astype(str).unique())
            colours = matplotlib.colormaps["tab10" if len(labels) <= 10 else "turbo"]
            for place, label in enumerate(labels):
                chosen = own[own[column].astype(str) == label]
                colour = colours(place if len(labels) <= 10 else place / max(1, len(labels) - 1))
                axes.plot(
                    chosen["x"], chosen["y"], MARKERS[place % len(MARKERS)], color=colour, markersize=2.2,
                    markeredgewidth=0, label=label.replace("_", " "),
                )  # fmt: skip
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_aspect("equal", "datalim")
            target = TARGETS[column]
            axes.set_title(f"{name}, {part} part" if column == "class_name" else "")
            axes.set_xlabel(f"by {target}: should{'' if target == CALLED[part] else ' not'} show", fontsize=7)
    for axes in panels[-1]:
        if len(axes.get_legend_handles_labels()[1]) <= 12:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, fontsize=6.5, markerscale=1.8)
    return figure


def draw_rho(table: pd.DataFrame) -> Figure:
    """Class accuracy where the pairing is broken, over the correlation in training: plain classifiers, mean over all.

    Lines are all features of the baseline, the foreground part of each objective, and networks trained end to end; the
    band is the 95 % interval of the first of these.
    """
    rows = table[
        (table["seed"].astype(str) == "mean")
        & (table["pairing"].astype(str) == "mean")
        & (table["method"] == "erm")
        & (table["target"] == "foreground")
        & (table["metric"] == "top1")
    ]
    shown = rows[rows["tested_on"].isin(list(BROKEN))]
    whole = (shown["objective"] == BASELINE) | (shown["objective"] == END_TO_END)
    shown = shown[((shown["features"] == "all") & whole) | (shown["features"] == "foreground")]
    shown = shown.assign(rho=pd.to_numeric(shown["rho"], errors="coerce")).dropna(subset=["rho"])
    if shown.empty:
        return words_only("the table of spurious correlations has no rows")
    names = [(BASELINE, "all"), (END_TO_END, "all"), *((name, "foreground") for name in objectives_in(shown))]
    names = [name for name in names if ((shown["objective"] == name[0]) & (shown["features"] == name[1])).any()]
    panels_of = [name for name in BROKEN if name in set(shown["tested_on"])]
    figure = figure_of(0.5 + 2.1 * len(panels_of))
    panels = figure.subplots(len(panels_of), 1, sharex=True, squeeze=False)[:, 0]
    for axes, tested in zip(panels, panels_of, strict=True):
        for place, (objective, features) in enumerate(names):
            own = (shown["objective"] == objective) & (shown["features"] == features) & (shown["tested_on"] == tested)
            line = shown[own].sort_values("rho")
            dashes = "--" if features == "all" else "-"
            colour, marker = look_of(place)
            look = {"color": colour, "marker": marker, "linestyle": dashes}
            axes.plot(line["rho"], 100 * line["value"], markersize=3.6, linewidth=1.2, zorder=3, **look)
            if (objective, features) == (BASELINE, "all"):
                low, high = 100 * line["ci_low"], 100 * line["ci_high"]
                axes.fill_between(line["rho"], low, high, color=colour, alpha=0.13, linewidth=0)
        axes.set_title(BROKEN[tested])
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
        axes.grid(axis="y")
    panels[-1].set_xlabel("correlation of class and background in training (rho)")
    handles = [
        matplotlib.lines.Line2D([], [], color=colour, marker=marker, markersize=4, linestyle="--" if all_of else "-")
        for (colour, marker), all_of in (
            (look_of(place), features == "all") for place, (_, features) in enumerate(names)
        )
    ]
    labels = [
        "trained end to end" if name == END_TO_END else f"{name}, {'all' if features == 'all' else 'foreground part'}"
        for name, features in names
    ]
    figure.legend(handles, labels, loc="outside upper left", ncols=2, borderpad=0)
    return figure


ENCODER_FIGURES: dict[str, tuple[str, Sequence[str], Callable[[pd.DataFrame], Figure]]] = {
    "tradeoff": ("probes", TRADE_COLUMNS, draw_tradeoff),
    "training": ("training", TRAINING_COLUMNS, draw_training),
    "rho": ("spurious", RHO_COLUMNS, draw_rho),
    "feature_map": ("feature_map", MAP_COLUMNS, draw_feature_map),
}
"""Figure by name: its table, that table's columns, and the function that draws it."""
