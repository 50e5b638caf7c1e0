import numpy as np
import pytest

from d3s.stats import clustered_mean_interval, paired_clustered_difference


def names(n: int) -> list[str]:
    return [f"set{number:03d}" for number in range(n)]


def test_the_mean_is_over_values_and_lies_inside_its_interval() -> None:
    mean, low, high = clustered_mean_interval(np.array([1, 1, 1, 0]), ["a", "a", "a", "b"], seed=0)
    assert mean == 0.75
    assert low <= mean <= high


def test_with_clusters_of_one_the_interval_is_the_textbook_one() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    mean, low, high = clustered_mean_interval(values, names(400), seed=1, resamples=4000)
    error = 1.96 * values.std() / np.sqrt(400)
    assert (low, high) == pytest.approx((mean - error, mean + error), abs=0.02)


def test_copies_inside_clusters_add_no_certainty() -> None:
    values = np.random.default_rng(0).integers(0, 2, 60).astype(float)
    once = clustered_mean_interval(values, names(60), seed=0)
    ten_times = clustered_mean_interval(np.repeat(values, 10), np.repeat(names(60), 10).tolist(), seed=0)
    assert ten_times == pytest.approx(once)
    _, low, high = clustered_mean_interval(np.repeat(values, 10), names(600), seed=0)
    assert high - low < 0.5 * (once[2] - once[1]), "rows taken as independent look far too certain"


def test_the_order_of_rows_changes_nothing_and_the_seed_does() -> None:
    rng = np.random.default_rng(2)
    values, clusters = rng.normal(size=90), np.array(names(30) * 3)
    order = rng.permutation(90)
    first = clustered_mean_interval(values, clusters.tolist(), seed=5)
    assert clustered_mean_interval(values[order], clusters[order].tolist(), seed=5) == first
    assert clustered_mean_interval(values, clusters.tolist(), seed=6)[1:] != first[1:]


def test_many_clusters_are_drawn_in_parts_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(3).normal(size=50)
    whole = clustered_mean_interval(values, names(50), seed=0, resamples=500)
    monkeypatch.setattr("d3s.stats._CELLS", 50 * 7)
    assert clustered_mean_interval(values, names(50), seed=0, resamples=500) == pytest.approx(whole, rel=1e-12)


def test_nothing_and_a_single_cluster_have_no_interval() -> None:
    assert np.isnan(clustered_mean_interval(np.array([]), [], seed=0)).all()
    mean, low, high = clustered_mean_interval(np.array([0.0, 1.0]), ["a", "a"], seed=0)
    assert mean == 0.5
    assert np.isnan([low, high]).all()


def test_a_paired_difference_is_surer_than_its_two_sides() -> None:
    rng = np.random.default_rng(4)
    hard = rng.normal(0, 1, 200)
    better, worse = hard + 0.1 + rng.normal(0, 0.05, 200), hard
    mean, low, high = paired_clustered_difference(better, worse, names(200), seed=0)
    assert 0 < low < mean < high
    assert clustered_mean_interval(better, names(200), seed=0)[1] < worse.mean()


@pytest.mark.parametrize("clusters", [["a"], ["a", "b", "c"]])
def test_each_value_needs_a_cluster(clusters: list[str]) -> None:
    with pytest.raises(ValueError, match="clusters"):
        clustered_mean_interval(np.zeros(2), clusters, seed=0)


def test_pairs_must_be_pairs() -> None:
    with pytest.raises(ValueError, match="paired"):
        paired_clustered_difference(np.zeros(2), np.zeros(3), ["a", "b"], seed=0)
