"""Means with intervals that respect what repeats: images of one matched set are not independent of each other."""

from collections.abc import Sequence

import numpy as np

from d3s.identity import seed as hashed_seed

LEVEL = 0.95
"""Coverage of all intervals."""
_CELLS = 4_000_000
"""Bootstrap counts held at once (resamples x clusters): 32 MB of them."""


def clustered_mean_interval(
    values: np.ndarray, clusters: Sequence[str], seed: int, resamples: int = 2000
) -> tuple[float, float, float]:
    """The mean of values with a 95 % percentile interval from a bootstrap that resamples whole clusters.

    The draws are hashed from the seed and the names of the clusters, and nothing depends on the order of the rows.

    Args:
        values: N numbers, such as 0 or 1 for a wrong or right answer.
        clusters: N names; rows of one name are drawn together.
        seed: root of the draws.
        resamples: number of bootstrap samples.

    Returns:
        The mean and the lower and upper end of its interval; all NaN if there are no values. A single cluster says
        nothing of how clusters vary, so its interval is NaN too.

    Raises:
        ValueError: there are not as many clusters as values.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or len(values) != len(clusters):
        raise ValueError(f"{values.shape} values need as many clusters, not {len(clusters)}")
    if values.size == 0:
        return float("nan"), float("nan"), float("nan")
    names, sums, sizes = _cluster_sums(values, clusters)
    mean = float(sums.sum() / sizes.sum())
    if len(names) == 1:
        return mean, float("nan"), float("nan")
    means = _bootstrap_means(names, sums, sizes, seed, resamples)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return mean, float(low), float(high)


def paired_clustered_difference(
    first: np.ndarray, second: np.ndarray, clusters: Sequence[str], seed: int, resamples: int = 2000
) -> tuple[float, float, float]:
    """The mean of ``first - second``, measured on the same rows, with its clustered 95 % interval.

    Args:
        first: N numbers.
        second: N numbers, in the same order of rows.
        clusters: as ``clustered_mean_interval``.
        seed: likewise.
        resamples: likewise.

    Raises:
        ValueError: the two differ in length, or the clusters do.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"{first.shape} and {second.shape} values can't be paired")
    return clustered_mean_interval(first - second, clusters, seed, resamples)


def _cluster_sums(values: np.ndarray, clusters: Sequence[str]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names of the clusters in order, the sum of each one's values and their number."""
    names, where = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    order = np.lexsort((values, where))  # sums are rounded in the order of their terms: make it one of their own
    sums = np.bincount(where[order], weights=values[order], minlength=len(names))
    sizes = np.bincount(where, minlength=len(names)).astype(np.float64)
    return names.tolist(), sums, sizes


def _bootstrap_means(names: list[str], sums: np.ndarray, sizes: np.ndarray, seed: int, resamples: int) -> np.ndarray:
    """Means of bootstrap samples: how often each cluster is drawn is multinomial, so no row is ever copied."""
    rng = np.random.default_rng(hashed_seed(seed, "bootstrap", names, resamples))
    chances = np.full(len(names), 1 / len(names))
    means = []
    step = max(1, _CELLS // len(names))
    for start in range(0, resamples, step):
        counts = rng.multinomial(len(names), chances, size=min(step, resamples - start)).astype(np.float64)
        means.append((counts @ sums) / (counts @ sizes))
    return np.concatenate(means)
