"""Do intervals hold the truth at their nominal rate, and do tests err at theirs? On simulated data of known truth.

The slow test prints the tables of docs/metrics.md: python -m pytest -m slow -s tests/unit/test_metrics_coverage.py
"""

from collections import defaultdict

import numpy as np
import pytest
from scipy.special import expit

from d3s.metrics.background_effects import spread_rows
from d3s.metrics.calibration_error import BINS, calibration_table, ece, equal_width_bins
from d3s.metrics.estimates import Bootstrap
from d3s.metrics.paired_backgrounds import mcnemar, sign_test
from d3s.metrics.resampling import DIFFERENCE, SHARE, Clusters, bootstrap_interval, ratio
from d3s.metrics.variance import CROSSED, Design, shares_of
from d3s.stats import clustered_mean_interval
from judged import judged_rows, matched, simulated

MEANS = {
    "middling": np.array([0.9, 0.6, 0.6, 0.7, 0.5, 0.6]),
    "high": np.array([2.4, 2.2, 2.2, 2.3, 2.1, 2.0]),
    "equal": np.full(6, 0.7),
}
"""Means of the latent variable on six backgrounds: accuracies of 68 %, 95 % and 70 %."""
EFFECTS = {"exemplar": 0.7, "placed": 0.5, "interaction": 0.3}
RESAMPLES = 1000
GRAND = 200_000
"""Exemplars from which the truth is taken."""


def measures(right: np.ndarray) -> dict[str, tuple[np.ndarray, tuple[float, float]]]:
    """Values of S sets whose means are what intervals are for, and their bounds."""
    return {
        "accuracy, all backgrounds": (right.mean(axis=1), SHARE),
        "accuracy, one background": (right[:, 0], SHARE),
        "paired difference": (right[:, 0] - right[:, 1], DIFFERENCE),
        "flip rate": ((right.min(axis=1) != right.max(axis=1)).astype(float), SHARE),
    }


def of_mean(values: np.ndarray, names: list[str], bounds: tuple[float, float]) -> tuple[float, float]:
    drawn = Clusters(names, 0, RESAMPLES)
    found = bootstrap_interval(ratio(drawn.sums(values), drawn.sizes()), drawn, bounds)
    return found.low, found.high


def coverage(case: str, exemplars: int, times: int) -> dict[tuple[str, str], float]:
    """Shares of simulations whose interval holds the truth, by measure and by interval."""
    truth = {
        name: float(values.mean())
        for name, (values, _) in measures(simulated(np.random.default_rng(0), GRAND, MEANS[case], **EFFECTS)[0]).items()
    }
    hits = defaultdict(list)
    for seed in range(times):
        right, own = simulated(np.random.default_rng((exemplars, seed)), exemplars, MEANS[case], **EFFECTS)
        names, sets = [f"e{place:04d}" for place in own], [f"s{place:04d}" for place in range(len(own))]
        for name, (values, bounds) in measures(right).items():
            intervals = {
                "exemplars": of_mean(values, names, bounds),
                "matched sets": of_mean(values, sets, bounds),
                "exemplars, percentiles": clustered_mean_interval(values, names, 0, RESAMPLES)[1:],
            }
            for kind, (low, high) in intervals.items():
                hits[name, kind].append(low - 1e-12 <= truth[name] <= high + 1e-12)
    return {key: float(np.mean(found)) for key, found in hits.items()}


def sizes_of_tests(exemplars: int, times: int, **effects: float) -> tuple[float, float]:
    """Shares of simulations without any difference in which McNemar's test, and that of signs, find one at 5 %."""
    found = []
    for seed in range(times):
        right, own = simulated(np.random.default_rng((exemplars, seed)), exemplars, MEANS["equal"], **effects)
        differences = right[:, 0] - right[:, 1]
        exact = mcnemar(int((differences > 0).sum()), int((differences < 0).sum()))
        found.append((exact <= 0.05, sign_test(differences, [str(place) for place in own], seed) <= 0.05))
    return tuple(np.mean(found, axis=0).tolist())


def calibration_coverage(exemplars: int, times: int) -> dict[str, float]:
    """Of ECE and of mean overconfidence, for a classifier that is overconfident by about 12 points."""

    def draw(rng: np.random.Generator, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        own = np.repeat(np.arange(number), 12)
        odds = 0.8 + rng.normal(size=number)[own] + rng.normal(size=len(own))
        confidence = np.clip(expit(np.abs(odds)), 0.5, 1)
        return confidence, (rng.random(len(own)) < 0.75 * confidence + 0.05).astype(float), own

    confidence, right, _ = draw(np.random.default_rng(0), 100_000)
    truth = {
        "ece": ece(confidence, right, equal_width_bins(confidence, BINS)),
        "overconfidence": float((confidence - right).mean()),
    }
    hits = defaultdict(list)
    for seed in range(times):
        confidence, right, own = draw(np.random.default_rng((exemplars, seed)), exemplars)
        rows = zip(confidence, right, own, strict=True)
        frame = judged_rows([{"confidence": c, "top1": r, "exemplar": f"e{e:04d}"} for c, r, e in rows])
        table = calibration_table(frame, Bootstrap(0, RESAMPLES)).set_index("metric")
        for name, value in truth.items():
            hits[name].append(table["ci_low"][name] <= value <= table["ci_high"][name])
    return {name: float(np.mean(found)) for name, found in hits.items()}


def spread_coverage(case: str, exemplars: int, times: int) -> dict[str, float]:
    """Of the spread and of the worst background, and how often the permutation test is below 5 %."""
    truth = simulated(np.random.default_rng(0), GRAND, MEANS[case], **EFFECTS)[0].mean(axis=0)
    expected = {"spread": float(np.ptp(truth)), "worst_background": float(truth.min())}
    hits = defaultdict(list)
    for seed in range(times):
        right, own = simulated(np.random.default_rng((exemplars, seed)), exemplars, MEANS[case], **EFFECTS)
        backgrounds = [f"b{place}" for place in range(6)]
        frame = matched(right, exemplars=[f"e{place:04d}" for place in own], backgrounds=backgrounds)
        table = spread_rows(frame, Bootstrap(0, RESAMPLES)).set_index("metric")
        for name, value in expected.items():
            hits[name].append(table.loc[name, "ci_low"] <= value <= table.loc[name, "ci_high"])
        hits["permutation test"].append(table.loc["spread", "p_value"] <= 0.05)
    return {name: float(np.mean(found)) for name, found in hits.items()}


def variance_coverage(classes: int, exemplars: int, times: int) -> dict[str, float]:
    """Of the shares of variance of a crossed design of 2 placements, 2 noises and 6 backgrounds."""
    variances = {"E": 1.0, "EP": 0.3, "EPQ": 0.2, "B": 0.3, "EB": 0.4, "PB": 0.2, "EPQB": 0.6}
    groups = {"E": "foreground", "EP": "placement", "EPQ": "noise", "B": "background", "EB": "foreground_x_background"}
    truth = dict.fromkeys(CROSSED, 0.0)
    for effect, variance in variances.items():
        truth[groups.get(effect, "rest")] += variance / sum(variances.values())
    hits = defaultdict(list)
    for seed in range(times):
        rng = np.random.default_rng((exemplars, seed))
        designs = []
        for number in range(classes):
            values = np.zeros((exemplars, 2, 2, 6))
            for effect, variance in variances.items():
                shape = [size if name in effect else 1 for name, size in zip("EPQB", values.shape, strict=True)]
                values = values + np.sqrt(variance) * rng.normal(size=shape)
            designs.append(Design(values, [f"{number}e{place}" for place in range(exemplars)]))
        found = shares_of(designs, CROSSED, Bootstrap(0, RESAMPLES))
        for row in found:
            name = str(row["component"])
            hits[name].append(float(row["ci_low"]) <= truth[name] <= float(row["ci_high"]))  # type: ignore[arg-type]
    return {name: float(np.mean(values)) for name, values in hits.items()}


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    found = coverage("middling", exemplars=24, times=120)
    for name in measures(np.ones((1, 6))):
        assert found[name, "exemplars"] > 0.89, name


def test_differences_of_high_accuracies_are_held_where_percentiles_fail() -> None:
    found = coverage("high", exemplars=24, times=120)
    assert found["paired difference", "exemplars"] > 0.89
    assert found["paired difference", "exemplars, percentiles"] < found["paired difference", "exemplars"]


def test_without_a_difference_tests_seldom_find_one() -> None:
    exact, signs = sizes_of_tests(24, 150, **EFFECTS)
    assert exact <= 0.08
    assert signs <= 0.08


@pytest.mark.slow
@pytest.mark.parametrize("case", ["middling", "high"])
def test_coverage_of_means(case: str) -> None:
    for exemplars in (8, 16, 24, 32, 64):
        found = coverage(case, exemplars, 1000)
        for (name, kind), value in found.items():
            print(f"| {case} | {exemplars} | {name} | {kind} | {100 * value:.1f} % |")
        if exemplars >= 16:
            for name in measures(np.ones((1, 6))):
                assert found[name, "exemplars"] >= 0.92, (exemplars, name)


@pytest.mark.slow
def test_sizes_of_tests() -> None:
    for exemplars in (16, 24, 64):
        for effects in (EFFECTS | {"interaction": 0.0}, EFFECTS, EFFECTS | {"interaction": 1.0}):
            exact, signs = sizes_of_tests(exemplars, 1000, **effects)
            print(f"| {exemplars} | {effects['interaction']} | {100 * exact:.1f} % | {100 * signs:.1f} % |")
            assert signs <= 0.065


@pytest.mark.slow
def test_coverage_of_other_figures() -> None:
    for exemplars in (24, 64):
        print(exemplars, "calibration", calibration_coverage(exemplars, 300))
        for case in ("middling", "equal"):
            found = spread_coverage(case, exemplars, 300)
            print(exemplars, case, found)
            assert found["worst_background"] > 0.9
        assert found["permutation test"] < 0.09
    for classes, exemplars in ((8, 3), (8, 6)):
        found = variance_coverage(classes, exemplars, 200)
        print(classes, exemplars, found)
        assert min(found.values()) > 0.85
