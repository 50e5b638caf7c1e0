"""The kernel distance against its definition, written out, and on distributions whose distance is known."""

import numpy as np
import pytest

from d3s.kernel_distance import kernel_distance, pair_terms


def kernel(x: np.ndarray, y: np.ndarray) -> float:
    return float((np.dot(x, y) / len(x) + 1) ** 3)


def written_out(first: np.ndarray, second: np.ndarray, clusters: list[str]) -> float:
    total, pairs = 0.0, 0
    for i in range(len(first)):
        for j in range(len(first)):
            if clusters[i] != clusters[j]:
                total += kernel(first[i], first[j]) + kernel(second[i], second[j])
                total -= kernel(first[i], second[j]) + kernel(first[j], second[i])
                pairs += 1
    return total / pairs


def apart(number: int) -> list[str]:
    return [f"{n:04d}" for n in range(number)]


def test_the_value_is_the_double_sum_of_its_definition() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(14, 5)), rng.normal(0.5, 2, size=(14, 5))
    for clusters in (apart(14), [f"c{n % 4}" for n in range(14)], ["a"] * 9 + ["b"] * 5):
        found = kernel_distance(pair_terms(first, second), clusters)
        assert found.value == pytest.approx(written_out(first, second, clusters), rel=1e-10)
        assert found.clusters == len(set(clusters))


def test_the_error_is_the_jackknife_over_clusters_written_out() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(12, 4)), rng.normal(0.5, 1, size=(12, 4))
    clusters = np.array([f"c{n % 5}" for n in range(12)])
    subsets = []
    for name in np.unique(clusters):
        rest = clusters != name
        subsets.append(written_out(first[rest], second[rest], clusters[rest].tolist()))
    expected = np.sqrt(4 / 5 * np.sum((np.array(subsets) - np.mean(subsets)) ** 2))
    assert kernel_distance(pair_terms(first, second), clusters.tolist()).standard_error == pytest.approx(expected)


def test_equal_distributions_are_at_zero_on_average_also_when_clustered_and_matched() -> None:
    """Pictures of a cluster are alike, and matched ones too: an estimate that took them as drawn apart is biased."""
    rng = np.random.default_rng(2)
    clusters = [f"c{n // 4}" for n in range(48)]
    found, errors, naive = [], [], []
    for _ in range(300):
        shared = np.repeat(rng.normal(size=(12, 6)), 4, axis=0)
        first, second = (shared + rng.normal(size=(48, 6)) for _ in range(2))
        distance = kernel_distance(pair_terms(first, second), clusters)
        found.append(distance.value)
        errors.append(distance.standard_error)
        naive.append(pair_terms(first, second).mean())
    error_of_mean = np.std(found) / np.sqrt(300)
    assert abs(np.mean(found)) < 3 * error_of_mean
    assert np.mean(naive) > 10 * error_of_mean
    assert 0.8 < np.mean(errors) / np.std(found) < 2.5, "errors may be too large where there is no distance, not small"


def test_the_interval_covers_a_known_distance() -> None:
    """A linear shift of one feature in d = 1 has a distance that moments of the normal distribution give."""
    shift, rng, hits = 0.7, np.random.default_rng(3), 0
    # E k(x, y) for means m and n, unit variances: the mean of (x y + 1)^3
    second, third = (lambda m: m**2 + 1), (lambda m: m**3 + 3 * m)

    def expected(m: float, n: float) -> float:
        return third(m) * third(n) + 3 * second(m) * second(n) + 3 * m * n + 1

    truth = expected(0, 0) + expected(shift, shift) - 2 * expected(0, shift)
    for _ in range(200):
        terms = pair_terms(rng.normal(size=(150, 1)), rng.normal(shift, 1, size=(150, 1)))
        low, high = kernel_distance(terms, apart(150)).interval()
        hits += low <= truth <= high
    assert 0.86 <= hits / 200 <= 1.0


def test_the_distance_grows_with_the_shift_and_the_spread() -> None:
    rng = np.random.default_rng(4)
    first, noise = rng.normal(size=(200, 8)), rng.normal(size=(200, 8))
    shifted = [kernel_distance(pair_terms(first, noise + shift), apart(200)).value for shift in (0, 0.5, 1, 2)]
    assert shifted == sorted(shifted)
    spread = [kernel_distance(pair_terms(first, noise * factor), apart(200)).value for factor in (1, 1.5, 2)]
    assert spread == sorted(spread)


def test_a_set_is_at_zero_from_itself_and_order_changes_nothing() -> None:
    rng = np.random.default_rng(5)
    first, second, clusters = rng.normal(size=(20, 6)), rng.normal(size=(20, 6)), [f"c{n % 7}" for n in range(20)]
    same = kernel_distance(pair_terms(first, first), clusters)
    assert (same.value, same.standard_error) == (0.0, 0.0)
    order = rng.permutation(20)
    moved = kernel_distance(pair_terms(first[order], second[order]), [clusters[n] for n in order])
    found = kernel_distance(pair_terms(first, second), clusters)
    assert (moved.value, moved.standard_error) == pytest.approx((found.value, found.standard_error))


def test_a_paired_difference_is_the_difference_and_surer_than_its_sides() -> None:
    rng = np.random.default_rng(6)
    guides = rng.normal(size=(80, 6))
    one = guides + 0.5 + rng.normal(0, 0.5, size=(80, 6))
    other = one + rng.normal(0, 0.05, size=(80, 6))
    terms = pair_terms(guides, one), pair_terms(guides, other)
    sides = [kernel_distance(side, apart(80)) for side in terms]
    paired = kernel_distance(terms[0] - terms[1], apart(80))
    assert paired.value == pytest.approx(sides[0].value - sides[1].value)
    assert paired.standard_error < sides[0].standard_error / 3


def test_two_clusters_have_a_value_without_an_error_and_one_has_neither() -> None:
    terms = pair_terms(np.arange(8.0).reshape(4, 2), np.ones((4, 2)))
    found = kernel_distance(terms, ["a", "a", "b", "b"])
    assert np.isfinite(found.value)
    assert np.isnan(found.standard_error)
    with pytest.raises(ValueError, match="two clusters"):
        kernel_distance(terms, ["a"] * 4)
    with pytest.raises(ValueError, match="as many clusters"):
        kernel_distance(terms, ["a"] * 3)
    with pytest.raises(ValueError, match="matched"):
        pair_terms(np.ones((3, 2)), np.ones((4, 2)))
