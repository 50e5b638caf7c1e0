"""Which frames of a video become templates: evenly spread in time, the splits kept apart by a guard."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from d3s.errors import BadInput

TRAIN_PART, GUARD, VAL_PART = 0.55, 0.15, 0.30
"""Of a video without a split: its first part for train, a guard, its last part for val (1 in all)."""
LEAST_GUARD = 2.0
"""Seconds (of a folder of frames: frames) that the guard lasts at least; neighbouring frames are one picture."""
BLOCKS = 12
"""Of a video; frames of one block count as one group when folds are made."""


@dataclass(frozen=True)
class Frame:
    """A frame to take.

    Attributes:
        number: its place in the video, from 0.
        latest: the place of the last frame that may stand in for it, if it can't be decoded.
        split: ``train`` or ``val``.
        block: which stretch of the video it lies in.
    """

    number: int
    latest: int
    split: str
    block: int


def plan_frames(
    times: Sequence[float], split: str, counts: dict[str, int], interval: float | None, most: int
) -> list[Frame]:
    """Choose frames.

    Args:
        times: of all frames, ascending.
        split: of the whole video; without one it is cut in time.
        counts: frames of each split.
        interval: time between frames; if given, it goes before the counts.
        most: frames of a split at most.

    Returns:
        The frames in the order of their times.

    Raises:
        BadInput: ``too_short`` to be cut.
    """
    start, span = times[0], max(times[-1] - times[0], 1e-9)
    parts = {split: (0.0, 1.0)} if split else {"train": (0.0, TRAIN_PART), "val": (1.0 - VAL_PART, 1.0)}
    if not split and GUARD * span < LEAST_GUARD:
        raise BadInput(
            "too_short",
            f"it lasts {span:.3g} and would have to last {LEAST_GUARD / GUARD:.3g} to be cut into train and val:"
            " give it a split",
        )
    frames = []
    for name, (low, high) in parts.items():
        first = bisect_left(times, start + low * span)
        last = bisect_right(times, start + high * span) - 1
        length = (high - low) * span
        count = min(max(1, int(length / interval)) if interval else counts[name], most)
        # The middles of equal stretches: a video's very first and last frames are often black.
        wanted = (start + low * span + (place + 0.5) / count * length for place in range(count))
        shown = (bisect_right(times, time) - 1 for time in wanted)
        numbers = sorted({min(max(number, first), last) for number in shown})
        for number in numbers:
            block = min(int((times[number] - start) / span * BLOCKS), BLOCKS - 1)
            frames.append(Frame(number, last, name, block))
    return frames
