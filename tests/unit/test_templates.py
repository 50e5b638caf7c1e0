"""Templates: photographs, frames and views, each a row, and nothing that crosses splits."""

from pathlib import Path

import pytest
from PIL import ImageOps

from d3s.errors import D3SError
from d3s.template_sources import folder
from d3s.templates import prepare_templates
from scenery import row, scene, settings
from tiny import draw_ground


def test_photographs_become_square_templates(tmp_path: Path) -> None:
    draw_ground((60, 150, 60), 0).save(tmp_path / "a.png")
    table, members = prepare_templates([row(tmp_path / "a.png", "photo", "train")], settings())
    assert table.loc[0, ["template", "split", "status", "template_group"]].tolist() == ["a", "train", "ok", "a"]
    assert [name for name, _ in members] == ["a.png"]


def test_what_can_not_be_used_is_a_row_with_a_reason(tmp_path: Path) -> None:
    draw_ground((60, 150, 60), 0).save(tmp_path / "b.png")
    (tmp_path / "c.exr").write_bytes(b"no panorama")
    panorama = row(tmp_path / "c.exr", "panorama", yaw_start="0", exposure="0.18")
    rows = [row(tmp_path / "gone.png", "photo", "val"), row(tmp_path / "b.png", "photo"), panorama]
    table, members = prepare_templates(rows, settings())
    assert dict(zip(table["template"], table["status"], strict=True)) == {
        "b": "no_split",
        "c": "not_a_panorama",
        "gone": "missing",
    }
    assert members == []


def test_a_table_of_photographs_and_panoramas_has_no_column_for_pictures(tmp_path: Path) -> None:
    scene(1).save(tmp_path / "a.png")
    (tmp_path / "more").mkdir()
    scene(2).save(tmp_path / "more/b.png")
    rows = [row(tmp_path / "a.png", "photo", "train"), row(tmp_path / "more", "folder", "train")]
    assert "picture" not in prepare_templates(rows[:1], settings())[0]
    assert sorted(prepare_templates(rows, settings())[0]["picture"]) == ["", "b.png"]


def test_val_templates_that_look_like_a_train_template_are_refused(tmp_path: Path) -> None:
    scene(1).save(tmp_path / "meadow.png")
    ImageOps.mirror(scene(1)).resize((96, 80)).save(tmp_path / "mirrored.jpg")
    scene(2).save(tmp_path / "other.png")
    splits = {"meadow.png": "train", "mirrored.jpg": "val", "other.png": "val"}
    rows = [row(tmp_path / name, "photo", split) for name, split in splits.items()]
    table, members = prepare_templates(rows, settings())
    assert dict(zip(table["template"], table["status"], strict=True)) == {
        "meadow": "ok",
        "mirrored": "leaks_across_splits",
        "other": "ok",
    }
    assert "looks like meadow of train" in table.set_index("template").at["mirrored", "reason"]
    assert [name for name, _ in members] == ["meadow.png", "other.png"]


def test_equal_pictures_of_a_split_are_kept_once(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        scene(1).save(tmp_path / f"{name}.png")
    table, members = prepare_templates([row(tmp_path / f"{name}.png", "photo", "val") for name in "abc"], settings())
    assert table["status"].tolist() == ["ok", "duplicate", "duplicate"]
    assert [name for name, _ in members] == ["a.png"]


def test_views_of_a_panorama_may_look_alike(tmp_path: Path) -> None:
    """Their guard keeps them apart: a calm sea is the same all round."""
    scene(1).resize((1, 1)).resize((128, 64)).save(tmp_path / "sea.png")
    table, _ = prepare_templates([row(tmp_path / "sea.png", "panorama")], settings())
    assert set(table["status"]) == {"ok"}
    assert table["single_panorama"].all()


def test_two_templates_of_one_name_are_an_error_with_a_remedy(tmp_path: Path) -> None:
    scene(1, 128, 64).save(tmp_path / "park.png")
    scene(2).save(tmp_path / "park-train-000.png")
    rows = [row(tmp_path / "park.png", "panorama"), row(tmp_path / "park-train-000.png", "photo", "train")]
    with pytest.raises(D3SError, match="park-train-000") as caught:
        prepare_templates(rows, settings())
    assert "rename" in caught.value.remedy


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    scene(1).save(tmp_path / "here/a.png")
    (tmp_path / "here/round").symlink_to(tmp_path / "here")
    assert folder.list_pictures(tmp_path / "here") == ["a.png"]
