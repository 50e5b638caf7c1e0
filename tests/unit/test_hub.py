"""Fetching models; the hub itself is a double here, since tests have no network."""

from fnmatch import fnmatch
from pathlib import Path

import huggingface_hub
import pytest

from d3s.errors import BadInput, D3SError
from d3s.hub import fetch_file, fetch_model
from d3s.models import PINS, check_model, model_digest, run_digest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = (
    "model_index.json",
    "README.md",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/diffusion_pytorch_model.bin",
)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A hub that has these files; patterns choose among them as the real one's do."""
    files = list(FILES)

    def snapshot_download(
        name: str, *, revision: str, local_dir: Path, allow_patterns: list[str], ignore_patterns: list[str]
    ) -> None:
        assert (name, revision) == ("owner/model", COMMIT)
        for file in files:
            if any(fnmatch(file, p) for p in allow_patterns) and not any(fnmatch(file, p) for p in ignore_patterns):
                (local_dir / file).parent.mkdir(parents=True, exist_ok=True)
                (local_dir / file).write_text("{}")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return files


@pytest.mark.parametrize(("variant", "weights"), [("", "model.safetensors"), ("fp16", "model.fp16.safetensors")])
def test_one_variant_of_the_weights_comes_and_is_pinned(
    hub: list[str], tmp_path: Path, variant: str, weights: str
) -> None:
    assert fetch_model("owner/model", COMMIT, tmp_path / "m", variant) == 3
    check_model(tmp_path / "m")
    assert [path.name for path in tmp_path.glob("m/unet/*.safetensors")] == [f"diffusion_pytorch_{weights}"]
    assert not list(tmp_path.glob("m/**/*.bin"))


@pytest.mark.parametrize(
    ("name", "revision", "told"),
    [("model", COMMIT, "no name of a model"), ("../../etc", COMMIT, "no name"), ("owner/model", "main", "no commit")],
)
def test_names_and_revisions_are_checked_first(tmp_path: Path, name: str, revision: str, told: str) -> None:
    with pytest.raises(D3SError, match=told):
        fetch_model(name, revision, tmp_path / "m")


def test_a_model_without_safetensors_leaves_nothing_behind(hub: list[str], tmp_path: Path) -> None:
    hub[:] = [file for file in FILES if not file.endswith(".safetensors")]
    with pytest.raises(D3SError, match="no weights in safetensors"):
        fetch_model("owner/model", COMMIT, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_one_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*args: object, **kwargs: object) -> None:
        raise OSError("[Errno 101] Network is unreachable")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(D3SError, match=r"Network is unreachable[\s\S]*pin_model.py"):
        fetch_model("owner/model", COMMIT, tmp_path / "m")


def test_a_folder_that_holds_something_is_left_alone(hub: list[str], tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "notes.txt").touch()
    with pytest.raises(D3SError, match="exists already, and not from a hub"):
        fetch_model("owner/model", COMMIT, tmp_path / "m")
    assert [path.name for path in tmp_path.glob("m/*")] == ["notes.txt"]


def test_an_empty_folder_is_filled(hub: list[str], tmp_path: Path) -> None:
    """As Snakemake makes it before it runs the rule."""
    (tmp_path / "m").mkdir()
    assert fetch_model("owner/model", COMMIT, tmp_path / "m") == 3


def test_a_model_is_not_fetched_twice(hub: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch_model("owner/model", COMMIT, tmp_path / "m", "fp16")
    before = model_digest(tmp_path / "m")
    (tmp_path / "m" / PINS).unlink()
    monkeypatch.setattr(huggingface_hub, "snapshot_download", None)
    assert fetch_model("owner/model", COMMIT, tmp_path / "m", "fp16") == 3
    assert model_digest(tmp_path / "m") == before
    with pytest.raises(D3SError, match=f"exists already and holds owner/model {COMMIT} fp16"):
        fetch_model("owner/model", COMMIT, tmp_path / "m")
    (tmp_path / "m" / "unet" / "config.json").write_text('{"changed": 1}')
    with pytest.raises(D3SError, match="changed since it was fetched"):
        fetch_model("owner/model", COMMIT, tmp_path / "m", "fp16")


def test_a_run_uses_the_model_that_it_was_planned_with(hub: list[str], tmp_path: Path) -> None:
    fetch_model("owner/model", COMMIT, tmp_path / "m", "fp16")
    assert run_digest(tmp_path / "m", f"hub owner/model {COMMIT} fp16") == model_digest(tmp_path / "m")
    with pytest.raises(D3SError, match=f"was not fetched from owner/model {COMMIT}, .* but from owner/model"):
        run_digest(tmp_path / "m", f"hub owner/model {COMMIT}")


def test_a_single_file_comes_from_the_hub_s_cache_or_is_told_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda name, file, revision: str(tmp_path / name / file))
    assert fetch_file("owner/model", "w.safetensors", COMMIT) == tmp_path / "owner/model/w.safetensors"

    def refuse(*_: object, **__: object) -> None:
        raise huggingface_hub.errors.LocalEntryNotFoundError("offline mode is on")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    with pytest.raises(BadInput, match=r"w\.safetensors of owner/model can't be fetched \(offline mode is on\)") as bad:
        fetch_file("owner/model", "w.safetensors")
    assert bad.value.status == "unavailable"
