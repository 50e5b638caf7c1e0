import numpy as np
import pytest
from scipy.stats import t
from statsmodels.stats.proportion import proportion_confint

from d3s.metrics.resampling import DIFFERENCE, MOST_CLUSTERS, SHARE, Clusters, bootstrap_interval, ratio, wilson


def names(n: int) -> list[str]:
    return [f"set{number:05d}" for number in range(n)]


def of_mean(values: np.ndarray, clusters: list[str], bounds: tuple[float, float] | None = None, seed: int = 0) -> tuple:
    drawn = Clusters(clusters, seed, 2000)
    found = bootstrap_interval(ratio(drawn.sums(values), drawn.sizes()), drawn, bounds)
    return found.value, found.low, found.high


def test_of_a_normal_mean_it_is_students_interval() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, 25)
    reach = t.ppf(0.975, 24) * values.std(ddof=1) / 5
    value, low, high = of_mean(values, names(25))
    assert value == pytest.approx(values.mean())
    assert (low, high) == pytest.approx((value - reach, value + reach), abs=0.35 * reach)
    assert low <= value - reach + 1e-9, "it is never shorter"
    assert high >= value + reach - 1e-9


def test_copies_inside_clusters_add_no_certainty() -> None:
    values = np.random.default_rng(0).integers(0, 2, 40).astype(float)
    once = of_mean(values, names(40), SHARE)
    ten_times = of_mean(np.repeat(values, 10), np.repeat(names(40), 10).tolist(), SHARE)
    assert ten_times == pytest.approx(once)


def test_the_order_of_rows_changes_nothing_and_the_seed_does() -> None:
    rng = np.random.default_rng(2)
    values, clusters = rng.normal(size=90), np.array(names(30) * 3)
    order = rng.permutation(90)
    first = of_mean(values, clusters.tolist(), seed=5)
    assert of_mean(values[order], clusters[order].tolist(), seed=5) == first
    assert of_mean(values, clusters.tolist(), seed=6)[1:] != first[1:]


def test_clusters_that_agree_give_wilsons_interval_of_their_number() -> None:
    _, low, high = of_mean(np.ones(60), (names(20) * 3), SHARE)
    assert (low, high) == pytest.approx(proportion_confint(20, 20, method="wilson"))
    _, low, high = of_mean(np.zeros(20), names(20), DIFFERENCE)
    assert high == pytest.approx(proportion_confint(0, 20, method="wilson")[1])
    assert low == -high


def test_ends_stay_within_bounds() -> None:
    _, low, high = of_mean(np.array([1.0, 1, 1, 1, 1, 0]), names(6), SHARE)
    assert 0 <= low < 5 / 6 < high <= 1


def test_nothing_and_a_single_cluster_have_no_interval() -> None:
    assert np.isnan(of_mean(np.array([]), [], SHARE)).all()
    value, low, high = of_mean(np.array([0.0, 1.0]), ["a", "a"], SHARE)
    assert value == 0.5
    assert np.isnan([low, high]).all()


def test_a_statistic_that_most_draws_leave_open_has_no_interval() -> None:
    drawn = Clusters(names(3), 0, 500)
    found = bootstrap_interval(lambda weights: np.where((weights == 1).all(axis=1), 0.3, np.nan), drawn, SHARE)
    assert found.value == 0.3
    assert np.isnan([found.low, found.high]).all()


def test_strata_are_drawn_apart() -> None:
    """The difference of two data sets: its variance is the sum of both."""
    rng = np.random.default_rng(3)
    first, second = rng.normal(0, 1, 30), rng.normal(1, 3, 300)
    clusters = [Clusters([f"a{name}" for name in names(30)], 0, 2000), Clusters(names(300), 0, 2000)]
    sums = [clusters[0].sums(first), clusters[1].sums(second)]
    found = bootstrap_interval(lambda w: w[:, :30] @ sums[0] / 30 - w[:, 30:] @ sums[1] / 300, clusters)
    error = np.sqrt(first.var(ddof=1) / 30 + second.var(ddof=1) / 300)
    assert found.value == pytest.approx(first.mean() - second.mean())
    assert found.high - found.low == pytest.approx(2 * 1.98 * error, rel=0.12)


def test_many_clusters_are_pooled_with_the_same_certainty() -> None:
    values = np.random.default_rng(4).normal(size=5 * MOST_CLUSTERS)
    drawn = Clusters(names(len(values)), 0, 1000)
    assert (drawn.count, drawn.groups) == (5 * MOST_CLUSTERS, MOST_CLUSTERS)
    assert drawn.sizes().tolist() == [5] * MOST_CLUSTERS
    _, low, high = of_mean(values, names(len(values)))
    assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(len(values)), rel=0.1)


def test_sums_and_counts_are_by_cluster() -> None:
    drawn = Clusters(["b", "a", "b"], 0, 10)
    assert drawn.sums(np.array([1.0, 2.0, 4.0])).tolist() == [2, 5]
    assert drawn.sums(np.array([[1.0, 0], [2, 0], [4, 1]])).tolist() == [[2, 0], [5, 1]]
    assert drawn.counts(np.array([0, 2, 2]), 3).tolist() == [[0, 0, 1], [1, 0, 1]]
    assert drawn.draws().sum(axis=1).tolist() == [2] * 10


@pytest.mark.parametrize(("right", "n"), [(0, 8), (3, 8), (64, 64), (61, 64)])
def test_wilsons_interval_is_that_of_statsmodels(right: int, n: int) -> None:
    assert wilson(right, n) == pytest.approx(proportion_confint(right, n, method="wilson"), abs=1e-12)


def test_wilsons_interval_of_nothing_is_open() -> None:
    assert np.isnan(wilson(0, 0)).all()
