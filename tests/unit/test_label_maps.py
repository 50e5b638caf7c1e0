"""Label maps: what the labels of a benchmark mean."""

import json
from pathlib import Path

import pytest

from conftest import ROOT
from d3s.errors import D3SError
from d3s.imagenet import built_in_map
from d3s.label_maps import LabelMap, read_label_map, write_indices
from d3s.tables import parse_indices
from write_label_map import IMAGENET_9, rows_of_classes, rows_of_imagenet9


def rows(**labels: str) -> list[dict[str, str]]:
    """Rows by label: ``name:indices``."""
    return [
        {"label": label, "name": told.partition(":")[0], "imagenet_indices": told.partition(":")[2]}
        for label, told in labels.items()
    ]


def test_a_class_is_its_place_in_the_map() -> None:
    labels = LabelMap.from_rows(rows(b="bird:7-9 80", a="ape:365"))
    assert labels.ids == {"b": 0, "a": 1}
    assert labels.names == ("bird", "ape")
    assert labels.indices == ((7, 8, 9, 80), (365,))
    classes = labels.super_classes()
    assert (classes.ids, classes.names, classes.indices) == ((0, 1), labels.names, labels.indices)


def test_labels_of_one_name_share_a_class_and_its_indices() -> None:
    labels = LabelMap.from_rows(rows(pug="dog:254", tench="fish:0", boxer="dog:242"))
    assert labels.ids == {"pug": 0, "tench": 1, "boxer": 0}
    assert labels.indices == ((242, 254), (0,))


def test_a_class_without_indices_is_there_and_is_not_judged() -> None:
    labels = LabelMap.from_rows(rows(a="ape:365", d="dachshund:"))
    assert labels.ids["d"] == 1
    assert labels.super_classes().ids == (0,)
    with pytest.raises(D3SError, match="gives no class any imagenet_indices"):
        LabelMap.from_rows(rows(d="dachshund:")).super_classes()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"a": "ape:365", "b": "bird:300-400"}, "ape and bird both have the ImageNet index 365"),
        ({"a": "ape:1000"}, "ape has the ImageNet index 1000"),
        ({"a": "ape:9-7"}, "runs backwards"),
    ],
)
def test_mistakes_of_indices(given: dict[str, str], message: str) -> None:
    with pytest.raises(D3SError, match=message):
        LabelMap.from_rows(rows(**given))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label,imagenet_indices\na,1\na,2\n", "label 'a' stands in line 2 already"),
        ("lable,imagenet_indices\na,1\n", "did you mean 'label'"),
        ("label,imagenet_indices\na,one\n", "line 2: imagenet_indices is 'one'"),
        ("label,imagenet_indices\n,1\n", "line 2: label is ''"),
        ("label\n", "has no rows"),
    ],
)
def test_mistakes_of_the_table(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(D3SError, match=message):
        read_label_map(tmp_path / "labels.csv")


def test_a_map_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "labels.csv", tmp_path):
        with pytest.raises(D3SError, match=r"the label map .* is not there"):
            read_label_map(path)


def test_a_written_map_is_read_as_it_was(tmp_path: Path) -> None:
    labels = LabelMap.from_rows(rows(pug="dog:254", tench="a, b:0", boxer="dog:242"))
    (tmp_path / "labels.csv").write_text(labels.text())
    again = read_label_map(tmp_path / "labels.csv")
    assert (again.ids, again.names, again.indices) == (labels.ids, labels.names, labels.indices)


def test_imagenet_is_built_in() -> None:
    synsets, indices = built_in_map("synset"), built_in_map("index")
    assert synsets.ids["n01440764"] == indices.ids["0"] == 0
    assert len(synsets.names) == len(set(synsets.names)) == 1000
    assert synsets.indices == tuple((index,) for index in range(1000))


def test_indices_are_written_as_ranges() -> None:
    assert write_indices([80, 8, 7, 9, 998]) == "7-9 80 998"
    assert parse_indices(write_indices(range(5))) == [0, 1, 2, 3, 4]
    assert write_indices([]) == ""


@pytest.mark.parametrize("file", sorted((ROOT / "config/benchmarks").glob("*.csv")), ids=lambda file: file.stem)
def test_shipped_maps_are_valid(file: Path) -> None:
    assert len(read_label_map(file).super_classes().ids) >= 2


def test_imagenet_is_scored_as_the_classes_of_a_table() -> None:
    labels = LabelMap.from_rows(rows_of_classes(ROOT / "config" / "classes.csv"))
    assert labels.names[:2] == ("water_bird", "ground_bird")
    assert labels.ids["n01514668"] == 1, "the cock"
    assert labels.indices[1] == (7, 8, 9, *range(80, 87))


def test_the_published_map_of_imagenet9_is_converted(tmp_path: Path) -> None:
    published = dict.fromkeys(map(str, range(1000)), -1) | {str(10 * place): place for place in range(9)} | {"1": 0}
    path = tmp_path / "in_to_in9.json"
    path.write_text(json.dumps(published))
    found = rows_of_imagenet9(path)
    assert [row["label"] for row in found] == list(IMAGENET_9)
    assert found[0] == {"label": "00_dog", "name": "dog", "imagenet_indices": "0-1"}
    assert found[2] == {"label": "02_wheeled vehicle", "name": "wheeled vehicle", "imagenet_indices": "20"}


@pytest.mark.parametrize("text", ["{", "[]", '{"0": 9}', '{"0": "dog"}', '{"1000": 0}', "{}"])
def test_another_json_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "map.json"
    path.write_text(text)
    with pytest.raises(D3SError, match=r"is not the in_to_in9.json"):
        rows_of_imagenet9(path)
