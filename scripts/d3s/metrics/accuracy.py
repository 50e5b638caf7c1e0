"""Accuracy by data set, background and class."""

import numpy as np
import pandas as pd

from d3s.metrics.estimates import FIGURES, Bootstrap, cluster_kind, set_names
from d3s.metrics.resampling import SHARE, wilson

SHARES = ("top1", "top5", "top1_open", "top5_open", "probability")
"""Columns of judged rows whose means are shares."""
MEANS = (*SHARES, "nll")
ACCURACY_COLUMNS = ("model", "dataset", "background", "metric", *FIGURES, "family")
CELL_COLUMNS = (
    *("model", "family", "dataset", "class_id", "class_name", "background", "metric"),
    *("value", "ci_low", "ci_high", "right", "n", "clusters", "effective_n"),
)


def accuracy_table(judged: pd.DataFrame, bootstrap: Bootstrap) -> pd.DataFrame:
    """Means over all backgrounds and for each, in the long form of ``classifiers.csv``.

    Args:
        judged: rows of one classifier on one data set.
        bootstrap: how intervals are drawn.
    """
    rows = []
    about = {name: judged[name].iloc[0] for name in ("model", "dataset", "family")}
    kind = cluster_kind(judged)
    for background, part in by_background(judged):
        for metric in MEANS:
            if not part[metric].notna().any():
                continue  # a head that does not know ImageNet's other classes
            found = bootstrap.mean(
                part[metric], part["cluster"], set_names(part), kind, bounds=SHARE if metric in SHARES else None
            )
            rows.append(about | {"background": background, "metric": metric} | found)
    return pd.DataFrame(rows, columns=list(ACCURACY_COLUMNS))


def by_background(judged: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """All rows, then those of each background by name; a data set without backgrounds has only the first."""
    return [
        ("all", judged),
        *((str(name), part) for name, part in judged.groupby("background", sort=True) if name != ""),
    ]


def class_table(judged: pd.DataFrame, classes: dict[int, str]) -> pd.DataFrame:
    """Accuracy of every class on every background, in the long form of ``class_by_background.csv``.

    A cell holds few exemplars, too few for a bootstrap. Its interval is Wilson's for the number of independent answers
    that its n pictures are worth, n / (1 + rho (m - 1)), where m = sum(m_i^2) / n for m_i pictures of exemplar i, and
    rho is the correlation of answers of one exemplar within a cell, estimated over all cells of the same kind together
    (``intraclass_correlation``).

    Args:
        judged: rows of one classifier on one data set.
        classes: names by id of all classes; one without pictures is a row with n = 0 and no value.
    """
    about = {name: judged[name].iloc[0] for name in ("model", "family", "dataset")}
    backgrounds = sorted(set(judged["background"]) - {""})
    rows: list[dict[str, object]] = []
    for metric in ("top1", "top1_open"):
        if not judged[metric].notna().any():
            continue
        for scope in (["all"], backgrounds):
            part = judged.assign(background="all") if scope == ["all"] else judged
            cells = _cells(part, metric, intraclass_correlation(part, metric))
            for class_id, name in sorted(classes.items()):
                for background in scope:
                    row = about | {"class_id": class_id, "class_name": name, "background": background, "metric": metric}
                    rows.append(row | cells.get((class_id, background), EMPTY))
    table = pd.DataFrame(rows, columns=list(CELL_COLUMNS))
    table["order"] = table["background"] != "all"
    order = ["metric", "class_id", "order", "background"]
    return table.sort_values(order, ignore_index=True).drop(columns="order")


EMPTY: dict[str, object] = {"right": 0, "n": 0, "clusters": 0, "effective_n": 0.0}


def _cells(judged: pd.DataFrame, metric: str, rho: float) -> dict[tuple[int, str], dict[str, object]]:
    """The figures of every cell that has pictures, by class and background."""
    keys = ["class_id", "background"]
    of_exemplars = judged.groupby([*keys, "cluster"], sort=True)[metric].agg(["sum", "size"])
    of_exemplars["square"] = of_exemplars["size"] ** 2
    sums = of_exemplars.groupby(level=keys, sort=True).sum()
    clusters = of_exemplars.groupby(level=keys, sort=True).size()
    found: dict[tuple[int, str], dict[str, object]] = {}
    for key, right, n, square, exemplars in zip(
        sums.index, sums["sum"], sums["size"], sums["square"], clusters, strict=True
    ):
        effective = n / (1 + rho * (square / n - 1))
        low, high = wilson(right / n * effective, effective)
        found[key] = {"value": right / n, "ci_low": low, "ci_high": high, "right": int(right), "n": int(n)}
        found[key] |= {"clusters": int(exemplars), "effective_n": effective}
    return found


def intraclass_correlation(judged: pd.DataFrame, metric: str) -> float:
    """How alike answers of one exemplar are within a cell (class x background), from 0 to 1.

    The estimator of the one-way random-effects ANOVA, (MSB - MSW) / (MSB + (m0 - 1) MSW), with sums of squares and
    degrees of freedom added over cells, m0 the mean number of pictures per exemplar less its spread; 0 if negative, or
    if no exemplar has two pictures in a cell.
    """
    keys = ["class_id", "background"]
    exemplars = judged.groupby([*keys, "cluster"])[metric].agg(["sum", "count"])
    cells = judged.groupby(keys)[metric].agg(["sum", "count"])
    n = len(judged)
    between_freedom, within_freedom = len(exemplars) - len(cells), n - len(exemplars)
    if between_freedom < 1 or within_freedom < 1:
        return 0.0
    of_exemplars = float((exemplars["sum"] ** 2 / exemplars["count"]).sum())
    between = (of_exemplars - float((cells["sum"] ** 2 / cells["count"]).sum())) / between_freedom
    within = (float((judged[metric] ** 2).sum()) - of_exemplars) / within_freedom
    squares = (exemplars["count"] ** 2).groupby(level=keys).sum()
    usual_size = (n - float((squares / cells["count"]).sum())) / between_freedom
    total = between + (usual_size - 1) * within
    return float(np.clip((between - within) / total, 0.0, 1.0)) if total > 0 else 0.0


def confusion_table(judged: pd.DataFrame) -> pd.DataFrame:
    """How often each class is taken for each, where it is at all, in long form."""
    keys = ["model", "dataset", "class_id", "predicted"]
    return judged.groupby(keys, sort=True).size().rename("n").reset_index()
