"""Judged rows and predictions made by hand or by simulation, for tests of metrics."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from d3s.judging import JUDGED_COLUMNS, TEXTS
from d3s.predictions import Predictions

BACKGROUNDS = ("grass", "night", "water")


def judged_rows(rows: Sequence[Mapping[str, object]], dataset: str = "images", model: str = "lite2") -> pd.DataFrame:
    """Judged rows that say what is given, and something harmless of all else."""
    table = pd.DataFrame(list(rows))
    usual: dict[str, object] = dict.fromkeys(TEXTS, "")
    usual |= {"model": model, "family": "efficientnet", "dataset": dataset, "class_id": 0, "accepted": True}
    usual |= {"set_complete": True, "confidence": 0.8, "probability": 0.5, "margin": 0.0, "nll": 0.7, "top1": 1.0}
    for name, value in usual.items():
        table[name] = table[name].fillna(value) if name in table else value
    if "sample" not in table:
        table["sample"] = [f"p{number:05d}" for number in range(len(table))]
    if "class_name" not in table:
        table["class_name"] = "class" + table["class_id"].astype(str)
    if "cluster" not in table:
        table["cluster"] = table["exemplar"].where(table["exemplar"] != "", table["matched_set"])
        table["cluster"] = table["cluster"].where(table["cluster"] != "", table["sample"])
    if "planned" not in table:
        table["planned"] = table.groupby("matched_set")["background"].transform("nunique")
    if "predicted" not in table:
        table["predicted"] = np.where(table["top1"] == 1, table["class_id"], table["class_id"] + 100)
    for name in ("top5", "top1_open", "top5_open"):
        if name not in table:
            table[name] = table["top1"]
    return table[list(JUDGED_COLUMNS)].sort_values("sample", ignore_index=True)


def matched(
    right: np.ndarray,
    exemplars: Sequence[str] | None = None,
    class_ids: Sequence[int] | None = None,
    backgrounds: Sequence[str] = BACKGROUNDS,
    **options: object,
) -> pd.DataFrame:
    """Judged rows of matched sets.

    Args:
        right: S x B answers; NaN for a picture that is not there (the set was planned on it all the same).
        exemplars, class_ids: of the sets.
        backgrounds: B names.
        options: of ``judged_rows``.
    """
    rows = [
        {
            "sample": f"s{place:04d}-{background}",
            "matched_set": f"s{place:04d}",
            "exemplar": exemplars[place] if exemplars is not None else "",
            "class_id": class_ids[place] if class_ids is not None else 0,
            "background": background,
            "planned": len(backgrounds),
            "top1": float(right[place, column]),
        }
        for place in range(len(right))
        for column, background in enumerate(backgrounds)
        if not np.isnan(right[place, column])
    ]
    return judged_rows(rows, **options)  # type: ignore[arg-type]


def simulated(
    rng: np.random.Generator,
    exemplars: int,
    means: np.ndarray,
    exemplar: float = 0.7,
    placed: float = 0.5,
    interaction: float = 0.3,
) -> tuple[np.ndarray, np.ndarray]:
    """Answers of a probit model with effects of exemplars (one to four sets each), sets and exemplar x background.

    Args:
        exemplars: number of exemplars.
        means: B means of the latent variable, whose own noise has the variance 1.
        exemplar, placed, interaction: standard deviations of the effects.

    Returns:
        S x B answers, and S positions of exemplars.
    """
    own = np.repeat(np.arange(exemplars), rng.integers(1, 5, exemplars))
    shape = (len(own), len(means))
    latent = means + exemplar * rng.normal(size=exemplars)[own][:, None] + placed * rng.normal(size=shape[0])[:, None]
    latent = latent + interaction * rng.normal(size=(exemplars, shape[1]))[own] + rng.normal(size=shape)
    return (latent > 0).astype(float), own


def predictions_of(
    logits: np.ndarray, samples: Sequence[str], model: str = "lite2", dataset: str = "images", **meta: str
) -> Predictions:
    """Predictions of one model for pictures that could all be read."""
    frame = pd.DataFrame({"dataset": dataset, "sample": list(samples), "digest": "", "status": "ok", "reason": ""})
    usual = {"model": model, "family": "efficientnet", "status": "ok", "reason": "", "weights_sha256": ""}
    usual |= {"label_space": "imagenet-1k", "dataset": dataset}
    return Predictions(frame, np.asarray(logits, dtype=np.float32), usual | meta)


def log_probabilities(probabilities: Sequence[Mapping[int, float]]) -> np.ndarray:
    """N x 1000 log-probabilities minus the largest of the row, from the few that matter; the others share the rest."""
    table = np.empty((len(probabilities), 1000))
    for place, given in enumerate(probabilities):
        table[place] = (1 - sum(given.values())) / (1000 - len(given))
        for index, value in given.items():
            table[place, index] = value
    logs = np.log(np.maximum(table, 1e-12))
    return logs - logs.max(axis=1, keepdims=True)
