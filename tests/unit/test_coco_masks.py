"""COCO's masks: the same as pycocotools gives, and nothing of what would make it read where it must not."""

import numpy as np
import pytest
from pycocotools import mask as coco

from d3s.coco_masks import decode_mask

SIZE = (30, 20)


def drawn(seed: int, share: float = 0.4) -> np.ndarray:
    """A mask of random fields, 20 x 30."""
    fields = np.random.default_rng(seed).random((5, 6)) < share
    return np.kron(fields, np.ones((4, 5))).astype(np.uint8)


@pytest.mark.parametrize("mask", [*(drawn(seed) for seed in range(6)), drawn(0, 0.0), drawn(0, 1.1), drawn(1, 1.1) * 0])
def test_packed_and_plain_run_lengths_are_the_mask(mask: np.ndarray) -> None:
    packed = coco.encode(np.asfortranarray(mask))
    text = {"size": [20, 30], "counts": packed["counts"].decode()}
    assert np.array_equal(decode_mask(text, SIZE), 255 * mask)
    flat = mask.flatten(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat])))
    runs = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    assert np.array_equal(decode_mask({"size": [20, 30], "counts": runs}, SIZE), 255 * mask)


def test_a_large_mask_with_long_runs_is_unpacked() -> None:
    mask = np.zeros((3000, 4000), np.uint8)
    mask[5:2990, 17:3900] = 1
    packed = {"size": [3000, 4000], "counts": coco.encode(np.asfortranarray(mask))["counts"].decode()}
    assert np.array_equal(decode_mask(packed, (4000, 3000)), 255 * mask)


def test_polygons_are_one_object() -> None:
    two = [[2, 2, 10, 2, 10, 10, 2, 10], [20, 5, 28, 5, 28, 15, 20, 15]]
    mask = decode_mask(two, SIZE)
    assert mask.dtype == np.uint8
    assert mask.shape == (20, 30)
    assert mask[5, 5] == mask[10, 24] == 255
    assert mask[5, 15] == 0


def test_a_polygon_far_out_is_held_to_the_picture() -> None:
    mask = decode_mask([[-1e12, -1e12, 1e12, -1e12, 1e12, 1e12, -1e12, 1e12]], SIZE)
    assert mask.min() == 255


@pytest.mark.parametrize(
    ("segmentation", "told"),
    [
        (None, "neither polygons nor run lengths"),
        ([], "neither polygons nor run lengths"),
        ([[1, 2, 3, 4]], "three points"),
        ([[1, 2, 3, 4, 5, 6, 7]], "three points"),
        ([[1, 2, 3, 4, 5, "six"]], "something else than numbers"),
        ([[1, 2, 3, 4, 5, float("nan")]], "something else than numbers"),
        ({"size": [30, 20], "counts": [600]}, r"its size is \[30, 20\]"),
        ({"size": [20, 30], "counts": [10, 20]}, "cover 30 of 600 pixels"),
        ({"size": [20, 30], "counts": []}, "cover 0 of 600 pixels"),
        ({"size": [20, 30], "counts": ""}, "cover 0 of 600 pixels"),
        ({"size": [20, 30], "counts": [700, -100]}, "no run lengths"),
        ({"size": [20, 30], "counts": "\x00\xff"}, "no packed run lengths"),
        ({"size": [20, 30], "counts": "PPPPPPPPPPPPPPPPPP"}, "no packed run lengths"),
        ({"size": [20, 30], "counts": "P"}, "in the middle of a number"),
        ({"size": [20, 30]}, "no run lengths"),
    ],
)
def test_what_can_not_be_a_mask_says_why(segmentation: object, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        decode_mask(segmentation, SIZE)
