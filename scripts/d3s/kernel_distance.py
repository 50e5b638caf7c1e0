"""Kernel inception distance: how far two matched sets of pictures lie apart in the features of a network.

The squared maximum mean discrepancy under the kernel (x . y / d + 1)^3 (Binkowski et al., "Demystifying MMD GANs",
2018), estimated without bias by a U-statistic (Gretton et al., "A kernel two-sample test", 2012, lemma 6). Row i of one
set belongs to row i of the other, as a guide and its image do, and rows come in clusters, as pictures of one exemplar
do. Pairs of rows of one cluster are more alike than two drawn apart, so only pairs of different clusters count: with
clusters of one row this is Gretton's statistic, which leaves out the pairs (i, i) of matched sets.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from d3s.stats import LEVEL

DEGREE = 3
COEFFICIENT = 1.0
"""Of the kernel; its gamma is one over the number of features."""


@dataclass(frozen=True)
class KernelDistance:
    """An estimate with its error.

    Attributes:
        value: unbiased, so it may be negative where there is no distance.
        standard_error: from the spread of the estimates on the subsets that lack one cluster each (the jackknife over
            clusters); NaN for less than three clusters.
        clusters: how many there are.
    """

    value: float
    standard_error: float
    clusters: int

    def interval(self) -> tuple[float, float]:
        """The 95 % interval, by Student's distribution with one degree of freedom less than there are clusters."""
        reach = float(t.ppf((1 + LEVEL) / 2, max(self.clusters - 1, 1))) * self.standard_error
        return self.value - reach, self.value + reach


def pair_terms(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """What each pair of rows adds to the distance: k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(x_j, y_i).

    The difference of two such matrices gives the difference of two distances, paired.

    Args:
        first: N x D features.
        second: N x D features of the matched pictures.

    Returns:
        N x N float64, symmetric.

    Raises:
        ValueError: the sets are not matched.
    """
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(f"features of {first.shape} and {second.shape} can't be matched")
    cross = _kernel(first, second)
    return _kernel(first, first) + _kernel(second, second) - cross - cross.T


def kernel_distance(terms: np.ndarray, clusters: Sequence[str]) -> KernelDistance:
    """The distance from the terms of all pairs.

    Args:
        terms: N x N, of ``pair_terms``.
        clusters: N names; pairs of rows of one name are left out.

    Raises:
        ValueError: there are not as many names as rows, or all rows are of one cluster.
    """
    if len(clusters) != len(terms):
        raise ValueError(f"{len(terms)} rows need as many clusters, not {len(clusters)}")
    names, where = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    if len(names) < 2:
        raise ValueError("a distance needs rows of at least two clusters")
    member = np.eye(len(names))[where]  # N x clusters
    sums, sizes = member.T @ terms @ member, member.sum(axis=0)
    pairs = np.outer(sizes, sizes)
    np.fill_diagonal(sums, 0.0)
    np.fill_diagonal(pairs, 0.0)
    value = float(sums.sum() / pairs.sum())
    if len(names) < 3:
        return KernelDistance(value, float("nan"), len(names))
    # A cluster is in a row and in a column of each matrix.
    without = (sums.sum() - 2 * sums.sum(axis=0)) / (pairs.sum() - 2 * pairs.sum(axis=0))
    error = np.sqrt((len(names) - 1) * np.mean((without - without.mean()) ** 2))
    return KernelDistance(value, float(error), len(names))


def _kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    x, y = first.astype(np.float64), second.astype(np.float64)
    return (x @ y.T / x.shape[1] + COEFFICIENT) ** DEGREE
