import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from d3s.metrics.estimates import Bootstrap
from d3s.metrics.paired_backgrounds import holm, mcnemar, paired_table, sign_test
from judged import matched, simulated

BOOTSTRAP = Bootstrap(seed=0, resamples=300)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (5, 5), (12, 3), (0, 9), (40, 61)])
def test_mcnemars_test_is_that_of_statsmodels(b: int, c: int) -> None:
    expected = statsmodels_mcnemar([[7, b], [c, 9]], exact=True).pvalue
    assert mcnemar(b, c) == pytest.approx(min(1.0, float(expected)))


def test_holms_adjustment_is_that_of_statsmodels() -> None:
    values = np.random.default_rng(0).random(15) ** 3
    assert holm(values.tolist()) == pytest.approx(multipletests(values, method="holm")[1])
    assert holm([]) == []


def test_every_two_backgrounds_are_counted_over_sets_that_have_both() -> None:
    right = np.array([[1, 1, 1], [1, 0, 1], [1, np.nan, 0], [0, 0, 0], [1, 0, 1]])
    table = paired_table(matched(right), BOOTSTRAP)
    assert table[["first", "second"]].to_numpy().tolist() == [
        ["grass", "night"],
        ["grass", "water"],
        ["night", "water"],
    ]
    row = table.iloc[0]
    assert row[["both_right", "b", "c", "both_wrong", "n"]].tolist() == [1, 2, 0, 1, 4]
    assert row["value"] == 0.5
    assert row["p_value"] == 0.5
    assert table["n"].tolist() == [4, 5, 4]
    assert (table["p_holm"] >= table["p_value"]).all()


def test_signs_of_independent_sets_turned_one_by_one_are_mcnemars_test() -> None:
    rng = np.random.default_rng(1)
    for n in (9, 60):
        differences = rng.integers(-1, 2, n).astype(float)
        b, c = int((differences > 0).sum()), int((differences < 0).sum())
        found = sign_test(differences, [str(place) for place in range(n)], seed=0)
        assert found == pytest.approx(mcnemar(b, c), abs=0.02)


def test_sets_of_one_exemplar_are_one_witness() -> None:
    """Ten sets of two exemplars all speak for the first background: McNemar is sure, two exemplars can't be."""
    table = paired_table(matched(np.tile([1.0, 0, 0], (10, 1)), exemplars=["a", "b"] * 5), BOOTSTRAP)
    row = table.iloc[0]
    assert row["p_value"] == pytest.approx(2 / 2**10)
    assert row["p_clustered"] == 0.5


def test_no_difference_at_all_is_no_evidence() -> None:
    row = paired_table(matched(np.ones((8, 3))), BOOTSTRAP).iloc[0]
    assert (row["value"], row["p_value"], row["p_clustered"]) == (0, 1, 1)
    assert row["ci_low"] < 0 < row["ci_high"]


def test_the_interval_and_the_test_mostly_agree() -> None:
    right, own = simulated(np.random.default_rng(3), 64, np.array([-0.5, 0.5, 0.5]))
    table = paired_table(matched(right, exemplars=[f"e{e}" for e in own]), BOOTSTRAP)
    clear = table[table["first"] == "grass"]
    assert (clear["ci_high"] < 0).all()
    assert (clear["p_clustered_holm"] < 0.05).all()


def test_a_data_set_without_sets_has_no_pairs() -> None:
    assert paired_table(matched(np.ones((3, 1)), backgrounds=("grass",)), BOOTSTRAP).empty
