import numpy as np
import pandas as pd
import pytest

from d3s.metrics.blocks import matched_blocks
from d3s.metrics.estimates import Bootstrap
from d3s.metrics.flips import coin_flips, flip_rows, pair_flips
from judged import matched, simulated

BOOTSTRAP = Bootstrap(seed=0, resamples=300)
RIGHT = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0], [0, 0, 0]], dtype=float)


def values(table: pd.DataFrame, class_name: str = "all") -> dict[str, float]:
    return table[table["class_name"] == class_name].set_index("metric")["value"].to_dict()


def test_flips_are_counted_by_set_and_by_pair_of_backgrounds() -> None:
    found = values(flip_rows(matched(RIGHT), BOOTSTRAP))
    assert found["flip_rate"] == 0.5
    assert found["always_right"] == 0.25
    assert found["always_wrong"] == 0.25
    assert found["pair_flip_rate"] == pytest.approx((0 + 2 / 3 + 2 / 3 + 0) / 4)


def test_two_wrong_answers_that_differ_are_a_flip_of_the_prediction_alone() -> None:
    frame = matched(np.zeros((1, 3))).assign(predicted=[4, 5, 5])
    found = values(flip_rows(frame, BOOTSTRAP))
    assert found["flip_rate"] == 0
    assert found["pair_flip_rate"] == pytest.approx(2 / 3)


def test_incomplete_sets_are_left_out() -> None:
    table = flip_rows(matched(np.vstack([RIGHT, [[1, np.nan, 0]]])), BOOTSTRAP)
    assert table.loc[table["metric"] == "flip_rate", "n"].unique().tolist() == [4]


def test_classes_have_rows_of_their_own() -> None:
    table = flip_rows(matched(RIGHT, class_ids=[0, 0, 1, 1]), BOOTSTRAP)
    assert values(table, "class0")["flip_rate"] == 0.5
    assert values(table, "class1")["always_wrong"] == 0.5


def test_coins_flip_by_the_accuracy_of_class_and_background() -> None:
    (block,) = matched_blocks(matched(RIGHT))
    assert coin_flips(block) == pytest.approx(np.full(4, 1 - 0.75 * 0.5 * 0.5 - 0.25 * 0.5 * 0.5))


def test_the_excess_over_noise_is_by_pairs_of_sets_of_one_exemplar() -> None:
    """Exemplar a answers by its background alone, exemplar b at random: a's flips are the background's doing."""
    right = np.array([[1, 1, 0], [1, 1, 0], [1, 0, 1]], dtype=float)
    table = flip_rows(matched(right, exemplars=["a", "a", "b"]), BOOTSTRAP)
    found = values(table)
    assert found["pair_flip_same_background"] == 0
    assert found["pair_flip_other_background"] == pytest.approx(4 / 6)
    assert found["background_flip_excess"] == pytest.approx(4 / 6)
    assert table.loc[table["metric"] == "background_flip_excess", "n"].tolist() == [1]


def test_the_excess_is_nothing_if_backgrounds_do_nothing_and_something_if_they_do() -> None:
    for means, interaction, there in (([0.3] * 3, 0.0, False), ([-0.8, 0.3, 1.4], 0.0, True)):
        right, own = simulated(np.random.default_rng(7), 150, np.array(means), interaction=interaction)
        table = flip_rows(matched(right, exemplars=[f"e{e}" for e in own]), BOOTSTRAP)
        row = table[table["metric"] == "background_flip_excess"].iloc[0]
        assert (row["ci_low"] > 0) == there
        assert row["ci_high"] > 0


def test_without_exemplars_there_is_no_excess_to_tell() -> None:
    assert "background_flip_excess" not in values(flip_rows(matched(RIGHT), BOOTSTRAP))


def test_pair_flips_are_those_counted_one_by_one() -> None:
    rng = np.random.default_rng(0)
    predicted = rng.integers(0, 3, (20, 3))
    frame = matched(np.ones((20, 3))).assign(predicted=predicted.ravel())
    (block,) = matched_blocks(frame)
    expected = [np.mean([row[0] != row[1], row[0] != row[2], row[1] != row[2]]) for row in predicted]
    assert pair_flips(block) == pytest.approx(expected)
