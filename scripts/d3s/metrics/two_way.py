"""Intervals of means over pictures that share exemplars as well as panoramas.

Pictures of one exemplar are right or wrong together, and so are pictures on views of one panorama. The variance of a
mean is that between exemplars, plus that between panoramas, less that between pairs of both, which the first two count
twice (Cameron, Gelbach and Miller, "Robust inference with multiway clustering", 2011); but never less than either of
the two alone. The interval is Student's with the smaller number of clusters less one, for shares on the scale of their
log odds and for positive figures on that of their logarithm. docs/probes.md has its coverage, beside that of bootstraps
over both kinds (Owen 2007), which is wider than it need be, and over exemplars alone, which is too short.
"""

import numpy as np
from scipy.special import expit, ndtri, stdtrit

from d3s.metrics.resampling import DIFFERENCE, SHARE, Interval
from d3s.stats import LEVEL

POSITIVE = (0.0, float("inf"))
"""Bounds of what is above 0."""


class TwoWay:
    """Which rows share an exemplar and which a panorama, and intervals of figures over them.

    Args:
        exemplars, panoramas: N names of each.

    Attributes:
        clusters: of the kind of which there are fewer, how many: what an interval rests on.
    """

    def __init__(self, exemplars: object, panoramas: object) -> None:
        first, second = (
            np.unique(np.asarray(names, dtype=str), return_inverse=True)[1] for names in (exemplars, panoramas)
        )
        pairs = first * (int(second.max(initial=0)) + 1) + second
        self._kinds = [np.unique(each, return_inverse=True)[1] for each in (first, second, pairs)]
        self._sizes = [int(each.max(initial=-1)) + 1 for each in self._kinds]
        self.clusters = min(self._sizes)

    def mean(self, values: np.ndarray, bounds: tuple[float, float] | None = None) -> Interval:
        """The mean of N finite values with its 95 % interval."""
        return self.ratio(values, np.ones(len(values)), bounds)

    def ratio(
        self, numerators: np.ndarray, denominators: np.ndarray, bounds: tuple[float, float] | None = None
    ) -> Interval:
        """The sum of numerators over the sum of denominators, with its 95 % interval.

        Args:
            numerators, denominators: N finite numbers each.
            bounds: ``SHARE``, ``DIFFERENCE`` or ``POSITIVE``; the ends stay within them. If nothing varies, a share or
                a difference still has an interval: that of Wilson for one observation per cluster.

        Returns:
            The interval; its ends are NaN with fewer than two clusters of a kind.
        """
        above, below = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
        total = below.sum()
        if total == 0:
            return Interval(float("nan"))
        value = float(above.sum() / total)
        if self.clusters < 2:
            return Interval(value)
        pulls = (above - value * below) / total
        first, second, pairs = (self._variance(pulls, place) for place in range(3))
        variance = max(first + second - pairs, first, second)
        if variance < 1e-24:
            return self._agreeing(value, bounds)
        reach = float(stdtrit(self.clusters - 1, (1 + LEVEL) / 2) * np.sqrt(variance))
        if bounds == SHARE and 0 < value < 1:
            odds, reach = np.log(value / (1 - value)), reach / (value * (1 - value))
            return Interval(value, float(expit(odds - reach)), float(expit(odds + reach)))
        if bounds == POSITIVE and value > 0:
            return Interval(value, float(value * np.exp(-reach / value)), float(value * np.exp(reach / value)))
        low, high = bounds or (-np.inf, np.inf)
        return Interval(value, float(max(value - reach, low)), float(min(value + reach, high)))

    def _variance(self, pulls: np.ndarray, place: int) -> float:
        where, size = self._kinds[place], self._sizes[place]
        order = np.lexsort((pulls, where))  # sums are rounded in the order of their terms: make it one
        sums = np.bincount(where[order], weights=pulls[order], minlength=size)
        return float(size / (size - 1) * (sums**2).sum()) if size > 1 else 0.0

    def _agreeing(self, value: float, bounds: tuple[float, float] | None) -> Interval:
        if bounds not in (SHARE, DIFFERENCE):
            return Interval(value, value, value)
        z = float(ndtri((1 + LEVEL) / 2))
        reach = z**2 / (self.clusters + z**2)
        return Interval(value, max(bounds[0], value - reach), min(bounds[1], value + reach))
