"""Sources: found by name, held to their settings, and cheap to ask."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT
from d3s.config import load_schema, with_defaults
from d3s.errors import BadInput, D3SError
from d3s.folders import suggest
from d3s.source import build_source, check_settings, exemplar_name, list_pictures
from pictures import source_settings


def checked(exemplars: str = "", segmentation: dict[str, Any] | None = None, **source: object) -> None:
    schema = load_schema()["properties"]["foregrounds"]
    given = with_defaults({"source": source, "segmentation": segmentation or {}}, schema)
    check_settings(given, with_defaults({}, schema), exemplars)


def test_what_the_documentation_shows_is_accepted() -> None:
    checked("exemplars.csv")
    checked(kind="imagenet", folder="ILSVRC2012/train", without_mask="crop", licence_source="imagenet")
    checked(kind="imagenet", folder="train", masks="salient", features="features.csv")
    checked(kind="coco", annotations="instances.json", images="val2017", categories={"kitten": "cat"})
    checked(
        kind="folder",
        folder="mine",
        without_mask="segment",
        segmentation={"model": "u2netp", "file": "u2netp.onnx", "sha256": "0" * 64},
    )


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"kind": "imagnet"}, "there is no kind 'imagnet'"),
        ({"kind": "imagenet"}, "needs 'folder'"),
        ({"kind": "coco", "annotations": "a.json"}, "needs 'images'"),
        ({"kind": "folder", "folder": "f", "features": "f.csv"}, "the kind folder has no setting 'features'"),
        ({"kind": "table", "exemplars": "e.csv", "licence_source": "x"}, "table has no setting 'licence_source'"),
        ({"kind": "table"}, "there is no table of exemplars"),
        ({"kind": "folder", "folder": "f", "exemplars": "e.csv"}, r"e\.csv would not be read"),
        ({"kind": "folder", "folder": "f", "without_mask": "segment"}, "needs foregrounds: segmentation: model"),
        (
            {"kind": "folder", "folder": "f", "without_mask": "segment", "segmentation": {"model": "u2net"}},
            "needs foregrounds: segmentation: sha256",
        ),
        ({"kind": "folder", "folder": "f", "segmentation": {"model": "u2net"}}, "nothing is segmented"),
    ],
)
def test_settings_that_do_not_go_together_are_named(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(D3SError, match=told) as caught:
        checked(**settings)
    assert caught.value.remedy


def test_a_number_of_exemplars_is_nothing_for_a_table() -> None:
    schema = load_schema()["properties"]["foregrounds"]
    given = with_defaults({"exemplars_per_class": {"train": 3}}, schema)
    with pytest.raises(D3SError, match="takes all exemplars that it names"):
        check_settings(given, with_defaults({}, schema), "exemplars.csv")


def test_a_setting_of_another_kind_reruns_nothing() -> None:
    given = source_settings(kind="folder", folder="mine")
    assert build_source(given).own == build_source(given | {"min_area": 5}).own
    assert build_source(given).own != build_source(given | {"masks": "m"}).own


def test_the_snakefile_pays_for_nothing_heavy() -> None:
    program = (
        "import sys; import d3s.source, d3s.sources.coco, d3s.sources.folder, d3s.sources.imagenet, d3s.sources.table;"
        "import d3s.picture_digests;"
        "print({'numpy', 'PIL', 'pandas', 'pycocotools', 'rembg', 'tqdm'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT / "scripts", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_names_are_fit_for_files_and_stay_apart() -> None:
    assert exemplar_name("cat", "IMG_01") == "cat-IMG_01"
    odd, other = exemplar_name("cat", "my cat (1)"), exemplar_name("cat", "my cat [1]")
    assert odd.startswith("cat-my_cat__1_-")
    assert odd != other
    assert len(exemplar_name("cat", "x" * 300)) < 95


def test_pictures_are_found_by_their_endings(tmp_path: Path) -> None:
    for name in ("b.JPEG", "a.png", ".hidden.png", "notes.txt", "c.webp"):
        (tmp_path / name).touch()
    assert [file.name for file in list_pictures(tmp_path)] == ["a.png", "b.JPEG", "c.webp"]
    with pytest.raises(BadInput, match="gone can't be read"):
        list_pictures(tmp_path / "gone")


def test_a_name_that_was_meant_is_suggested() -> None:
    assert suggest("traffic_light", ["cat", "traffic light"]) == "; did you mean 'traffic light'?"
    assert suggest("CAT", ["cat"]) == "; did you mean 'cat'?"
    assert suggest("zebra", ["cat"]) == ""
