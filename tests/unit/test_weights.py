"""Weights of classifiers: four kinds of sources, digests, names with prefixes, and what is said of missing ones."""

import argparse
import json
import sys
import urllib.request
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import convert_weights
from d3s import weights
from d3s.classifier_library import State, load_library
from d3s.classifier_table import DEFAULTS
from d3s.errors import BadInput, D3SError
from d3s.identity import file_sha256
from d3s.weights import Found, convert, find_in_package, load_network, map_in_order, read_about, read_published

MODEL = "test_efficientnet"
Entry = dict[str, Any]


def network(outputs: int = 1000, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return load_library("timm").build(MODEL, outputs, {}).network.eval()


def entry(**given: Any) -> Entry:
    return DEFAULTS | {"name": "tiny", "family": "tiny", "architecture": MODEL, "licence": "MIT"} | given


def local(path: Path, state: State) -> Entry:
    """An entry of a file in the current folder, written now."""
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return entry(weights={"file": str(path)})


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that fails when it is imported, with a checkpoint in it; the path of the checkpoint."""
    folder = tmp_path / "site" / "a_published_model"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    state = network().state_dict()
    torch.save(OrderedDict((f"layer{n}", tensor) for n, tensor in enumerate(state.values())), folder / "weights.pth")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return folder / "weights.pth"


def of_package(checkpoint: Path) -> Entry:
    source = {"package": "a_published_model", "file": "weights.pth", "sha256": file_sha256(checkpoint)}
    return entry(weights=source)


def outputs_of(path: Path) -> torch.Tensor:
    built, about = load_network("timm", MODEL, path)
    assert about.status == "ok"
    assert not built.network.training
    torch.manual_seed(1)
    answers: torch.Tensor = built.network(torch.randn(1, 3, 32, 32))
    return answers


def expected_outputs(seed: int = 0) -> torch.Tensor:
    original = network(seed=seed)
    torch.manual_seed(1)
    answers: torch.Tensor = original(torch.randn(1, 3, 32, 32))
    return answers


# ---- a package's file


def test_a_published_file_is_found_without_importing_its_package(package: Path) -> None:
    assert find_in_package("a_published_model", "weights.pth") == package
    assert "a_published_model" not in sys.modules


@pytest.mark.parametrize("name", ["no_such_package", "no_such.package"])
def test_a_package_that_is_not_installed(name: str) -> None:
    with pytest.raises(BadInput, match=r"isn't installed .* requirements") as bad:
        find_in_package(name, "weights.pth")
    assert bad.value.status == "unavailable"


def test_a_package_without_the_file(package: Path) -> None:
    with pytest.raises(BadInput, match=r"no file other\.pth"):
        find_in_package("a_published_model", "other.pth")


def test_a_package_s_tensors_are_taken_in_their_order_whatever_they_are_called(package: Path, tmp_path: Path) -> None:
    about = convert(of_package(package), 1000, tmp_path / "model.safetensors")
    assert about.sha256 == file_sha256(package)
    assert torch.equal(outputs_of(tmp_path / "model.safetensors"), expected_outputs())


def test_equal_inputs_give_equal_bytes(package: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        convert(of_package(package), 1000, tmp_path / f"{name}.safetensors")
    assert file_sha256(tmp_path / "one.safetensors") == file_sha256(tmp_path / "two.safetensors")


def test_tensors_take_their_places_in_order_only_if_all_fit() -> None:
    wanted = {"stem.weight": torch.zeros(2, 3), "head.bias": torch.zeros(4)}
    mapped = map_in_order({"a": torch.ones(2, 3), "b": torch.ones(4)}, wanted, "file")
    assert list(mapped) == ["stem.weight", "head.bias"]
    with pytest.raises(BadInput, match="holds 1 tensors and the network has 2"):
        map_in_order({"a": torch.ones(2, 3)}, wanted, "file")
    with pytest.raises(BadInput, match=r"b is \[5\] and its place in the network, head\.bias, is \[4\]"):
        map_in_order({"a": torch.ones(2, 3), "b": torch.ones(5)}, wanted, "file")


# ---- digests and pickles


def test_a_file_with_another_digest_is_not_even_read(package: Path, tmp_path: Path) -> None:
    changed = of_package(package)
    package.write_bytes(b"anything")
    about = convert(changed, 1000, tmp_path / "model.safetensors")
    assert about.status == "wrong_digest"
    assert file_sha256(package) in about.reason


def test_a_pickle_that_nobody_pinned_is_not_read(tmp_path: Path) -> None:
    given = local(tmp_path / "weights.pth", network().state_dict())
    about = convert(given, 1000, tmp_path / "model.safetensors")
    assert about.status == "not_readable"
    assert f"write sha256: {file_sha256(tmp_path / 'weights.pth')}" in about.reason
    given["weights"]["sha256"] = file_sha256(tmp_path / "weights.pth")
    assert convert(given, 1000, tmp_path / "model.safetensors").status == "ok"


def test_a_pickle_that_builds_objects_is_refused_although_its_digest_fits(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"layer": Path("an object")}, path)
    with pytest.raises(BadInput, match="plain tensors"):
        read_published(Found(path, "", pinned=True))


def test_a_checkpoint_must_hold_tensors_perhaps_below_a_usual_name(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"epoch": 3, "state_dict": {"layer": torch.ones(1)}}, path)
    assert list(read_published(Found(path, "", pinned=True))) == ["layer"]
    torch.save([torch.zeros(1)], path)
    with pytest.raises(BadInput, match="more than named tensors"):
        read_published(Found(path, "", pinned=True))


# ---- names


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module.model."])
def test_names_may_begin_as_if_saved_inside_another_module(tmp_path: Path, prefix: str) -> None:
    state = {f"{prefix}{name}": tensor for name, tensor in network().state_dict().items()}
    if prefix == "module.model.":
        state["module.normalizer.new_mean"] = torch.zeros(3)  # as a training for robustness leaves it
    given = local(tmp_path / "weights.safetensors", state)
    assert convert(given, 1000, tmp_path / "model.safetensors").status == "ok"
    assert torch.equal(outputs_of(tmp_path / "model.safetensors"), expected_outputs())


def test_a_counter_of_batches_may_be_missing_and_nothing_else(tmp_path: Path) -> None:
    state = {name: tensor for name, tensor in network().state_dict().items() if "num_batches" not in name}
    assert convert(local(tmp_path / "a.safetensors", state), 1000, tmp_path / "model.safetensors").status == "ok"
    state.pop("bn2.weight")
    about = convert(local(tmp_path / "b.safetensors", state), 1000, tmp_path / "model.safetensors")
    assert about.status == "wrong_network"
    assert "bn2.weight" in about.reason


def test_a_larger_network_that_holds_the_smaller_one_is_not_it(tmp_path: Path) -> None:
    state = network().state_dict() | {"blocks.9.weight": torch.zeros(1)}
    about = convert(local(tmp_path / "a.safetensors", state), 1000, tmp_path / "model.safetensors")
    assert about.status == "wrong_network"
    assert "blocks.9.weight" in about.reason


def test_another_number_of_classes_is_told_apart_from_another_network(tmp_path: Path) -> None:
    given = local(tmp_path / "weights.safetensors", network(10).state_dict())
    about = convert(given, 1000, tmp_path / "model.safetensors")
    assert about.status == "wrong_classes"
    assert "tells 10 classes apart (classifier.weight), not 1000" in about.reason
    own = given | {"label_space": "classes"}
    assert convert(own, 10, tmp_path / "model.safetensors").status == "ok"


# ---- what a library publishes


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of downloaded files, and no network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "torch/hub/checkpoints").mkdir(parents=True)
    return tmp_path / "torch/hub/checkpoints"


RESNET = {"architecture": "resnet18.tv_in1k", "weights": {"published": True, "sha256_prefix": "f37072fd"}}


def test_weights_that_can_not_be_fetched_are_a_file_that_says_so(cache: Path, tmp_path: Path) -> None:
    about = convert(entry(**RESNET, note="ask the authors"), 1000, tmp_path / "model.safetensors")
    assert about.status == "unavailable"
    assert "resnet18-f37072fd.pth is not in" in about.reason
    assert about.reason.endswith("; ask the authors")
    assert load_file(tmp_path / "model.safetensors") == {}
    assert read_about(tmp_path / "model.safetensors") == about
    with pytest.raises(BadInput, match="resnet18-f37072fd") as bad:
        load_network("timm", "resnet18", tmp_path / "model.safetensors")
    assert bad.value.status == "unavailable"


def test_a_network_that_fails_is_no_crash(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")

    def fail(*_: object, **__: object) -> None:
        raise TimeoutError("timed out")

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    about = convert(entry(**RESNET), 1000, tmp_path / "model.safetensors")
    assert (about.status, about.reason.endswith("can't be fetched (timed out)")) == ("unavailable", True)
    assert not list(cache.iterdir()), "nothing half-written is left"


def test_a_file_in_the_cache_is_used_if_its_digest_begins_as_its_name_says(cache: Path, tmp_path: Path) -> None:
    torch.save({"fc.bias": torch.zeros(2)}, cache / "resnet18-f37072fd.pth")
    about = convert(entry(**RESNET), 1000, tmp_path / "model.safetensors")
    assert about.status == "wrong_digest"
    assert "f37072fd is expected" in about.reason


def test_what_the_hub_has_is_taken_at_its_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_file(network().state_dict(), tmp_path / "hub.safetensors")
    asked: list[tuple[str, str, str | None]] = []

    def fetch(name: str, file: str, revision: str | None = None) -> Path:
        asked.append((name, file, revision))
        return tmp_path / "hub.safetensors"

    monkeypatch.setattr(weights, "fetch_file", fetch)
    given = entry(weights={"hub": "somebody/tiny", "revision": "a" * 40, "file": "w.safetensors"})
    assert convert(given, 1000, tmp_path / "model.safetensors").status == "ok"
    assert asked == [("somebody/tiny", "w.safetensors", "a" * 40)]
    given["weights"]["sha256"] = "0" * 64
    assert convert(given, 1000, tmp_path / "model.safetensors").status == "wrong_digest"


def test_a_file_that_is_not_there_is_told_with_the_entry_s_note(tmp_path: Path) -> None:
    missing = entry(weights={"file": "data/gone.safetensors"}, note="it is at the authors' page")
    about = convert(missing, 1000, tmp_path / "model.safetensors")
    assert about.reason == "there is no file data/gone.safetensors; it is at the authors' page"


# ---- the script


@pytest.fixture
def listed(tmp_path: Path) -> Callable[..., argparse.Namespace]:
    """Writes a list whose judge is given, and gives the arguments to convert one of its entries."""

    def write(judge: Entry, name: str = "tiny") -> argparse.Namespace:
        table = tmp_path / "classifiers.yaml"
        nowhere = {"file": "data/nowhere.safetensors"}
        others = [entry(name=role, role=role, weights=nowhere) for role in ("backbone", "screen")]
        rows = [{key: value for key, value in row.items() if value} for row in (*others, judge)]
        table.write_text(yaml.safe_dump(rows))
        places = {"output": tmp_path / f"{name}.safetensors", "news": tmp_path / f"{name}.json"}
        return argparse.Namespace(table=table, name=name, rows_digest=None, outputs=1000, **places)

    return write


def test_the_script_converts_the_classifier_that_a_list_names(
    package: Path, tmp_path: Path, listed: Callable[..., argparse.Namespace]
) -> None:
    args = listed(of_package(package))
    convert_weights.main(args)
    convert(of_package(package), 1000, tmp_path / "model.safetensors")
    assert args.output.read_bytes() == (tmp_path / "model.safetensors").read_bytes()
    assert json.loads(args.news.read_text()) == {
        "published_sha256": file_sha256(package),
        "reason": "",
        "sha256": file_sha256(args.output),
        "status": "ok",
    }
    args.name = "tinny"
    with pytest.raises(D3SError, match="no classifier 'tinny'") as error:
        convert_weights.main(args)
    assert error.value.remedy == "did you mean 'tiny'?"


def test_a_missing_judge_stops_nothing_a_missing_screen_does(
    package: Path, listed: Callable[..., argparse.Namespace]
) -> None:
    args = listed(entry(weights={"file": "data/gone.safetensors"}))
    convert_weights.main(args)
    assert json.loads(args.news.read_text())["status"] == "unavailable"
    args = listed(of_package(package), "screen")
    with pytest.raises(D3SError, match="of screen, the screen, can't be had"):
        convert_weights.main(args)
    assert not args.output.exists(), "or the next run would take it for made"


# ---- converted files


def test_a_model_that_timm_lacks() -> None:
    with pytest.raises(BadInput, match=r"no network 'test_eficientnet' \(did you mean test_efficientnet\?\)"):
        load_library("timm").build("test_eficientnet", 1000, {})
    with pytest.raises(BadInput, match=r"resnet18\.a9_in1k.*its tags are .*a1_in1k"):
        load_library("timm").build("resnet18.a9_in1k", 1000, {})


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_that_is_a_pickle_is_refused_with_a_remedy(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "model.safetensors"
    torch.save({"weight": torch.zeros(1)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(D3SError, match="pickled checkpoint") as error:
        load_network("timm", MODEL, path)
    assert "convert it to safetensors" in error.value.remedy


def test_a_header_whose_length_looks_like_a_pickle_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for padding in range(256):
        save_file({"weight": torch.zeros(1)}, path, metadata={"origin": json.dumps({"reason": "x" * padding})})
        if path.read_bytes()[0] == 0x80:
            break
    assert path.read_bytes()[0] == 0x80, "safetensors pads its header to eight bytes"
    assert list(weights.read_safetensors(path)) == ["weight"]


def test_weights_that_are_cut_short_missing_or_of_another_model(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(D3SError, match="can't be read"):
        load_network("timm", MODEL, path)
    save_file({"weight": torch.zeros(9)}, path)
    with pytest.raises(D3SError, match="don't fit the model"):
        load_network("timm", MODEL, path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(D3SError, match="whole safetensors"):
        load_network("timm", MODEL, path)
