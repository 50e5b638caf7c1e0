"""Croissant metadata, held against the reference implementation."""

import json
from pathlib import Path
from typing import Any

import mlcroissant
import numpy as np
import pytest

from d3s.identity import file_sha256
from small import CLASSES, Small, export_small, make_small


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return make_small(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def exported(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_small(small, tmp_path_factory.mktemp("made") / "export")


@pytest.fixture(scope="module")
def dataset(exported: Path) -> Any:
    return mlcroissant.Dataset(jsonld=exported / "croissant.json")


def test_it_is_valid_without_a_warning(dataset: Any) -> None:
    issues = dataset.metadata.ctx.issues
    assert (issues.errors, issues.warnings) == (set(), set())


def test_what_the_config_leaves_open_is_only_warned_of(small: Small, tmp_path: Path) -> None:
    made = export_small(small, tmp_path / "export", licence="", creators=[], url="", version="", published="", title="")
    issues = mlcroissant.Dataset(jsonld=made / "croissant.json").metadata.ctx.issues
    assert issues.errors == set()
    assert all("recommended" in warning for warning in issues.warnings)
    assert len(issues.warnings) == 3, "licence, version and date"


def test_records_have_the_same_pixels_and_labels(dataset: Any, small: Small) -> None:
    rows = small.accepted.set_index("sample")
    found = {record["images/sample"].decode(): record for record in dataset.records("images")}
    assert set(found) == set(rows.index)
    classes = {record["classes/number"]: record["classes/name"] for record in dataset.records("classes")}
    backgrounds = {
        record["backgrounds/number"]: record["backgrounds/name"] for record in dataset.records("backgrounds")
    }
    for sample, record in found.items():
        assert np.array_equal(np.asarray(record["images/image"]), small.pixels[sample])
        assert classes[record["images/class"]] == rows.loc[sample, "class_name"]
        assert backgrounds[record["images/background"]] == rows.loc[sample, "background"]
        assert record["images/split"].decode() == rows.loc[sample, "split"]
        assert record["images/seed"] == rows.loc[sample, "seed"]


def test_one_split_can_be_read_alone(dataset: Any) -> None:
    records = list(dataset.records("images", filters={"images/split": "val"}))
    assert {record["images/split"] for record in records} == {b"val"}
    assert len(records) == 7


def test_files_are_listed_with_their_checksums(exported: Path) -> None:
    described = json.loads((exported / "croissant.json").read_text())
    listed = {file["contentUrl"]: file["sha256"] for file in described["distribution"] if "sha256" in file}
    present = [*exported.glob("data/*"), *exported.glob("webdataset/*")]
    assert listed == {path.relative_to(exported).as_posix(): file_sha256(path) for path in present}


def test_a_hostile_label_cannot_end_a_script_that_holds_it(small: Small, tmp_path: Path) -> None:
    label = "</script><img src=x onerror=alert(1)>"
    made = export_small(small, tmp_path / "export", title=label, licence=label, creators=[label])
    text = (made / "croissant.json").read_text(encoding="utf-8")
    assert "<" not in text
    described = json.loads(text)
    assert described["alternateName"] == described["license"] == described["creator"][0]["name"] == label


def test_verification_is_told_as_it_was(exported: Path) -> None:
    described = json.loads((exported / "croissant.json").read_text())
    assert "People decided whether 0 images stay, a classifier alone decided about 18" in str(
        described["rai:dataAnnotationProtocol"]
    )
    assert CLASSES[0]["label"] in str(described["recordSet"][1]["data"])
