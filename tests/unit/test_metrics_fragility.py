import numpy as np
import pytest

from d3s.metrics.blocks import Block, matched_blocks
from d3s.metrics.estimates import Bootstrap
from d3s.metrics.fragility import fragile_tables
from judged import matched

BOOTSTRAP = Bootstrap(seed=0, resamples=200)
FIRST = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0], [0, 0, 0]], dtype=float)
SECOND = np.array([[1, 1, 1], [1, 1, 1], [1, 0, 0], [0, 1, 0]], dtype=float)


def block(right: np.ndarray) -> Block:
    (found,) = matched_blocks(matched(right, exemplars=list("abcd"), class_ids=[0, 0, 1, 1]))
    return found


def test_classes_are_ranked_by_the_mean_flip_rate_of_the_judges() -> None:
    classes, _ = fragile_tables([("one", block(FIRST)), ("two", block(SECOND))], "images", BOOTSTRAP)
    assert classes["class_name"].tolist() == ["class1", "class0"]
    assert classes["fragility"].tolist() == pytest.approx([(0.5 + 1) / 2, (0.5 + 0) / 2])
    assert classes["rank"].tolist() == [1, 2]
    assert classes["judges"].unique().tolist() == ["one two"]
    assert classes.loc[0, "spread"] == pytest.approx((0.5 + 0.5) / 2)
    assert classes.loc[0, "accuracy"] == pytest.approx((2 / 6 + 2 / 6) / 2)


def test_sets_are_those_with_the_most_flips_and_say_who_is_right_where() -> None:
    _, sets = fragile_tables([("one", block(FIRST)), ("two", block(SECOND))], "images", BOOTSTRAP)
    worst = sets[sets["rank"] == 1]
    assert worst.drop_duplicates("matched_set")[["matched_set", "flips"]].to_numpy().tolist() == [
        ["s0002", 4],
        ["s0003", 2],
    ]
    shown = worst[worst["place"] == 1].set_index("background")
    assert shown["sample"].to_dict() == {name: f"s0002-{name}" for name in ("grass", "night", "water")}
    assert shown["right"].to_dict() == {"grass": "one two", "night": "one", "water": ""}
    assert shown["wrong"].to_dict() == {"grass": "", "night": "two", "water": "one two"}
    assert shown["taken_for"].to_dict() == {"grass": "", "night": "101", "water": "101 101"}


def test_classes_that_pictures_were_taken_for_have_their_names() -> None:
    rows = matched(FIRST, exemplars=list("abcd"), class_ids=[0, 0, 1, 1])
    rows.loc[rows["sample"] == "s0001-night", "predicted"] = 1
    (own,) = matched_blocks(rows)
    _, sets = fragile_tables([("one", own)], "images", BOOTSTRAP)
    assert sets.set_index("sample").loc["s0001-night", "taken_for"] == "class1"


def test_a_set_counts_if_it_is_complete_for_every_judge() -> None:
    lacking = SECOND.copy()
    lacking[2, 1] = np.nan
    classes, sets = fragile_tables([("one", block(FIRST)), ("two", block(lacking))], "images", BOOTSTRAP)
    assert classes.set_index("class_name")["n"].to_dict() == {"class0": 2, "class1": 1}
    assert "s0002" not in set(sets["matched_set"])


def test_judges_without_a_common_set_rank_nothing() -> None:
    lacking = FIRST.copy()
    lacking[np.arange(4), [0, 1, 2, 0]] = np.nan
    classes, sets = fragile_tables([("one", block(FIRST)), ("two", block(lacking))], "images", BOOTSTRAP)
    assert classes.empty
    assert sets.empty
