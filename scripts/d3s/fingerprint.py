"""Perceptual fingerprints, to find pictures that are nearly the same."""

import numpy as np
from PIL import Image, ImageOps


def dhash(image: Image.Image) -> int:
    """The 64-bit difference hash: whether brightness falls from each of 9 x 8 fields to the one on its right."""
    fields = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX))
    return int.from_bytes(np.packbits(fields[:, :-1] > fields[:, 1:]).tobytes(), "big")


def distance(a: int, b: int) -> int:
    """In how many of 64 bits two hashes differ."""
    return (a ^ b).bit_count()


def mirrored_dhashes(image: Image.Image) -> tuple[int, int]:
    """The hashes of a picture and of its mirror image."""
    return dhash(image), dhash(ImageOps.mirror(image))


def alike(own: tuple[int, int], other: tuple[int, int], limit: int) -> bool:
    """Whether two pictures differ in at most ``limit`` bits, mirrored or not, by their ``mirrored_dhashes``."""
    return min(distance(own[0], code) for code in other) <= limit
