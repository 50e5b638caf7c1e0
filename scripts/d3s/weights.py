"""Weights of classifiers: from a published package, checked and converted once, then read as safetensors only."""

import importlib.util
import json
import pickle
from pathlib import Path

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from d3s.errors import D3SError
from d3s.identity import file_sha256
from d3s.shards import whole_file

State = dict[str, torch.Tensor]

_PICKLE_HEADS = (b"PK\x03\x04", b"\x80")
"""First bytes of torch's checkpoints: a zip that holds a pickle, or (old ones) the pickle itself."""


def find_published(source: str, file: str) -> Path:
    """The path of a file inside an installed Python package, without importing the package.

    Raises:
        D3SError: the package isn't installed, or has no such file.
    """
    try:
        spec = importlib.util.find_spec(source)
    except (ModuleNotFoundError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        package = source.replace("_", "-")
        raise D3SError(
            f"the Python package {source} isn't installed",
            f"install the requirements (it is {package} there), or correct 'source' in the table of classifiers",
        )
    for folder in spec.submodule_search_locations:
        path = Path(folder) / file
        if path.is_file():
            return path
    raise D3SError(
        f"the package {source} has no file {file}",
        "install the version that the requirements pin, or correct 'file' in the table of classifiers",
    )


def read_published(path: Path, sha256: str) -> State:
    """Read a published checkpoint, in the order of its tensors, once its digest is known to be the pinned one.

    It may be a pickle (the only kind that is read anywhere), so the digest comes first and torch's restricted reader
    builds nothing but tensors from it.

    Raises:
        D3SError: the digest differs, or the file holds something else than named tensors.
    """
    found = file_sha256(path)
    if found != sha256:
        raise D3SError(
            f"{path.name} has the sha256 {found}, not {sha256}",
            "install the version that the requirements pin; change 'sha256' only if you trust the new file",
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError) as error:
        raise D3SError(
            f"{path.name} can't be read as a checkpoint of plain tensors ({error})",
            "name a file that holds a state dict in the table of classifiers",
        ) from None
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise D3SError(
            f"{path.name} holds more than named tensors", "name a file that holds a plain state dict, nothing nested"
        )
    return dict(state)


def build_model(timm_name: str) -> nn.Module:
    """An untrained model of timm.

    Raises:
        D3SError: timm has no model of this name.
    """
    if not timm.is_model(timm_name):
        raise D3SError(
            f"timm {timm.__version__} has no model {timm_name!r}", "correct 'timm_name' in the table of classifiers"
        )
    return timm.create_model(timm_name, pretrained=False)


def map_in_order(published: State, wanted: State, what: str) -> State:
    """Give published tensors, one after the other, the names of a model whose layers come in the same order.

    Args:
        published: tensors in the order in which the published network defines its layers.
        wanted: the state dict of the model; its names, shapes and types.
        what: name of the published file, for messages.

    Raises:
        D3SError: the numbers of tensors differ, or the shapes of a pair do.
    """
    remedy = "correct 'timm_name' or 'file' in the table of classifiers: the two are different networks"
    if len(published) != len(wanted):
        raise D3SError(f"{what} holds {len(published)} tensors and the model has {len(wanted)}", remedy)
    mapped = {}
    for (old, tensor), (new, place) in zip(published.items(), wanted.items(), strict=True):
        if tensor.shape != place.shape:
            raise D3SError(
                f"{what}: {old} is {list(tensor.shape)} and its place in the model, {new}, is {list(place.shape)}",
                remedy,
            )
        mapped[new] = tensor.to(place.dtype).contiguous().clone()
    return mapped


def convert_published(source: str, file: str, sha256: str, timm_name: str, output: str | Path) -> None:
    """Write the weights of an installed package as safetensors for a timm model; equal inputs give equal bytes.

    Raises:
        D3SError: what ``find_published``, ``read_published``, ``build_model`` and ``map_in_order`` raise.
    """
    path = find_published(source, file)
    state = map_in_order(read_published(path, sha256), build_model(timm_name).state_dict(), path.name)
    # A single entry: safetensors writes several of them in an order of its own that changes from run to run.
    origin = json.dumps({"timm_name": timm_name, "source": source, "file": file, "sha256": sha256}, sort_keys=True)
    with whole_file(output) as temporary:
        save_file(state, temporary, metadata={"origin": origin})


def read_safetensors(path: str | Path) -> State:
    """Read tensors from a safetensors file and from nothing else: reading a pickle can run any code that it holds.

    Raises:
        D3SError: the file is missing, damaged, or a checkpoint of another kind.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            head = file.read(4)
    except OSError as error:
        raise D3SError(
            f"the weights {path} can't be read ({error.strerror})", "correct the path, or run the workflow to make it"
        ) from None
    if head.startswith(_PICKLE_HEADS):
        raise D3SError(
            f"{path} is a pickled checkpoint, which can run any code when it is read",
            "convert it to safetensors (rule convert_weights does so for a file pinned by sha256), and name that file",
        )
    try:
        return load_file(path)
    except SafetensorError as error:
        raise D3SError(
            f"{path} isn't a whole safetensors file ({error})",
            "delete it and run the workflow again; if it is a checkpoint of your own, convert it to safetensors",
        ) from None


def load_classifier(timm_name: str, path: str | Path) -> nn.Module:
    """A timm model with the weights of a safetensors file, in evaluation mode.

    Raises:
        D3SError: what ``build_model`` and ``read_safetensors`` raise, or the weights belong to another model.
    """
    model = build_model(timm_name)
    try:
        model.load_state_dict(read_safetensors(path))
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise D3SError(
            f"the weights {path} don't fit the model {timm_name} ({first})",
            "correct 'timm_name' in the table of classifiers, or convert the weights again",
        ) from None
    return model.eval()
