"""The export as its users open it: four readers, the same pixels and labels; and the script that writes it."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import webdataset
from torchvision.datasets import ImageFolder

import export_dataset as script
from d3s.errors import D3SError
from d3s.shards import write_table
from d3s.tables import slice_digest
from small import CLASSES, PER_SPLIT, Small, export_small, make_small, tables_of


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return make_small(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def exported(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_small(small, tmp_path_factory.mktemp("made") / "export")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    datasets.disable_progress_bars()
    yield
    logging.getLogger().handlers.clear()


def accepted(small: Small, split: str) -> dict[str, dict[str, Any]]:
    """The rows of a split's accepted images, by sample."""
    rows = small.accepted[small.accepted["split"] == split]
    return {row["sample"]: row for row in rows.to_dict("records")}


def files_of(folder: Path) -> dict[str, bytes | str]:
    """All files by name, links as what they name."""
    return {
        path.relative_to(folder).as_posix(): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@pytest.mark.parametrize("split", PER_SPLIT)
def test_hugging_face_opens_the_folder(small: Small, exported: Path, split: str, tmp_path: Path) -> None:
    data = datasets.load_dataset(str(exported), split=split, cache_dir=str(tmp_path))
    rows = accepted(small, split)
    assert sorted(data["sample"]) == sorted(rows)
    names, backgrounds = data.features["class"].names, data.features["background"].names
    for record in data:
        row = rows[record["sample"]]
        assert np.array_equal(np.asarray(record["image"]), small.pixels[record["sample"]])
        assert names[record["class"]] == row["class_name"] == record["class_name"]
        assert backgrounds[record["background"]] == row["background"]
        for name in ("split", "matched_set", "prompt", "recipe", "votes", "seed", "verified_by", "set_complete"):
            assert record[name] == row[name], name


def test_hugging_face_streams_it_and_finds_both_splits(exported: Path, tmp_path: Path) -> None:
    data = datasets.load_dataset(str(exported), streaming=True, cache_dir=str(tmp_path))
    assert list(data) == ["train", "val"]
    assert next(iter(data["val"]))["image"].size == (16, 16)


@pytest.mark.parametrize("split", PER_SPLIT)
def test_webdataset_opens_the_tars(small: Small, exported: Path, split: str) -> None:
    tars = sorted(map(str, exported.glob(f"webdataset/{split}-*.tar")))
    records = list(webdataset.WebDataset(tars, shardshuffle=False).decode("pil"))
    rows = accepted(small, split)
    assert sorted(record["json"]["sample"] for record in records) == sorted(rows)
    for record in records:
        sample = record["json"]["sample"]
        assert np.array_equal(np.asarray(record["png"]), small.pixels[sample])
        assert [row["name"] for row in CLASSES][record["cls"]] == rows[sample]["class_name"]
        assert record["json"]["background_name"] == rows[sample]["background"]


@pytest.mark.parametrize("split", PER_SPLIT)
@pytest.mark.parametrize(("view", "column"), [("class", "class_name"), ("background", "background")])
def test_torchvision_opens_the_folders(small: Small, exported: Path, split: str, view: str, column: str) -> None:
    data = ImageFolder(str(exported / "imagefolder" / view / split))
    rows = accepted(small, split)
    assert len(data) == len(rows)
    for (path, label), (picture, same) in zip(data.samples, data, strict=True):
        sample = Path(path).stem
        assert np.array_equal(np.asarray(picture), small.pixels[sample])
        assert data.classes[label] == data.classes[same] == rows[sample][column]


def test_the_images_of_a_matched_set_stand_together(exported: Path, tmp_path: Path) -> None:
    data = datasets.load_dataset(str(exported), split="train", cache_dir=str(tmp_path))
    sets = list(data["matched_set"])
    assert len([n for n in range(1, len(sets)) if sets[n] != sets[n - 1]]) == len(set(sets)) - 1


def test_links_survive_a_move_and_need_no_second_copy(exported: Path) -> None:
    links = [path for path in exported.glob("imagefolder/background/**/*") if path.is_symlink()]
    assert len(links) == 18
    assert all(os.readlink(path).startswith("../../../../") and path.exists() for path in links)


def test_checksums_are_verified_by_their_own_tool(exported: Path) -> None:
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=exported, capture_output=True, text=True
    )
    assert done.returncode == 0
    checked = {line.removesuffix(": OK") for line in done.stdout.splitlines()}
    assert checked == {name for name, data in files_of(exported).items() if isinstance(data, bytes)} - {"SHA256SUMS"}


def test_equal_inputs_give_equal_bytes_wherever_they_lie(small: Small, exported: Path, tmp_path: Path) -> None:
    other = make_small(tmp_path / "data")
    assert files_of(export_small(other, tmp_path / "export")) == files_of(exported)


def test_all_images_are_exported_if_asked_for(small: Small, tmp_path: Path) -> None:
    made = export_small(small, tmp_path / "export", which="all")
    data = datasets.load_dataset(str(made), split="val", cache_dir=str(tmp_path / "cache"))
    statuses = dict(zip(data["sample"], data["status"], strict=True))
    assert sorted(statuses.values()) == ["off_class"] + ["ok"] * 7
    assert data.filter(lambda accepted: not accepted, input_columns="accepted")["reason"] == ["it looks like a <zebra>"]


def test_a_split_without_images_is_left_out(small: Small, tmp_path: Path) -> None:
    from d3s.export.dataset import export
    from d3s.export.folder import export_folder
    from small import about_small

    manifest = small.manifest.assign(accepted=small.manifest["accepted"] & (small.manifest["split"] == "train"))
    with export_folder(tmp_path / "export") as folder:
        export(folder, manifest, small.tars, about_small())
    data = datasets.load_dataset(str(tmp_path / "export"), cache_dir=str(tmp_path / "cache"))
    assert list(data) == ["train"]
    assert "This export has one split only." in (tmp_path / "export" / "README.md").read_text()


def run_script(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.setattr(sys, "argv", arguments)
    script.main(script.parse())


def digests() -> list[str]:
    tables = tables_of(CLASSES)
    return ["--rows-digests", *(slice_digest(tables[kind], columns) for kind, columns in script.COLUMNS.items())]


def test_the_script_writes_what_the_library_does(
    small: Small, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_script(monkeypatch, [*small.arguments(tmp_path / "export"), *digests()])
    assert files_of(tmp_path / "export") == files_of(exported)


def test_the_script_refuses_a_table_that_changed_meanwhile(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = [*digests()[:-1], "0" * 32]
    with pytest.raises(D3SError, match=r"sources.csv changed while the workflow was running"):
        run_script(monkeypatch, [*small.arguments(tmp_path / "export"), *stale])


def test_the_script_needs_no_registry_of_sources(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = [part for part in small.arguments(tmp_path / "export") if not part.startswith("--sources")]
    run_script(monkeypatch, arguments)
    assert "No licence is recorded for 6 pictures" in (tmp_path / "export" / "README.md").read_text()


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: openrail\n---\n# A model\n", "openrail"),
        ("# A model\n\nFree for all.\n---\nlicense: mit\n---\n", ""),
        ("---\nlicense: [\n---\n", ""),
        ("---\ntags: [x]\n---\n", ""),
        ("", ""),
    ],
)
def test_the_licence_of_a_model_is_read_and_never_guessed(tmp_path: Path, card: str, licence: str) -> None:
    (tmp_path / "README.md").write_text(card)
    assert script.read_licence(tmp_path / "README.md") == licence
    assert script.read_licence(tmp_path / "absent.md") == ""


def test_a_damaged_shard_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = make_small(tmp_path / "data")
    data = bytearray(small.tars[-1].read_bytes())
    data[data.index(b"IDAT") + 20] ^= 1
    small.tars[-1].write_bytes(data)
    with pytest.raises(D3SError, match="is not what"):
        run_script(monkeypatch, small.arguments(tmp_path / "made" / "export"))
    assert list((tmp_path / "made").iterdir()) == []


def test_a_manifest_without_an_accepted_image_says_what_to_do(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_table(tmp_path / "manifest.parquet", small.manifest.assign(accepted=False))
    arguments = [
        f"--manifest={tmp_path / 'manifest.parquet'}" if "--manifest" in a else a
        for a in small.arguments(tmp_path / "x")
    ]
    with pytest.raises(D3SError, match="no image to export"):
        run_script(monkeypatch, arguments)
    assert not (tmp_path / "x").exists()
