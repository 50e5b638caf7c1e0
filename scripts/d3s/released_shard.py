"""Shards made from the released data set: its pictures as guides and images, with what is known of them and no more."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from d3s import cli
from d3s.errors import BadInput
from d3s.guides import ShardPlan, sample_name
from d3s.identity import digest
from d3s.imageio import encode_png, image_digest, read_image
from d3s.released import Record
from d3s.tables import Row, parse_indices

MARGIN = 2
"""Pixels around and between guide and image in one picture; some copies have none."""
MOST_PICTURES = 3_400
"""Of a shard: at 512 pixels, with their guides, they take about 3 GB of memory."""
MODE = "released"
"""Stands where images that are generated have what the model was given."""
NO_RECORD = "no_record"
"""The status of a class that the data set has no image of, on this background: nobody's mistake."""

UNKNOWN = {
    "exemplar": "str",
    "exemplar_digest": "str",
    "split_group": "str",
    "template": "str",
    "template_digest": "str",
    "template_group": "str",
    "negative_prompt": "str",
    "prompt_tokens": "Int64",
    "prompt_trimmed": "boolean",
    "seed": "Int64",
    "scale": "float64",
    "flip": "boolean",
    "x": "float64",
    "y": "float64",
    "mask_digest": "str",
}
"""Columns of guides that the records can't fill, and their types."""
UNKNOWN_OF_IMAGES = {
    "model": "str",
    "model_digest": "str",
    "generation_version": "Int64",
    "scheduler": "str",
    "steps": "Int64",
    "guidance": "float64",
    "dtype": "str",
    "options": "str",
    "strength": "float64",
    "safety": "str",
}
"""The same of images."""


@dataclass(frozen=True)
class Shard:
    """The two shards that an import gives: manifests, and the members of their tars."""

    guides: pd.DataFrame
    guide_members: list[tuple[str, bytes]]
    images: pd.DataFrame
    image_members: list[tuple[str, bytes]]


def choose_records(records: Iterable[Record], classes: list[Row]) -> dict[int, list[Record]]:
    """Records by the class that they are of; a class without any has an empty list."""
    owner = {index: int(row["class_id"]) for row in classes for index in parse_indices(row["imagenet_indices"])}
    chosen: dict[int, list[Record]] = {int(row["class_id"]): [] for row in classes}
    for record in records:
        if record.index in owner:
            chosen[owner[record.index]].append(record)
    return chosen


def split_picture(picture: Image.Image, size: int) -> tuple[Image.Image | None, Image.Image]:
    """The guide, if there is one, and the image: which of the two a picture holds is told by its sides.

    Args:
        picture: an image alone, or the guide with the image to its right.
        size: side of either in pixels.

    Raises:
        BadInput: ``wrong_size``.
    """
    for margin in (0, MARGIN):
        if picture.size == (2 * size + 3 * margin, size + 2 * margin):
            left, right = (
                picture.crop((start, margin, start + size, margin + size)) for start in (margin, size + 2 * margin)
            )
            return left, right
    if picture.size != (size, size):
        raise BadInput(
            "wrong_size",
            f"it is {picture.width} x {picture.height}, where an image of {size} pixels stands alone, or to the right "
            f"of its guide in {2 * size} x {size} or {2 * size + 3 * MARGIN} x {size + 2 * MARGIN}",
        )
    return None, picture


def read_picture(folder: Path, record: Record, size: int) -> tuple[Image.Image | None, Image.Image]:
    """The guide, if there is one, and the image of a record.

    Args:
        folder: of the split, which no record may lead out of.
        record: of the picture.
        size: side of either in pixels.

    Raises:
        BadInput: ``contradicted``, ``outside``, ``wrong_size``, or as ``read_image``.
    """
    if record.contradicted:
        raise BadInput("contradicted", f"records say different things of {record.file}")
    try:
        path = (folder / record.file).resolve()
        inside, there = path.is_relative_to(folder.resolve()), path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # too long, with a zero byte in it, or running in circles
        raise BadInput("missing", f"{record.file!r} can't be a file ({error})") from None
    if not inside:
        raise BadInput("outside", f"{record.file} leads out of {folder}")
    if not there:
        raise BadInput("missing", f"{record.file} does not exist")
    return split_picture(read_image(path).convert("RGB"), size)


def import_shard(
    plan: ShardPlan, classes: list[Row], chosen: dict[int, list[Record]], folder: Path, size: int
) -> Shard:
    """Read the pictures of a shard.

    Args:
        plan: what the shard holds.
        classes: rows of the classes of its chunk.
        chosen: from ``choose_records``.
        folder: of the split.
        size: side of guides and images in pixels.

    Returns:
        Manifests with the columns of ``compose_guides`` and ``generate_images``, empty where the records are silent,
        and a column ``released_file``; one row per record, usable or not, and one for a class without any.
    """
    cells: list[tuple[Row, int, Record | None]] = []
    for row in classes:
        own: list[Record | None] = [*chosen[int(row["class_id"])]]
        cells += [(row, index, record) for index, record in enumerate(own or [None])]
    rows, guides, images = [], [], []
    for row, index, record in cli.progress(cells, len(cells), "images", f"{plan.split}/{plan.background}"):
        known = _describe(plan, row, index, record)
        rows.append(known)
        try:
            if record is None:
                raise BadInput(NO_RECORD, f"no record of {plan.split} is of {row['name']} and {plan.background}")
            guide, image = read_picture(folder, record, size)
        except BadInput as bad:
            known |= {"status": bad.status, "reason": bad.reason}
            continue
        member, pixels = f"{known['sample']}.png", image_digest(image)
        known |= {"member": member, "image_digest": pixels, "recipe": digest("released", pixels)}
        images.append((member, encode_png(image)))
        if guide is not None:
            known |= {"guide_member": member, "guide_digest": image_digest(guide)}
            guides.append((member, encode_png(guide)))
    table = _with_unknown(pd.DataFrame(rows).assign(size=size), UNKNOWN)
    return Shard(_guides_of(table), guides, _with_unknown(table.assign(mode=MODE), UNKNOWN_OF_IMAGES), images)


def _describe(plan: ShardPlan, row: Row, index: int, record: Record | None) -> dict[str, Any]:
    """What is known of a sample before its picture is read.

    Which samples share an exemplar nobody knows, so each one is a matched set of its own. The recipe, which tells
    whether people voted on these very pixels, is theirs alone.
    """
    sample = sample_name(plan, int(row["class_id"]), index)
    return {
        "sample": sample,
        "split": plan.split,
        "shift": plan.shift,
        "class_id": int(row["class_id"]),
        "class_name": row["name"],
        "background": plan.background,
        "index": index,
        "matched_set": sample,
        "prompt": record.prompt if record else "",
        "revision": plan.revision,
        "released_file": record.file if record else "",
        "guide_digest": "",
        "guide_member": "",
        "image_digest": "",
        "member": "",
        "recipe": "",
        "status": "ok",
        "reason": "",
    }


def _with_unknown(table: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """The table with columns of which nothing is known: empty texts, missing numbers."""
    return table.assign(
        **{
            name: pd.Series(["" if dtype == "str" else None] * len(table), table.index, dtype=dtype)
            for name, dtype in columns.items()
        }
    )


def _guides_of(table: pd.DataFrame) -> pd.DataFrame:
    """The manifest of the guides: an image whose picture shows no guide has a row there that says so."""
    alone = (table["status"] == "ok") & (table["guide_member"] == "")
    guides = table.drop(columns=["member", "image_digest", "recipe"]).rename(columns={"guide_member": "member"})
    guides.loc[alone, ["status", "reason"]] = ["no_guide", "the picture shows the image without its guide"]
    return guides
