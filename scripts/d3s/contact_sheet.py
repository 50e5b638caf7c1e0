"""The contact sheet: one matched set per class across all backgrounds, each image beside the guide it was made from."""

import base64
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from d3s.errors import BadInput
from d3s.imageio import decode_png, encode_png
from d3s.shards import TarReader, whole_file

LABEL_WIDTH, HEADER, GAP, SEAM = 118, 44, 10, 2
"""Pixels: column of class names, row of background names, space between cells, space between guide and image."""
PAPER, INK, MUTED, MARK = (255, 255, 255), (29, 33, 37), (103, 112, 122), (213, 94, 0)


@dataclass(frozen=True)
class Cell:
    """One image of the sheet with its guide.

    Attributes:
        class_id, class_name, background: where it stands.
        sample: its name in the manifest.
        status, reason: as in the manifest.
        accepted: kept by the screens.
        in_set: of the matched set that the class's row shows; else it stands in for one that is missing.
        image, guide: ``RGB``, or nothing where no picture was made.
    """

    class_id: int
    class_name: str
    background: str
    sample: str
    status: str
    reason: str
    accepted: bool
    in_set: bool
    image: Image.Image | None
    guide: Image.Image | None


def choose_rows(manifest: pd.DataFrame, split: str = "val", most_classes: int = 12) -> pd.DataFrame:
    """Choose the rows to show: of each class its first matched set, complete ones before others.

    First means the lowest index: nothing is chosen by its looks. Sets rank by whether all their images were accepted,
    then by the number of accepted, then of made images. Where the set lacks a background (a background of a raised
    revision forms sets of its own), the class's first image there stands in, accepted ones before others.

    Returns:
        One row per class and background, sorted so, with a column ``in_set``; the first ``most_classes`` classes.
    """
    rows = manifest[manifest["split"] == split].copy()
    rows["made"] = rows["member"].notna() & (rows["member"].astype(str) != "")
    rows["accepted"] = rows["accepted"].fillna(False).astype(bool)
    rows["set_complete"] = rows["set_complete"].fillna(False).astype(bool) if "set_complete" in rows else False
    chosen = []
    for class_id in sorted(set(rows["class_id"]))[:most_classes]:
        own = rows[rows["class_id"] == class_id].sort_values(["index", "sample"], kind="stable")
        sets = own.groupby("matched_set").agg(
            backgrounds=("background", "nunique"),
            complete=("set_complete", "all"),
            accepted=("accepted", "sum"),
            made=("made", "sum"),
            index=("index", "min"),
        )
        # A complete set of few backgrounds (all of them of one revision) must not beat one that spans the row.
        sets["name"] = sets.index.astype(str)
        ranked = sets.sort_values(
            ["backgrounds", "complete", "accepted", "made", "index", "name"], ascending=[False] * 4 + [True] * 2
        )
        best = own["matched_set"] == ranked.index[0]
        own = own.assign(in_set=best).sort_values(
            ["in_set", "accepted", "made", "index", "sample"],
            ascending=[False, False, False, True, True],
            kind="stable",
        )
        chosen.append(own.drop_duplicates("background").sort_values("background"))
    return pd.concat(chosen, ignore_index=True) if chosen else rows.assign(in_set=False).head(0)


def shard_key(tar: str | Path) -> str:
    """What names a shard, whichever stage made it: ``split/shift/background/chunk``."""
    return "/".join(Path(tar).with_suffix("").parts[-4:])


def read_picture(tars: Mapping[str, Path], shard: str, member: str) -> Image.Image | None:
    """A picture of a shard, or nothing where it has none."""
    path = tars.get(shard_key(shard))
    if path is None:
        return None
    with TarReader(path) as reader:
        if member not in reader:
            return None
        try:
            return decode_png(reader.read(member)).convert("RGB")
        except BadInput:
            return None


def read_cells(rows: pd.DataFrame, images: Iterable[str | Path], guides: Iterable[str | Path]) -> list[Cell]:
    """Fetch the pictures of the chosen rows out of the image and guide shards; only shards in need are opened."""
    image_tars = {shard_key(tar): Path(tar) for tar in images}
    guide_tars = {shard_key(tar): Path(tar) for tar in guides}
    cells = []
    for row in rows.to_dict("records"):
        shard = str(row["shard"])
        member = f"{row['sample']}.png"
        own = row["member"] if isinstance(row["member"], str) and row["member"] else member
        cells.append(
            Cell(
                class_id=int(row["class_id"]),
                class_name=str(row["class_name"]),
                background=str(row["background"]),
                sample=str(row["sample"]),
                status=str(row["status"]),
                reason=row["reason"] if isinstance(row.get("reason"), str) else "",
                accepted=bool(row["accepted"]),
                in_set=bool(row["in_set"]),
                image=read_picture(image_tars, shard, own),
                guide=read_picture(guide_tars, shard, member),
            )
        )
    return cells


def as_data(cells: list[Cell], classes: int, thumbnail: int = 128) -> dict[str, object]:
    """The sheet for the HTML page: JSON-like, with every picture as a JPEG data URI.

    Args:
        cells: what to show.
        classes: how many classes the manifest has; the sheet may show fewer.
        thumbnail: side of a picture in pixels.
    """
    return {
        "classes": [
            {"id": number, "name": name} for number, name in sorted({(c.class_id, c.class_name) for c in cells})
        ],
        "classes_in_all": classes,
        "backgrounds": sorted({cell.background for cell in cells}),
        "cells": [
            {
                "class_id": cell.class_id,
                "background": cell.background,
                "sample": cell.sample,
                "status": cell.status,
                "reason": cell.reason,
                "accepted": cell.accepted,
                "in_set": cell.in_set,
                "image": data_uri(cell.image, thumbnail),
                "guide": data_uri(cell.guide, thumbnail),
            }
            for cell in cells
        ],
    }


def data_uri(image: Image.Image | None, side: int) -> str | None:
    """A picture as a JPEG in a ``data:`` address, at most ``side`` pixels a side."""
    if image is None:
        return None
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=86)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def draw_sheet(cells: list[Cell], tile: int = 104) -> Image.Image:
    """The sheet as one picture: a row per class, a column per background, ``tile`` pixels a side for each picture."""
    classes = sorted({(cell.class_id, cell.class_name) for cell in cells})
    backgrounds = sorted({cell.background for cell in cells})
    width = 2 * tile + SEAM
    size = (LABEL_WIDTH + len(backgrounds) * (width + GAP) + GAP, HEADER + len(classes) * (tile + GAP) + GAP)
    sheet = Image.new("RGB", size if cells else (480, 60), PAPER)
    draw = ImageDraw.Draw(sheet)
    if not cells:
        draw.text((240, 30), "the manifest has no images to show", MUTED, font=font_of(14), anchor="mm")
        return sheet
    for column, background in enumerate(backgrounds):
        centre = LABEL_WIDTH + column * (width + GAP) + width // 2
        write_label(draw, (centre, 15), background, width, "mm")
        draw.text((centre, 33), "guide | generated", MUTED, font=font_of(10), anchor="mm")
    for row, (_, name) in enumerate(classes):
        write_label(
            draw, (GAP, HEADER + row * (tile + GAP) + tile // 2), name.replace("_", " "), LABEL_WIDTH - 2 * GAP, "lm"
        )
    where = {number: row for row, (number, _) in enumerate(classes)}
    for cell in cells:
        left = LABEL_WIDTH + backgrounds.index(cell.background) * (width + GAP)
        top = HEADER + where[cell.class_id] * (tile + GAP)
        for place, picture in enumerate((cell.guide, cell.image)):
            x = left + place * (tile + SEAM)
            if picture is None:
                draw.rectangle((x, top, x + tile - 1, top + tile - 1), outline=MUTED)
                draw.text((x + tile // 2, top + tile // 2), "none", MUTED, font=font_of(12), anchor="mm")
            else:
                sheet.paste(picture.resize((tile, tile), Image.Resampling.LANCZOS), (x, top))
        if not cell.accepted and cell.image is not None:
            x = left + tile + SEAM
            draw.rectangle((x, top, x + tile - 1, top + tile - 1), outline=MARK, width=3)
    return sheet


def font_of(size: int) -> ImageFont.FreeTypeFont:
    """The letters of all sheets."""
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def write_label(
    draw: ImageDraw.ImageDraw,
    at: tuple[int, int],
    text: str,
    room: int,
    anchor: str,
    colour: tuple[int, int, int] = INK,
    size: int = 14,
) -> None:
    """Write a label, smaller or cut short where it would not fit; two lines where there is a blank to break at."""
    font = font_of(size)
    lines = [text]
    if draw.textlength(text, font=font) > room and " " in text:
        first, _, rest = text.partition(" ")
        lines = [first, rest]
    while font.size > 10 and any(draw.textlength(line, font=font) > room for line in lines):
        font = font_of(int(font.size) - 1)
    for number, line in enumerate(lines):
        while len(line) > 2 and draw.textlength(line, font=font) > room:
            line = line[:-2] + "…"
        y = at[1] + round((number - (len(lines) - 1) / 2) * 17)
        draw.text((at[0], y), line, colour, font=font, anchor=anchor)


def write_sheet(path: str | Path, sheet: Image.Image) -> None:
    """Write the sheet as PNG or JPEG by its ending."""
    with whole_file(path) as temporary:
        if Path(path).suffix.lower() in (".jpg", ".jpeg"):
            sheet.save(temporary, "JPEG", quality=88)
        else:
            temporary.write_bytes(encode_png(sheet))
