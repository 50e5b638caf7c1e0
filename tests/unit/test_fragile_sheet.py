"""Fragile sets as pictures: the right sets, the right signs, and no crash where pictures are missing."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from d3s.contact_sheet import MARK
from d3s.fragile_sheet import BLUE, HEADER, LEGEND, WIDTH, FragilePart, as_data, draw_fragile, read_parts, said
from d3s.imageio import encode_png
from d3s.shards import write_shard

JUDGES = ("lite1", "lite2")
GREY = (120, 121, 122)


def set_rows(
    rank: int, verdicts: dict[str, str], place: int = 1, shift: str = "background", dataset: str = "images"
) -> list[dict[str, object]]:
    """A set of the table; a verdict is, for each judge, y or n."""
    return [
        {"rank": rank, "dataset": dataset, "shift": shift, "class_id": rank, "class_name": f"water_bird{rank}"}
        | {"fragility": 1 / rank, "place": place, "matched_set": f"m{rank}.{place}", "exemplar": f"gull{rank}"}
        | {"flips": 3, "judges": " ".join(JUDGES), "background": background, "sample": f"{rank}-{place}-{background}"}
        | {"right": " ".join(name for name, answer in zip(JUDGES, verdict, strict=True) if answer == "y")}
        | {"wrong": " ".join(name for name, answer in zip(JUDGES, verdict, strict=True) if answer == "n")}
        | {"taken_for": " ".join("sea_lion" for answer in verdict if answer == "n")}
        for background, verdict in verdicts.items()
    ]


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """A shard with the pictures of the first set."""
    tar = tmp_path / "images/val/background/forest/0.tar"
    samples = [f"1-1-{background}" for background in ("forest", "grass", "water")]
    members = [(f"{sample}.png", encode_png(Image.new("RGB", (16, 16), GREY))) for sample in samples]
    write_shard(tar, pd.DataFrame({"sample": samples}), members)
    return tar


def manifest_of(table: pd.DataFrame) -> pd.DataFrame:
    shard = "results/images/val/background/forest/0.tar"
    return pd.DataFrame({"sample": table["sample"], "shard": shard, "member": table["sample"] + ".png"})


def parts_of(rows: list[dict[str, object]], tars: list[Path]) -> list[FragilePart]:
    table = pd.DataFrame(rows)
    return read_parts(table, manifest_of(table), tars)


def test_of_every_class_the_first_set_of_images_is_shown(shard: Path) -> None:
    verdicts = {"water": "yy", "forest": "nn", "grass": "yn"}
    rows = set_rows(2, verdicts) + set_rows(1, verdicts) + set_rows(1, verdicts, place=2)
    rows += set_rows(1, verdicts, dataset="guides")
    (part,) = parts_of(rows, [shard])
    assert [row.matched_set for row in part.rows] == ["m1.1", "m2.1"]
    assert part.backgrounds == ("forest", "grass", "water")
    assert [(cell.background, cell.right, cell.wrong) for cell in part.rows[0].cells] == [
        ("forest", (), JUDGES),
        ("grass", ("lite1",), ("lite2",)),
        ("water", JUDGES, ()),
    ]
    assert part.rows[0].cells[0].image is not None
    assert part.rows[1].cells[0].image is None


def test_frames_tell_who_recognised_what(shard: Path) -> None:
    parts = parts_of(set_rows(1, {"forest": "nn", "grass": "yn", "water": "yy"}), [shard])
    pixels = np.asarray(draw_fragile(parts))
    assert pixels.shape[1] == WIDTH
    row = pixels[LEGEND + HEADER + 60]
    colours = [tuple(int(part) for part in pixel) for pixel in row]
    runs = [colour for colour, before in zip(colours, [None, *colours], strict=False) if colour != before]
    assert [colour for colour in runs if colour in (BLUE, MARK)] == [MARK, MARK, BLUE, MARK, BLUE, BLUE]


def test_the_alternative_text_says_what_the_signs_say(shard: Path) -> None:
    (part,) = parts_of(set_rows(1, {"forest": "nn", "grass": "yn", "water": "yy"}), [shard])
    texts = [said(part.rows[0], cell) for cell in part.rows[0].cells]
    assert texts == [
        "water bird1 on forest: wrong by lite1 (sea lion), lite2 (sea lion)",
        "water bird1 on grass: right by lite1; wrong by lite2 (sea lion)",
        "water bird1 on water: right by lite1, lite2",
    ]
    data = as_data([part])["parts"]
    assert isinstance(data, list)
    assert [cell["alt"] for cell in data[0]["rows"][0]["cells"]] == texts
    assert [cell["mostly"] for cell in data[0]["rows"][0]["cells"]] == ["sea lion", "sea lion", ""]
    assert data[0]["rows"][0]["cells"][0]["image"].startswith("data:image/jpeg;base64,")


def test_each_shift_has_a_part(shard: Path) -> None:
    rows = set_rows(1, {"forest": "nn"}, shift="lighting") + set_rows(1, {"snow": "yn", "rain": "yy"}, shift="weather")
    parts = parts_of(rows, [shard])
    assert [(part.shift, part.backgrounds) for part in parts] == [
        ("lighting", ("forest",)),
        ("weather", ("rain", "snow")),
    ]
    assert draw_fragile(parts).height > draw_fragile(parts[:1]).height


def test_no_sets_are_said_in_words(tmp_path: Path) -> None:
    table = pd.DataFrame(set_rows(1, {"forest": "nn"})).head(0)
    parts = read_parts(table, pd.DataFrame(columns=["sample", "shard", "member"]), [])
    assert parts == []
    assert draw_fragile(parts).size == (WIDTH, 60)
    assert as_data(parts) == {"parts": []}


def test_long_names_and_ten_backgrounds_fit(shard: Path) -> None:
    rows = set_rows(1, {f"an unusually long background {number}": "yn" for number in range(10)})
    rows = [row | {"class_name": "a_very_long_name_of_a_class_indeed", "exemplar": "x" * 60} for row in rows]
    assert draw_fragile(parts_of(rows, [shard])).width == WIDTH


def test_as_many_classes_as_wanted(shard: Path) -> None:
    table = pd.DataFrame([row for rank in range(1, 13) for row in set_rows(rank, {"forest": "nn", "grass": "yy"})])
    (part,) = read_parts(table, manifest_of(table), [shard], most_classes=10)
    assert len(part.rows) == 10
