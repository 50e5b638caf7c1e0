"""The records of the released data set: what can be read of them, and where they belong."""

import json
from pathlib import Path
from typing import Any

import pytest

from d3s.errors import D3SError
from d3s.released import check_tables, find_metadata, labels_of, read_record, read_records
from released import record, write_metadata


def background(name: str, phrase: str, shift: str = "background") -> dict[str, str]:
    return {"background": name, "phrase": phrase, "shift": shift}


def one(**changes: object) -> Any:
    return read_record(record("val", 3, 430, "grass", True) | changes)


def test_a_record_tells_file_shift_label_class_and_prompt() -> None:
    found = one()
    assert (found.file, found.shift, found.label, found.index) == ("background-shift/3.png", "background", "grass", 430)
    assert found.prompt == "a photo of a basketball, on grass"


@pytest.mark.parametrize("image", ["val/background-shift/3.png", "background-shift/3.png", "/a/background-shift/3.png"])
def test_what_stands_before_the_folder_of_the_shift_does_not_matter(image: str) -> None:
    assert one(image=image).file == "background-shift/3.png"


@pytest.mark.parametrize(
    ("folder", "args", "shift", "label"),
    [
        ("geography-shift", {"background": "on grass", "geography": "Saudi Arabia"}, "geography", "saudi arabia"),
        ("time-shift", {"time-past": "1950"}, "time", "1950"),
        ("time-shift", {"time-future": 2200}, "time", "2200"),
    ],
)
def test_the_other_shifts_are_told_by_the_arguments(folder: str, args: dict, shift: str, label: str) -> None:
    """Their records have a background too, of a template that was not used."""
    found = one(image=f"/x/{folder}/3.png", args=args)
    assert (found.shift, found.label) == (shift, label)


def test_a_background_may_stand_in_the_arguments_alone() -> None:
    entry = record("val", 3, 430, "road", True)
    del entry["background"]
    found = read_record(entry)
    assert not isinstance(found, str)
    assert found.label in labels_of(background("street", "on a road"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image": None}, "no image"),
        ({"image": "/x/val/3.png"}, "path names no shift"),
        ({"image": "/x/background-shift"}, "path names no shift"),
        ({"classIdx": "1000"}, "no classIdx"),
        ({"classIdx": True}, "no classIdx"),
        ({"classIdx": "9" * 5000}, "no classIdx"),
        ({"background": " ", "args": None}, "no background"),
    ],
)
def test_a_record_that_can_not_be_placed_says_why(change: dict[str, object], reason: str) -> None:
    assert reason in one(**change)


def test_halves_of_letters_become_question_marks() -> None:
    found = one(image="/x/background-shift/\ud800.png", prompt="a \udfff", background="\ud800")
    assert (found.file, found.prompt, found.label) == ("background-shift/?.png", "a ?", "?")


def test_class_0_is_a_class() -> None:
    assert one(classIdx=0).index == 0


def test_records_come_in_the_order_of_their_files_and_doubles_count_once(tmp_path: Path) -> None:
    entries = [record("val", number, 430, "grass", True) for number in (2, 1, 2)]
    found = read_records(write_metadata(tmp_path, "val", [*entries, "nonsense"]))
    assert [row.file for row in found.placed] == ["background-shift/1.png", "background-shift/2.png"]
    assert found.refused == {"a record that stands twice": 1, "a record that is none": 1}


def test_records_that_contradict_each_other_mark_their_picture(tmp_path: Path) -> None:
    entries = [record("val", 1, 430, "grass", True), record("val", 1, 478, "grass", True)]
    found = read_records(write_metadata(tmp_path, "val", entries))
    assert [row.contradicted for row in found.placed] == [True]
    assert found.refused.total() == 1


@pytest.mark.parametrize(
    ("text", "message"), [("[{", "not valid JSON"), ('{"1.png": {}}', "not a list"), ("[" * 100_000, "not valid JSON")]
)
def test_metadata_that_can_not_be_read_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    path = write_metadata(tmp_path, "val", [])
    path.write_text(text, encoding="utf-8")
    with pytest.raises(D3SError, match=message):
        read_records(path)


def test_missing_metadata_is_named_with_what_the_folder_should_be(tmp_path: Path) -> None:
    with pytest.raises(D3SError, match=r"lacks .*val/metadata.json") as caught:
        find_metadata(tmp_path, "val")
    assert "holds its train/ and val/" in caught.value.remedy


def test_as_many_records_as_were_released_are_read(tmp_path: Path) -> None:
    entries = [record("train", number, 430, "grass", True) for number in range(100_000)]
    path = tmp_path / "metadata.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    assert len(read_records(path).placed) == 100_000


def test_a_background_is_called_by_its_name_its_phrase_or_the_end_of_it() -> None:
    assert labels_of(background("street", "on a Road")) == {"street", "on a road", "a road", "road"}
    assert "saudi arabia" in labels_of(background("arabia", "in Saudi Arabia"))


def test_two_backgrounds_of_one_shift_must_not_be_called_the_same() -> None:
    rows = [background("lawn", "on grass"), background("meadow", "in tall grass")]
    with pytest.raises(D3SError, match="'lawn' and 'meadow' would both be what records call 'grass'"):
        check_tables([], rows)
    check_tables([], [rows[0], rows[1] | {"shift": "geography"}])


def test_a_shift_that_was_never_released_is_refused() -> None:
    with pytest.raises(D3SError, match="of the shift 'weather'"):
        check_tables([], [background("fog", "in fog", "weather")])


def test_classes_are_known_by_their_indices() -> None:
    ball = {"name": "ball", "imagenet_indices": "430 522"}
    with pytest.raises(D3SError, match="'box' has no imagenet_indices"):
        check_tables([ball, {"name": "box", "imagenet_indices": ""}], [])
    with pytest.raises(D3SError, match="ball and box both have the ImageNet index 522"):
        check_tables([ball, {"name": "box", "imagenet_indices": "522"}], [])
