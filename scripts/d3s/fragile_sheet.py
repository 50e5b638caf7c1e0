"""Fragile sets as pictures: one matched set of each class that breaks most easily, with what every judge said of it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image, ImageDraw

from d3s.contact_sheet import GAP, INK, MARK, MUTED, PAPER, data_uri, font_of, read_picture, shard_key, write_label
from d3s.result_tables import texts

WIDTH, LABEL_WIDTH, HEADER, STRIP, ANSWER, LEGEND = 1000, 168, 26, 24, 16, 48
"""Pixels: the sheet, its column of names, a row of background names, the signs below a picture, the wrong answer below
them, the key on top."""
MOST_TILE = 150
BLUE = (0, 114, 178)
RIGHT, WRONG = "\u2713", "\u2717"
MOST_SIGNS = 6
"""Judges that have a sign each; of more, their number is written."""
SET_COLUMNS = (
    *("rank", "dataset", "shift", "class_id", "class_name", "fragility", "place", "matched_set", "exemplar"),
    *("judges", "background", "sample", "right", "wrong", "taken_for"),
)


@dataclass(frozen=True)
class FragileCell:
    """One picture of a set: its background and sample, the judges that are right and wrong, and the picture.

    Attributes:
        taken_for: the class that each of the wrong judges chose, in their order.
    """

    background: str
    sample: str
    right: tuple[str, ...]
    wrong: tuple[str, ...]
    taken_for: tuple[str, ...]
    image: Image.Image | None


@dataclass(frozen=True)
class FragileRow:
    """One matched set: its class, the share of the class's sets that flip, its exemplar and its pictures."""

    class_name: str
    fragility: float
    exemplar: str
    matched_set: str
    cells: tuple[FragileCell, ...]


@dataclass(frozen=True)
class FragilePart:
    """The sets of one shift, most fragile class first, with the names of the columns and the judges."""

    shift: str
    backgrounds: tuple[str, ...]
    judges: tuple[str, ...]
    rows: tuple[FragileRow, ...]


def read_parts(
    table: pd.DataFrame, manifest: pd.DataFrame, images: Iterable[str | Path], most_classes: int = 10
) -> list[FragilePart]:
    """Choose the sets, and fetch their pictures.

    Args:
        table: ``fragile_sets.csv``; of every class its first set is shown, the one with the most flips.
        manifest: tells the shard and member of a sample.
        images: tars of generated images; only those in need are opened.
        most_classes: classes to show for each shift.
    """
    tars = {shard_key(tar): Path(tar) for tar in images}
    places = manifest.drop_duplicates("sample").set_index("sample")[["shard", "member"]].to_dict("index")
    table = table[(table["dataset"] == "images") & (table["place"] == 1)]
    table = texts(table, "shift", "exemplar", "right", "wrong", "taken_for")

    def picture(sample: str) -> Image.Image | None:
        where = places.get(sample, {})
        shard, member = where.get("shard"), where.get("member")
        return read_picture(tars, shard, member) if isinstance(shard, str) and isinstance(member, str) else None

    parts = []
    for shift, own in table.groupby("shift", sort=True):
        rows = []
        for rank in sorted(set(own["rank"]))[:most_classes]:
            shown = own[own["rank"] == rank].sort_values("background")
            first = shown.iloc[0]
            cells = tuple(
                FragileCell(
                    background=str(row["background"]),
                    sample=str(row["sample"]),
                    right=tuple(row["right"].split()),
                    wrong=tuple(row["wrong"].split()),
                    taken_for=tuple(name.replace("_", " ") for name in row["taken_for"].split()),
                    image=picture(str(row["sample"])),
                )
                for row in shown.to_dict("records")
            )
            name = str(first["class_name"]).replace("_", " ")
            rows.append(
                FragileRow(name, float(first["fragility"]), first["exemplar"], str(first["matched_set"]), cells)
            )
        backgrounds = tuple(sorted({cell.background for row in rows for cell in row.cells}))
        parts.append(FragilePart(str(shift), backgrounds, tuple(str(own["judges"].iloc[0]).split()), tuple(rows)))
    return parts


def said(row: FragileRow, cell: FragileCell) -> str:
    """What a picture shows, and who recognised it, in words: its alternative text."""
    wrong = [f"{judge} ({answer})" for judge, answer in zip(cell.wrong, cell.taken_for, strict=True)]
    parts = [f"{word} by {', '.join(names)}" for word, names in (("right", cell.right), ("wrong", wrong)) if names]
    return f"{row.class_name} on {cell.background.replace('_', ' ')}: {'; '.join(parts) or 'not judged'}"


def taken_mostly(cell: FragileCell) -> str:
    """The class that most of the wrong judges chose, the first by name of equal ones; empty where all are right."""
    counts = Counter(cell.taken_for)
    return min(counts, key=lambda name: (-counts[name], name), default="")


def as_data(parts: Sequence[FragilePart], thumbnail: int = 128) -> dict[str, object]:
    """The sheet for the HTML page: JSON-like, with every picture as a JPEG data URI and its alternative text."""
    return {
        "parts": [
            {
                "shift": part.shift,
                "backgrounds": list(part.backgrounds),
                "judges": list(part.judges),
                "rows": [
                    {
                        "class_name": row.class_name,
                        "fragility": row.fragility,
                        "exemplar": row.exemplar,
                        "matched_set": row.matched_set,
                        "cells": [
                            {
                                "background": cell.background,
                                "sample": cell.sample,
                                "right": list(cell.right),
                                "wrong": list(cell.wrong),
                                "taken_for": dict(zip(cell.wrong, cell.taken_for, strict=True)),
                                "mostly": taken_mostly(cell),
                                "alt": said(row, cell),
                                "image": data_uri(cell.image, thumbnail),
                            }
                            for cell in row.cells
                        ],
                    }
                    for row in part.rows
                ],
            }
            for part in parts
        ]
    }


def draw_fragile(parts: Sequence[FragilePart]) -> Image.Image:
    """The sheet as one picture, ``WIDTH`` pixels wide: a row per set, a column per background, signs below pictures.

    A picture that every judge recognises has a blue frame, one that none does an orange frame, one on which they differ
    a frame of both; the tick or cross of every judge stands below it, so that colours need not be told apart, and below
    these what most of the wrong ones took it for.
    """
    parts = [part for part in parts if part.rows]
    if not parts:
        sheet = Image.new("RGB", (WIDTH, 60), PAPER)
        ImageDraw.Draw(sheet).text((WIDTH // 2, 30), "no matched set flips", MUTED, font=font_of(14), anchor="mm")
        return sheet
    tiles = [min(MOST_TILE, (WIDTH - LABEL_WIDTH - GAP) // len(part.backgrounds) - GAP) for part in parts]
    below = STRIP + ANSWER + GAP
    heights = [LEGEND + HEADER + len(part.rows) * (tile + below) for part, tile in zip(parts, tiles, strict=True)]
    sheet = Image.new("RGB", (WIDTH, sum(heights) + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    top = 0
    for part, tile, height in zip(parts, tiles, heights, strict=True):
        _legend(draw, part, top, named=len(parts) > 1)
        for column, background in enumerate(part.backgrounds):
            centre = LABEL_WIDTH + column * (tile + GAP) + tile // 2
            write_label(draw, (centre, top + LEGEND + HEADER // 2), background.replace("_", " "), tile, "mm")
        for place, row in enumerate(part.rows):
            _draw_row(sheet, draw, part, row, tile, top + LEGEND + HEADER + place * (tile + below))
        top += height
    return sheet


def _legend(draw: ImageDraw.ImageDraw, part: FragilePart, top: int, named: bool) -> None:
    """What colours and signs mean, and whose they are."""
    x, y = GAP, top + 15
    for colour, text in ((BLUE, f"{RIGHT} recognised"), (MARK, f"{WRONG} taken for the class below")):
        draw.rectangle((x, y - 7, x + 13, y + 6), outline=colour, width=3)
        draw.text((x + 20, y), text, INK, font=font_of(13), anchor="lm")
        x += 40 + round(draw.textlength(text, font=font_of(13)))
    if named:
        draw.text((WIDTH - GAP, y), part.shift, MUTED, font=font_of(13), anchor="rm")
    names = ", ".join(part.judges)
    line = f"by {names}" if len(part.judges) == 1 else f"signs from left to right: {names}"
    if len(part.judges) > MOST_SIGNS:
        line = f"number of judges that recognise it, of {len(part.judges)}: {names}"
    while len(line) > 8 and draw.textlength(line, font=font_of(12)) > WIDTH - 2 * GAP:
        line = line[:-2] + "\u2026"
    draw.text((GAP, y + 21), line, MUTED, font=font_of(12), anchor="lm")


def _draw_row(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, part: FragilePart, row: FragileRow, tile: int, top: int
) -> None:
    middle = top + tile // 2
    write_label(draw, (GAP, middle - 22), row.class_name, LABEL_WIDTH - 2 * GAP, "lm")
    write_label(draw, (GAP, middle + 12), row.exemplar, LABEL_WIDTH - 2 * GAP, "lm", MUTED, 12)
    text = f"{100 * row.fragility:.0f} % of sets flip"
    draw.text((GAP, middle + 36), text, MUTED, font=font_of(12), anchor="lm")
    for cell in row.cells:
        left = LABEL_WIDTH + part.backgrounds.index(cell.background) * (tile + GAP)
        box = (left, top, left + tile - 1, top + tile - 1)
        if cell.image is None:
            draw.rectangle(box, outline=MUTED)
            draw.text((left + tile // 2, middle), "no picture", MUTED, font=font_of(12), anchor="mm")
        else:
            sheet.paste(cell.image.resize((tile, tile), Image.Resampling.LANCZOS), (left, top))
        draw.rectangle(box, outline=MARK if cell.wrong else BLUE, width=4)
        if cell.right and cell.wrong:
            right, bottom, thick = left + tile // 2, top + tile - 1, 3
            for side in (
                (left, top, right, top + thick),
                (left, top, left + thick, bottom),
                (left, bottom - thick, right, bottom),
            ):
                draw.rectangle(side, fill=BLUE)
        _signs(draw, part.judges, cell, left, top + tile + STRIP // 2, tile)
        write_label(
            draw, (left + tile // 2, top + tile + STRIP + ANSWER // 2), taken_mostly(cell), tile, "mm", MARK, 12
        )


def _signs(
    draw: ImageDraw.ImageDraw, judges: Sequence[str], cell: FragileCell, left: int, middle: int, tile: int
) -> None:
    """The verdict of each judge below a picture, or how many recognise it."""
    if len(judges) > MOST_SIGNS or 22 * len(judges) > tile:
        colour = MARK if cell.wrong else BLUE
        text = f"{len(cell.right)} of {len(cell.right) + len(cell.wrong)} {RIGHT}"
        draw.text((left + tile // 2, middle), text, colour, font=font_of(13), anchor="mm")
        return
    start = left + tile // 2 - 11 * (len(judges) - 1)
    for place, name in enumerate(judges):
        x = start + 22 * place
        good = name in cell.right
        if good:
            draw.ellipse((x - 9, middle - 9, x + 9, middle + 9), fill=BLUE)
        else:
            draw.rectangle((x - 8, middle - 8, x + 8, middle + 8), fill=MARK)
        draw.text((x, middle), RIGHT if good else WRONG, PAPER, font=font_of(13), anchor="mm")
