"""The people who voted: how often they were right on gold, how steady and fast they were, how far they agree."""

import krippendorff
import numpy as np
import pandas as pd
from scipy.stats import binomtest

from d3s.annotation.items import ANSWERS, QUESTIONS
from d3s.annotation.reading import VOTE_COLUMNS, Votes

ROUNDS = 1000
"""Bootstrap samples of the interval of alpha."""


def judge_workers(votes: Votes, least_accuracy: float, least_gold: int) -> pd.DataFrame:
    """How each person did, and whether the votes count.

    Args:
        votes: what people said.
        least_accuracy: share of right gold items under which a person's votes don't count.
        least_gold: gold items that a person must have answered before being judged.

    Returns:
        A row per person: worker, votes, gold (items answered), gold_right (object and content as known), gold_accuracy
        with its 95 % Wilson interval, gold_balanced (the mean of the accuracies where the object is there and where it
        is not, which decides: who always says yes reaches a half), background_accuracy (on gold), repeats,
        repeats_same (share of repeated images with the same answer on the object), unsure (share), seconds (median per
        item), excluded, reason.
    """
    asked = pd.concat([votes.table.assign(counts=True), votes.gold[VOTE_COLUMNS].assign(counts=False)])
    gold_of, repeats_of = (dict(list(table.groupby("worker"))) for table in (votes.gold, votes.repeats))
    rows = []
    for worker, own in asked.groupby("worker", sort=True):
        gold, repeats = gold_of.get(worker, votes.gold[:0]), repeats_of.get(worker, votes.repeats[:0])
        as_known = (gold["object"] == gold["known_object"]) & (gold["unsafe"] == gold["known_unsafe"])
        right = int(as_known.sum())
        balanced = as_known.groupby(gold["known_object"]).mean().mean()
        places = gold[gold["background"].notna()]
        accuracy = right / len(gold) if len(gold) else np.nan
        low, high = binomtest(right, len(gold)).proportion_ci(method="wilson") if len(gold) else (np.nan, np.nan)
        first = own.drop_duplicates("sample").set_index("sample")["object"]
        same = (repeats["object"] == repeats["sample"].map(first)).mean() if len(repeats) else np.nan
        excluded = bool(len(gold) >= least_gold and balanced < least_accuracy)
        told = f"right on {balanced:.0%} of gold, there and not there alike; {least_accuracy:.0%} are needed"
        rows.append(
            {
                "worker": worker,
                "votes": int(own["counts"].sum()),
                "gold": len(gold),
                "gold_right": right,
                "gold_accuracy": accuracy,
                "ci_low": low,
                "ci_high": high,
                "gold_balanced": balanced,
                "background_accuracy": (places["background"] == places["known_background"]).mean(),
                "repeats": len(repeats),
                "repeats_same": same,
                "unsure": (own["object"] == "unsure").mean(),
                "seconds": own["seconds"].median(),
                "excluded": excluded,
                "reason": told if excluded else "",
            }
        )
    columns = ["worker", "votes", "gold", "gold_right", "gold_accuracy", "ci_low", "ci_high", "gold_balanced"]
    columns += ["background_accuracy", "repeats", "repeats_same", "unsure", "seconds", "excluded", "reason"]
    return pd.DataFrame(rows, columns=columns)


def measure_agreement(votes: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Krippendorff's alpha for each question, over images that at least two people answered.

    Args:
        votes: those that count.
        seed: of the bootstrap over images.

    Returns:
        question, alpha (nominal; empty where all answers are the same, which leaves nothing to agree about), ci_low,
        ci_high (95 %, bootstrap over images), images, votes, workers.

    Source:
        Krippendorff, "Computing Krippendorff's alpha-reliability", 2011.
    """
    rows = []
    for question in QUESTIONS:
        given = votes[votes[question].isin(ANSWERS)]
        counts = given.groupby(["sample", question]).size().unstack(fill_value=0).reindex(columns=ANSWERS, fill_value=0)
        several = counts[counts.sum(axis=1) >= 2].to_numpy()
        low, high = bootstrap_alpha(several, seed)
        rows.append(
            {
                "question": question,
                "alpha": nominal_alpha(several),
                "ci_low": low,
                "ci_high": high,
                "images": len(several),
                "votes": int(several.sum()),
                "workers": given["worker"].nunique(),
            }
        )
    return pd.DataFrame(rows)


def nominal_alpha(counts: np.ndarray) -> float:
    """Krippendorff's alpha of nominal answers.

    Args:
        counts: images x answers, how often each answer was given.
    """
    if len(counts) == 0 or (counts.sum(axis=0) > 0).sum() < 2:
        return float("nan")
    return float(krippendorff.alpha(value_counts=counts, level_of_measurement="nominal"))


def bootstrap_alpha(counts: np.ndarray, seed: int) -> tuple[float, float]:
    """The 95 % percentile interval of alpha over resampled images, from the same sums as ``nominal_alpha``.

    Samples in which all answers are the same say nothing of agreement and are left out. One image has no interval.
    """
    if len(counts) < 2 or not np.isfinite(nominal_alpha(counts)):
        return float("nan"), float("nan")
    totals = counts.sum(axis=1)
    differing = (totals**2 - (counts**2).sum(axis=1)) / (totals - 1)  # ordered pairs within an image that differ
    rng = np.random.default_rng(seed)
    alphas = []
    for _ in range(ROUNDS):
        drawn = rng.integers(0, len(counts), len(counts))
        answers = counts[drawn].sum(axis=0)
        expected = (answers.sum() ** 2 - (answers**2).sum()) / (answers.sum() - 1)
        if expected > 0:  # without two answers there is nothing to agree about
            alphas.append(1 - differing[drawn].sum() / expected)
    low, high = np.percentile(alphas, [2.5, 97.5])
    return float(low), float(high)
