"""The choice of frames: spread in time, and kept apart by a guard."""

from itertools import pairwise

import pytest

from d3s.errors import BadInput
from d3s.frames import GUARD, TRAIN_PART, VAL_PART, plan_frames

COUNTS = {"train": 6, "val": 3}
MINUTE = [frame / 10 for frame in range(600)]


def test_the_parts_and_the_guard_fill_the_video() -> None:
    assert pytest.approx(1) == TRAIN_PART + GUARD + VAL_PART


def test_a_video_without_a_split_is_cut_in_time_with_a_guard_between() -> None:
    frames = plan_frames(MINUTE, "", COUNTS, None, 500)
    train, val = ([MINUTE[one.number] for one in frames if one.split == split] for split in ("train", "val"))
    assert (len(train), len(val)) == (6, 3)
    assert min(val) - max(train) > 60 * GUARD
    assert max(MINUTE[one.latest] for one in frames if one.split == "train") <= 60 * TRAIN_PART
    steps = {round(later - sooner, 1) for sooner, later in pairwise(train)}
    assert steps <= {5.4, 5.5, 5.6}


def test_a_video_with_a_split_is_used_from_end_to_end() -> None:
    frames = plan_frames(MINUTE, "val", COUNTS, None, 500)
    assert [(one.number, one.split) for one in frames] == [(99, "val"), (299, "val"), (499, "val")]


def test_an_interval_goes_before_the_counts_and_the_limit_before_both() -> None:
    assert len(plan_frames(MINUTE, "train", COUNTS, 2.0, 500)) == 29
    assert len(plan_frames(MINUTE, "train", COUNTS, 2.0, 7)) == 7
    assert len(plan_frames(MINUTE, "train", COUNTS, 1000.0, 500)) == 1


def test_frames_near_in_time_share_a_block() -> None:
    frames = plan_frames(MINUTE, "train", {"train": 60}, None, 500)
    blocks = [one.block for one in frames]
    assert blocks == sorted(blocks)
    assert (len(set(blocks)), max(blocks)) == (12, 11)


def test_no_frame_is_taken_twice_from_a_video_of_few() -> None:
    assert [one.number for one in plan_frames([0.0, 0.04, 0.08], "train", {"train": 24}, None, 500)] == [0, 1]
    assert [one.number for one in plan_frames([5.0], "val", {"val": 24}, None, 500)] == [0]


def test_times_may_be_uneven() -> None:
    times = [0.0, 0.1, 0.2, 0.3, 50.0, 100.0]
    assert [one.number for one in plan_frames(times, "train", {"train": 2}, None, 500)] == [3, 4]


def test_a_video_too_short_to_be_cut_says_so() -> None:
    with pytest.raises(BadInput, match="give it a split") as caught:
        plan_frames(MINUTE[:100], "", COUNTS, None, 500)
    assert caught.value.status == "too_short"
