"""Expected calibration error: how far a classifier's confidence is from its accuracy.

Of the most probable super-class, with probabilities that add up to 1 over super-classes. ECE is the mean over bins of
confidence, weighted by their pictures, of |accuracy - mean confidence| (Naeini et al., "Obtaining well calibrated
probabilities using Bayesian binning", 2015): 15 bins of equal width, or (adaptive) of equally many pictures. A bin's
distance is never negative, so ECE of a perfectly calibrated classifier is not 0 in a finite sample: ``ece_by_chance``
is what it would be, with answers drawn from the confidences themselves.
"""

import numpy as np
import pandas as pd

from d3s.identity import seed as hashed_seed
from d3s.metrics.accuracy import ACCURACY_COLUMNS, by_background
from d3s.metrics.estimates import Bootstrap, cluster_kind, set_names
from d3s.metrics.resampling import DIFFERENCE, SHARE, Clusters, Statistic, divided
from d3s.stats import LEVEL

BINS = 15
CHANCE_DRAWS = 500
RELIABILITY_COLUMNS = (
    *("model", "family", "dataset", "binning", "bin", "low", "high", "n", "confidence", "accuracy"),
    *("ci_low", "ci_high", "clusters"),
)


def equal_width_bins(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The bin of each confidence, from 0: bin i holds (i / bins, (i + 1) / bins], the first one also 0."""
    return np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)


def adaptive_bins(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The bin of each confidence if bins hold equally many; equal confidences go to one bin."""
    _, where, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    before = np.cumsum(counts) - counts
    middle = before + (counts - 1) / 2
    return (middle[where] * bins / len(confidence)).astype(int)


BINNINGS = {"ece": equal_width_bins, "ece_adaptive": adaptive_bins}


def ece(confidence: np.ndarray, right: np.ndarray, where: np.ndarray) -> float:
    """The expected calibration error of answers in bins."""
    gaps = np.bincount(where, weights=right - confidence)
    return float(np.abs(gaps).sum() / len(confidence))


def calibration_table(judged: pd.DataFrame, bootstrap: Bootstrap) -> pd.DataFrame:
    """ECE, adaptive ECE, what both would be by chance, and the mean overconfidence; rows of ``classifiers.csv``.

    An ECE that chance reaches in 5 % of draws has an interval that begins at 0. ``overconfidence`` is mean confidence
    minus accuracy: unlike ECE it has a sign and no bias.
    """
    about = {name: judged[name].iloc[0] for name in ("model", "dataset", "family")}
    rows: list[dict[str, object]] = []
    for background, part in by_background(judged):
        confidence, right = part["confidence"].to_numpy(), part["top1"].to_numpy()
        clusters, sets, kind = part["cluster"], set_names(part), cluster_kind(judged)
        for metric, binning in BINNINGS.items():
            where = binning(confidence)

            in_bins = np.eye(BINS)[where] * (right - confidence)[:, None]

            def build(drawn: Clusters, in_bins: np.ndarray = in_bins) -> Statistic:
                gaps = drawn.sums(in_bins)
                sizes = drawn.sizes()
                return lambda weights: divided(np.abs(weights @ gaps).sum(axis=1), weights @ sizes)

            found = bootstrap.estimate(build, clusters, sets, None, SHARE, kind)
            chance = ece_by_chance(confidence, where, hashed_seed(bootstrap.seed, "calibrated", metric, len(part)))
            if ece(confidence, right, where) <= np.quantile(chance, LEVEL):
                found |= {"ci_low": 0.0, "set_ci_low": 0.0}  # the bootstrap can't see that there may be no error at all
            low, high = np.quantile(chance, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            by_chance: dict[str, object] = {"value": float(chance.mean()), "ci_low": float(low), "ci_high": float(high)}
            by_chance |= {name: found[name] for name in ("n", "clusters", "cluster")}
            rows.append({"background": background, "metric": metric} | found)
            rows.append(by_chance | {"background": background, "metric": f"{metric}_by_chance"})
        found = bootstrap.mean(confidence - right, clusters, sets, kind, bounds=DIFFERENCE)
        rows.append({"background": background, "metric": "overconfidence"} | found)
    return pd.DataFrame([about | row for row in rows], columns=list(ACCURACY_COLUMNS))


def ece_by_chance(confidence: np.ndarray, where: np.ndarray, seed: int) -> np.ndarray:
    """``CHANCE_DRAWS`` times the ECE of a classifier that is as often right as it is confident."""
    rng = np.random.default_rng(seed)
    found = [ece(confidence, rng.random(len(confidence)) < confidence, where) for _ in range(CHANCE_DRAWS)]
    return np.array(found)


def reliability_table(judged: pd.DataFrame, bootstrap: Bootstrap) -> pd.DataFrame:
    """Confidence and accuracy bin by bin, with the accuracy's interval; bins without pictures are left out."""
    about = {name: judged[name].iloc[0] for name in ("model", "family", "dataset")}
    confidence, right = judged["confidence"].to_numpy(), judged["top1"].to_numpy()
    rows: list[dict[str, object]] = []
    for metric, binning in BINNINGS.items():
        where = binning(confidence)
        for place in np.unique(where):
            own = where == place
            found = bootstrap.mean(right[own], judged["cluster"].to_numpy()[own])
            equal = metric == "ece"
            low = place / BINS if equal else float(confidence[own].min())
            high = (place + 1) / BINS if equal else float(confidence[own].max())
            rows.append(
                {"binning": "equal_width" if equal else "adaptive", "bin": int(place), "low": low, "high": high}
                | {"confidence": float(confidence[own].mean()), "accuracy": found["value"]}
                | {name: found[name] for name in ("n", "ci_low", "ci_high", "clusters")}
            )
    return pd.DataFrame([about | row for row in rows], columns=list(RELIABILITY_COLUMNS))
