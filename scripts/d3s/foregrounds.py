"""Exemplars: one cut-out of a class, trimmed to what can be seen of it."""

from pathlib import Path

import numpy as np
from PIL import Image

from d3s.errors import BadInput
from d3s.imageio import read_image, read_mask, resize_rgba

VISIBLE = 26
"""Alpha (of 255) from which a pixel counts as foreground: a tenth."""


def read_cutout(image_path: str | Path, mask_path: str | Path | None) -> Image.Image:
    """A picture with its mask, or its own alpha, as transparency.

    Args:
        image_path: the picture.
        mask_path: a greyscale mask of the same size, or nothing if the picture has an alpha channel.

    Returns:
        An ``RGBA`` picture.

    Raises:
        BadInput: what ``read_image`` raises, and ``mask_size``, ``no_mask``.
    """
    image = read_image(image_path)
    if mask_path:
        return attach_mask(image, Path(image_path).name, read_mask(mask_path), Path(mask_path).name)
    if image.mode != "RGBA":
        raise BadInput("no_mask", f"{Path(image_path).name} has no transparency and the table names no mask for it")
    return image


def attach_mask(image: Image.Image, name: str, mask: Image.Image, mask_name: str) -> Image.Image:
    """A picture with a greyscale mask as its transparency, in place of any of its own.

    Raises:
        BadInput: ``mask_size``: they are not of one size.
    """
    if mask.size != image.size:
        raise BadInput(
            "mask_size", f"{mask_name} is {mask.width} x {mask.height} and {name} is {image.width} x {image.height}"
        )
    image = image.convert("RGB")
    image.putalpha(mask)
    return image


def whole_square(image: Image.Image) -> Image.Image:
    """The central square of a picture, ``RGBA`` and opaque."""
    side = min(image.size)
    left, upper = (image.width - side) // 2, (image.height - side) // 2
    square = image.convert("RGB").crop((left, upper, left + side, upper + side))
    square.putalpha(255)
    return square


def trim_cutout(image: Image.Image, name: str, max_side: int, min_side: int) -> Image.Image:
    """Make an exemplar of a cut-out: trimmed to its foreground, reduced to a size.

    Args:
        image: ``RGBA``.
        name: what to call it in messages.
        max_side: the longer side is reduced to this many pixels.
        min_side: a foreground whose longer side is smaller is refused: enlarging it gives a blur.

    Returns:
        An ``RGBA`` picture.

    Raises:
        BadInput: ``empty_mask``, ``too_small``.
    """
    alpha = np.asarray(image.getchannel("A"))
    rows, columns = np.nonzero((alpha >= VISIBLE).any(axis=1))[0], np.nonzero((alpha >= VISIBLE).any(axis=0))[0]
    if rows.size == 0:
        raise BadInput("empty_mask", f"nothing of {name} is visible under its mask")
    image = image.crop((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1))
    longest = max(image.size)
    if longest < min_side:
        raise BadInput(
            "too_small", f"the foreground of {name} is {image.width} x {image.height}; {min_side} is the least"
        )
    if longest > max_side:
        size = (max(1, round(image.width * max_side / longest)), max(1, round(image.height * max_side / longest)))
        image = resize_rgba(image, size)
    return image
