"""Figures of what backgrounds do to classifiers: drops, effects, flips, paired differences, variance, diversity.

Tables come with the columns ``role`` and ``place`` of ``roles.with_roles``, as far as roles are known.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from d3s.drawing import (
    BLUE,
    GREEN,
    GRID,
    MUTED,
    ORANGE,
    RED,
    SKY,
    STRONG_BLUE,
    YELLOW,
    beside_row,
    difference_colour,
    figure_of,
    frame_cell,
    in_order,
    label_rows,
    legend,
    matrix,
    percent_axis,
    point,
    points_axis,
    shortened,
    words_only,
)
from d3s.figures_classifiers import DATASETS, Draw, chosen_models, of_what_remains
from d3s.result_tables import texts
from d3s.roles import judges_of, marks_of
from d3s.subject_names import CROSSED

SUBJECT = "images"
"""The data set whose figures are drawn: the generated images, unscreened."""
COMPONENTS = {
    "foreground": ("foreground", STRONG_BLUE),
    "set": ("matched set", STRONG_BLUE),
    "placement": ("placement", SKY),
    "noise": ("noise", YELLOW),
    "background": ("background", ORANGE),
    "foreground_x_background": ("foreground x background", RED),
    "rest": ("rest", "#b4bac1"),
}
"""Components of variance with their names and colours, in the order of the bars."""
OUTCOMES = {"margin": "log odds of the own class", "correct": "right or wrong"}
REFERENCES = ((SKY, "X"), (GREEN, "P"), (RED, "v"))
"""Marks of references that are neither guides nor cut-outs."""
MOST_TWICE = 14
"""Classifiers that have a bar for each outcome; of more, the figure would be too long."""
MOST_DOTS = 60
"""Classes that stand as single dots; of more, a bar shows where eight in ten lie."""

EFFECT_COLUMNS = (
    *("model", "family", "dataset", "shift", "class_name", "background", "reference", "metric"),
    *("value", "ci_low", "ci_high", "n", "detail"),
)
PAIRED_COLUMNS = (*("model", "dataset", "shift", "first", "second", "value", "n", "p_holm", "p_clustered_holm"),)
VARIANCE_COLUMNS = ("model", "dataset", "shift", "design", "outcome", "component", "share", "ci_low", "ci_high")
DIVERSITY_COLUMNS = ("dataset", "shift", "class_id", "background", "value", "pairs")


def overall(table: pd.DataFrame, *metrics: str) -> pd.DataFrame:
    """The rows of these metrics on the generated images, over all classes."""
    table = texts(table, "model", "family", "shift", "reference", "background", "class_name", "detail")
    keep = table["metric"].isin(metrics) & (table["dataset"] == SUBJECT) & (table["class_name"] == "all")
    return table[keep].dropna(subset=["value"])


def several_shifts(table: pd.DataFrame) -> bool:
    """Whether a table tells of more than one shift, so that it must be named."""
    return table["shift"].nunique() > 1


# ---------------------------------------------------------------- drops and effects


def draw_drops(table: pd.DataFrame) -> Figure:
    """What the generated images cost each classifier against its references, grouped by family."""
    rows = overall(table, "drop_top1")
    rows = rows[rows["background"] == "all"]
    if rows.empty:
        return words_only("the table of effects has no rows of drops: no reference was predicted")
    references = in_order(rows["reference"], first=("guides", "cutouts"))
    others = [name for name in references if name not in DATASETS][: len(REFERENCES)]
    looks = {name: DATASETS[name][1:] for name in references if name in DATASETS}
    looks |= dict(zip(others, REFERENCES, strict=False))
    rows = rows[rows["reference"].isin(looks)]
    marks = marks_of(rows)
    main = rows[rows["reference"] == next(iter(looks))].set_index("model")["value"].to_dict()
    ranked = sorted(set(rows["model"]), key=lambda name: (main.get(name, np.inf), name))
    models = chosen_models(ranked, rows)
    families = dict(zip(rows["model"], rows["family"], strict=True))
    groups: dict[str, list[str]] = {}
    for name in models:
        groups.setdefault(families[name] or "no family", []).append(name)
    lines = [(family, name) for family, own in groups.items() for name in ("", *own)]
    figure = figure_of(0.8 + 0.26 * len(lines))
    axes = figure.subplots()
    axes.set_yticks(range(len(lines)), [shortened(name or family) for family, name in lines])
    axes.set_ylim(len(lines) - 0.5, -0.5)
    for place, (label, (_, name)) in enumerate(zip(axes.get_yticklabels(), lines, strict=True)):
        if not name:
            label.set(color=MUTED, fontsize=8)
            axes.axhspan(place - 0.5, place + 0.5, color=GRID, alpha=0.5, linewidth=0)
    where = {name: place for place, (_, name) in enumerate(lines) if name}
    for row in rows[rows["model"].isin(models)].itertuples():
        colour, marker = looks[str(row.reference)]
        offset = 0.24 * (list(looks).index(str(row.reference)) - (len(looks) - 1) / 2)
        paired = str(row.detail) == "paired"
        point(axes, row.value, row.ci_low, row.ci_high, where[str(row.model)] + offset, colour, marker, paired)
    for name, place in where.items():
        beside_row(axes, place, marks.get(name, ""))
    points_axis(axes)
    axes.set_xlabel("percentage points lost" + of_what_remains(len(models), len(ranked), "classifiers"))
    paired_with = {str(name): bool((part["detail"] == "paired").all()) for name, part in rows.groupby("reference")}
    entries = [
        (f"against {DATASETS[name][0] if name in DATASETS else name}", *look, paired_with[name])
        for name, look in looks.items()
    ]
    legend(figure, entries, columns=2)
    return figure


def draw_effects(table: pd.DataFrame) -> Figure:
    """What each background adds to, or takes from, each classifier's accuracy, as a matrix with signs."""
    rows = overall(table, "effect")
    if rows.empty:
        return words_only("the table of effects has no rows of single backgrounds")
    marks = marks_of(rows)
    ranked = sorted(set(rows["model"]))
    if "place" in rows:
        places = dict(zip(rows["model"], rows["place"], strict=True))
        ranked.sort(key=lambda name: (places[name], name))
    models = chosen_models(ranked, rows)
    shifts = sorted(set(rows["shift"]))
    figure = figure_of(0.35 + len(shifts) * (0.95 + 0.25 * len(models)))
    panels = figure.subplots(len(shifts), 1, squeeze=False)[:, 0]
    most = float(rows["value"].abs().max())
    for axes, shift in zip(panels, shifts, strict=True):
        own = rows[rows["shift"] == shift]
        mean = own.groupby("background")["value"].mean().sort_values(ascending=False, kind="stable")
        backgrounds = mean.index.tolist()
        found = {(str(r.model), str(r.background)): r for r in own.itertuples()}
        cells = [[found.get((model, background)) for background in backgrounds] for model in models]
        matrix(
            axes,
            [shortened(name, 22) for name in models],
            backgrounds,
            [[difference_colour(cell.value, most) if cell else None for cell in line] for line in cells],
            [[signed(cell.value) if cell else "" for cell in line] for line in cells],
            size=7.5 if len(backgrounds) <= 7 else 6,
        )
        for y, line in enumerate(cells):
            for x, cell in enumerate(line):
                if cell and (cell.ci_low > 0 or cell.ci_high < 0):
                    frame_cell(axes, x, y)
        for place, name in enumerate(models):
            beside_row(axes, place, marks.get(name, ""))
        if len(shifts) > 1:
            axes.set_title(shift)
    panels[-1].set_xlabel(
        "points above or below the mean of backgrounds" + of_what_remains(len(models), len(ranked), "classifiers")
    )
    return figure


def signed(value: float) -> str:
    """A difference of shares as points with its sign."""
    return f"{100 * value:+.0f}".replace("-", "\u2212").replace("+0", "0").replace("\u22120", "0")


# ---------------------------------------------------------------- flips


def draw_flips(table: pd.DataFrame) -> Figure:
    """Worst background, spread, and flips of each classifier, each beside what it would be without an effect."""
    rows = overall(
        table,
        *("worst_background", "spread", "spread_by_chance", "flip_rate", "flip_rate_coin"),
        *("pair_flip_same_background", "pair_flip_other_background"),
    )
    if not (rows["metric"].isin(("spread", "flip_rate"))).any():
        return words_only("the table of effects has no rows of spreads or flips: there are no matched sets")
    named = several_shifts(rows)
    if named:
        rows = rows.assign(model=[f"{row.model}, {row.shift}" for row in rows.itertuples()])
    value = {(str(row.model), str(row.metric)): row for row in rows.itertuples()}

    def order(name: str) -> tuple[float, str]:
        worst = value.get((name, "worst_background"))
        return (-float(worst.value) if worst else np.inf, name)

    ranked = sorted(set(rows["model"]), key=order)
    lines = chosen_models(ranked, rows)
    measured, no_effect, alone = (BLUE, "o", True), (MUTED, "D", False), (MUTED, "s", False)
    contents = [
        panel
        for panel in (
            ("worst background", "worst_background", "", no_effect),
            ("spread", "spread", "spread_by_chance", no_effect),
            ("sets that flip", "flip_rate", "flip_rate_coin", alone),
            ("pairs that differ", "pair_flip_other_background", "pair_flip_same_background", no_effect),
        )
        if (rows["metric"] == panel[1]).any()
    ]
    height = (len(contents) + 1) // 2
    figure = figure_of(0.75 + height * (0.62 + 0.25 * len(lines)))
    panels = figure.subplots(height, 2, sharey=True, squeeze=False).ravel()
    for axes in panels[len(contents) :]:
        axes.set_visible(False)
    for axes, (title, seen, expected, look) in zip(panels, contents, strict=False):
        label_rows(axes, [shortened(name, 20) for name in lines])
        highest = 0.0
        for place, name in enumerate(lines):
            for metric, mark, offset in ((expected, look, 0.18), (seen, measured, -0.12 if expected else 0.0)):
                row = value.get((name, metric))
                if row is not None:
                    point(axes, row.value, row.ci_low, row.ci_high, place + offset, *mark)
                    highest = float(np.nanmax([highest, row.value, row.ci_high]))
        axes.set_title(title)
        percent_axis(axes, 0, 50 if highest <= 0.5 else 100)
        axes.set_xticks((0, 25, 50) if highest <= 0.5 else (0, 50, 100))
        axes.tick_params(axis="y", labelleft=axes in panels[::2])
    left_out = of_what_remains(len(lines), len(ranked), "classifiers")
    if left_out:
        figure.supxlabel(left_out.strip(), fontsize=8.5, color=MUTED)
    entries = [("measured", *measured), ("if backgrounds did nothing", *no_effect)]
    if (rows["metric"] == "flip_rate_coin").any():
        entries.append(("if images were independent", *alone))
    legend(figure, entries, columns=2)
    return figure


def draw_paired(table: pd.DataFrame) -> Figure:
    """Differences of accuracy between every two backgrounds, within matched sets, for the judges."""
    rows = texts(table[table["dataset"] == SUBJECT], "model", "shift", "first", "second").dropna(subset=["value"])
    if rows.empty:
        return words_only("the table of paired backgrounds has no rows: there are no matched sets")
    model = judges_of(rows)[0]
    parts = [(model, shift) for shift in sorted(set(rows.loc[rows["model"] == model, "shift"]))]
    sizes = []
    for model, shift in parts:
        own = rows[(rows["model"] == model) & (rows["shift"] == shift)]
        sizes.append(len(set(own["first"]) | set(own["second"])))
    figure = figure_of(0.45 + sum(0.95 + 0.36 * size for size in sizes))
    panels = figure.subplots(len(parts), 1, squeeze=False, gridspec_kw={"height_ratios": sizes})[:, 0]
    most = max(float(rows["value"].abs().max()), 0.05)
    for axes, (model, shift) in zip(panels, parts, strict=True):
        own = rows[(rows["model"] == model) & (rows["shift"] == shift)]
        names = in_order([*own["first"], *own["second"]], first=())
        found = {(r.first, r.second): (r.value, r) for r in own.itertuples()}
        found |= {(r.second, r.first): (-r.value, r) for r in own.itertuples()}
        totals = {name: sum(found[(name, other)][0] for other in names if (name, other) in found) for name in names}
        names.sort(key=lambda name: (-totals[name], name))
        cells = [[found.get((one, other)) for other in names] for one in names]
        matrix(
            axes,
            names,
            names,
            [[difference_colour(cell[0], most) if cell else None for cell in line] for line in cells],
            [[signed(cell[0]) if cell else "" for cell in line] for line in cells],
            size=8 if len(names) <= 8 else 6.5,
        )
        for y, line in enumerate(cells):
            for x, cell in enumerate(line):
                if cell and cell[1].p_clustered_holm < 0.05:
                    frame_cell(axes, x, y)
                elif cell and cell[1].p_holm < 0.05:
                    frame_cell(axes, x, y, dashed=True)
        title = f"{model}, {shift}" if len(parts) > 1 else model
        axes.set_title(f"{title} (n = {int(own['n'].max()):,} sets)")
    panels[-1].set_xlabel("row minus column, percentage points")
    return figure


# ---------------------------------------------------------------- variance


def variance_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows to show: of the images of the crossed design where there is one, else of the matched sets of images."""
    rows = texts(table, "model", "shift", "design").dropna(subset=["share"])
    crossed = rows[rows["dataset"] == CROSSED]  # and not its guides, which know no noise
    return crossed if len(crossed) else rows[rows["dataset"] == SUBJECT]


def draw_variance(table: pd.DataFrame) -> Figure:
    """Shares of variance of each classifier's answers as stacked bars, a panel per outcome (and shift)."""
    rows = variance_rows(table)
    if rows.empty:
        return words_only("the table of variance shares has no rows with a share")
    named = several_shifts(rows)
    marks = marks_of(rows)
    ranked = sorted(set(rows["model"]))
    if "place" in rows:
        places = dict(zip(rows["model"], rows["place"], strict=True))
        ranked.sort(key=lambda name: (places[name], name))
    models = chosen_models(ranked, rows)
    parts = [
        (outcome, shift)
        for outcome in (OUTCOMES if len(models) <= MOST_TWICE else list(OUTCOMES)[:1])
        for shift in sorted(set(rows["shift"]))
        if ((rows["outcome"] == outcome) & (rows["shift"] == shift)).any()
    ]
    figure = figure_of(0.8 + len(parts) * (0.45 + 0.28 * len(models)))
    panels = figure.subplots(len(parts), 1, sharex=True, squeeze=False)[:, 0]
    present = [name for name in COMPONENTS if name in set(rows["component"])]
    for axes, (outcome, shift) in zip(panels, parts, strict=True):
        own = rows[(rows["outcome"] == outcome) & (rows["shift"] == shift)]
        _stacked(axes, own, models, present)
        for place, name in enumerate(models):
            beside_row(axes, place, marks.get(name, ""))
        axes.set_title(OUTCOMES[outcome] + (f", {shift}" if named else ""))
    panels[-1].set_xlabel("share of the variance within classes" + of_what_remains(len(models), len(ranked), "models"))
    handles = [Patch(facecolor=COMPONENTS[name][1]) for name in present]
    labels = [COMPONENTS[name][0] for name in present]
    figure.legend(handles, labels, loc="outside upper left", ncols=3, borderpad=0, handlelength=1.0)
    return figure


def _stacked(axes: Axes, rows: pd.DataFrame, models: Sequence[str], components: Sequence[str]) -> None:
    shares = rows.pivot_table(index="model", columns="component", values="share").reindex(models)
    left = np.zeros(len(models))
    for component in components:
        if component not in shares:
            continue
        width = 100 * shares[component].fillna(0).to_numpy(dtype=float)
        colour = COMPONENTS[component][1]
        axes.barh(range(len(models)), width, left=left, height=0.72, color=colour)
        # Letters have the ink of their bar and not of the page; yellow and grey bear dark ones only.
        ink = "#ffffff" if colour in (STRONG_BLUE, RED) else "#0b0d0f"
        for place, (start, size) in enumerate(zip(left, width, strict=True)):
            if size >= 7:
                axes.text(start + size / 2, place, f"{size:.0f}", ha="center", va="center", fontsize=7, color=ink)
        left += width
    axes.set_yticks(range(len(models)), [shortened(name, 22) for name in models])
    axes.set_ylim(len(models) - 0.5, -0.5)
    percent_axis(axes)


# ---------------------------------------------------------------- diversity


def draw_diversity(table: pd.DataFrame) -> Figure:
    """Mean perceptual distance of pictures of a class, by background: classes as dots, their mean as a mark."""
    table = texts(table, "dataset", "shift", "background").dropna(subset=["value"])
    table = table[table["dataset"].isin(DATASETS)]
    if table.empty:
        return words_only("the table of diversity has no rows with a value")
    shifts = sorted(set(table["shift"]))
    backgrounds = {shift: in_order(table.loc[table["shift"] == shift, "background"]) for shift in shifts}
    sizes = [len(names) for names in backgrounds.values()]
    figure = figure_of(0.65 + sum(0.3 + 0.33 * size for size in sizes))
    panels = figure.subplots(len(shifts), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": sizes})[:, 0]
    present = [name for name in DATASETS if name in set(table["dataset"])]
    for axes, shift in zip(panels, shifts, strict=True):
        names = backgrounds[shift]
        label_rows(axes, names)
        for place, dataset in enumerate(present):
            _, colour, marker = DATASETS[dataset]
            offset = 0.26 * (place - (len(present) - 1) / 2)
            own = table[(table["shift"] == shift) & (table["dataset"] == dataset)]
            for background, part in own.groupby("background"):
                y = names.index(str(background)) + offset
                values = part["value"].to_numpy(dtype=float)
                if len(values) <= MOST_DOTS:
                    axes.plot(values, np.full(len(values), y), ".", color=colour, alpha=0.45, markersize=4, mew=0)
                else:
                    axes.plot(np.quantile(values, [0.1, 0.9]), [y, y], color=colour, alpha=0.45, linewidth=3)
                axes.plot([values.mean()], [y], marker, color=colour, markersize=5, mew=0, zorder=4)
        if len(shifts) > 1:
            axes.set_title(shift)
        axes.set_xlim(left=0)
        axes.grid(axis="x", color=GRID)
    panels[-1].set_xlabel("mean perceptual distance of two pictures of a class")
    legend(figure, [(*DATASETS[name], True) for name in present], columns=2)
    return figure


BACKGROUND_FIGURES: dict[str, tuple[str, tuple[str, ...], Draw]] = {
    "drops": ("background_effects", EFFECT_COLUMNS, draw_drops),
    "effects": ("background_effects", EFFECT_COLUMNS, draw_effects),
    "flips": ("background_effects", EFFECT_COLUMNS, draw_flips),
    "paired_backgrounds": ("paired_backgrounds", PAIRED_COLUMNS, draw_paired),
    "variance_shares": ("variance_shares", VARIANCE_COLUMNS, draw_variance),
    "diversity": ("diversity", DIVERSITY_COLUMNS, draw_diversity),
}
"""Figure by name: the table that it is drawn from, the columns of that, and the function that draws it."""
