"""Masks of COCO's annotations: polygons, and run lengths plain or packed into text.

The file is somebody else's, so everything is checked first: the compiled decoder gives memory that was never written
for runs that are too short, and takes any amount of it for a polygon far out.
"""

import numpy as np
from pycocotools import mask as coco


def decode_mask(segmentation: object, size: tuple[int, int]) -> np.ndarray:
    """The mask of an object.

    Args:
        segmentation: as in the file: a list of polygons, or a mapping with ``size`` and ``counts``.
        size: width and height of the picture.

    Returns:
        height x width numbers, 0 outside and 255 inside.

    Raises:
        ValueError: it is none, or doesn't fit the picture.
    """
    width, height = size
    if isinstance(segmentation, list) and segmentation:
        polygons = [_polygon(points, width, height) for points in segmentation]
        return 255 * coco.decode(coco.merge(coco.frPyObjects(polygons, height, width)))
    if not isinstance(segmentation, dict):
        raise ValueError("it is neither polygons nor run lengths")
    if segmentation.get("size") != [height, width]:
        raise ValueError(f"its size is {segmentation.get('size')}, and the picture's is [{height}, {width}]")
    counts = segmentation.get("counts")
    runs = _unpack(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(isinstance(run, int) and run >= 0 for run in runs):
        raise ValueError("its counts are no run lengths")
    if sum(runs) != width * height:
        raise ValueError(f"its runs cover {sum(runs)} of {width * height} pixels")
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(np.where(inside, 255, 0).astype(np.uint8), runs).reshape((width, height)).T


def _polygon(points: object, width: int, height: int) -> list[float]:
    if not isinstance(points, list) or len(points) < 6 or len(points) % 2:
        raise ValueError("a polygon needs three points at least, two numbers each")
    if not all(isinstance(number, int | float) and np.isfinite(number) for number in points):
        raise ValueError("a polygon has something else than numbers")
    limits = np.tile([width, height], len(points) // 2)
    return [float(number) for number in np.clip(np.asarray(points, dtype=np.float64), 0, limits)]


def _unpack(text: str) -> list[int]:
    """Run lengths out of COCO's text: five bits a character from ``0`` on, and differences from the third run on."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("its counts are no packed run lengths")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("its counts end in the middle of a number")
    return runs
