"""How good the automatic screen is where people looked too, and which threshold gives a wanted precision.

Precision: of the images that the screen keeps, the share that people accepted. Recall: of those that people accepted,
the share that it keeps. Both hold for the images that people were asked about; if those were the doubtful ones alone,
they say nothing of the others.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from d3s.identity import digest
from d3s.stats import clustered_mean_interval

COLUMNS = ["scope", "name", "kind", "threshold", "n", "undecided", "accepted", "kept", "precision", "precision_low"]
COLUMNS += ["precision_high", "recall", "recall_low", "recall_high", "held_out_precision"]
LEAST_KEPT = 20
"""Images that a threshold must keep before its precision is believed."""
MOST_UNDECIDED = 0.05
"""Of the images that people voted on, those that may still be open. Under a veto images are rejected at once and
accepted late, so before the votes are in nearly all that is decided is rejected, and precision would be far too low."""
FOLDS = 5
POINTS = 40
"""Of the curve that is drawn."""


def judged_by_people(manifest: pd.DataFrame) -> pd.DataFrame:
    """The images that people decided about and a classifier scored: with ``good``, what people say, as 0 or 1."""
    rows = manifest[(manifest["verified_by"] == "human") & manifest["super_probability"].notna()]
    return rows.assign(good=(rows["decision"] == "accepted").astype("float64"))


def still_open(manifest: pd.DataFrame) -> pd.DataFrame:
    """The images that people voted on and that wait for more votes."""
    return manifest[(manifest["decision"] == "undecided") & manifest["super_probability"].notna()]


def kept_by_screen(rows: pd.DataFrame, threshold: float) -> np.ndarray:
    """Whether the screen keeps images: their own class comes first, or is at least as probable as the threshold."""
    own_first = rows["super_top1"].astype("float64") == rows["class_id"]
    return (own_first | (rows["super_probability"] >= threshold)).to_numpy()


def choose_threshold(rows: pd.DataFrame, precision: float) -> float:
    """The lowest threshold from which on the screen is as precise as wanted; NaN if none is.

    Args:
        rows: as ``judged_by_people`` gives them.
        precision: share of kept images that people accept.
    """
    own_first = rows["super_top1"].astype("float64") == rows["class_id"]
    # What is kept whatever the threshold counts at 1; the rest joins as the threshold falls.
    score = rows["super_probability"].where(~own_first, 1.0).to_numpy()
    order = np.argsort(-score, kind="stable")
    score, good = score[order], rows["good"].to_numpy()[order]
    last = np.flatnonzero(np.append(np.diff(score) != 0, True)) if len(score) else np.array([], dtype=int)
    fits = [place for place in last if place + 1 >= LEAST_KEPT and good[: place + 1].mean() >= precision]
    return float(score[fits[-1]]) if fits else float("nan")


def calibrate(manifest: pd.DataFrame, threshold: float, precision: float, seed: int, resamples: int) -> pd.DataFrame:
    """The table of calibration.

    Args:
        manifest: of the data set.
        threshold: the one in force.
        precision: the wanted one.
        seed, resamples: of the bootstrap over exemplars.

    Returns:
        Rows with ``COLUMNS``. ``kind`` is ``in_force`` (for all images, each class and each background),
        ``for_precision`` (the threshold that gives the wanted precision, chosen on these same images; its
        ``held_out_precision`` is what thresholds chosen without an exemplar's images reach on them) or ``curve``.
        n: images judged by people; undecided: those that wait for votes, and where these are more than
        ``MOST_UNDECIDED`` of both nothing is measured. Intervals are of 95 %, clustered by exemplar. Empty if people
        decided nothing.
    """
    rows, waiting = judged_by_people(manifest), still_open(manifest)
    if rows.empty:
        return pd.DataFrame(columns=COLUMNS)
    parts = [("all", "all", rows, len(waiting))]
    for scope, column in (("class", "class_name"), ("background", "background")):
        parts += [(scope, name, own, int((waiting[column] == name).sum())) for name, own in rows.groupby(column)]
    found: list[dict[str, object]] = [
        {"scope": scope, "name": name, "kind": "in_force", "undecided": left}
        | _measure(own, threshold, seed, resamples, _enough(own, left))
        for scope, name, own, left in parts
    ]
    if not _enough(rows, len(waiting)):
        return pd.DataFrame(found).reindex(columns=COLUMNS)
    chosen = choose_threshold(rows, precision)
    held_out = _held_out_precision(rows, precision, seed)
    found.append(
        {"scope": "all", "name": "all", "kind": "for_precision", "held_out_precision": held_out}
        | _measure(rows, chosen, seed, resamples, True)
    )
    for place in np.linspace(0, 1, POINTS + 1):
        found.append(
            {"scope": "all", "name": "all", "kind": "curve"} | _measure(rows, float(place), seed, resamples, True)
        )
    return pd.DataFrame(found).reindex(columns=COLUMNS)


def _enough(rows: pd.DataFrame, undecided: int) -> bool:
    return undecided <= MOST_UNDECIDED * (len(rows) + undecided)


def _measure(rows: pd.DataFrame, threshold: float, seed: int, resamples: int, enough: bool) -> dict[str, object]:
    kept = kept_by_screen(rows, threshold) if np.isfinite(threshold) else np.zeros(len(rows), dtype=bool)
    good = rows["good"].to_numpy()
    clusters = rows["exemplar"].astype(str).to_numpy()
    yes = good == 1

    def mean(values: np.ndarray, where: np.ndarray) -> Sequence[float]:
        return clustered_mean_interval(values[where], list(clusters[where]), seed, resamples)

    precision, recall = mean(good, kept), mean(kept.astype("float64"), yes)
    if not np.isfinite(threshold) or not enough:
        precision = recall = [float("nan")] * 3
    return {
        "threshold": threshold,
        "n": len(rows),
        "accepted": int(yes.sum()),
        "kept": int(kept.sum()),
        **dict(zip(("precision", "precision_low", "precision_high"), precision, strict=True)),
        **dict(zip(("recall", "recall_low", "recall_high"), recall, strict=True)),
    }


def _held_out_precision(rows: pd.DataFrame, precision: float, seed: int) -> float:
    """The precision on exemplars that had no say in the threshold."""
    fold = rows["exemplar"].map(lambda name: int(digest(seed, "calibration fold", name)[:8], 16) % FOLDS)
    good = kept = 0.0
    for number in range(FOLDS):
        inside, outside = rows[fold != number], rows[fold == number]
        threshold = choose_threshold(inside, precision)
        if np.isfinite(threshold):
            keeps = kept_by_screen(outside, threshold)
            good, kept = good + outside["good"].to_numpy()[keeps].sum(), kept + keeps.sum()
    return good / kept if kept else float("nan")
