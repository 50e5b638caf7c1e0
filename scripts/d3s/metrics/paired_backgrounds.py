"""Every two backgrounds compared within matched sets: differences of accuracy and exact McNemar tests."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from d3s.identity import seed as hashed_seed
from d3s.metrics.blocks import Block, matched_blocks
from d3s.metrics.estimates import FIGURES, Bootstrap
from d3s.metrics.resampling import DIFFERENCE

PAIRED_COLUMNS = (
    *("model", "family", "dataset", "shift", "first", "second", "both_right", "b", "c", "both_wrong"),
    *FIGURES,
    *("p_value", "p_holm", "p_clustered", "p_clustered_holm"),
)
EXACT_UP_TO = 13
"""Clusters whose signs are all tried; of more, so many draws are:"""
SIGN_DRAWS = 9999


def paired_table(judged: pd.DataFrame, bootstrap: Bootstrap) -> pd.DataFrame:
    """Differences of accuracy (first minus second) between every two backgrounds, over the sets that have both.

    ``b`` counts sets that are right on the first and wrong on the second only, ``c`` the reverse; the difference is
    (b - c) / n. ``p_value`` is McNemar's exact two-sided test, which takes sets as independent. Sets that share an
    exemplar are not: ``p_clustered`` turns the signs of all differences of an exemplar at once (``sign_test``), and is
    the one to quote where clusters are fewer than n. Both are adjusted by Holm's method over all pairs of one
    classifier, data set and shift.
    """
    about = {name: judged[name].iloc[0] for name in ("model", "family", "dataset")}
    rows: list[dict[str, object]] = []
    for block in matched_blocks(judged):
        own = [about | {"shift": block.shift} | row for row in _pairs(block, bootstrap)]
        for plain, adjusted in (("p_value", "p_holm"), ("p_clustered", "p_clustered_holm")):
            for row, value in zip(own, holm([float(row[plain]) for row in own]), strict=True):
                row[adjusted] = value
        rows += own
    return pd.DataFrame(rows, columns=list(PAIRED_COLUMNS))


def _pairs(block: Block, bootstrap: Bootstrap) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for one, other in combinations(range(len(block.backgrounds)), 2):
        pair = block.of(~np.isnan(block.right[:, [one, other]]).any(axis=1))
        if not len(pair):
            continue
        first, second = pair.right[:, one], pair.right[:, other]
        b, c = int((first > second).sum()), int((first < second).sum())
        names = block.backgrounds[one], block.backgrounds[other]
        seed = hashed_seed(bootstrap.seed, "signs", *names)
        rows.append(
            {"first": names[0], "second": names[1], "both_right": int((first * second).sum()), "b": b, "c": c}
            | {"both_wrong": int(((1 - first) * (1 - second)).sum())}
            | bootstrap.mean(first - second, pair.clusters, pair.sets, pair.kind, bounds=DIFFERENCE)
            | {"p_value": mcnemar(b, c), "p_clustered": sign_test(first - second, pair.clusters, seed)}
        )
    return rows


def mcnemar(b: int, c: int) -> float:
    """The exact two-sided test of McNemar: whether b and c are halves of b + c, by the binomial distribution."""
    return float(binomtest(b, b + c, 0.5).pvalue) if b + c else 1.0


def sign_test(differences: np.ndarray, clusters: Sequence[str] | np.ndarray, seed: int) -> float:
    """Two-sided test of a mean difference of 0 that turns the signs of whole clusters.

    If it is by chance which picture of a set is called the first, and the same chance for all sets of a cluster, every
    assignment of signs to clusters is as likely as the one seen. All assignments are tried for up to ``EXACT_UP_TO``
    clusters whose differences don't cancel, else ``SIGN_DRAWS`` random ones (and the one seen).
    """
    _, where = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    sums = np.bincount(where, weights=differences)
    sums = sums[np.abs(sums) > 1e-12]
    observed = abs(sums.sum()) - 1e-9
    if len(sums) <= EXACT_UP_TO:
        signs = 1 - 2 * (np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1)
        return float((np.abs(signs @ sums) >= observed).mean()) if len(sums) else 1.0
    signs = np.random.default_rng(seed).integers(0, 2, (SIGN_DRAWS, len(sums))) * 2 - 1
    return float((1 + (np.abs(signs @ sums) >= observed).sum()) / (1 + SIGN_DRAWS))


def holm(p_values: Sequence[float]) -> list[float]:
    """P values adjusted for their number by Holm's step-down method (1979)."""
    order = np.argsort(p_values, kind="stable")
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted
