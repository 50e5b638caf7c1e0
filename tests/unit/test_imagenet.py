"""ImageNet's classes as a table of the config."""

from pathlib import Path

import pytest

import write_class_table as script
from conftest import ROOT
from d3s.errors import D3SError
from d3s.imagenet import COLUMNS, imagenet_rows
from d3s.tables import read_table


def test_every_class_has_a_name_of_its_own_words_and_a_definition() -> None:
    rows = imagenet_rows()
    assert [row["class_id"] for row in rows] == [str(index) for index in range(1000)]
    assert len({row["name"] for row in rows}) == 1000
    assert all(row["label"] and row["definition"] and row["synset"] for row in rows)
    assert rows[1] == dict(
        zip(
            COLUMNS,
            (
                "1",
                "goldfish",
                "goldfish",
                "small golden or orange-red freshwater fishes of Eurasia used as pond or aquarium fishes",
                "1",
                "n01443537",
            ),
            strict=True,
        )
    )


def test_classes_that_share_a_name_are_told_apart() -> None:
    bird, machine = imagenet_rows(["n02012849", "n03126707"])
    assert (bird["name"], machine["name"]) == ("crane_134", "crane_517")
    assert bird["label"] == machine["label"] == "crane"


def test_an_unknown_synset_is_an_error() -> None:
    with pytest.raises(D3SError, match="n00000000 is none of ImageNet's thousand"):
        imagenet_rows(["n01440764", "n00000000"])


def test_the_written_table_is_one_that_the_config_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "classes.csv"
    arguments = ["write_class_table.py", "--output", str(table), "--synsets", "n01440764", "n02012849"]
    monkeypatch.setattr("sys.argv", arguments)
    script.main(script.parse())
    rows = read_table(table, "classes")
    assert [(row["class_id"], row["name"], row["imagenet_indices"]) for row in rows] == [
        ("0", "tench", "0"),
        ("134", "crane_134", "134"),
    ]
    with pytest.raises(D3SError, match="exists already"):
        script.main(script.parse())


def test_the_table_of_the_papers_config_is_this_one() -> None:
    committed = read_table(ROOT / "config/paper/classes.csv", "classes")
    assert [{name: row[name] for name in COLUMNS} for row in committed] == imagenet_rows()
