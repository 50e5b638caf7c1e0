from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from d3s.backgrounds import GUARD, TRAIN_SECTOR, VAL_SECTOR, ViewSettings, plan_views, square_photo, yaw_reach
from d3s.errors import BadInput, D3SError
from d3s.panorama import perspective_view

WIDTH = 512
"""Columns of the demo's panoramas."""


def angle_between(first: float, second: float) -> float:
    """Degrees between two yaws, the shorter way round."""
    apart = abs(first - second) % 360
    return min(apart, 360 - apart)


def columns_seen(yaw: float, pitch: float, field_of_view: float) -> set[int]:
    """The columns of a panorama that a view takes anything from, found by lighting four of them at a time."""
    seen = np.zeros(WIDTH, bool)
    for column in range(0, WIDTH, 4):
        panorama = np.zeros((WIDTH // 2, WIDTH, 3), np.float32)
        panorama[:, column : column + 4] = 60.0  # so bright that the faintest share of a pixel shows
        seen[column : column + 4] = np.asarray(perspective_view(panorama, yaw, pitch, field_of_view, 24)).any()
    return set(np.flatnonzero(seen).tolist())


def test_the_sectors_and_their_guards_fill_the_circle() -> None:
    assert TRAIN_SECTOR + GUARD + VAL_SECTOR + GUARD == 360


@pytest.mark.parametrize("yaw_start", [0.0, 30.0, 270.0, 359.5])
@pytest.mark.parametrize(("train", "val"), [(24, 12), (1, 1), (2, 3)])
def test_centres_of_train_and_val_views_are_90_degrees_apart_both_ways_round(
    yaw_start: float, train: int, val: int
) -> None:
    views = plan_views("park", yaw_start, train, val, (-12.0, -4.0))
    ours, theirs = ([view.yaw for view in views if view.split == split] for split in ("train", "val"))
    assert (len(ours), len(theirs)) == (train, val)
    assert min(angle_between(a, b) for a, b in product(ours, theirs)) >= 90 - 1e-9


def test_no_column_of_the_panorama_is_seen_by_both_splits() -> None:
    """Of the views nearest to the guards, with the demo's field of view of 75 degrees and its steeper pitch."""
    views = {(view.split, view.yaw) for view in plan_views("park", 0.0, 2, 2, (-12.0,))}
    seen = {split: set[int]() for split in ("train", "val")}
    for split, yaw in views:
        seen[split] |= columns_seen(yaw, -12.0, 75.0)
    assert seen["train"]
    assert seen["val"]
    assert not seen["train"] & seen["val"]


def test_a_tilted_view_reaches_further_to_the_sides() -> None:
    assert yaw_reach(75, 0) == pytest.approx(37.5)
    assert yaw_reach(75, -12) == yaw_reach(75, 12) == pytest.approx(43.1, abs=0.1)
    assert yaw_reach(75, 60) > 90  # the pole is in view


@pytest.mark.parametrize(("field_of_view", "pitch"), [(90.0, 0.0), (75.0, 20.0), (60.0, -50.0)])
def test_settings_that_would_make_the_splits_overlap_are_refused(field_of_view: float, pitch: float) -> None:
    with pytest.raises(D3SError, match="overlap"):
        ViewSettings(24, 12, field_of_view, (0.0, pitch), 160)


def test_views_have_names_of_their_own_and_take_the_pitches_in_turn() -> None:
    views = plan_views("park", 30.0, 3, 1, (-12.0, -4.0))
    assert [view.name for view in views] == ["park-train-000", "park-train-001", "park-train-002", "park-val-000"]
    assert [view.pitch for view in views] == [-12.0, -4.0, -12.0, -12.0]
    assert [view.yaw for view in views] == [30.0, 90.0, 150.0, 270.0]


def test_the_central_square_of_a_photograph_is_taken(make_image: Callable[..., Path]) -> None:
    samples = np.zeros((20, 60, 3), np.uint8)
    samples[:, 20:40] = 255
    square = square_photo(make_image("wide.png", samples), 10)
    assert (square.mode, square.size) == ("RGB", (10, 10))
    assert np.asarray(square).min() > 230  # the filter reaches a little beyond the crop


def test_a_photograph_that_cannot_be_read_says_why(make_image: Callable[..., Path]) -> None:
    file = make_image("meadow.jpg", Image.new("RGB", (64, 64)))
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(BadInput, match=r"meadow\.jpg"):
        square_photo(file, 10)
