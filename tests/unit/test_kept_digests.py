"""A large file is read once, and again only when it changed."""

import os
import time
from pathlib import Path

import pytest

from d3s import kept_digests as module
from d3s.errors import D3SError
from d3s.identity import file_sha256
from d3s.kept_digests import kept_digests
from d3s.models import PINS, check_model, pin_model
from d3s.shards import write_json


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A pinned model that was last changed a minute ago."""
    folder = tmp_path / "model"
    (folder / "unet").mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    (folder / "unet" / "weights.safetensors").write_bytes(b"weights")
    for file in folder.rglob("*.*"):
        age(file)
    write_json(folder / PINS, pin_model(folder))
    return folder


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read whole."""
    names: list[str] = []

    def watched(path: Path) -> str:
        names.append(path.name)
        return file_sha256(path)

    monkeypatch.setattr(module, "file_sha256", watched)
    return names


def age(file: Path, seconds: int = 60) -> None:
    os.utime(file, ns=(0, time.time_ns() - seconds * 10**9))


def check(model: Path, store: Path | None) -> None:
    with kept_digests(store, model) as sha256:
        check_model(model, sha256)


def test_a_model_is_hashed_once(model: Path, tmp_path: Path, read: list[str]) -> None:
    check(model, tmp_path / "store")
    assert sorted(read) == ["model_index.json", "weights.safetensors"]
    check(model, tmp_path / "store")
    assert len(read) == 2
    check(model, None)
    assert len(read) == 4, "without a store nothing is kept"


def test_a_changed_file_is_read_again_and_noticed(model: Path, tmp_path: Path, read: list[str]) -> None:
    check(model, tmp_path / "store")
    (model / "unet" / "weights.safetensors").write_bytes(b"changed")
    with pytest.raises(D3SError, match=r"weights\.safetensors differs from its pin"):
        check(model, tmp_path / "store")
    assert read[2:] == ["weights.safetensors"]


def test_a_file_that_changed_just_now_is_not_trusted_yet(model: Path, tmp_path: Path, read: list[str]) -> None:
    os.utime(model / "unet" / "weights.safetensors")
    check(model, tmp_path / "store")
    check(model, tmp_path / "store")
    assert read.count("weights.safetensors") == 2
    assert read.count("model_index.json") == 1


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"files": {"a": 1}}', "not JSON"])
def test_a_damaged_memory_means_reading_again(model: Path, tmp_path: Path, read: list[str], content: str) -> None:
    check(model, tmp_path / "store")
    kept = next((tmp_path / "store" / "digests").iterdir())
    whole = kept.read_text()
    kept.write_text(content)
    check(model, tmp_path / "store")
    assert len(read) == 4
    assert kept.read_text() == whole
    kept.write_text(whole.replace(file_sha256(model / "model_index.json"), "f" * 64))
    check(model, tmp_path / "store")
    assert len(read) == 6
