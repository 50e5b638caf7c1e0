"""The contact sheet: which set is shown, and that each image stands beside its own guide."""

import base64
import io
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from d3s.contact_sheet import as_data, choose_rows, draw_sheet, read_cells, write_sheet
from d3s.imageio import encode_png
from d3s.shards import write_tar

BACKGROUNDS = ("grass", "night")
COLOURS = {"grass": (0, 200, 0), "night": (0, 0, 80)}


def manifest(**changes: object) -> pd.DataFrame:
    """Two classes x two backgrounds x two sets; ``changes`` by sample set its status."""
    rows = []
    for class_id in (0, 1):
        for index in (0, 1):
            for background in BACKGROUNDS:
                sample = f"{background}_{class_id}_{index}"
                status = str(changes.get(sample, "ok"))
                rows.append(
                    {"sample": sample, "split": "val", "class_id": class_id, "class_name": f"class_{class_id}"}
                    | {"background": background, "index": index, "matched_set": f"set-{class_id}-{index}"}
                    | {"shard": f"results/images/val/background/{background}/0.tar"}
                    | {"member": None if status == "missing" else f"{sample}.png", "status": status, "reason": ""}
                    | {"accepted": status == "ok"}
                )
    table = pd.DataFrame(rows)
    return table.assign(set_complete=table.groupby("matched_set")["accepted"].transform("all"))


@pytest.fixture
def shards(tmp_path: Path) -> dict[str, list[Path]]:
    tars: dict[str, list[Path]] = {"images": [], "guides": []}
    for stage, level in (("images", 255), ("guides", 0)):
        for background in BACKGROUNDS:
            tar = tmp_path / stage / "val" / "background" / background / "0.tar"
            picture = encode_png(Image.new("RGB", (16, 16), (level, *COLOURS[background][1:])))
            names = manifest().query("background == @background")["sample"]
            write_tar(tar, [(f"{name}.png", picture) for name in names])
            tars[stage].append(tar)
    return tars


def shown(rows: pd.DataFrame) -> dict[int, set[str]]:
    return {number: set(part["matched_set"]) for number, part in rows.groupby("class_id")}


def test_the_first_complete_set_is_shown() -> None:
    assert shown(choose_rows(manifest())) == {0: {"set-0-0"}, 1: {"set-1-0"}}
    assert shown(choose_rows(manifest(grass_0_0="blank"))) == {0: {"set-0-1"}, 1: {"set-1-0"}}


def test_without_a_complete_set_rejected_images_are_shown() -> None:
    rows = choose_rows(manifest(grass_0_0="blank", night_0_1="blank"))
    assert shown(rows)[0] == {"set-0-0"}
    assert rows.loc[rows["sample"] == "grass_0_0", "accepted"].tolist() == [False]


def test_an_image_stands_in_where_the_set_lacks_a_background() -> None:
    table = manifest().query("sample != 'night_0_0' and sample != 'grass_0_1'")
    rows = choose_rows(table).query("class_id == 0").set_index("background")
    assert rows["sample"].to_dict() == {"grass": "grass_0_0", "night": "night_0_1"}
    assert rows["in_set"].to_dict() == {"grass": True, "night": False}


def test_class_zero_and_the_limit_are_respected() -> None:
    assert set(choose_rows(manifest(), most_classes=1)["class_id"]) == {0}


def test_images_stand_beside_their_guides(shards: dict[str, list[Path]]) -> None:
    cells = read_cells(choose_rows(manifest()), shards["images"], shards["guides"])
    assert len(cells) == 4
    for cell in cells:
        assert cell.image is not None
        assert cell.guide is not None
        green_blue = COLOURS[cell.background][1:]
        assert cell.image.getpixel((0, 0)) == (255, *green_blue)
        assert cell.guide.getpixel((0, 0)) == (0, *green_blue)


def test_a_missing_picture_is_nothing(shards: dict[str, list[Path]]) -> None:
    cells = read_cells(choose_rows(manifest()), shards["images"][:1], [])
    assert all(cell.guide is None for cell in cells)
    assert {cell.background for cell in cells if cell.image is None} == {"night"}
    draw_sheet(cells)


def test_the_sheet_and_its_data_have_equal_bytes(shards: dict[str, list[Path]], tmp_path: Path) -> None:
    cells = read_cells(choose_rows(manifest(grass_0_0="blank", night_0_1="blank")), **shards)
    for name in ("a.png", "b.png", "a.jpg", "b.jpg"):
        write_sheet(tmp_path / name, draw_sheet(cells, tile=20))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes()
    data = as_data(cells, classes=2, thumbnail=8)
    assert data == as_data(cells, classes=2, thumbnail=8)
    assert data["backgrounds"] == ["grass", "night"]
    first = data["cells"][0]["image"]  # type: ignore[index]
    kind, _, text = first.partition(",")
    assert kind == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(text))).size == (8, 8)


def test_an_empty_manifest_gives_an_empty_sheet() -> None:
    rows = choose_rows(manifest().head(0))
    assert read_cells(rows, [], []) == []
    assert draw_sheet([]).size[0] > 0
