"""Perceptual fingerprints, to find pictures that are nearly the same."""

import numpy as np
from PIL import Image


def dhash(image: Image.Image) -> int:
    """A 64-bit difference hash: which of neighbouring pixels of a 9 x 8 thumbnail is brighter."""
    small = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    bits = (small[:, 1:] > small[:, :-1]).ravel()
    return int("".join("1" if bit else "0" for bit in bits), 2)


def distance(a: int, b: int) -> int:
    """In how many of 64 bits two hashes differ."""
    return (a ^ b).bit_count()
