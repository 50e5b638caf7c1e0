"""How a classifier did on each picture: predictions joined with labels, over super-classes and over all of ImageNet.

Predictions hold no labels, so that another table of classes, label map or metric costs no inference. Here the two meet:
the result is one frame per classifier and data set, from which every metric is computed (``d3s.metrics``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from d3s.errors import BadInput, D3SError
from d3s.predictions import Predictions
from d3s.superclasses import SuperClasses
from d3s.tables import INDICES, Row

IMAGENET = 1000
"""Classes of ImageNet-1k, which the label space ``imagenet-1k`` has."""
ACCEPTED = "images_accepted"
"""The data set that is the screened part of ``images``."""
TOP = {"top1": 1, "top5": 5}
"""Metrics and how many of the most probable classes may hold the right one."""
TEXTS = ("background", "shift", "variant", "matched_set", "exemplar", "split_group", "template", "placement", "noise")
"""What subjects may say of a picture, as text; empty where it is not known."""
SUBJECT_COLUMNS = ("sample", "class_id", *TEXTS, "accepted", "set_complete", "planned")
JUDGED_COLUMNS = (
    *("model", "family", "dataset", "sample", "class_id", "class_name", *TEXTS, "accepted", "set_complete", "planned"),
    *("cluster", "predicted", "top1", "top5", "top1_open", "top5_open", "probability", "confidence", "margin", "nll"),
)


@dataclass(frozen=True)
class Judged:
    """One classifier on one data set.

    Attributes:
        rows: one per picture that could be judged, sorted by sample:

            - model, family, dataset, sample, class_id, class_name, the columns ``TEXTS``, accepted, set_complete;
            - planned: number of backgrounds that the picture's matched set was to have;
            - cluster: what is drawn together: the split group (an exemplar with its near-duplicates), else the
              exemplar, else the matched set, else the picture itself;
            - predicted: the most probable super-class;
            - top1, top5: 1.0 if the own super-class is the most probable, or among the five; ties count against it;
            - top1_open, top5_open: likewise among all of ImageNet's classes, where any of the own super-class's will
              do; NaN for a classifier that does not know these;
            - probability: of the own super-class, confidence: of the predicted one; all super-classes add up to 1;
            - margin: log odds of the own super-class against all others together; NaN if there is only one;
            - nll: minus the log of ``probability``.
        unread: pictures that the classifier could not be shown.
        unknown: pictures of a class that has no ImageNet indices, or of a label that the label map lacks.
        missing: pictures that the subjects have and the predictions lack.
    """

    rows: pd.DataFrame
    unread: int
    unknown: int
    missing: int


def subjects_from_manifest(manifest: pd.DataFrame, split: str = "val") -> pd.DataFrame:
    """What is known of the pictures of the data set itself.

    Args:
        manifest: of ``build_manifest``; one row per planned image, so that its sets tell which backgrounds they lack.
        split: whose pictures are judged.
    """
    return complete_subjects(manifest[manifest["split"] == split] if "split" in manifest else manifest)


def complete_subjects(table: pd.DataFrame) -> pd.DataFrame:
    """A table of pictures with every column of ``SUBJECT_COLUMNS``; what it does not say is empty.

    Args:
        table: rows with ``sample``: a manifest, the manifests of shards, or a benchmark's index. Text columns may be
            numbers (the placements and noises of the crossed design). Without ``class_id``, as templates are, no row
            can be judged.

    Raises:
        D3SError: there are no samples, or one stands twice.
    """
    if "sample" not in table and "template" in table and "background" in table:
        table = table.assign(sample=table["background"] + "/" + table["template"])  # templates alone, as predicted
    if "sample" not in table:
        raise D3SError("the table of pictures lacks the column 'sample'", "make it again with the workflow")
    twice = table.loc[table["sample"].duplicated(), "sample"]
    if len(twice):
        raise D3SError(
            f"{len(twice)} samples stand twice in the table of pictures, such as {twice.iloc[0]}",
            "give each shard once",
        )
    class_id = table["class_id"].fillna(-1).astype(int) if "class_id" in table else -1
    found = pd.DataFrame({"sample": table["sample"].astype(str), "class_id": class_id})
    for name in TEXTS:
        found[name] = table[name].fillna("").astype(str) if name in table else ""
    for name in ("accepted", "set_complete"):
        found[name] = table[name].fillna(False).astype(bool) if name in table else name == "accepted"
    in_sets = found[(found["matched_set"] != "") & (found["background"] != "")]
    planned = in_sets.groupby("matched_set")["background"].nunique()
    found["planned"] = found["matched_set"].map(planned).fillna(0).astype(int)
    return found.sort_values("sample", ignore_index=True)


def read_subjects(paths: Sequence[Path]) -> pd.DataFrame:
    """The pictures of the shards or of the index with these Parquet tables.

    Raises:
        D3SError: a table can't be read, or lacks a column.
    """
    tables = []
    for path in paths:
        try:
            tables.append(pd.read_parquet(path.with_suffix(".parquet")))
        except (OSError, ValueError) as error:
            raise D3SError(f"{path} can't be read ({error})", "make it again with the workflow") from None
    filled = [table for table in tables if len(table)] or tables[:1]
    return complete_subjects(pd.concat(filled, ignore_index=True))


def label_map_classes(path: str | Path) -> SuperClasses:
    """A benchmark's label map (columns label, name and imagenet_indices) as super-classes.

    Labels of one name are one class, with the indices of all; a class's id is its place among the names.

    Raises:
        D3SError: it can't be read, two labels share an ImageNet index, or none has any.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise D3SError(
            f"the label map {path} can't be read as CSV ({error})", "write it, or correct its path"
        ) from None
    lacking = [name for name in ("label", "imagenet_indices") if name not in table]
    if lacking:
        raise D3SError(
            f"the label map {path} lacks the column {lacking[0]!r}", "give it the columns label and imagenet_indices"
        )
    wrong = table[~table["imagenet_indices"].str.fullmatch(INDICES.pattern + "|")]
    if len(wrong):
        row = wrong.iloc[0]
        raise D3SError(
            f"{path}: imagenet_indices of {row['label']!r} is {row['imagenet_indices']!r}",
            "write numbers and ranges from 0 to 999, such as 7-9 80",
        )
    names = table["name"] if "name" in table else table["label"]
    indices = table["imagenet_indices"].groupby(names, sort=False).agg(" ".join)
    rows: list[Row] = [
        {"class_id": str(place), "name": str(name), "imagenet_indices": own.strip()}
        for place, (name, own) in enumerate(indices.items())
    ]
    return SuperClasses.from_rows(rows, path)


def judge(predictions: Predictions, subjects: pd.DataFrame, classes: SuperClasses, dataset: str) -> Judged:
    """Join predictions with what is known of their pictures.

    Args:
        predictions: of one classifier for one data set.
        subjects: as ``complete_subjects`` gives them.
        classes: the super-classes that ``class_id`` names.
        dataset: its name.

    Raises:
        BadInput: with the classifier's own status where it has one (its weights could not be had, say);
            ``wrong_classes``: it has another number of classes than its label space; ``nothing_judged``: no picture was
            read and has a class that can be judged.
        D3SError: the subjects lack pictures that were predicted.
    """
    meta, rows = predictions.metadata, predictions.frame
    if meta.get("status", "ok") not in ("", "ok"):
        raise BadInput(meta["status"], meta.get("reason", ""))
    place = pd.Series(np.arange(len(subjects)), index=subjects["sample"])
    strange = rows.loc[~rows["sample"].isin(place.index), "sample"]
    if len(strange):
        raise D3SError(
            f"{dataset}: the table of its pictures lacks {strange.nunique()} of the samples predicted by"
            f" {meta['model']}, such as {strange.iloc[0]}",
            "make both from the same shards: run the workflow again",
        )
    read = (rows["status"] == "ok").to_numpy() & ~np.isnan(predictions.logits).any(axis=1)
    own = subjects.iloc[place.loc[rows["sample"]].to_numpy()].reset_index(drop=True)
    known = own["class_id"].isin(classes.ids).to_numpy()
    keep = np.flatnonzero(read & known)
    keep = keep[np.argsort(rows["sample"].to_numpy()[keep].astype(str), kind="stable")]
    unread, unknown = int((~read).sum()), int((read & ~known).sum())
    missing = len(set(subjects["sample"]) - set(rows["sample"]))
    if not len(keep):
        raise BadInput(
            "nothing_judged",
            f"of {len(rows)} pictures {unread} could not be read and {unknown} have a class without ImageNet indices",
        )
    table = own.iloc[keep].reset_index(drop=True)
    positions = np.searchsorted(np.asarray(classes.ids), table["class_id"].to_numpy())
    scores = _scores(predictions.logits[keep], positions, classes, meta.get("label_space", "imagenet-1k"))
    table = table.assign(
        model=meta["model"],
        family=meta.get("family", ""),
        dataset=dataset,
        class_name=np.asarray(classes.names, dtype=object)[positions],
        cluster=_clusters(table),
        **scores,
    )
    return Judged(table[list(JUDGED_COLUMNS)], unread, unknown, missing)


def accepted_part(judged: pd.DataFrame) -> pd.DataFrame:
    """The screened part of the judged images, as a data set of its own."""
    return judged[judged["accepted"]].assign(dataset=ACCEPTED).reset_index(drop=True)


def ranks(scores: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The rank of each row's own class, from 1; ties count against it, so that equal scores earn nothing.

    Args:
        scores: N x K.
        own: N columns.
    """
    mine = np.take_along_axis(scores, own[:, None], axis=1)
    return (scores >= mine).sum(axis=1)


def _scores(logits: np.ndarray, own: np.ndarray, classes: SuperClasses, label_space: str) -> dict[str, np.ndarray]:
    """The columns of ``Judged`` that come from logits.

    Args:
        logits: N x C log-probabilities, up to a constant of each row.
        own: N positions of the right super-class.
        classes: K super-classes.
        label_space: ``imagenet-1k``, or ``classes`` for a head whose C columns are the super-classes.
    """
    logits = logits.astype(np.float64)
    width = logits.shape[1]
    nothing = np.full(len(logits), np.nan)
    opened = dict.fromkeys(("top1_open", "top5_open"), nothing)
    if label_space == "classes":
        if width != len(classes.ids):
            raise BadInput("wrong_classes", f"it has {width} classes, and the table has {len(classes.ids)}")
        scores = logits
    else:
        highest = max(max(group) for group in classes.indices)
        if highest >= IMAGENET:
            raise D3SError(
                f"the ImageNet index {highest} is beyond ImageNet's {IMAGENET} classes",
                "correct imagenet_indices in the table of classes (they run from 0 to 999)",
            )
        if width != IMAGENET:
            raise BadInput(
                "wrong_classes", f"it has {width} classes, and the indices of the table need ImageNet's 1000"
            )
        # Indices of one super-class lie anywhere: gathered group after group.
        scores = np.stack([logsumexp(logits[:, list(group)], axis=1) for group in classes.indices], axis=1)
        opened = _open_scores(logits, own, classes)
    rank = ranks(scores, own)
    total = logsumexp(scores, axis=1)
    mine = np.take_along_axis(scores, own[:, None], axis=1)[:, 0]
    if scores.shape[1] > 1:
        others = scores.copy()
        np.put_along_axis(others, own[:, None], -np.inf, axis=1)
        margin = mine - logsumexp(others, axis=1)
    else:
        margin = nothing
    return {
        "predicted": np.asarray(classes.ids)[scores.argmax(axis=1)],
        **{metric: (rank <= k).astype(float) for metric, k in TOP.items()},
        **opened,
        "probability": np.exp(mine - total),
        "confidence": np.exp(scores.max(axis=1) - total),
        "margin": margin,
        "nll": total - mine,
    }


def _open_scores(logits: np.ndarray, own: np.ndarray, classes: SuperClasses) -> dict[str, np.ndarray]:
    """Whether one of the own super-class's indices is the best, or among the best five, of all."""
    before = np.zeros(len(logits), dtype=int)
    for position, group in enumerate(classes.indices):
        rows = np.flatnonzero(own == position)
        best = logits[np.ix_(rows, np.asarray(group))].max(axis=1, keepdims=True)
        strangers = np.delete(logits[rows], np.asarray(group), axis=1)
        before[rows] = (strangers >= best).sum(axis=1)
    return {f"{metric}_open": (before < k).astype(float) for metric, k in TOP.items()}


def _clusters(table: pd.DataFrame) -> pd.Series:
    found = table["split_group"]
    for name in ("exemplar", "matched_set", "sample"):
        found = found.where(found != "", table[name])
    return found
