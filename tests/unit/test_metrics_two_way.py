"""Intervals over exemplars and panoramas at once; the slow test prints the table of docs/probes.md."""

from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import ndtr

from d3s.metrics.resampling import DIFFERENCE, SHARE, Clusters, bootstrap_interval, ratio
from d3s.metrics.two_way import POSITIVE, TwoWay
from d3s.stats import clustered_mean_interval

Ends = tuple[float, float]


def design(rng: np.random.Generator, exemplars: int, panoramas: int) -> tuple[np.ndarray, np.ndarray]:
    """384 pictures as in the demo: exemplars in eight classes, panoramas in six backgrounds, all cells filled."""
    places = [
        (exemplar, panorama)
        for klass in range(8)
        for number in range(8)
        for background in range(6)
        for exemplar in [np.arange(klass, exemplars, 8)[number % len(range(klass, exemplars, 8))]]
        for panorama in [rng.choice(np.arange(background, panoramas, 6))]
    ]
    first, second = np.array(places).T
    return first, second


def drawn(
    rng: np.random.Generator, exemplars: np.ndarray, panoramas: np.ndarray, effects: Ends, mean: float
) -> np.ndarray:
    """Right answers of a probit model."""
    own = effects[0] * rng.normal(size=exemplars.max() + 1)[exemplars]
    own += effects[1] * rng.normal(size=panoramas.max() + 1)[panoramas]
    return (mean + own + rng.normal(size=len(exemplars)) > 0).astype(float)


def intervals(values: np.ndarray, exemplars: np.ndarray, panoramas: np.ndarray) -> dict[str, Ends]:
    """The interval in use, and others."""
    found = TwoWay(exemplars, panoramas).mean(values, SHARE)
    names = [f"{number:03d}" for number in exemplars]
    strata = [Clusters(names, 0, 500), Clusters([f"p{number:03d}" for number in panoramas], 0, 500)]
    sums = np.zeros((strata[0].groups, strata[1].groups))
    counts = np.zeros_like(sums)
    np.add.at(sums, (strata[0].where, strata[1].where), values)
    np.add.at(counts, (strata[0].where, strata[1].where), 1)

    def pigeonhole(weights: np.ndarray) -> np.ndarray:
        first, second = weights[:, : strata[0].groups], weights[:, strata[0].groups :]
        return ((first @ sums) * second).sum(axis=1) / ((first @ counts) * second).sum(axis=1)

    both = pigeonhole(np.concatenate([each.draws() for each in strata], axis=1))
    corrected = bootstrap_interval(pigeonhole, strata, SHARE)
    alone = bootstrap_interval(ratio(strata[0].sums(values), strata[0].sizes()), strata[0], SHARE)
    return {
        "in use": (found.low, found.high),
        "pigeonhole, percentiles": tuple(np.quantile(both, [0.025, 0.975]).tolist()),
        "pigeonhole, corrected": (corrected.low, corrected.high),
        "exemplars alone, corrected": (alone.low, alone.high),
        "exemplars alone, percentiles": clustered_mean_interval(values, names, 0, 500)[1:],
    }


def coverage(
    exemplars: int,
    panoramas: int,
    effects: Ends,
    mean: float,
    times: int,
    make: Callable[[np.ndarray, np.ndarray, np.ndarray], dict[str, Ends]] = intervals,
) -> dict[str, tuple[float, float]]:
    """By interval: how often it holds the truth, and its mean width."""
    truth = float(ndtr(mean / np.sqrt(1 + effects[0] ** 2 + effects[1] ** 2)))
    hits, widths = defaultdict(list), defaultdict(list)
    for seed in range(times):
        rng = np.random.default_rng((exemplars, panoramas, seed))
        own = design(rng, exemplars, panoramas)
        for name, (low, high) in make(drawn(rng, *own, effects, mean), *own).items():
            hits[name].append(low <= truth <= high)
            widths[name].append(high - low)
    return {name: (float(np.mean(hits[name])), float(np.mean(widths[name]))) for name in hits}


def in_use(values: np.ndarray, exemplars: np.ndarray, panoramas: np.ndarray) -> dict[str, Ends]:
    found = TwoWay(exemplars, panoramas).mean(values, SHARE)
    return {"in use": (found.low, found.high)}


@pytest.mark.parametrize("effects", [(0.7, 0.3), (0.3, 0.7), (0.0, 0.0)])
def test_intervals_hold_the_truth_about_as_often_as_they_say(effects: Ends) -> None:
    assert coverage(29, 33, effects, -1.0, 250, in_use)["in use"][0] > 0.91


def test_exemplars_alone_are_not_enough_where_panoramas_matter() -> None:
    found = coverage(29, 33, (0.3, 0.7), -1.0, 60)
    assert found["exemplars alone, corrected"][0] < found["in use"][0] - 0.05


def test_the_variance_is_that_of_a_formula_worked_by_hand() -> None:
    values = np.array([1.0, 0, 1, 1])
    found = TwoWay(["a", "a", "b", "b"], ["t", "u", "t", "u"]).mean(values)
    pulls = (values - 0.75) / 4
    rows = 2 * (pulls[:2].sum() ** 2 + pulls[2:].sum() ** 2)
    columns = 2 * (pulls[::2].sum() ** 2 + pulls[1::2].sum() ** 2)
    pairs = 4 / 3 * (pulls**2).sum()
    reach = 12.7062 * np.sqrt(max(rows + columns - pairs, rows, columns))  # Student's, one degree of freedom
    assert (found.low, found.value, found.high) == pytest.approx((0.75 - reach, 0.75, 0.75 + reach), rel=1e-4)


def test_what_agrees_throughout_still_has_an_interval() -> None:
    both = TwoWay(list("aabbcc"), list("tutuvv"))
    assert both.clusters == 3
    right = both.mean(np.ones(6), SHARE)
    assert (right.low, right.high) == pytest.approx((1 - 3.8415 / 6.8415, 1.0), abs=1e-4)
    same = both.mean(np.zeros(6), DIFFERENCE)
    assert same.low == -same.high
    assert both.mean(np.full(6, 2.5)).high == 2.5


def test_ends_stay_within_their_bounds() -> None:
    both = TwoWay(list("aabbccdd"), list("tutuvwvw"))
    values = np.array([0.0, 1, 0, 0, 0, 0, 0, 0])
    share, positive = both.mean(values, SHARE), both.mean(values, POSITIVE)
    assert 0 < share.low < share.value < share.high < 1
    assert positive.low > 0
    assert both.ratio(values + 1, values + 1, POSITIVE).value == 1.0


def test_one_cluster_of_a_kind_says_nothing() -> None:
    found = TwoWay(list("aaa"), list("tuv")).mean(np.array([0.0, 1, 1]))
    assert found.value == pytest.approx(2 / 3)
    assert np.isnan([found.low, found.high]).all()
    assert np.isnan(TwoWay([], []).mean(np.array([])).value)


def test_the_order_of_rows_changes_no_bit() -> None:
    rng = np.random.default_rng(0)
    exemplars, panoramas, values = rng.integers(0, 9, 80), rng.integers(0, 7, 80), rng.normal(size=80)
    order = rng.permutation(80)
    first = TwoWay(exemplars, panoramas).mean(values)
    second = TwoWay(exemplars[order], panoramas[order]).mean(values[order])
    assert first.low == pytest.approx(second.low, rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(("exemplars", "panoramas"), [(8, 8), (16, 12), (29, 33), (64, 64)])
def test_coverage_of_all_intervals(exemplars: int, panoramas: int) -> None:
    for mean in (-1.0, 1.5):
        for effects in ((0.7, 0.3), (0.3, 0.7), (0.0, 0.0)):
            found = coverage(exemplars, panoramas, effects, mean, 300)
            for name, (held, width) in found.items():
                print(f"| {exemplars} x {panoramas} | {mean} | {effects} | {name} | {100 * held:.1f} % | {width:.3f} |")
            if exemplars >= 16:
                assert found["in use"][0] > 0.9
