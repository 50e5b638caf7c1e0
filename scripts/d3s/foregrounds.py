"""Exemplars: one cut-out of a class, trimmed to what can be seen of it."""

from pathlib import Path

import numpy as np
from PIL import Image

from d3s.errors import BadInput
from d3s.imageio import read_image, read_mask, resize_rgba

VISIBLE = 26
"""Alpha (of 255) from which a pixel counts as foreground: a tenth."""


def cut_out(image_path: str | Path, mask_path: str | Path | None, max_side: int, min_side: int) -> Image.Image:
    """Make an exemplar: the picture with its mask (or its own alpha) as transparency, trimmed to the foreground.

    Args:
        image_path: the picture.
        mask_path: a greyscale mask of the same size, or nothing if the picture has an alpha channel.
        max_side: the longer side is reduced to this many pixels.
        min_side: a foreground whose longer side is smaller is refused: enlarging it gives a blur.

    Returns:
        An ``RGBA`` picture.

    Raises:
        BadInput: what ``read_image`` raises, and ``mask_size``, ``no_mask``, ``empty_mask``, ``too_small``.
    """
    image = read_image(image_path)
    name = Path(image_path).name
    if mask_path:
        mask = read_mask(mask_path)
        if mask.size != image.size:
            raise BadInput(
                "mask_size",
                f"{Path(mask_path).name} is {mask.width} x {mask.height} and {name} is {image.width} x {image.height}",
            )
        image = image.convert("RGB")
        image.putalpha(mask)
    elif image.mode != "RGBA":
        raise BadInput("no_mask", f"{name} has no transparency and the table names no mask for it")
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
