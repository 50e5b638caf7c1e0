"""Perceptual fingerprints, to find pictures that are nearly the same."""

import numpy as np
from PIL import Image


def dhash(image: Image.Image) -> int:
    """The 64-bit difference hash: whether brightness falls from each of 9 x 8 fields to the one on its right."""
    fields = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX))
    return int.from_bytes(np.packbits(fields[:, :-1] > fields[:, 1:]).tobytes(), "big")


def distance(a: int, b: int) -> int:
    """In how many of 64 bits two hashes differ."""
    return (a ^ b).bit_count()
