"""Exemplars: one row for each, whatever happens to it, and nothing that crosses splits."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps

from d3s.errors import BadInput
from d3s.exemplars import MOST_FAULTS, MOST_REFUSED, ExemplarSettings, prepare_exemplars, split_of
from d3s.source import Candidate, Source
from d3s.sources.table import TableSource
from d3s.tables import Row
from tiny import draw_object

CLASSES: list[Row] = [{"class_id": "0", "name": "ball", "label": "ball"}]


def row(path: Path, split: str, group: str = "", class_id: int = 0) -> Row:
    return {
        "exemplar": path.stem,
        "class_id": str(class_id),
        "split_group": group,
        "split": split,
        "image": str(path),
        "mask": "",
    }


def prepare(rows: list[Row], distance: int = 0) -> tuple[pd.DataFrame, list[tuple[str, bytes]]]:
    return prepare_exemplars(TableSource({}, rows), CLASSES, ExemplarSettings(40, 8, distance, 0.3, 1))


def test_bad_pictures_become_rows_with_reasons(tmp_path: Path) -> None:
    draw_object(0, 0).save(tmp_path / "good.png")
    draw_object(0, 0).convert("RGB").save(tmp_path / "opaque.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "good.png").read_bytes()[:90])
    names = ("good", "opaque", "broken", "gone")
    table, members = prepare([row(tmp_path / f"{name}.png", "train") for name in names])
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
    table, members = prepare(rows, distance=2)
    assert table.set_index("exemplar")["status"].to_dict() == {"ball": "ok", "copy": "leaks_across_splits", "box": "ok"}
    assert "copy.png" not in [name for name, _ in members]


def test_a_group_spread_over_splits_is_refused_in_val(tmp_path: Path) -> None:
    draw_object(0, 0).save(tmp_path / "a.png")
    draw_object(1, 3).save(tmp_path / "b.png")
    table, _ = prepare([row(tmp_path / "a.png", "train", "g"), row(tmp_path / "b.png", "val", "g")])
    assert list(table["status"]) == ["ok", "leaks_across_splits"]


def test_an_unnamed_split_is_hashed_from_the_group() -> None:
    rows = [row(Path(f"{number}.png"), "", f"group{number}") for number in range(400)]
    candidates = TableSource({}, rows).candidates(CLASSES[0])
    splits = [split_of(one, 0.25, 1) for one in candidates]
    assert 70 < splits.count("val") < 130
    assert splits == [split_of(one, 0.25, 1) for one in candidates]
    (other,) = TableSource({}, [row(Path("other.png"), "", "group7")]).candidates(CLASSES[0])
    assert split_of(other, 0.25, 1) == splits[7]


def test_the_pictures_of_a_table_are_known_one_by_one() -> None:
    rows = [
        row(Path("a.png"), "train"),
        row(Path("b.png"), "val") | {"mask": "m.png"},
        row(Path("c.png"), "val", "", 7),
    ]
    source = TableSource({}, rows)
    assert source.pictures(CLASSES[:1]) == ["a.png", "b.png", "m.png"]
    assert source.watched(CLASSES[:1]) == []
    assert Drawn(3).pictures(CLASSES[:1]) == []


class Drawn(Source):
    """Candidates that are drawn when they are opened, each unlike the others; it counts how often that is."""

    columns = ("class_id", "name")

    def __init__(self, count: int, refused: Mapping[int, str] | None = None, faults: int = 0) -> None:
        super().__init__({"licence_source": "mine"})
        self.count, self.refused, self.faults, self.opened = count, refused or {}, faults, 0

    def check(self, classes: object) -> None:
        pass

    def watched(self, classes: object) -> list[str]:
        return []

    def candidates(self, row: Row) -> list[Candidate]:
        def named(name: str, number: int | None, fault: BadInput | None = None) -> Candidate:
            return Candidate(name, f"{name}.jpg", "", name, "", (name,), number, fault)

        lost = [named(f"lost{number}", None, BadInput("no_image", "it is lost")) for number in range(self.faults)]
        return [*lost, *(named(f"{row['name']}{number}", number) for number in range(self.count))]

    def open(self, candidate: Candidate) -> Image.Image:
        self.opened += 1
        if candidate.detail in self.refused:
            raise BadInput("truncated", self.refused[candidate.detail])
        noise = np.random.default_rng(candidate.detail).integers(0, 255, (32, 32, 4), dtype=np.uint8)
        noise[..., 3] = 255
        return Image.fromarray(noise)


WANTED = ExemplarSettings(40, 8, 4, 0.35, 1, {"train": 6, "val": 3})


def used(source: Source, settings: ExemplarSettings = WANTED) -> dict[str, str]:
    """The split of every exemplar that is used."""
    table, members = prepare_exemplars(source, CLASSES, settings)
    kept = table[table["status"] == "ok"]
    assert sorted(kept["member"]) == sorted(name for name, _ in members)
    return dict(zip(kept["exemplar"], kept["split"], strict=True))


def test_as_many_are_chosen_as_are_wanted_and_no_more_are_opened() -> None:
    source = Drawn(500)
    assert sorted(used(source).values()) == ["train"] * 6 + ["val"] * 3
    assert source.opened == 9


def test_the_choice_is_a_hash_that_new_candidates_disturb_little() -> None:
    before, more = used(Drawn(200)), used(Drawn(202))
    assert before == used(Drawn(200))
    assert len(set(before) - set(more)) <= 2
    assert before != used(Drawn(200), ExemplarSettings(40, 8, 4, 0.35, 2, {"train": 6, "val": 3}))


def test_the_next_one_takes_the_place_of_one_that_can_not_be_used() -> None:
    first = used(Drawn(200))
    broken = next(iter(first))
    source = Drawn(200, {int(broken.removeprefix("ball")): "it is cut short"})
    table, _ = prepare_exemplars(source, CLASSES, WANTED)
    row = table.set_index("exemplar").loc[broken]
    assert (row["status"], row["reason"], row["source"]) == (
        "truncated",
        "it is cut short; fetch it again, or remove it",
        "mine",
    )
    assert set(first) - {broken} < set(used(source))
    assert len(used(source)) == 9


def test_a_choice_ends_where_nothing_can_be_used(caplog: pytest.LogCaptureFixture) -> None:
    source = Drawn(1000, dict.fromkeys(range(1000), "it is cut short"))
    table, _ = prepare_exemplars(source, CLASSES, WANTED)
    assert source.opened == len(table) == 2 * MOST_REFUSED
    assert "ball: 0 of 6 train exemplars" in caplog.text


def test_faults_of_files_are_told_once_and_counted() -> None:
    table, _ = prepare_exemplars(Drawn(20, faults=30), CLASSES, WANTED)
    lost = table[table["status"] == "no_image"]
    assert len(lost) == MOST_FAULTS
    assert lost["reason"].str.contains("and 20 more of this class").sum() == 1


def test_a_copy_within_a_split_is_replaced_too() -> None:
    class Copies(Drawn):
        def open(self, candidate: Candidate) -> Image.Image:
            picture = super().open(candidate)
            return picture if candidate.detail % 2 else super().open(Candidate("", "", "", "", "", (), 0))

    table, _ = prepare_exemplars(Copies(60), CLASSES, WANTED)
    assert (table["status"] == "ok").sum() == 9
    assert {"duplicate", "leaks_across_splits"} >= set(table["status"]) - {"ok"}
    assert table["status"].isin(["duplicate", "leaks_across_splits"]).any()


def test_one_photograph_is_in_one_split_whatever_class_it_is_taken_for() -> None:
    split = split_of(Candidate("cat-1", "1.jpg", "", "photo1", "", ("photo1",)), 0.5, 1)
    assert split == split_of(Candidate("dog-1", "1.jpg", "", "photo1", "", ("photo1",)), 0.5, 1)
