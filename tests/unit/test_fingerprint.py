"""Fingerprints: pictures that are nearly the same have hashes that nearly agree."""

import numpy as np
from PIL import Image

from d3s.fingerprint import dhash, distance


def noise(number: int, side: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (side, side), dtype=np.uint8))


def test_a_hash_tells_pictures_apart_and_not_their_sizes() -> None:
    picture = noise(1, 24).crop((0, 0, 9, 8))
    assert dhash(picture) == dhash(picture.resize((90, 160), Image.Resampling.NEAREST))
    assert distance(dhash(picture), dhash(noise(2, 90))) > 10


def test_every_bit_is_a_fall_of_brightness_to_the_right() -> None:
    rising = Image.fromarray(np.tile(np.arange(0, 252, 14, dtype=np.uint8), (16, 1)))
    assert dhash(rising) == 0
    assert dhash(rising.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == 2**64 - 1
    assert distance(0, 2**64 - 1) == 64
