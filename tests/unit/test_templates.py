"""Templates: photographs and views of panoramas, each a row."""

from pathlib import Path

from d3s.backgrounds import ViewSettings
from d3s.tables import Row
from d3s.templates import prepare_templates
from tiny import draw_ground

SETTINGS = ViewSettings(4, 2, 75, (0.0,), 16)


def photo(path: Path, split: str) -> Row:
    return {
        "template_source": path.stem,
        "background": "grass",
        "kind": "photo",
        "split": split,
        "file": str(path),
        "yaw_start": "",
        "exposure": "",
    }


def test_photographs_become_square_templates(tmp_path: Path) -> None:
    draw_ground((60, 150, 60), 0).save(tmp_path / "a.png")
    table, members = prepare_templates([photo(tmp_path / "a.png", "train")], SETTINGS)
    assert table.loc[0, ["template", "split", "status", "template_group"]].tolist() == ["a", "train", "ok", "a"]
    assert [name for name, _ in members] == ["a.png"]


def test_what_can_not_be_used_is_a_row_with_a_reason(tmp_path: Path) -> None:
    draw_ground((60, 150, 60), 0).save(tmp_path / "b.png")
    (tmp_path / "c.exr").write_bytes(b"no panorama")
    panorama = photo(tmp_path / "c.exr", "") | {"kind": "panorama", "yaw_start": "0", "exposure": "0.18"}
    rows = [photo(tmp_path / "gone.png", "val"), photo(tmp_path / "b.png", ""), panorama]
    table, members = prepare_templates(rows, SETTINGS)
    assert dict(zip(table["template"], table["status"], strict=True)) == {
        "b": "no_split",
        "c": "not_a_panorama",
        "gone": "missing",
    }
    assert members == []
