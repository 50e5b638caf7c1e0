"""How well classifiers recognise the super-classes, by data set and background, with clustered intervals."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from d3s.errors import D3SError
from d3s.predictions import Predictions, probabilities
from d3s.stats import clustered_mean_interval
from d3s.superclasses import SuperClasses

STATUS = ("model", "family", "status", "reason", "predicted")
"""The columns of the table of classifiers' statuses."""
TOP = {"top1": 1, "top5": 5}
"""Metrics and how many of the most probable super-classes may hold the right one."""


def super_class_rows(predictions: Predictions, classes: SuperClasses) -> pd.DataFrame:
    """The probabilities of the super-classes: dataset, sample, model and ``p_`` with the class id for each.

    Rows whose picture could not be read keep empty ones.

    Args:
        predictions: of one classifier on one data set.
        classes: the super-classes.
    """
    answers = probabilities(predictions.logits)
    # The outputs of a head of its own are the classes by their ids, those without ImageNet's indices included.
    sums = answers if predictions.metadata["label_space"] == "classes" else classes.sums(answers)
    columns = [f"p_{class_id}" for class_id in classes.ids]
    if sums.shape[1] != len(columns):
        raise D3SError(
            f"{predictions.metadata['model']} tells {sums.shape[1]} classes apart, and the table has {len(columns)}",
            "give every class of the table imagenet_indices, or take the classifier out of the list",
        )
    frame = predictions.frame[["dataset", "sample"]].assign(model=predictions.metadata["model"])
    return pd.concat([frame, pd.DataFrame(sums, columns=columns)], axis=1)


def status_table(predictions: Iterable[Predictions]) -> pd.DataFrame:
    """A row per classifier: model, family, status, reason, and how many pictures it looked at, over all data sets."""
    rows: dict[str, dict[str, object]] = {}
    for each in predictions:
        about = each.metadata
        row = rows.setdefault(about["model"], {key: about[key] for key in STATUS[:-1]} | {"predicted": 0})
        row["predicted"] = int(str(row["predicted"])) + int((each.frame["status"] == "ok").sum())
    return pd.DataFrame(rows.values(), columns=list(STATUS))


def ranks(probabilities: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The rank of each row's own class, from 1; ties count against it, so that equal probabilities earn nothing.

    Args:
        probabilities: N x K.
        own: N columns.
    """
    mine = np.take_along_axis(probabilities, own[:, None], axis=1)
    return (probabilities >= mine).sum(axis=1)


def judged_rows(predictions: pd.DataFrame, manifest: pd.DataFrame, classes: SuperClasses) -> pd.DataFrame:
    """Predictions with what the manifest knows of their samples, and how they did.

    Args:
        predictions: rows of all models.
        manifest: the data set's.
        classes: the super-classes; rows of other classes can't be judged and are left out, as are unreadable pictures.

    Returns:
        model, dataset (``guides``, ``images``, and ``images_accepted`` for the part of those that screening accepted),
        sample, class_id, background, matched_set, predicted (class id) and a column of 0 or 1 per metric.

    Raises:
        D3SError: the predictions are of other classes, or of samples that the manifest lacks.
    """
    columns = [f"p_{class_id}" for class_id in classes.ids]
    if sorted(columns) != sorted(name for name in predictions if str(name).startswith("p_")):
        raise D3SError(
            "the predictions are not for the super-classes of the table of classes",
            "run predict_classifier again with this table, for every classifier",
        )
    known = manifest[["sample", "class_id", "background", "matched_set", "accepted"]]
    table = predictions.merge(known, on="sample", how="left", validate="many_to_one", indicator="found")
    strange = table.loc[table["found"] == "left_only", "sample"]
    if len(strange):
        raise D3SError(
            f"the manifest lacks {strange.nunique()} of the samples predicted, such as {strange.iloc[0]}",
            "build the manifest from the same shards",
        )
    table = table[table["class_id"].isin(classes.ids) & table[columns].notna().all(axis=1)].reset_index(drop=True)
    probabilities = table[columns].to_numpy(dtype=np.float64)
    ids = np.asarray(classes.ids)
    own = np.searchsorted(ids, table["class_id"].to_numpy(dtype=int))
    rank = ranks(probabilities, own)
    table["predicted"] = ids[probabilities.argmax(axis=1)] if len(table) else np.array([], dtype=int)
    for metric, k in TOP.items():
        table[metric] = (rank <= k).astype(float)
    table["class_id"] = table["class_id"].astype(int)
    accepted = table[(table["dataset"] == "images") & table["accepted"].astype(bool)].assign(dataset="images_accepted")
    columns = ["model", "dataset", "sample", "class_id", "background", "matched_set", "predicted", *TOP]
    return pd.concat([table, accepted], ignore_index=True)[columns]


def accuracy_table(judged: pd.DataFrame, seed: int, resamples: int) -> pd.DataFrame:
    """Accuracies with 95 % intervals, over all backgrounds and for each, in the long form of ``classifiers.csv``.

    Args:
        judged: of ``judged_rows``.
        seed: root of the bootstrap's draws; models are compared on the same ones.
        resamples: number of bootstrap samples of matched sets.
    """
    rows: list[Mapping[str, object]] = []
    for (model, dataset), part in judged.groupby(["model", "dataset"], sort=True):
        groups = [("all", part), *part.groupby("background", sort=True)]
        for background, group in groups:
            clusters = group["matched_set"].astype(str).tolist()
            for metric in TOP:
                value, low, high = clustered_mean_interval(group[metric].to_numpy(), clusters, seed, resamples)
                rows.append(
                    {
                        "model": model,
                        "dataset": dataset,
                        "background": background,
                        "metric": metric,
                        "value": value,
                        "ci_low": low,
                        "ci_high": high,
                        "n": len(group),
                    }
                )
    return pd.DataFrame(rows, columns=["model", "dataset", "background", "metric", "value", "ci_low", "ci_high", "n"])


def confusion_table(judged: pd.DataFrame) -> pd.DataFrame:
    """How often each class is taken for each, where it is at all, in long form."""
    keys = ["model", "dataset", "class_id", "predicted"]
    return judged.groupby(keys, sort=True).size().rename("n").reset_index()
