"""Bootstrap over two ways of clustering at once: images of one exemplar, and of one panorama, go together.

The draws of both are independent and their counts multiply (the pigeonhole bootstrap: Owen, "The pigeonhole bootstrap",
2007), which errs on the side of intervals that are too wide. A bootstrap's variance over G clusters is too small by
(G - 1) / G, and its quantiles take that variance as known: the quantiles are taken further out, by Student's t with the
freedom of the smaller number of clusters (as ``metrics.resampling`` does it for one way).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtrit

from d3s.identity import digest
from d3s.identity import seed as hashed_seed
from d3s.stats import LEVEL


@dataclass(frozen=True)
class TwoWay:
    """Draws of N rows.

    Attributes:
        weights: R x N, how often each row is drawn.
        clusters: the smaller number of clusters of the two ways; one way alone counts if the rows have only that.
    """

    weights: np.ndarray
    clusters: int

    @classmethod
    def of(cls, first: Sequence[str], second: Sequence[str], seed: int, resamples: int) -> "TwoWay":
        """Of the names of both groups of each row; where one puts every row alone, the other is drawn alone."""
        ways = [np.unique(np.asarray(names, dtype=str), return_inverse=True) for names in (first, second)]
        grouped = [way for way in ways if len(way[0]) < len(way[1])] or ways[:1]
        weights = np.ones((resamples, len(first)))
        for number, (names, where) in enumerate(grouped):
            rng = np.random.default_rng(hashed_seed(seed, "twoway", number, digest(names.tolist()), resamples))
            drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
            weights *= drawn.astype(np.float64)[:, where]
        return cls(weights, min(len(names) for names, _ in grouped))

    def tails(self) -> tuple[float, float]:
        """The levels of the two quantiles."""
        groups = self.clusters
        reach = float(stdtrit(groups - 1, (1 + LEVEL) / 2)) * np.sqrt(groups / (groups - 1))
        return float(ndtr(-reach)), float(ndtr(reach))

    def interval(self, drawn: np.ndarray) -> tuple[float, float]:
        """The ends of the interval of R drawn values; NaN with one cluster, or if 2 % of the draws or more are NaN."""
        known = drawn[np.isfinite(drawn)]
        if self.clusters < 2 or len(known) < 0.98 * len(drawn):
            return float("nan"), float("nan")
        low, high = np.quantile(known, self.tails())
        return float(low), float(high)
