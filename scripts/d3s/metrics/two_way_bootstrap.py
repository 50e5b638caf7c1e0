"""Bootstrap over two ways of clustering at once: images of one exemplar, and of one panorama, go together.

Draws of both ways whose counts multiply (the pigeonhole bootstrap: Owen, "The pigeonhole bootstrap", 2007) have the
right shape, and up to three times the variance where rows vary by themselves. So their quantiles are brought nearer to
the value, to the variance of Cameron, Gelbach & Miller ("Robust inference with multiway clustering", 2011): that over
exemplars plus that over panoramas minus that over their intersections, each from draws of its own, and at least the
larger of the first two. A bootstrap's variance over G clusters is too small by (G - 1) / G, and its quantiles take that
variance as known: they are taken further out, by Student's t with the freedom of the smaller number of clusters.
docs/correlation.md has the coverage.

For what is no mean or ratio of sums over rows, such as the worst group or the share of a gap; of those ``two_way`` has
intervals without any draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtrit

from d3s.identity import digest
from d3s.identity import seed as hashed_seed
from d3s.stats import LEVEL


@dataclass(frozen=True)
class TwoWayBootstrap:
    """Draws of N rows.

    Attributes:
        weights: how often each row is drawn: K blocks of R draws, one below the other, KR x N. The first is of both
            ways, the others of each and of their intersections; there is but one block if there is but one way.
        resamples: R.
        clusters: the smaller number of clusters of the ways.
    """

    weights: np.ndarray
    resamples: int
    clusters: int

    @classmethod
    def of(cls, first: Sequence[str], second: Sequence[str], seed: int, resamples: int) -> "TwoWayBootstrap":
        """Of the names of both groups of each row; where one puts every row alone, the other is drawn alone."""
        ways = [np.unique(np.asarray(names, dtype=str), return_inverse=True) for names in (first, second)]
        grouped = [way for way in ways if len(way[0]) < len(way[1])] or ways[:1]
        blocks = [_draws(names, where, seed, number, resamples) for number, (names, where) in enumerate(grouped)]
        if len(grouped) == 2:
            cells = np.array([f"{a}|{b}" for a, b in zip(first, second, strict=True)])
            blocks = [
                blocks[0] * blocks[1],
                *blocks,
                _draws(*np.unique(cells, return_inverse=True), seed, 2, resamples),
            ]
        return cls(np.concatenate(blocks), resamples, min(len(names) for names, _ in grouped))

    def interval(self, value: float, drawn: np.ndarray) -> tuple[float, float]:
        """The 95 % interval of a value of which KR draws are given.

        The ends are NaN with one cluster, or if more than 2 % of the draws of both ways are.
        """
        blocks = [block[np.isfinite(block)] for block in drawn.reshape(-1, self.resamples)]
        if self.clusters < 2 or not np.isfinite(value) or any(len(b) < 0.98 * self.resamples for b in blocks):
            return float("nan"), float("nan")
        groups = self.clusters
        reach = float(stdtrit(groups - 1, (1 + LEVEL) / 2)) * np.sqrt(groups / (groups - 1))
        low, high = np.quantile(blocks[0], [float(ndtr(-reach)), float(ndtr(reach))])
        factor = 1.0
        if len(blocks) > 1:
            # by quantiles, since the draws of a ratio can have any outlier
            whole, one, other, both = (float(np.diff(np.quantile(b, [ndtr(-1), ndtr(1)]))[0]) ** 2 for b in blocks)
            wanted = max(one + other - both, one, other)
            factor = min(np.sqrt(wanted / whole), 1.0) if whole > 0 else 1.0
        return float(value + factor * (low - value)), float(value + factor * (high - value))


def _draws(names: np.ndarray, where: np.ndarray, seed: int, number: int, resamples: int) -> np.ndarray:
    rng = np.random.default_rng(hashed_seed(seed, "twoway", number, digest(names.tolist()), resamples))
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    return drawn.astype(np.float64)[:, where]
