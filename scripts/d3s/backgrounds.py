"""Templates: the pictures that foregrounds are pasted on, from photographs or cut out of panoramas."""

from dataclasses import dataclass
from math import atan2, cos, degrees, radians, sin, tan
from pathlib import Path

from PIL import Image, ImageOps

from d3s.errors import D3SError
from d3s.imageio import read_image

TRAIN_SECTOR, GUARD, VAL_SECTOR = 120.0, 90.0, 60.0
"""Degrees of yaw of a panorama: centres of train views, a guard, centres of val views, a guard again (360 in all)."""


@dataclass(frozen=True)
class ViewSettings:
    """How views are cut.

    Attributes:
        train, val: views per background and split, shared evenly by its panoramas.
        field_of_view: degrees; under the guard, so that a train and a val view share no column of the panorama.
        pitches: degrees above the horizon, taken in turn.
        size: side of a template in pixels.

    Raises:
        D3SError: a train and a val view could share a column.
    """

    train: int
    val: int
    field_of_view: float
    pitches: tuple[float, ...]
    size: int

    def __post_init__(self) -> None:
        for pitch in self.pitches:
            if 2 * yaw_reach(self.field_of_view, pitch) >= GUARD:
                raise D3SError(
                    f"with field_of_view {self.field_of_view:g} and pitch {pitch:g}, views of train and val overlap",
                    f"reduce either of them under backgrounds: (the guard between the splits is {GUARD:g} degrees)",
                )


@dataclass(frozen=True)
class View:
    """One view of a panorama: its name, its split and where it looks (degrees)."""

    name: str
    split: str
    yaw: float
    pitch: float


def yaw_reach(field_of_view: float, pitch: float) -> float:
    """How far to each side a view reaches, in degrees of yaw: furthest at the edge that a pitch tilts to a pole."""
    reach, tilt = tan(radians(field_of_view) / 2), radians(abs(pitch))
    return degrees(atan2(reach, cos(tilt) - reach * sin(tilt)))


def plan_views(panorama: str, yaw_start: float, train: int, val: int, pitches: tuple[float, ...]) -> list[View]:
    """Spread the views of each split evenly over its sector; the guards lie between the sectors, both ways round."""
    views = []
    for split, count, start, width in (
        ("train", train, yaw_start, TRAIN_SECTOR),
        ("val", val, yaw_start + TRAIN_SECTOR + GUARD, VAL_SECTOR),
    ):
        for number in range(count):
            yaw = (start + width * (number / (count - 1) if count > 1 else 0.5)) % 360
            views.append(View(f"{panorama}-{split}-{number:03d}", split, yaw, pitches[number % len(pitches)]))
    return views


def square_photo(file: str | Path, size: int) -> Image.Image:
    """The central square of a photograph, ``RGB``, ``size`` pixels a side.

    Raises:
        BadInput: what ``read_image`` raises.
    """
    return fit_square(read_image(file), size)


def fit_square(picture: Image.Image, size: int) -> Image.Image:
    """The central square of a picture, ``RGB``, ``size`` pixels a side."""
    return ImageOps.fit(picture.convert("RGB"), (size, size), Image.Resampling.LANCZOS)
