"""Models are pinned by the digests of all their files, and never pickles."""

import shutil
from pathlib import Path

import pytest

from d3s.errors import D3SError
from d3s.models import PINS, check_model, model_digest, pin_model, planned_digest, run_digest, weights_variant
from d3s.shards import write_json


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "unet").mkdir()
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "model_index.json").write_text("{}")
    (tmp_path / "unet" / "weights.safetensors").write_bytes(b"weights")
    (tmp_path / "tokenizer" / "vocab.json").write_text("{}")
    write_json(tmp_path / PINS, pin_model(tmp_path))
    return tmp_path


def test_a_pinned_model_passes(model: Path) -> None:
    check_model(model)
    assert model_digest(model) != model_digest(model, "tokenizer/")


def test_other_weights_are_noticed(model: Path) -> None:
    (model / "unet" / "weights.safetensors").write_bytes(b"other")
    with pytest.raises(D3SError, match=r"weights\.safetensors differs from its pin"):
        check_model(model)


def test_missing_and_additional_files_are_noticed(model: Path) -> None:
    (model / "unet" / "more.json").write_text("{}")
    with pytest.raises(D3SError, match="is not pinned"):
        check_model(model)
    (model / "unet" / "more.json").unlink()
    (model / "unet" / "weights.safetensors").unlink()
    with pytest.raises(D3SError, match="is missing"):
        check_model(model)


def test_a_pickle_is_refused(model: Path) -> None:
    (model / "unet" / "weights.bin").write_bytes(b"")
    with pytest.raises(D3SError, match="is a pickle"):
        check_model(model)


def test_a_model_in_a_hidden_folder_is_pinned_as_any_other(model: Path, tmp_path: Path) -> None:
    hidden = tmp_path / ".cache" / "model"
    shutil.copytree(model, hidden, ignore=shutil.ignore_patterns(".cache"))
    assert pin_model(hidden) == pin_model(model)
    (hidden / "unet" / "weights.bin").write_bytes(b"a pickle")
    with pytest.raises(D3SError, match="pickle"):
        pin_model(hidden)


def test_a_run_is_planned_with_the_files_or_with_where_they_come_from(model: Path) -> None:
    here = {"model": str(model), "hub": "", "revision": "", "variant": ""}
    assert (
        planned_digest(here) == model_digest(model) == run_digest(model, planned_digest(here)) == run_digest(model, "")
    )
    assert planned_digest(here, "tokenizer") == model_digest(model, "tokenizer")
    with pytest.raises(D3SError, match="changed while the workflow was running"):
        run_digest(model, "another digest")
    there = {"model": str(model / "absent"), "hub": "owner/model", "revision": "0" * 40, "variant": ""}
    assert planned_digest(there) == planned_digest(there, "tokenizer") == f"hub owner/model {'0' * 40}"
    with pytest.raises(D3SError, match=r"there is no model at [\s\S]* snakemake --cores 1 fetch_model"):
        run_digest(model / "absent", planned_digest(there))
    with pytest.raises(D3SError, match="from nothing that is known"):
        run_digest(model, planned_digest(there))


def test_a_model_without_pins_says_how_to_pin_it(tmp_path: Path) -> None:
    with pytest.raises(D3SError, match=r"pin_model\.py"):
        model_digest(tmp_path)
    with pytest.raises(D3SError, match=r"model_index\.json"):
        pin_model(tmp_path)


@pytest.mark.parametrize(
    ("names", "variant"),
    [
        (["model.safetensors"], None),
        (["model.fp16.safetensors"], "fp16"),
        (["model.fp16-00001-of-00002.safetensors"], "fp16"),
        (["model.fp16.safetensors", "model.safetensors"], None),
    ],
)
def test_the_variant_of_the_weights_is_told_by_their_names(
    tmp_path: Path, names: list[str], variant: str | None
) -> None:
    (tmp_path / "unet").mkdir()
    for name in names:
        (tmp_path / "unet" / name).touch()
    assert weights_variant(tmp_path) == variant
