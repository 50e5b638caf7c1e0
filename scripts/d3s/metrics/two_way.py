"""Intervals of means over pictures that share exemplars as well as panoramas.

Pictures of one exemplar are right or wrong together, and so are pictures on views of one panorama. So both are drawn,
each kind with replacement and apart from the other, and a picture weighs the product of how often its two were drawn:
the pigeonhole bootstrap (Owen, "The pigeonhole bootstrap", 2007). Its variance is the sum of what exemplars and
what panoramas bring, and counts the pictures' own noise more than once, so it errs to the safe side. The ends are
corrected for few clusters as in ``d3s.metrics.resampling``; docs/probes.md has the coverage.
"""

import numpy as np

from d3s.metrics.resampling import Clusters, Interval, bootstrap_interval, divided

MOST_GROUPS = 300
"""More clusters of a kind are pooled at random into as many: the table of both kinds must stay small."""


class TwoWay:
    """Which rows share an exemplar and which a panorama, and intervals of figures over them.

    Args:
        exemplars, panoramas: N names of each.
        seed: root of the draws.
        resamples: number of bootstrap samples.
    """

    def __init__(self, exemplars: object, panoramas: object, seed: int, resamples: int) -> None:
        self.strata = [
            Clusters([f"{kind} {name}" for name in np.asarray(names, dtype=str)], seed, resamples)
            for kind, names in (("exemplar", exemplars), ("panorama", panoramas))
        ]
        for drawn in self.strata:
            if drawn.groups > MOST_GROUPS:
                drawn.where, drawn.groups = drawn.where % MOST_GROUPS, MOST_GROUPS

    @property
    def clusters(self) -> int:
        """Of the kind of which there are fewer: how much an interval rests on."""
        return min(drawn.count for drawn in self.strata)

    def _sums(self, values: np.ndarray) -> np.ndarray:
        """E x P sums of values."""
        first, second = self.strata
        flat = first.where * second.groups + second.where
        order = np.lexsort((values, flat))  # sums are rounded in the order of their terms: make it one
        sums = np.bincount(flat[order], weights=values[order], minlength=first.groups * second.groups)
        return sums.reshape(first.groups, second.groups)

    def _weighted(self, sums: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """R weighted sums of an E x P table."""
        cut = self.strata[0].groups
        return np.asarray(((weights[:, :cut] @ sums) * weights[:, cut:]).sum(axis=1))

    def ratio(
        self, numerators: np.ndarray, denominators: np.ndarray, bounds: tuple[float, float] | None = None
    ) -> Interval:
        """The sum of numerators over the sum of denominators, with its 95 % interval.

        Args:
            numerators, denominators: N finite numbers each; ones below for a mean.
            bounds: as ``bootstrap_interval``.
        """
        above, below = self._sums(np.asarray(numerators, float)), self._sums(np.asarray(denominators, float))

        def statistic(weights: np.ndarray) -> np.ndarray:
            return divided(self._weighted(above, weights), self._weighted(below, weights))

        return bootstrap_interval(statistic, self.strata, bounds)

    def mean(self, values: np.ndarray, bounds: tuple[float, float] | None = None) -> Interval:
        """The mean of N finite values with its 95 % interval."""
        return self.ratio(values, np.ones(len(values)), bounds)
