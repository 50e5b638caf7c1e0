import argparse
import sys
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import convert_weights
from d3s.errors import D3SError
from d3s.identity import file_sha256
from d3s.weights import (
    build_model,
    convert_published,
    find_published,
    load_classifier,
    map_in_order,
    read_published,
    read_safetensors,
)

MODEL = "test_efficientnet"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that fails when it is imported, with a checkpoint in it; the path of the checkpoint."""
    folder = tmp_path / "site" / "a_published_model"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    torch.manual_seed(0)
    state = build_model(MODEL).state_dict()
    torch.save(OrderedDict((f"layer{n}", tensor) for n, tensor in enumerate(state.values())), folder / "weights.pth")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return folder / "weights.pth"


def convert(checkpoint: Path, output: Path, timm_name: str = MODEL) -> None:
    convert_published("a_published_model", "weights.pth", file_sha256(checkpoint), timm_name, output)


def test_a_published_file_is_found_without_importing_its_package(package: Path) -> None:
    assert find_published("a_published_model", "weights.pth") == package
    assert "a_published_model" not in sys.modules


@pytest.mark.parametrize("source", ["no_such_package", "no_such.package"])
def test_a_package_that_is_not_installed(source: str) -> None:
    with pytest.raises(D3SError, match="isn't installed") as error:
        find_published(source, "weights.pth")
    assert "requirements" in error.value.remedy


def test_a_package_without_the_file(package: Path) -> None:
    with pytest.raises(D3SError, match=r"no file other\.pth"):
        find_published("a_published_model", "other.pth")


def test_converted_weights_give_the_same_outputs(package: Path, tmp_path: Path) -> None:
    convert(package, tmp_path / "model.safetensors")
    model = load_classifier(MODEL, tmp_path / "model.safetensors")
    torch.manual_seed(0)
    original = build_model(MODEL).eval()
    picture = torch.randn(1, 3, 32, 32)
    assert not model.training
    assert torch.equal(model(picture), original(picture))


def test_equal_inputs_give_equal_bytes(package: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        convert(package, tmp_path / f"{name}.safetensors")
    assert file_sha256(tmp_path / "one.safetensors") == file_sha256(tmp_path / "two.safetensors")


def test_the_script_converts_the_classifier_that_a_table_names(package: Path, tmp_path: Path) -> None:
    table = tmp_path / "classifiers.csv"
    table.write_text(
        "name,timm_name,role,source,file,sha256,input_size,licence\n"
        f"tiny,{MODEL},judge,a_published_model,weights.pth,{file_sha256(package)},32,Apache-2.0\n"
    )
    args = argparse.Namespace(table=table, name="tiny", rows_digest=None, output=tmp_path / "tiny.safetensors")
    convert_weights.main(args)
    convert(package, tmp_path / "model.safetensors")
    assert args.output.read_bytes() == (tmp_path / "model.safetensors").read_bytes()
    args.name = "huge"
    with pytest.raises(D3SError, match="no classifier 'huge'"):
        convert_weights.main(args)


def test_a_file_with_another_digest_is_not_even_read(tmp_path: Path) -> None:
    (tmp_path / "weights.pth").write_bytes(b"anything")
    with pytest.raises(D3SError, match="sha256") as error:
        read_published(tmp_path / "weights.pth", "0" * 64)
    assert "trust" in error.value.remedy


@pytest.mark.parametrize("content", [{"model": {"layer": torch.zeros(1)}}, [torch.zeros(1)]])
def test_a_checkpoint_must_be_plain_tensors(tmp_path: Path, content: object) -> None:
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    with pytest.raises(D3SError, match="more than named tensors"):
        read_published(path, file_sha256(path))


def test_a_pickle_that_builds_objects_is_refused_although_its_digest_fits(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"layer": Path("an object")}, path)
    with pytest.raises(D3SError, match="plain tensors"):
        read_published(path, file_sha256(path))


def test_tensors_take_their_places_in_order_only_if_all_fit() -> None:
    wanted = {"stem.weight": torch.zeros(2, 3), "head.bias": torch.zeros(4)}
    mapped = map_in_order({"a": torch.ones(2, 3), "b": torch.ones(4)}, wanted, "file")
    assert list(mapped) == ["stem.weight", "head.bias"]
    with pytest.raises(D3SError, match="holds 1 tensors and the model has 2"):
        map_in_order({"a": torch.ones(2, 3)}, wanted, "file")
    with pytest.raises(D3SError, match=r"b is \[5\] and its place in the model, head\.bias, is \[4\]"):
        map_in_order({"a": torch.ones(2, 3), "b": torch.ones(5)}, wanted, "file")


def test_a_model_that_timm_lacks() -> None:
    with pytest.raises(D3SError, match="no model 'efficientnet_light'"):
        build_model("efficientnet_light")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_that_is_a_pickle_is_refused_with_a_remedy(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "model.safetensors"
    torch.save({"weight": torch.zeros(1)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(D3SError, match="pickled checkpoint") as error:
        load_classifier(MODEL, path)
    assert "convert it to safetensors" in error.value.remedy


def test_weights_that_are_cut_short_missing_or_of_another_model(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(D3SError, match="can't be read"):
        read_safetensors(path)
    save_file({"weight": torch.zeros(9)}, path)
    with pytest.raises(D3SError, match="don't fit the model"):
        load_classifier(MODEL, path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(D3SError, match="whole safetensors"):
        read_safetensors(path)
