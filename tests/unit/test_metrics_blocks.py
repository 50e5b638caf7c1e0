import numpy as np
import pandas as pd

from d3s.metrics.blocks import matched_blocks
from judged import judged_rows, matched

RIGHT = np.array([[1, 0, 1], [1, np.nan, 1], [0, 0, 0]])


def test_sets_are_rows_and_backgrounds_are_columns() -> None:
    (block,) = matched_blocks(matched(RIGHT, exemplars=["a", "b", "b"]))
    assert block.backgrounds == ("grass", "night", "water")
    assert block.sets.tolist() == ["s0000", "s0001", "s0002"]
    assert block.exemplars.tolist() == ["a", "b", "b"]
    np.testing.assert_array_equal(block.right, RIGHT)
    assert block.samples[1].tolist() == ["s0001-grass", "", "s0001-water"]
    assert block.predicted[1].tolist() == [0, -1, 0]


def test_complete_sets_have_every_background() -> None:
    (block,) = matched_blocks(matched(RIGHT))
    assert block.complete().sets.tolist() == ["s0000", "s0002"]


def test_sets_of_a_renewed_background_stand_apart() -> None:
    """Their single picture is no matched set; the older sets were planned without it."""
    renewed = judged_rows(
        [{"sample": f"r{n}", "matched_set": f"r{n}", "background": "water", "planned": 1} for n in range(9)]
    )
    older = matched(np.ones((2, 2)), backgrounds=("grass", "night"))
    (block,) = matched_blocks(pd.concat([older, renewed], ignore_index=True))
    assert block.backgrounds == ("grass", "night")
    assert len(block) == 2


def test_each_shift_has_its_block() -> None:
    seasons = matched(np.ones((2, 2)), backgrounds=("spring", "winter")).assign(shift="season")
    seasons["matched_set"] = "t" + seasons["matched_set"]
    grounds = matched(np.ones((3, 3))).assign(shift="background")
    blocks = matched_blocks(pd.concat([seasons, grounds], ignore_index=True))
    assert [(block.shift, len(block)) for block in blocks] == [("background", 3), ("season", 2)]


def test_pictures_without_sets_make_no_block() -> None:
    assert matched_blocks(judged_rows([{"background": "grass"}, {"background": "night"}])) == []


def test_sets_that_are_nowhere_complete_still_have_their_backgrounds() -> None:
    right = np.array([[1, 0, np.nan], [np.nan, 1, 1]])
    (block,) = matched_blocks(matched(right))
    assert len(block) == 2
    assert len(block.complete()) == 0
