"""Figures of how well classifiers do: ranking, accuracy by background and class, calibration, agreement.

Tables come with the columns ``role`` and ``place`` of ``roles.with_roles``, as far as roles are known.
"""

from collections.abc import Callable, Sequence

import pandas as pd
from matplotlib.figure import Figure

from d3s.drawing import (
    BLUE,
    GREEN,
    GRID,
    MUTED,
    ORANGE,
    PINK,
    beside_row,
    difference_colour,
    figure_of,
    in_order,
    label_rows,
    legend,
    level_colour,
    matrix,
    percent_axis,
    point,
    shortened,
    words_only,
)
from d3s.roles import judges_of, marks_of

Draw = Callable[[pd.DataFrame], Figure]
DATASETS = {
    "cutouts": ("cut-outs on grey", PINK, "^"),
    "guides": ("guides", ORANGE, "s"),
    "images": ("generated images", BLUE, "o"),
    "images_accepted": ("accepted images", GREEN, "D"),
}
MOST_MODELS, MOST_CLASSES, MOST_MULTIPLES = 40, 24, 12
"""What a figure shows at most; it says what it leaves out."""

CLASSIFIER_COLUMNS = ("model", "dataset", "background", "metric", "value", "ci_low", "ci_high", "n")
CELL_COLUMNS = ("model", "dataset", "class_id", "class_name", "background", "metric", "value", "n")
RELIABILITY_COLUMNS = ("model", "dataset", "binning", "confidence", "accuracy", "ci_low", "ci_high", "n")
AGREEMENT_COLUMNS = ("dataset", "first", "second", "metric", "value")


def chosen_models(ranked: Sequence[str], table: pd.DataFrame, most: int = MOST_MODELS) -> list[str]:
    """The models to show, in the given order: the judge, those with a part in the data, the first of the others."""
    always = {*judges_of(table)[:1], *marks_of(table)} & set(ranked)
    others = [name for name in ranked if name not in always][: max(most - len(always), 0)]
    return [name for name in ranked if name in always or name in others]


def of_what_remains(shown: int, in_all: int, noun: str) -> str:
    """How many are left out, as a second line of an axis's label; empty if all are shown."""
    return f"\n{in_all - shown} more {noun} stand in the table" if in_all > shown else ""


def best_first(table: pd.DataFrame) -> list[str]:
    """Models by accuracy on the generated images, else on the first data set that they have in common, best first."""
    overall = table[(table["metric"] == "top1") & (table["background"] == "all")]
    for dataset in ("images", "images_accepted", "guides", "cutouts"):
        own = overall[overall["dataset"] == dataset]
        if len(own):
            break
    value = dict(zip(own["model"].astype(str), own["value"], strict=True))
    return sorted(set(table["model"].astype(str)), key=lambda name: (-value.get(name, -1.0), name))


def draw_ranking(table: pd.DataFrame) -> Figure:
    """Top-1 accuracy of every classifier, best on the generated images first, with 95 % intervals."""
    table = table[table["dataset"].isin(DATASETS)].dropna(subset=["value"])
    rows = table[(table["metric"] == "top1") & (table["background"] == "all")]
    if rows.empty:
        return words_only("the table of classifiers has no rows")
    ranked, marks = best_first(rows), marks_of(rows)
    models = chosen_models(ranked, rows)
    present = [name for name in DATASETS if name in set(rows["dataset"])]
    figure = figure_of(0.75 + 0.33 * len(models))
    axes = figure.subplots()
    label_rows(axes, [shortened(name) for name in models])
    for row in rows[rows["model"].astype(str).isin(models)].itertuples():
        _, colour, marker = DATASETS[str(row.dataset)]
        offset = 0.2 * (present.index(str(row.dataset)) - (len(present) - 1) / 2)
        point(axes, row.value, row.ci_low, row.ci_high, models.index(str(row.model)) + offset, colour, marker)
    for place, name in enumerate(models):
        beside_row(axes, place, marks.get(name, ""))
    percent_axis(axes)
    axes.set_xlabel("top-1 accuracy" + of_what_remains(len(models), len(ranked), "classifiers"))
    legend(figure, [(*DATASETS[name], True) for name in present], columns=2)
    return figure


def draw_classifiers(table: pd.DataFrame) -> Figure:
    """Top-1 accuracy of the report's judge by background, with 95 % intervals and n."""
    table = table[(table["metric"] == "top1") & table["dataset"].isin(DATASETS)].dropna(subset=["value"])
    if table.empty:
        return words_only("the table of classifiers has no rows")
    judge = judges_of(table)[0]
    own = table[table["model"].astype(str) == judge]
    backgrounds = in_order(own["background"])
    present = [name for name in DATASETS if name in set(own["dataset"])]
    figure = figure_of(0.95 + 0.33 * len(backgrounds))
    axes = figure.subplots()
    label_rows(axes, ["all backgrounds" if name == "all" else shortened(name) for name in backgrounds])
    for row in own.itertuples():
        _, colour, marker = DATASETS[str(row.dataset)]
        offset = 0.2 * (present.index(str(row.dataset)) - (len(present) - 1) / 2)
        point(axes, row.value, row.ci_low, row.ci_high, backgrounds.index(str(row.background)) + offset, colour, marker)
    counted = own[own["dataset"] == ("images" if "images" in present else present[0])]
    for background, n in zip(counted["background"].astype(str), counted["n"], strict=True):
        beside_row(axes, backgrounds.index(background), f"n = {int(n):,}")
    axes.set_title(judge)
    percent_axis(axes)
    axes.set_xlabel("top-1 accuracy")
    legend(figure, [(*DATASETS[name], True) for name in present], columns=2)
    return figure


def draw_class_by_background(table: pd.DataFrame) -> Figure:
    """Accuracy of every class on every background as a heat map with n: the report's judge, and the mean of judges."""
    table = table[(table["metric"] == "top1") & (table["dataset"] == "images") & (table["n"] > 0)]
    table = table.dropna(subset=["value"])
    if table.empty:
        return words_only("the table of classes by background has no rows")
    judges = judges_of(table)
    parts = {judges[0]: table[table["model"].astype(str) == judges[0]]}
    if len(judges) > 1:
        several = table[table["model"].astype(str).isin(judges)]
        keys = ["class_id", "class_name", "background"]
        parts[f"mean of {len(judges)} judges"] = several.groupby(keys, as_index=False)[["value", "n"]].mean()
    backgrounds = in_order(table["background"])
    first = parts[judges[0]]
    single = first[first["background"] != "all"].groupby("class_id")["value"]
    spread = (single.max() - single.min()).sort_values(ascending=False, kind="stable")
    chosen = spread.index[:MOST_CLASSES].tolist()
    names = dict(zip(first["class_id"], first["class_name"].astype(str), strict=True))
    height = 0.34 if len(chosen) <= 12 else 0.27
    figure = figure_of(0.4 + len(parts) * (1.1 + height * len(chosen)))
    panels = figure.subplots(len(parts), 1, squeeze=False)[:, 0]
    for axes, (title, part) in zip(panels, parts.items(), strict=True):
        found = {(r.class_id, str(r.background)): r for r in part.itertuples()}
        cells = [[found.get((number, background)) for background in backgrounds] for number in chosen]
        matrix(
            axes,
            [shortened(names[number].replace("_", " "), 18) for number in chosen],
            backgrounds,
            [[level_colour(cell.value) if cell else None for cell in line] for line in cells],
            [[f"{100 * cell.value:.0f}" if cell else "\u2013" for cell in line] for line in cells],
            [[f"n={int(cell.n)}" if cell else "" for cell in line] for line in cells],
            size=7.5 if len(backgrounds) <= 8 else 6.5,
        )
        axes.set_title(title)
    note = "classes with the widest spread first"
    if len(spread) > len(chosen):
        note = f"the {len(chosen)} of {len(spread):,} classes with the widest spread"
    note = f"top-1 accuracy on generated images, %;\n{note}"
    panels[-1].set_xlabel(note)
    return figure


def draw_reliability(table: pd.DataFrame) -> Figure:
    """Accuracy over confidence in bins of equal width, a small panel per classifier: on images and on guides."""
    table = table[(table["binning"] == "equal_width") & table["dataset"].isin(("images", "guides"))]
    if table.empty:
        return words_only("the table of reliability has no rows")
    marks = marks_of(table)
    order = ["place", "model"] if "place" in table else ["model"]
    judges = judges_of(table)
    every = table.drop_duplicates("model").sort_values(order)["model"].astype(str).tolist()
    models = [*judges, *(name for name in every if name not in judges)][:MOST_MULTIPLES]
    columns = min(3, len(models))
    rows = -(-len(models) // columns)
    figure = figure_of(0.75 + 1.42 * rows)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    present = [name for name in ("guides", "images") if name in set(table["dataset"])]
    for axes, model in zip(panels, models, strict=False):
        axes.plot([0, 100], [0, 100], color=MUTED, linewidth=0.8, linestyle=":")
        for dataset in present:
            _, colour, marker = DATASETS[dataset]
            own = table[(table["model"].astype(str) == model) & (table["dataset"] == dataset)].sort_values("confidence")
            x, y = 100 * own["confidence"], 100 * own["accuracy"]
            axes.vlines(x, 100 * own["ci_low"], 100 * own["ci_high"], color=colour, linewidth=0.8, alpha=0.45)
            axes.plot(x, y, color=colour, linewidth=1.1)
            sizes = 3 + 40 * own["n"].to_numpy(dtype=float) / max(float(own["n"].sum()), 1.0)
            axes.scatter(x, y, s=sizes, color=colour, marker=marker, linewidths=0, zorder=3)
        axes.set_title(shortened(model, 18), fontsize=7.5)
        if model in marks:
            axes.text(97, 4, marks[model], ha="right", fontsize=7, color=MUTED)
        axes.set(xlim=(0, 100), ylim=(0, 102), xticks=(0, 50, 100), yticks=(0, 50, 100))
        axes.grid(color=GRID)
    for axes in panels[len(models) :]:
        axes.set_visible(False)
    for axes in panels[max(len(models) - columns, 0) : len(models)]:
        axes.tick_params(labelbottom=True)
    figure.supxlabel(
        "confidence, %" + of_what_remains(len(models), len(every), "classifiers"), fontsize=8.5, color=MUTED
    )
    figure.supylabel("accuracy, %", fontsize=8.5, color=MUTED)
    legend(figure, [(*DATASETS[name], True) for name in present])
    return figure


def draw_agreement(table: pd.DataFrame) -> Figure:
    """Above the diagonal how often two classifiers answer alike, below it how far they err on the same images."""
    table = table[(table["dataset"] == "images") & table["metric"].isin(("same_prediction", "error_consistency"))]
    table = table.dropna(subset=["value"])
    if table.empty:
        return words_only("the table of agreement has no rows: it takes two classifiers")
    every = in_order([*table["first"], *table["second"]], first=())
    models = every[:MOST_MODELS]
    n = len(models)
    found = {(str(r.first), str(r.second), r.metric): float(r.value) for r in table.itertuples(index=False)}
    colours: list[list[tuple[float, float, float, float] | None]] = [[None] * n for _ in models]
    texts = [[""] * n for _ in models]
    for y, one in enumerate(models):
        for x, other in enumerate(models):
            if x == y:
                continue
            pair = (one, other) if one < other else (other, one)
            value = found.get((*pair, "same_prediction" if x > y else "error_consistency"))
            if value is None:
                continue
            colours[y][x] = level_colour(value) if x > y else difference_colour(value, 1.0)
            if n <= 14:
                texts[y][x] = (
                    f"{100 * value:.0f}" if x > y else f"{value:.2f}".replace("0.", ".").replace("-", "\u2212")
                )
    figure = figure_of(1.3 + min(0.36, 2.9 / n) * n)
    axes = figure.subplots()
    labels = [shortened(name, 22) for name in models]
    if n > 14:  # names on both sides would leave no room for the cells
        labels = [f"{label}  {place}" for place, label in enumerate(labels, start=1)]
    columns = labels if n <= 14 else [str(place) for place in range(1, n + 1)]
    matrix(axes, labels, columns, colours, texts, size=7.5 if n <= 8 else 6)
    if n > 14:
        axes.tick_params(labelsize=7 if n <= 24 else 5)
    remaining = of_what_remains(n, len(every), "classifiers")
    axes.set_xlabel(f"above: same answer, % of images;\nbelow: error consistency{remaining}")
    return figure


CLASSIFIER_FIGURES: dict[str, tuple[str, tuple[str, ...], Draw]] = {
    "ranking": ("classifiers", CLASSIFIER_COLUMNS, draw_ranking),
    "classifiers": ("classifiers", CLASSIFIER_COLUMNS, draw_classifiers),
    "class_by_background": ("class_by_background", CELL_COLUMNS, draw_class_by_background),
    "reliability": ("reliability", RELIABILITY_COLUMNS, draw_reliability),
    "agreement": ("classifier_agreement", AGREEMENT_COLUMNS, draw_agreement),
}
"""Figure by name: the table that it is drawn from, the columns of that, and the function that draws it."""
