"""The choice among many pictures: splits, limits and names that others don't upset."""

import re
from pathlib import Path

import pytest

from d3s.picture_choice import choose_pictures, is_picture, printable, safe_name
from d3s.tables import NAME
from scenery import row, settings

MANY = [f"meadow {number}.jpg" for number in range(400)]
FOLDER = row(Path("meadows"), "folder")


@pytest.mark.parametrize("path", ["a.jpg", "B.JPEG", "deep/er/c.webp", "../up.png", "win\\dows.png", "train/x.tif"])
def test_pictures_are_told_by_their_endings(path: str) -> None:
    assert is_picture(path)


@pytest.mark.parametrize("path", ["a.txt", "jpg", ".hidden.jpg", ".git/a.png", "__MACOSX/a/._b.jpg", "a.jpg.part", ""])
def test_other_and_hidden_files_are_passed_over(path: str) -> None:
    assert not is_picture(path)


def test_a_picture_without_a_split_has_it_hashed_from_its_own_path_alone() -> None:
    chosen = {one.path: one.split for one in choose_pictures(FOLDER, MANY, settings(val_fraction=0.25))}
    assert 70 < list(chosen.values()).count("val") < 130
    fewer = {one.path: one.split for one in choose_pictures(FOLDER, MANY[::3], settings(val_fraction=0.25))}
    assert fewer.items() <= chosen.items()


def test_the_row_s_split_goes_before_the_hash_and_a_folder_s_before_the_row_s() -> None:
    paths = ["train/a.jpg", "val/b.jpg", "val/deep/c.jpg", "d.jpg", "other/train/e.jpg"]
    found = {one.path: one.split for one in choose_pictures(FOLDER | {"split": "train"}, paths, settings())}
    assert found == {path: "val" if path.startswith("val/") else "train" for path in paths}


def test_a_folder_around_everything_is_passed_over_unless_it_is_a_split_s() -> None:
    inside = choose_pictures(FOLDER, ["beach/train/a.jpg", "beach/val/b.jpg"], settings())
    assert [one.split for one in inside] == ["train", "val"]
    alone = choose_pictures(FOLDER, [f"val/{name}" for name in MANY], settings())
    assert {one.split for one in alone} == {"val"}


def test_of_too_many_pictures_those_stay_that_stay_whatever_comes() -> None:
    few = settings(most_per_source=10)
    before = {one.path for one in choose_pictures(FOLDER | {"split": "train"}, MANY, few)}
    after = {one.path for one in choose_pictures(FOLDER | {"split": "train"}, [*MANY, "new.jpg"], few)}
    assert len(before) == len(after) == 10
    assert len(before - after) <= 1
    both = choose_pictures(FOLDER, MANY, few)
    assert [one.split for one in both].count("val") == [one.split for one in both].count("train") == 10


def test_odd_names_become_safe_ones_that_never_collide() -> None:
    odd = ["a b.jpg", "a-b.jpg", "a_b.jpg", "a b.png", "x/a b.jpg", "../../etc/a b.jpg", "/a b.jpg", "żółw.jpg"]
    odd += ["\udcff.jpg", "a\nb.jpg", "-rf.jpg", f"{'long' * 60}.jpg", "$(x).jpg", "a\\b.jpg", "con.aux.jpg"]
    names = [safe_name("source", path) for path in odd]
    assert len(set(names)) == len(odd)
    assert all(NAME.fullmatch(name) and len(name) < 70 for name in names)
    assert re.fullmatch(r"source-a-b-[0-9a-f]{12}", names[0])


def test_names_can_be_printed_whatever_bytes_they_are_of() -> None:
    assert printable("żółw 1.jpg") == "żółw 1.jpg"
    assert printable("a\nb\udcff.jpg").encode() == b"a\\nb\\udcff.jpg"
