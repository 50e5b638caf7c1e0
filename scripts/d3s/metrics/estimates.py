"""Rows of the tables of metrics: a value, its two intervals, and what they rest on."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from d3s.metrics.resampling import SHARE, Clusters, Interval, Statistic, bootstrap_interval, ratio

Build = Callable[[Clusters], Statistic]
"""Makes a statistic for the clusters that it is given: called once for each kind of cluster."""
FIGURES = ("value", "ci_low", "ci_high", "n", "clusters", "cluster", "set_ci_low", "set_ci_high")
"""Columns of every estimate."""


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are drawn.

    Two intervals stand beside every value. The one of ``ci_low`` and ``ci_high`` draws exemplars (split groups: with
    their near-duplicates), and all matched sets of an exemplar with it. Sets that share an exemplar are right or wrong
    together, so this is the one that covers what other exemplars of the same classes would give, and the one to quote;
    matched sets stay whole in it. ``set_ci_low`` and ``set_ci_high`` draw matched sets as if they were independent:
    what other placements, templates and noises would give with just these exemplars, on the rash assumption that an
    exemplar is no harder than another. Where no exemplar is known, both draw matched sets, or pictures where there are
    no sets.

    Classes are not strata: a data set's classes count as drawn with their exemplars, which is on the safe side.

    Attributes:
        seed: root of all draws.
        resamples: bootstrap samples.
    """

    seed: int
    resamples: int

    def clusters(self, names: object) -> Clusters:
        return Clusters(np.asarray(names, dtype=str).tolist(), self.seed, self.resamples)

    def estimate(
        self,
        build: Build,
        clusters: object,
        sets: object | None = None,
        n: int | None = None,
        bounds: tuple[float, float] | None = SHARE,
        kind: str = "exemplar",
    ) -> dict[str, object]:
        """The columns ``FIGURES`` of one statistic.

        Args:
            build: makes it.
            clusters: N names of exemplars.
            sets: N names of matched sets; without them there is no second interval.
            n: what is counted; the number of rows unless given.
            bounds: as ``bootstrap_interval``.
            kind: what the clusters are.
        """
        by_exemplar = self.clusters(clusters)
        interval = bootstrap_interval(build(by_exemplar), by_exemplar, bounds)
        by_set = Interval(interval.value)
        if sets is not None:
            of_sets = self.clusters(sets)
            by_set = bootstrap_interval(build(of_sets), of_sets, bounds)
        return {
            "value": interval.value,
            "ci_low": interval.low,
            "ci_high": interval.high,
            "n": len(by_exemplar.where) if n is None else n,
            "clusters": by_exemplar.count,
            "cluster": kind,
            "set_ci_low": by_set.low,
            "set_ci_high": by_set.high,
        }

    def mean(
        self, values: object, clusters: object, sets: object | None = None, kind: str = "exemplar", **options: object
    ) -> dict[str, object]:
        """The columns ``FIGURES`` of a mean; values that are NaN are left out, and of the n too."""
        numbers = np.asarray(values, dtype=np.float64)
        known = np.isfinite(numbers)
        names = np.asarray(clusters, dtype=str)[known]
        of_sets = None if sets is None else np.asarray(sets, dtype=str)[known]

        def build(drawn: Clusters) -> Statistic:
            return ratio(drawn.sums(numbers[known]), drawn.sizes())

        return self.estimate(build, names, of_sets, kind=kind, **options)  # type: ignore[arg-type]


def cluster_kind(frame: pd.DataFrame) -> str:
    """What the clusters of judged rows are: exemplar, matched_set or sample."""
    if ((frame["split_group"] != "") | (frame["exemplar"] != "")).any():
        return "exemplar"
    return "matched_set" if (frame["matched_set"] != "").any() else "sample"


def set_names(frame: pd.DataFrame) -> pd.Series:
    """Matched sets, by which pictures are drawn together; a picture that is in none stands for itself."""
    return frame["matched_set"].where(frame["matched_set"] != "", frame["sample"])
