"""Salient ImageNet: soft masks of what a network looks at in an image, told into core and spurious by people.

Layout and meaning are those of the authors' published code (github.com/singlasahil14/salient_imagenet):

- ``mturk_results/discover_spurious_features.csv`` has a row per answer of a worker. A feature of a class is spurious if
  at least three of its workers (of five, as a rule) say that it lies on the ``background`` or on a
  ``separate_object``; else it is core (``utils.py``).
- ``SYNSET/image_names_map.csv`` has a column per feature of the class, and below it the names of its images;
  ``SYNSET/feature_NUMBER/IMAGE.JPEG`` is the mask of one, white where the feature is (``inspection_utils.py``).
- A mask has 224 x 224 pixels: it was computed on the image with its shorter side resized to 256 and then cropped to the
  central 224 (``ImageNetSubset`` in ``viz_utils.py``, ``SalientImageNet`` in ``inspection_utils.py``). So it covers the
  central square of 224/256 of the shorter side, and nothing is known of what lies outside.
"""

import csv
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from d3s.errors import BadInput, D3SError

if TYPE_CHECKING:
    from PIL import Image

SPURIOUS = frozenset({"background", "separate_object"})
"""Answers that speak against a feature."""
SPURIOUS_ANSWERS = 3
"""From so many of them on, it is spurious."""
COLUMNS = ("Input.wordnet_id", "Input.feature_index", "Answer.main")
COVERED = 224 / 256
"""Side of the square that a mask covers, as a share of the image's shorter side."""


def image_list(masks: Path, synset: str) -> Path:
    """The file that names the images with masks of a class."""
    return masks / synset / "image_names_map.csv"


@cache
def _spurious_answers(table: Path) -> dict[str, Counter[str]]:
    """How often each feature of each class was called spurious, by synset and feature."""
    found: dict[str, Counter[str]] = {}
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
            if missing:
                raise D3SError(
                    f"{table} has no column {missing[0]!r}",
                    "name Salient ImageNet's mturk_results/discover_spurious_features.csv under features:",
                )
            for row in rows:
                synset, feature, answer = (row[name] or "" for name in COLUMNS)
                found.setdefault(synset, Counter())[feature] += answer in SPURIOUS
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise D3SError(f"{table} can't be read ({error})", "correct its path, or fetch it again") from None
    return found


def core_features(table: Path, synset: str) -> list[str]:
    """The numbers of a class's core features, from the table of answers.

    Raises:
        BadInput: ``no_features`` or ``no_core_features``.
        D3SError: the table can't be read.
    """
    answers = _spurious_answers(table).get(synset)
    if answers is None:
        raise BadInput("no_features", f"{table} says nothing of {synset}; is it one of ImageNet's thousand classes?")
    core = sorted(
        (name for name, count in answers.items() if count < SPURIOUS_ANSWERS), key=lambda name: (len(name), name)
    )
    if not core:
        raise BadInput("no_core_features", f"all features of {synset} are spurious by {table}: it has no masks of use")
    return core


def list_masks(masks: Path, synset: str, features: Sequence[str]) -> dict[str, list[Path]]:
    """The masks of the features of a class, by the name of their image.

    Raises:
        BadInput: ``no_masks``: the class has none of these features.
    """
    file = image_list(masks, synset)
    found: dict[str, list[Path]] = {}
    try:
        with open(file, newline="", encoding="utf-8-sig") as text:
            for row in csv.DictReader(text):
                for feature in features:
                    name = (row.get(feature) or "").strip()
                    if name and Path(name).name == name and name != "..":
                        found.setdefault(name, []).append(masks / synset / f"feature_{feature}" / f"{name}.JPEG")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput("no_masks", f"{file} can't be read ({error}); fetch the masks of {synset}") from None
    if not found:
        raise BadInput("no_masks", f"{file} names no image with a core feature ({', '.join(features)})")
    return {name: sorted(files) for name, files in found.items()}


def merge_masks(files: Sequence[Path], size: tuple[int, int]) -> "Image.Image":
    """The maximum of an image's masks, as a mask of the whole image: zero outside of what they cover.

    Args:
        files: its masks.
        size: width and height of the image as it is stored.

    Raises:
        BadInput: what ``read_mask`` raises, and ``mask_size``: one is not square, or they are of different sizes.
    """
    from PIL import Image, ImageChops

    from d3s.imageio import read_mask

    merged = None
    for file in files:
        mask = read_mask(file)
        expected = merged.size if merged else (mask.width, mask.width)
        if mask.size != expected:
            raise BadInput(
                "mask_size",
                f"{file} is {mask.width} x {mask.height}, and {expected[0]} x {expected[1]} is right; fetch it again",
            )
        merged = ImageChops.lighter(merged, mask) if merged else mask
    side = max(1, round(COVERED * min(size)))
    whole = Image.new("L", size)
    if merged:
        corner = (round((size[0] - side) / 2), round((size[1] - side) / 2))
        whole.paste(merged.resize((side, side), Image.Resampling.BILINEAR), corner)
    return whole
