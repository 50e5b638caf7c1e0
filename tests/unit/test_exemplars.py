"""Exemplars: one row for each, whatever happens to it, and nothing that crosses splits."""

from pathlib import Path

from PIL import ImageOps

from d3s.exemplars import prepare_exemplars, split_of
from d3s.tables import Row
from tiny import draw_object


def row(path: Path, split: str, group: str = "", class_id: int = 0) -> Row:
    return {
        "exemplar": path.stem,
        "class_id": str(class_id),
        "split_group": group,
        "split": split,
        "image": str(path),
        "mask": "",
    }


def test_bad_pictures_become_rows_with_reasons(tmp_path: Path) -> None:
    draw_object(0, 0).save(tmp_path / "good.png")
    draw_object(0, 0).convert("RGB").save(tmp_path / "opaque.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "good.png").read_bytes()[:90])
    names = ("good", "opaque", "broken", "gone")
    table, members = prepare_exemplars([row(tmp_path / f"{name}.png", "train") for name in names], 40, 8, 0, 0.3, 1)
    assert dict(zip(table["exemplar"], table["status"], strict=True)) == {
        "good": "ok",
        "opaque": "no_mask",
        "broken": "truncated",
        "gone": "missing",
    }
    assert [name for name, _ in members] == ["good.png"]
    assert all(table.loc[table["status"] != "ok", "reason"] != "")


def test_a_mirrored_copy_does_not_cross_splits(tmp_path: Path) -> None:
    draw_object(0, 0).save(tmp_path / "ball.png")
    ImageOps.mirror(draw_object(0, 0)).save(tmp_path / "copy.png")
    draw_object(1, 2).save(tmp_path / "box.png")
    rows = [row(tmp_path / "ball.png", "train"), row(tmp_path / "copy.png", "val"), row(tmp_path / "box.png", "val")]
    table, members = prepare_exemplars(rows, 40, 8, 2, 0.3, 1)
    assert table.set_index("exemplar")["status"].to_dict() == {"ball": "ok", "copy": "leaks_across_splits", "box": "ok"}
    assert "copy.png" not in [name for name, _ in members]


def test_a_group_spread_over_splits_is_refused_in_val(tmp_path: Path) -> None:
    draw_object(0, 0).save(tmp_path / "a.png")
    draw_object(1, 3).save(tmp_path / "b.png")
    table, _ = prepare_exemplars(
        [row(tmp_path / "a.png", "train", "g"), row(tmp_path / "b.png", "val", "g")], 40, 8, 0, 0.3, 1
    )
    assert list(table["status"]) == ["ok", "leaks_across_splits"]


def test_an_unnamed_split_is_hashed_from_the_group() -> None:
    rows = [row(Path(f"{number}.png"), "", f"group{number}") for number in range(400)]
    splits = [split_of(one, 0.25, 1)[1] for one in rows]
    assert 70 < splits.count("val") < 130
    assert splits == [split_of(one, 0.25, 1)[1] for one in rows]
    assert split_of(row(Path("other.png"), "", "group7"), 0.25, 1)[1] == splits[7]
