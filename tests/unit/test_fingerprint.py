"""Fingerprints: pictures that are nearly the same have hashes that nearly agree."""

import numpy as np
from PIL import Image, ImageOps

from d3s.fingerprint import alike, dhash, distance, mirrored_dhashes


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


def test_a_mirror_image_is_alike_and_another_picture_is_not() -> None:
    picture, other = noise(1, 24), noise(2, 24)
    assert alike(mirrored_dhashes(ImageOps.mirror(picture)), mirrored_dhashes(picture), 0)
    assert not alike(mirrored_dhashes(other), mirrored_dhashes(picture), 4)
