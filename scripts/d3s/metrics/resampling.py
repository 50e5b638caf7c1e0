"""Bootstrap intervals of any statistic that is a function of sums over clusters.

A statistic is given as a function of weights: how often each cluster is drawn (R x G in, R values out). So one piece of
code serves means, differences, spreads, calibration errors and variance components, and no row is ever copied.

The interval starts from the bias-corrected and accelerated one (BCa: Efron, "Better bootstrap confidence intervals",
1987), with two corrections for few clusters. The bootstrap's variance is too small by (G - 1) / G, and a quantile of
the normal distribution takes that variance as known: its levels are therefore set by Student's t times the root of
G / (G - 1) (Hesterberg, "What teachers should know about the bootstrap", 2015, section 4.3). That is still too short
where only a few clusters differ from the others, as with differences of high accuracies: no draw holds what was not
seen. So the interval also reaches as far as Student's does with the jackknife's error, for shares on the scale of log
odds. docs/metrics.md has the coverage of each step.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import expit, ndtr, ndtri, stdtrit

from d3s.identity import digest
from d3s.identity import seed as hashed_seed
from d3s.stats import LEVEL

Statistic = Callable[[np.ndarray], np.ndarray]
"""Weights of clusters (R x G) to values (R); NaN where the weights leave nothing to compute it from."""

MOST_CLUSTERS = 1000
"""More clusters than these are pooled, at random, into as many groups of clusters: groups are independent of each other
as clusters are, and an interval from a thousand of them is as sure as it gets."""
SHARE = (0.0, 1.0)
DIFFERENCE = (-1.0, 1.0)
"""Bounds of shares, and of their differences."""
_MOST_ACCELERATION = 0.25
"""Of the correction for skewness; a few clusters can suggest any."""


class Clusters:
    """Which rows are drawn together, and the draws.

    The draws are hashed from the seed and the names of the clusters: models are compared on the same ones, and nothing
    depends on the order of rows.

    Args:
        names: N names; rows of one name are drawn together.
        seed: root of the draws.
        resamples: number of bootstrap samples.
    """

    def __init__(self, names: Iterable[str], seed: int, resamples: int) -> None:
        unique, self.where = np.unique(np.asarray(list(names), dtype=str), return_inverse=True)
        self.count = len(unique)
        """How many clusters there are."""
        self.resamples = resamples
        self._identity = hashed_seed(seed, "bootstrap", digest(unique.tolist()), resamples)
        if self.count > MOST_CLUSTERS:
            shuffled = np.random.default_rng(self._identity).permutation(self.count)
            self.where = (shuffled % MOST_CLUSTERS)[self.where]
        self.groups = min(self.count, MOST_CLUSTERS)
        """What is drawn: the clusters, or groups of them."""

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sums over clusters.

        Args:
            values: N numbers, or N x K.

        Returns:
            G sums, or G x K, float64.
        """
        values = np.asarray(values, dtype=np.float64)
        if values.ndim == 1:
            order = np.lexsort((values, self.where))  # sums are rounded in the order of their terms: make it one
            return np.bincount(self.where[order], weights=values[order], minlength=self.groups)
        return np.stack([self.sums(column) for column in values.T], axis=1)

    def counts(self, labels: np.ndarray, kinds: int) -> np.ndarray:
        """How often each label stands in each cluster.

        Args:
            labels: N whole numbers from 0.
            kinds: K, more than the largest of them.

        Returns:
            G x K numbers.
        """
        flat = np.bincount(self.where * kinds + labels, minlength=self.groups * kinds)
        return flat.reshape(self.groups, kinds).astype(np.float64)

    def sizes(self) -> np.ndarray:
        """G numbers of rows."""
        return np.bincount(self.where, minlength=self.groups).astype(np.float64)

    def draws(self) -> np.ndarray:
        """How often each cluster is drawn: R x G."""
        return _multinomial(self._identity, self.groups, self.resamples)


@lru_cache(maxsize=16)
def _multinomial(seed: int, groups: int, resamples: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(groups, np.full(groups, 1 / groups), size=resamples).astype(np.float64)
    drawn.setflags(write=False)
    return drawn


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval; the ends are NaN where nothing can be said of them."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


def bootstrap_interval(
    statistic: Statistic, strata: Clusters | Sequence[Clusters], bounds: tuple[float, float] | None = None
) -> Interval:
    """A statistic with its 95 % interval.

    Args:
        statistic: of the weights of all clusters, stratum after stratum.
        strata: one set of clusters, or several that are drawn apart, as two data sets or the classes of a design are.
        bounds: the least and largest value it can have. With them, clusters that all agree (all answers right, say)
            still give an interval: that of Wilson for one observation per cluster, which ends at
            z^2 / (G + z^2) of the range of a share from the value.

    Returns:
        The interval, its ends NaN with fewer than two clusters, or if more than half of the draws leave nothing to
        compute the statistic from.
    """
    parts = [strata] if isinstance(strata, Clusters) else list(strata)
    groups = [part.groups for part in parts]
    total = sum(groups)
    if total == 0:
        return Interval(float("nan"))
    value = float(statistic(np.ones((1, total)))[0])
    if not np.isfinite(value) or max(groups) < 2:
        return Interval(value)
    influences = _influences(statistic, groups)
    if not influences:
        return Interval(value)
    squares = np.array([(part**2).sum() for part in influences])
    if squares.sum() < 1e-24:
        return _agreeing(value, min(part.count for part in parts if part.groups > 1), bounds)
    drawn = statistic(np.concatenate([part.draws() for part in parts], axis=1))
    drawn = np.sort(drawn[np.isfinite(drawn)])
    if len(drawn) < parts[0].resamples / 2:
        return Interval(value)
    sizes = np.array(groups, dtype=float)
    varying = sizes > 1
    squares, sizes = squares[varying], sizes[varying]
    estimates = squares / (sizes * (sizes - 1))
    widening = np.sqrt(estimates.sum() / (estimates * (sizes - 1) / sizes).sum())
    freedom = estimates.sum() ** 2 / (estimates**2 / (sizes - 1)).sum()
    pooled = np.concatenate(influences)
    acceleration = float((pooled**3).sum() / (6 * (pooled**2).sum() ** 1.5))
    acceleration = float(np.clip(acceleration, -_MOST_ACCELERATION, _MOST_ACCELERATION))
    tolerance = 1e-12 * max(1.0, abs(value))
    below = np.searchsorted(drawn, value - tolerance), np.searchsorted(drawn, value + tolerance, side="right")
    share = np.clip(sum(below) / 2, 1, len(drawn) - 1) / len(drawn)
    bias = float(ndtri(share))
    reach = float(stdtrit(freedom, (1 + LEVEL) / 2)) * widening
    ends = []
    for sign in (-1, 1):
        shifted = bias + sign * reach
        level = float(ndtr(bias + shifted / max(1 - acceleration * shifted, 0.1)))
        ends.append(float(np.quantile(drawn, level)))
    low, high = _student(value, float(np.sqrt(estimates.sum())), freedom, bounds)
    return Interval(value, min(ends[0], low), max(ends[1], high))


def _student(value: float, error: float, freedom: float, bounds: tuple[float, float] | None) -> tuple[float, float]:
    """The interval of Student's distribution; of a share between 0 and 1, of its log odds."""
    reach = float(stdtrit(freedom, (1 + LEVEL) / 2)) * error
    if bounds == SHARE and 0 < value < 1:
        odds, reach = np.log(value / (1 - value)), reach / (value * (1 - value))
        return float(expit(odds - reach)), float(expit(odds + reach))
    low, high = value - reach, value + reach
    return (low, high) if bounds is None else (max(low, bounds[0]), min(high, bounds[1]))


def ratio(numerators: np.ndarray, denominators: np.ndarray) -> Statistic:
    """The statistic of a mean: a weighted sum over a weighted number.

    Args:
        numerators: G sums.
        denominators: G numbers of rows.
    """

    def statistic(weights: np.ndarray) -> np.ndarray:
        return divided(weights @ numerators, weights @ denominators)

    return statistic


def divided(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """A quotient that is NaN where the denominator is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator == 0, np.nan, numerator / denominator)


def wilson(right: float, n: float) -> tuple[float, float]:
    """The 95 % interval of Wilson (1927) for a share of n independent answers; n need not be whole."""
    if n <= 0:
        return float("nan"), float("nan")
    z = float(ndtri((1 + LEVEL) / 2))
    share = right / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return float(max(0.0, middle - reach)), float(min(1.0, middle + reach))


def _influences(statistic: Statistic, groups: Sequence[int]) -> list[np.ndarray]:
    """For each stratum, how far each cluster pulls the statistic: by the jackknife, (G - 1) (mean - without).

    Nothing if no cluster of a stratum can be left out.
    """
    total = sum(groups)
    without = statistic(np.ones((total, total)) - np.eye(total))
    found, start = [], 0
    for size in groups:
        part = without[start : start + size]
        start += size
        known = part[np.isfinite(part)]
        if size < 2:
            found.append(np.zeros(size))
            continue
        if not known.size:
            return []
        found.append(np.where(np.isfinite(part), (size - 1) * (known.mean() - part), 0.0))
    return found


def _agreeing(value: float, clusters: int, bounds: tuple[float, float] | None) -> Interval:
    if bounds is None:
        return Interval(value, value, value)
    z = float(ndtri((1 + LEVEL) / 2))
    reach = z**2 / (clusters + z**2)
    return Interval(value, max(bounds[0], value - reach), min(bounds[1], value + reach))
