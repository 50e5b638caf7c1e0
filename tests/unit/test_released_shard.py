"""Shards made from the released data set: pixels as they are, and nothing said that is not known."""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import import_released as script
from d3s.errors import BadInput, D3SError
from d3s.guides import ShardPlan
from d3s.imageio import decode_png, image_digest
from d3s.released import Record, read_records
from d3s.released_shard import NO_RECORD, Shard, choose_records, import_shard, read_picture, split_picture
from d3s.shards import TarReader
from released import CLASSES, SIZE, beside, draw_pair, make_released, make_released_project

ROWS = [
    {"class_id": "7", "name": "balls", "imagenet_indices": "430 522"},
    {"class_id": "8", "name": "box", "imagenet_indices": "478"},
]
PLAN = ShardPlan("val", "background", "grass", "on grass", "grass", 2, count=0, seed=0)


def file(name: str, contradicted: bool = False) -> Record:
    return Record(name, "background", "grass", 430, contradicted=contradicted)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_released(tmp_path)
    return tmp_path / "val"


def grass(folder: Path) -> list[Record]:
    return [found for found in read_records(folder / "metadata.json").placed if found.label == "grass"]


def import_all(folder: Path, rows: list[dict[str, str]] = ROWS) -> Shard:
    return import_shard(PLAN, rows, choose_records(grass(folder), rows), folder, SIZE)


@pytest.mark.parametrize("margin", [0, 2])
def test_the_guide_stands_to_the_left_of_the_image(margin: int) -> None:
    guide, image = draw_pair(430, "grass", 1)
    left, right = split_picture(beside(guide, image, margin), SIZE)
    assert left is not None
    assert np.array_equal(np.asarray(left), np.asarray(guide))
    assert np.array_equal(np.asarray(right), np.asarray(image))


def test_the_published_size_is_read() -> None:
    """Two pictures of 512 pixels with margins of two."""
    guide, image = split_picture(Image.new("RGB", (1030, 516)), 512)
    assert guide is not None
    assert guide.size == image.size == (512, 512)


def test_a_square_picture_is_an_image_without_a_guide() -> None:
    image = draw_pair(430, "grass", 1)[1]
    assert split_picture(image, SIZE) == (None, image)


def test_another_size_is_refused_with_those_that_are_right() -> None:
    with pytest.raises(BadInput, match="64 x 32 or 70 x 36"):
        split_picture(Image.new("RGB", (65, 32)), SIZE)


def test_pixels_are_the_ones_of_the_pictures(folder: Path) -> None:
    shard = import_all(folder)
    images, guides = dict(shard.image_members), dict(shard.guide_members)
    assert len(images) == 8
    assert len(guides) == 6  # the last picture of each class shows none
    for row in shard.images.to_dict("records"):
        number = int(Path(row["released_file"]).stem) + 50
        guide, image = draw_pair({7: 430, 8: 478}[row["class_id"]], "grass", number)
        assert image_digest(decode_png(images[row["member"]])) == row["image_digest"] == image_digest(image)
        if row["guide_member"]:
            assert image_digest(decode_png(guides[row["guide_member"]])) == row["guide_digest"] == image_digest(guide)


def test_a_sample_is_a_matched_set_of_its_own_and_what_is_not_known_is_empty(folder: Path) -> None:
    images = import_all(folder).images
    assert images["sample"].is_unique
    assert images["matched_set"].is_unique
    assert images["sample"].iloc[1] == "val-background-grass-00007-00001"
    assert set(images["revision"]) == {2}
    for name in ("exemplar", "split_group", "template", "template_group", "model", "scheduler"):
        assert set(images[name]) == {""}
    assert images[["seed", "steps", "strength", "scale", "flip"]].isna().all(axis=None)
    assert images["prompt"].iloc[0] == f"a photo of a {CLASSES[430][1]}, on grass"


def test_equal_pixels_have_equal_recipes_so_that_votes_are_on_what_was_seen(folder: Path) -> None:
    before = import_all(folder).images["recipe"]
    draw_pair(430, "grass", 99)[1].save(folder / "background-shift" / "0.png")
    after = import_all(folder).images["recipe"]
    assert (before != after).tolist() == [True] + [False] * 7


def test_guides_say_where_there_is_none(folder: Path) -> None:
    guides = import_all(folder).guides
    assert guides.groupby("class_id")["status"].value_counts().to_dict() == {
        (class_id, status): number for class_id in (7, 8) for status, number in (("ok", 3), ("no_guide", 1))
    }
    assert guides.loc[guides["status"] == "no_guide", ["member", "guide_digest"]].eq("").all(axis=None)


def test_the_columns_are_those_of_shards_that_are_generated(folder: Path) -> None:
    """Taken from the functions that make them, by their names."""
    from d3s.composition import PlacementRanges
    from d3s.generation import plan_recipes
    from d3s.guides import PromptSettings, plan_shard

    nothing = pd.DataFrame({"exemplar": [], "template": [], "class_id": [], "status": [], "split": []}, dtype=str)
    rows = [{**row, "label": row["name"], "definition": ""} for row in ROWS]
    plan = ShardPlan("val", "background", "grass", "on grass", "grass", 0, count=1, seed=0)
    ranges = PlacementRanges((0.4, 0.4), True, (0, 1), (0, 1))
    prompts = PromptSettings(("a {class}, {background}",), "", len, 77)
    guides = plan_shard(plan, rows, nothing, nothing, ranges, prompts).assign(size=SIZE)
    settings = {"mode": "image2image", "scheduler": "s", "options": "{}", "steps": 1, "guidance": 1.0, "strength": 1.0}
    images = plan_recipes(guides.assign(shard="x"), "digest", settings | {"size": SIZE, "dtype": "float32"})
    shard = import_all(folder)
    assert set(shard.guides.columns) == {*guides.columns, "released_file"}
    assert {*shard.images.columns, "guide_shard"} == {*images.columns, "model", "safety", "released_file"}


def test_several_classes_of_imagenet_can_be_one(folder: Path) -> None:
    both = [{"class_id": "1", "name": "thing", "imagenet_indices": "430 478"}]
    assert import_all(folder, both).images["index"].tolist() == list(range(8))


def test_a_class_without_a_record_has_a_row_that_says_so(folder: Path) -> None:
    shard = import_all(folder, [{"class_id": "3", "name": "hen", "imagenet_indices": "8"}])
    assert shard.images["status"].tolist() == [NO_RECORD]
    assert "hen" in shard.images["reason"].iloc[0]
    assert shard.image_members == shard.guide_members == []


def test_a_bad_picture_is_a_row_with_a_reason_and_the_others_stay(folder: Path) -> None:
    (folder / "background-shift" / "0.png").unlink()
    whole = (folder / "background-shift" / "1.png").read_bytes()
    (folder / "background-shift" / "1.png").write_bytes(whole[: len(whole) // 2])
    shard = import_all(folder)
    assert shard.images["status"].tolist()[:3] == ["missing", "truncated", "ok"]
    assert shard.guides["status"].tolist()[:3] == ["missing", "truncated", "ok"]
    assert len(shard.image_members) == 6


@pytest.mark.parametrize("name", ["background-shift/../../secret.png", "background-shift/link.png"])
def test_a_record_can_not_lead_out_of_its_split(folder: Path, name: str) -> None:
    draw_pair(430, "grass", 1)[1].save(folder.parent / "secret.png")
    (folder / "background-shift" / "link.png").symlink_to(folder.parent / "secret.png")
    with pytest.raises(BadInput, match="leads out of") as caught:
        read_picture(folder, file(name), SIZE)
    assert caught.value.status == "outside"


@pytest.mark.parametrize("name", ["background-shift/\0.png", "background-shift/" + "x" * 5000, "background-shift"])
def test_a_path_that_is_no_file_is_missing(folder: Path, name: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_picture(folder, file(name), SIZE)
    assert caught.value.status == "missing"


def test_a_picture_that_records_disagree_about_is_not_used(folder: Path) -> None:
    with pytest.raises(BadInput, match="different things"):
        read_picture(folder, file("background-shift/0.png", contradicted=True), SIZE)


def arguments(folder: Path, **changes: object) -> argparse.Namespace:
    """What the rule gives the script, with some of it changed."""
    project = make_released_project(folder).parent
    given = {
        "metadata": project / "data/val/metadata.json",
        "classes_table": project / "classes.csv",
        "classes": [0, 1],
        "rows_digest": None,
        "backgrounds_table": project / "backgrounds.csv",
        "split": "val",
        "shift": "background",
        "background": "road",
        "phrase": "on a road",
        "revision": 0,
        "size": SIZE,
        "on_bad_input": "keep",
        "guides": folder / "guides/0.tar",
        "images": folder / "images/0.tar",
    }
    return argparse.Namespace(**given | changes)


def test_the_script_writes_whole_shards_and_twice_the_same(tmp_path: Path) -> None:
    args = arguments(tmp_path)
    script.main(args)
    rows = pd.read_parquet(args.images.with_suffix(".parquet"))
    with TarReader(args.images) as images, TarReader(args.guides) as guides:
        assert images.names() == rows["member"].tolist()
        assert set(guides.names()) == set(rows["guide_member"]) - {""}
    assert set(rows["guide_shard"]) == {str(args.guides)}
    first = args.images.read_bytes()
    script.main(args)
    assert args.images.read_bytes() == first


def test_what_the_tables_leave_out_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    args = arguments(tmp_path)
    args.backgrounds_table.write_text("background,phrase,revision\nroad,on a road,0\n")
    args.classes_table.write_text("class_id,name,label,imagenet_indices\n0,basketball,ball,430\n")
    entries = json.loads(args.metadata.read_text())
    args.metadata.write_text(json.dumps([*entries, entries[0], {"image": 3}]))
    with caplog.at_level("INFO"):
        script.main(args)
    for told in (
        "16 records of pictures",
        "8 left out, since no background is called so: grass 8",
        "8 left out, of 1 classes",
        "1 records left out: no image",
        "1 records left out: a record that stands twice",
        "4 images, 3 with a guide, 0 refused",
    ):
        assert told in caplog.text


def test_a_background_without_a_record_is_an_error_that_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(D3SError, match=r"no record of the background cave \(in a cave\)") as caught:
        script.main(arguments(tmp_path, background="cave", phrase="in a cave"))
    assert "grass 8, road 8" in caught.value.remedy


@pytest.mark.parametrize(("kept", "on_bad_input"), [(1, "fail"), (0, "keep")])
def test_bad_pictures_stop_the_shard_if_asked_or_if_there_are_no_others(
    tmp_path: Path, kept: int, on_bad_input: str
) -> None:
    args = arguments(tmp_path, on_bad_input=on_bad_input)
    for path in sorted(args.metadata.parent.glob("*/*.png"))[kept:]:
        path.write_bytes(b"")
    with pytest.raises(D3SError, match="pictures can't be used"):
        script.main(args)
    assert not args.images.exists()
