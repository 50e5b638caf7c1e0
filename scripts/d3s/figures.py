"""Figures, each from one table alone; this module has those of the data set and of encoders, and the list of all."""

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from d3s.drawing import (
    BLUE,
    GREEN,
    GRID,
    MUTED,
    ORANGE,
    PAPER,
    PINK,
    RED,
    SKY,
    STYLE,
    YELLOW,
    figure_of,
    in_order,
    label_rows,
    legend,
    percent_axis,
    point,
    svg_of,
    words_only,
)
from d3s.errors import D3SError
from d3s.figures_backgrounds import BACKGROUND_FIGURES
from d3s.figures_classifiers import CLASSIFIER_FIGURES
from d3s.figures_encoders import ENCODER_FIGURES
from d3s.shards import whole_file

BASELINE = "erm"
"""The objective that the others are held against."""
TARGETS = {"foreground": "class", "background": "background"}
FEATURES = ("foreground", "background", "all")
PAPER_PROBES = {
    ("foreground", "foreground"): 0.829,
    ("background", "background"): 0.938,
    ("foreground", "background"): 0.024,
    ("background", "foreground"): 0.456,
}
"""Accuracy by (target, features) of arXiv 2211.10370: 1,000 classes and 10 backgrounds."""
PAPER_CHANCE = {"foreground": 0.001, "background": 0.10}
SUMMARY_SEEDS = ("mean", "all")
"""What the seed column holds in a row that already stands for all seeds."""

PROBE_COLUMNS = ("objective", "features", "target", "fitted_on", "evaluated_on", "metric", "value", "ci_low", "ci_high")
PAIRED_COLUMNS = ("objective", "features", "target", "fitted_on", "evaluated_on", "value", "ci_low", "ci_high")
SPURIOUS_COLUMNS = ("objective", "features", "pairing", "rho", "method", "target", "tested_on", "metric", "value")
CALIBRATION_COLUMNS = ("scope", "kind", "threshold", "precision", "precision_low", "precision_high", "recall")
COUNT_COLUMNS = ("split", "background", "class_id", "class_name", "status", "n")


# ---------------------------------------------------------------- tables


def over_seeds(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """One row per key, over seeds: a row whose seed is ``mean`` where the table has one, else the mean of all seeds.

    Without a ``mean`` row the interval is the mean of the seeds' intervals: it tells what another choice of exemplars
    would change, and not what another seed would.

    Returns:
        The keys, value, ci_low, ci_high, chance, n, seeds (how many) and lowest and highest (of single seeds).
    """
    rows = []
    table = table.dropna(subset=["value"])
    for key, group in table.groupby(list(keys), sort=True):
        seed = group["seed"].astype(str) if "seed" in group else pd.Series("mean", index=group.index)
        singles = group[~seed.isin(SUMMARY_SEEDS)]
        used = group[seed.isin(SUMMARY_SEEDS)].head(1) if seed.isin(SUMMARY_SEEDS).any() else singles
        row = dict(zip(keys, key if isinstance(key, tuple) else (key,), strict=True))
        for name in ("value", "ci_low", "ci_high", "chance"):
            row[name] = used[name].mean() if name in used else np.nan
        row["n"] = used["n"].max() if "n" in used else np.nan
        counted = singles["seed"].nunique() if len(singles) else 0
        row["seeds"] = counted or (int(used["seeds"].iloc[0]) if "seeds" in used and used["seeds"].notna().all() else 1)
        spread = singles if len(singles) else used
        row["lowest"], row["highest"] = spread["value"].min(), spread["value"].max()
        rows.append(row)
    names = [*keys, "value", "ci_low", "ci_high", "chance", "n", "seeds", "lowest", "highest"]
    return pd.DataFrame(rows, columns=names)


def linear_probes(
    table: pd.DataFrame, fitted_on: str = "val_crossfit", evaluated_on: str | None = None
) -> pd.DataFrame:
    """The rows of linear probes' top-1 accuracy that were fitted, and evaluated, as said.

    Of paired differences those from ``BASELINE``.
    """
    keep = table["fitted_on"] == fitted_on
    for name, wanted in (("metric", "top1"), ("probe", "linear"), ("baseline", BASELINE)):
        if name in table:
            keep &= table[name] == wanted
    if evaluated_on is not None:
        keep &= table["evaluated_on"] == evaluated_on
    return table[keep]


def objectives_of(table: pd.DataFrame) -> list[str]:
    """The objectives of a table by name, the baseline first."""
    return sorted(set(table["objective"].dropna().astype(str)), key=lambda name: (name != BASELINE, name))


# ---------------------------------------------------------------- drawing


def _heat_map(axes: Axes, cells: dict[tuple[str, str], tuple[str, str, float]], columns: Sequence[str]) -> None:
    """Cells by (target, features): a large text, a small one, and the accuracy that colours them."""
    colours = matplotlib.colormaps["Blues"]
    for row, target in enumerate(TARGETS):
        for column, features in enumerate(columns):
            large, small, value = cells.get((target, features), ("\u2013", "", np.nan))
            finite = bool(np.isfinite(value))
            face = colours(0.05 + 0.8 * float(np.clip(value, 0, 1))) if finite else "none"
            crossed = features not in (target, "all")
            axes.add_patch(
                Rectangle(
                    (column - 0.47, row - 0.46),
                    0.94,
                    0.92,
                    facecolor=face,
                    edgecolor=RED if crossed else GRID,
                    linestyle="--" if crossed else "-",
                    linewidth=1.1,
                )
            )
            # Cells keep their colours on a dark page, so their letters must not follow the page's ink.
            ink = MUTED if not finite else "#ffffff" if value > 0.6 else "#0b0d0f"
            axes.text(column, row - (0.12 if small else 0), large, ha="center", va="center", color=ink, fontsize=9.5)
            axes.text(column, row + 0.24, small, ha="center", va="center", color=ink, fontsize=7)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(1.5, -0.5)
    axes.set_yticks(range(len(TARGETS)), list(TARGETS.values()))
    axes.set_xticks(range(len(columns)), [f"from {name}" for name in columns], color=MUTED)
    axes.tick_params(axis="x", length=0)
    axes.spines["bottom"].set_visible(False)


def draw_probes(table: pd.DataFrame) -> Figure:
    """The probe matrix of each objective as a heat map (mean over seeds, 95 % interval), above the paper's."""
    rows = over_seeds(linear_probes(table, evaluated_on="images"), ["objective", "target", "features"])
    rows = rows[rows["target"].isin(TARGETS) & rows["features"].isin(FEATURES)]
    names = objectives_of(rows)
    figure = figure_of(1.45 * (len(names) + 1) + 0.3)
    panels = figure.subplots(len(names) + 1, 1, squeeze=False)[:, 0]
    for axes, name in zip(panels, names, strict=False):
        part = rows[rows["objective"].astype(str) == name]
        cells = {
            (row["target"], row["features"]): (
                f"{100 * row['value']:.1f} %",
                f"{100 * row['ci_low']:.1f} to {100 * row['ci_high']:.1f}" if np.isfinite(row["ci_low"]) else "",
                row["value"],
            )
            for _, row in part.iterrows()
        }
        chance = part.groupby("target")["chance"].mean()
        known = [
            f"{TARGETS[target]} {100 * chance[target]:.1f} %"
            for target in TARGETS
            if np.isfinite(chance.get(target, np.nan))
        ]
        _heat_map(axes, cells, FEATURES)
        axes.set_title(f"{name} (mean of {_count(int(part['seeds'].max()), 'seed')})")
        if known:
            axes.set_xlabel(f"chance: {', '.join(known)}", fontsize=7)
    cells = {key: (f"{100 * value:.1f} %", "", value) for key, value in PAPER_PROBES.items()}
    _heat_map(panels[-1], cells, FEATURES)
    panels[-1].set_title("the paper (1,000 classes, 10 backgrounds)")
    panels[-1].set_xlabel(
        ("" if names else "the table of probes has no rows; ") + "chance: class 0.1 %, background about 10 %",
        fontsize=7,
    )
    frame = Rectangle((0, 0), 1, 1, facecolor="none", edgecolor=RED, linestyle="--", linewidth=1.1)
    figure.legend([frame], ["leakage: wanted near chance"], loc="outside upper left", borderpad=0)
    return figure


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def draw_leakage(table: pd.DataFrame) -> Figure:
    """Paired differences of probe accuracy, objective minus baseline, with 95 % intervals; one panel per objective."""
    keys = ["objective", "target", "features", "evaluated_on"]
    rows = over_seeds(linear_probes(table), keys)
    rows = rows[rows["target"].isin(TARGETS) & rows["features"].isin(FEATURES) & (rows["objective"] != BASELINE)]
    if rows.empty:
        return words_only(f"the table of paired differences has no rows besides {BASELINE}")
    names = objectives_of(rows)
    pairs = [("foreground", "background"), ("background", "foreground"), ("foreground", "foreground")]
    pairs += [("background", "background"), ("foreground", "all"), ("background", "all")]
    pairs = [pair for pair in pairs if ((rows["target"] == pair[0]) & (rows["features"] == pair[1])).any()]
    figure = figure_of(0.65 + len(names) * (0.45 + 0.3 * len(pairs)))
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for axes, name in zip(panels, names, strict=True):
        label_rows(axes, [f"{TARGETS[target]} from {features}" for target, features in pairs])
        axes.axvline(0, color=MUTED, linewidth=1)
        for _, row in rows[rows["objective"].astype(str) == name].iterrows():
            pair = (row["target"], row["features"])
            guides = row["evaluated_on"] == "guides"
            colour = RED if pair[1] not in (pair[0], "all") else BLUE
            y = pairs.index(pair) + (0.15 if guides else -0.15)
            point(
                axes, row["value"], row["ci_low"], row["ci_high"], y, colour, "s" if guides else "o", filled=not guides
            )
        axes.set_title(f"{name} minus {BASELINE}")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:+.0f}" if value else "0")
        axes.grid(axis="x")
    panels[-1].set_xlabel("percentage points of probe accuracy")
    entries = [("leakage, on images", RED, "o", True), ("kept, on images", BLUE, "o", True)]
    if (rows["evaluated_on"] == "guides").any():
        entries += [("leakage, on guides", RED, "s", False), ("kept, on guides", BLUE, "s", False)]
    legend(figure, entries, columns=2)
    return figure


def most_correlated(table: pd.DataFrame) -> pd.DataFrame:
    """Accuracies of ``spurious.csv`` that plain classifiers reach on images, trained at its largest rho: D3S-cor, if 1.

    Returns:
        A row per objective, target, features and ``tested_on``, which is ``cor`` or ``anticorr``; over all pairings.
    """
    table = table.assign(rho=pd.to_numeric(table["rho"], errors="coerce"))
    table = table[(table["metric"] == "top1") & (table["method"] == "erm") & (table["pairing"] == "mean")]
    table = table[(table["rho"] == table["rho"].max()) & table["tested_on"].isin(["images_cor", "images_anticorr"])]
    table = table.assign(tested_on=table["tested_on"].astype(str).str.removeprefix("images_"))
    rows = over_seeds(table, ["objective", "target", "features", "tested_on"])
    return rows[rows["target"].isin(TARGETS) & rows["features"].isin(FEATURES)]


def draw_spurious(table: pd.DataFrame) -> Figure:
    """Accuracy of classifiers trained on D3S-cor, on D3S-cor and on D3S-anticorr; a panel per target."""
    rows = most_correlated(table)
    if rows.empty:
        return words_only("the table of spurious correlation has no rows")
    names = objectives_of(rows)
    targets = [target for target in TARGETS if target in set(rows["target"])]
    lines = [(name, features) for name in names for features in FEATURES]
    lines = [line for line in lines if ((rows["objective"] == line[0]) & (rows["features"] == line[1])).any()]
    figure = figure_of(0.5 + len(targets) * (0.5 + 0.27 * len(lines)))
    panels = figure.subplots(len(targets), 1, sharex=True, squeeze=False)[:, 0]
    looks = {"cor": (BLUE, "o"), "anticorr": (ORANGE, "D")}
    for axes, target in zip(panels, targets, strict=True):
        label_rows(axes, [f"{name}, {features}" for name, features in lines])
        for place, (name, features) in enumerate(lines):
            part = rows[(rows["objective"] == name) & (rows["features"] == features) & (rows["target"] == target)]
            ends = part[part["tested_on"].isin(looks)]
            if len(ends) == 2:
                axes.plot(100 * ends["value"], [place, place], color=MUTED, linewidth=1, zorder=2)
            for _, row in ends.iterrows():
                colour, marker = looks[row["tested_on"]]
                point(axes, row["value"], row["lowest"], row["highest"], place, colour, marker)
        axes.set_title(f"{TARGETS[target]} accuracy")
        percent_axis(axes)
    legend(figure, [(f"tested on {name}", *look, True) for name, look in looks.items()])
    return figure


def draw_calibration(table: pd.DataFrame) -> Figure:
    """Precision and recall of the screen over its threshold, as people judge it, with 95 % bands."""
    curve = table[(table["kind"] == "curve") & (table["scope"] == "all")].sort_values("threshold")
    if curve.empty:
        return words_only("the table of calibration has no rows: people decided about no image")
    figure = figure_of(3.0)
    axes = figure.subplots()
    looks = {"precision": (BLUE, "o", "-"), "recall": (ORANGE, "D", "--")}
    for name, (colour, _, dashes) in looks.items():
        axes.plot(curve["threshold"], 100 * curve[name], dashes, color=colour, linewidth=1.5, zorder=3)
        low, high = 100 * curve[f"{name}_low"], 100 * curve[f"{name}_high"]
        axes.fill_between(curve["threshold"], low, high, color=colour, alpha=0.18, linewidth=0)
    places = {"in_force": ("in force", ":"), "for_precision": ("for the wanted precision", "-.")}
    for kind, (label, dashes) in places.items():
        own = table[(table["kind"] == kind) & (table["scope"] == "all")].dropna(subset=["threshold"])
        for _, row in own.iterrows():
            axes.axvline(row["threshold"], color=MUTED, linestyle=dashes, linewidth=1.1, label=label)
            for name, (colour, marker, _) in looks.items():
                axes.plot(row["threshold"], 100 * row[name], marker, color=colour, markersize=4.5, zorder=4)
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(0, 102)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
    axes.set_xlabel("least probability of the own class")
    axes.grid(axis="y")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower left")
    legend(figure, [(name, colour, marker, True) for name, (colour, marker, _) in looks.items()])
    return figure


def draw_counts(table: pd.DataFrame) -> Figure:
    """Planned images by split and background, stacked by status."""
    if table.empty:
        return words_only("the table of counts has no rows")
    table = table.assign(n=pd.to_numeric(table["n"], errors="coerce").fillna(0))
    wide = table.pivot_table(index=["split", "background"], columns="status", values="n", aggfunc="sum", fill_value=0)
    statuses = in_order(wide.columns)
    colours = dict(zip(statuses, (BLUE, ORANGE, PINK, RED, YELLOW, SKY, GREEN, MUTED), strict=False))
    splits = in_order({key[0] for key in wide.index}, first=("train", "val"))
    per_split = [wide.loc[split] for split in splits]
    height = 0.6 + sum(0.45 + 0.24 * len(part) for part in per_split) + 0.17 * ((len(statuses) + 2) // 3)
    figure = figure_of(height)
    ratios = [len(part) + 1 for part in per_split]
    panels = figure.subplots(len(splits), 1, squeeze=False, gridspec_kw={"height_ratios": ratios})[:, 0]
    for axes, split, part in zip(panels, splits, per_split, strict=True):
        backgrounds = in_order(part.index)
        left = np.zeros(len(backgrounds))
        for status in statuses:
            widths = part.loc[backgrounds, status].to_numpy(dtype=float)
            bars = axes.barh(
                range(len(backgrounds)),
                widths,
                left=left,
                height=0.72,
                color=colours.get(status, MUTED),
                edgecolor=PAPER,
            )
            for bar in bars:
                bar.set_linewidth(0.5)
            left += widths
        for row, total in enumerate(left):
            axes.text(total, row, f" {total:,.0f}", va="center", ha="left", fontsize=7, color=MUTED)
        axes.set_yticks(range(len(backgrounds)), backgrounds)
        axes.set_ylim(len(backgrounds) - 0.5, -0.5)
        axes.set_title(f"{split}: {left.sum():,.0f} planned")
        axes.grid(axis="x")
        axes.margins(x=0.1)
    panels[-1].set_xlabel("images")
    handles = [Rectangle((0, 0), 1, 1, color=colours.get(name, MUTED)) for name in statuses]
    labels = [str(name).replace("_", " ") for name in statuses]
    figure.legend(handles, labels, loc="outside upper left", ncols=3, borderpad=0, handlelength=1.0)
    return figure


def draw_minutes(table: pd.DataFrame) -> Figure:
    """Minutes of work per rule (columns ``rule`` and ``seconds``), in the given order."""
    if table.empty:
        return words_only("no benchmark files were given")
    minutes = table["seconds"].to_numpy(dtype=float) / 60
    figure = figure_of(0.45 + 0.24 * len(table))
    axes = figure.subplots()
    axes.barh(range(len(table)), minutes, height=0.7, color=BLUE)
    for row, value in enumerate(minutes):
        axes.text(value, row, f" {value:.1f}" if value >= 0.1 else f" {60 * value:.0f} s", va="center", fontsize=7)
    axes.set_yticks(range(len(table)), list(table["rule"]))
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.margins(x=0.1)
    axes.grid(axis="x")
    axes.set_xlabel("minutes of work, all jobs of a rule together")
    return figure


FIGURES: dict[str, tuple[str, Sequence[str], Callable[[pd.DataFrame], Figure]]] = {
    **CLASSIFIER_FIGURES,
    **BACKGROUND_FIGURES,
    "probes": ("probes", PROBE_COLUMNS, draw_probes),
    "leakage": ("probes_paired", PAIRED_COLUMNS, draw_leakage),
    "spurious": ("spurious", SPURIOUS_COLUMNS, draw_spurious),
    **ENCODER_FIGURES,
    "counts": ("counts", COUNT_COLUMNS, draw_counts),
    "calibration": ("calibration", CALIBRATION_COLUMNS, draw_calibration),
}
"""Figure by name: the table that it is drawn from, the columns of that, and the function that draws it."""


def write_figure(path: str | Path, table: pd.DataFrame) -> None:
    """Draw the figure that the file's name asks for, as SVG or PNG by its ending.

    Raises:
        D3SError: no figure has this name, or the ending is another one.
    """
    path = Path(path)
    if path.stem not in FIGURES or path.suffix not in (".svg", ".png"):
        known = ", ".join(f"{name}.svg" for name in FIGURES)
        raise D3SError(f"there is no figure {path.name!r}", f"ask for one of: {known} (or .png)")
    draw = FIGURES[path.stem][2]
    with whole_file(path) as temporary:
        if path.suffix == ".svg":
            temporary.write_text(svg_of(path.stem, draw, table), encoding="utf-8")
            return
        with matplotlib.rc_context(STYLE):
            draw(table).savefig(temporary, format="png", dpi=200, metadata={"Software": None})
