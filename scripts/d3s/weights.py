"""Weights of classifiers: found, checked by digest and converted once, then read as safetensors only."""

import importlib.util
import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from d3s.classifier_library import IMAGENET_CLASSES, Built, Library, Published, State, load_library
from d3s.downloads import fetch_url
from d3s.errors import BadInput, D3SError
from d3s.hub import fetch_file
from d3s.identity import file_sha256
from d3s.keras_files import KERAS_FILES, read_keras
from d3s.shards import whole_file

_PICKLE_HEADS = (b"PK\x03\x04", b"\x80")
"""First bytes of torch's checkpoints: a zip that holds a pickle, or (old ones) the pickle itself."""
_NESTED = ("state_dict", "model", "model_state_dict")
"""Where the tensors of checkpoints are that hold more than tensors."""
_PREFIXES = ("", "module.", "model.", "module.model.", "_orig_mod.")
"""What names begin with that were saved from inside another module."""


@dataclass(frozen=True)
class Found:
    """A file of weights as somebody published it.

    Attributes:
        path: of the file.
        sha256: its digest.
        pinned: whether anybody said what its digest must be.
        companions: the text of the library's files beside it.
    """

    path: Path
    sha256: str
    pinned: bool
    companions: Mapping[str, str] = field(default_factory=dict)


def find_in_package(package: str, file: str) -> Path:
    """The path of a file inside an installed Python package, without importing the package.

    Raises:
        BadInput: ``unavailable``: the package isn't installed, or has no such file.
    """
    try:
        spec = importlib.util.find_spec(package)
    except (ModuleNotFoundError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        name = package.replace("_", "-")
        raise BadInput(
            "unavailable", f"the Python package {package} isn't installed (it is {name} among the requirements)"
        )
    for folder in spec.submodule_search_locations:
        path = Path(folder) / file
        if path.is_file():
            return path
    raise BadInput("unavailable", f"the package {package} has no file {file}")


def find(entry: Mapping[str, Any], library: Library) -> Found:
    """The published file of an entry's weights, whose digest is the one that is expected.

    Raises:
        BadInput: ``unavailable`` or ``wrong_digest``.
    """
    weights = entry["weights"]
    expected = [weights[key] for key in ("sha256", "sha256_prefix") if weights.get(key)]
    if "package" in weights:
        path = find_in_package(weights["package"], weights["file"])
        companions = _beside(path, library)
    elif "hub" in weights:
        path, companions = _from_hub(
            weights["hub"], weights.get("file", "model.safetensors"), library, weights["revision"]
        )
    elif "published" in weights:
        place: Published = library.published(entry["architecture"])
        if place.url:
            path, companions = fetch_url(place.url), {}
        else:
            path, companions = _from_hub(place.hub, place.file, library)
        expected += [place.sha256_prefix] * bool(place.sha256_prefix)
    else:
        path = Path(weights["file"])
        if not path.is_file():
            raise BadInput("unavailable", f"there is no file {path}")
        companions = _beside(path, library)
    found = file_sha256(path)
    for digest in expected:
        if not found.startswith(digest):
            raise BadInput("wrong_digest", f"{path.name} has the sha256 {found}, and {digest} is expected")
    return Found(path, found, bool(expected), companions)


def _beside(path: Path, library: Library) -> dict[str, str]:
    places = {name: path.with_name(name) for name in library.COMPANIONS}
    return {name: place.read_text(encoding="utf-8") for name, place in places.items() if place.is_file()}


def _from_hub(name: str, file: str, library: Library, revision: str | None = None) -> tuple[Path, dict[str, str]]:
    path, companions = fetch_file(name, file, revision), {}
    for companion in library.COMPANIONS:
        try:
            companions[companion] = fetch_file(name, companion, revision).read_text(encoding="utf-8")
        except BadInput:
            continue  # not every model has every one; what can't be done without is missed later
    return path, companions


def read_published(found: Found) -> State:
    """The tensors of a published checkpoint, in their order.

    A pickle (the only kind that is read anywhere) is read only if its digest was expected, by torch's restricted
    reader, which builds nothing but tensors from it; so are the files of Keras' ports, whose tensors have Keras' names.

    Raises:
        BadInput: ``not_readable``: it is damaged, a pickle that nobody pinned, or holds something else.
    """
    path = found.path
    if path.suffix in KERAS_FILES and found.pinned:
        return {name: torch.from_numpy(array) for name, array in read_keras(path).items()}
    if not _is_pickle(path):
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise BadInput("not_readable", f"{path.name} isn't a whole safetensors file ({error})") from None
    if not found.pinned:
        raise BadInput(
            "not_readable",
            f"{path.name} is a pickle, which can run code when it is read, and its digest is not pinned: if you trust "
            f"it, write sha256: {found.sha256} into its entry, or convert it to safetensors",
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError) as error:
        told = str(error).strip().splitlines()[0][:200]
        raise BadInput("not_readable", f"{path.name} is no checkpoint of plain tensors ({told})") from None
    for name in _NESTED:
        if isinstance(state, dict) and isinstance(state.get(name), dict):
            state = state[name]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise BadInput("not_readable", f"{path.name} holds more than named tensors")
    return dict(state)


def fit(found: Found, entry: Mapping[str, Any], library: Library, built: Built, outputs: int) -> State:
    """Give published tensors the names of the network's, which all must be there and have its shapes.

    Names may begin as if saved from inside another module; else the library's own converter is asked; and for a
    package, whose tensors may have any names, their order is taken for the network's.

    Args:
        found: the checkpoint.
        entry: of the list of classifiers.
        library: the entry's.
        built: the network.
        outputs: how many classes it is to tell apart.

    Raises:
        BadInput: ``not_readable``, ``wrong_network`` or ``wrong_classes``.
    """
    state, wanted = read_published(found), built.body.state_dict()
    mapped = match(state, wanted, built.prefixes)
    if mapped is None:
        _check_outputs(state, wanted, outputs, found.path.name)
        try:
            translated = library.translate(_bare(state), entry["architecture"], built, outputs)
            mapped = match(translated, wanted, built.prefixes)
            if mapped is None:
                _check_outputs(translated, wanted, outputs, found.path.name)
                raise BadInput("wrong_network", _difference(translated, wanted))
        except BadInput as bad:
            if "package" not in entry["weights"] or bad.status == "wrong_classes":
                raise BadInput(
                    bad.status, f"{found.path.name} is not of {entry['architecture']}: {bad.reason}"
                ) from None
            mapped = map_in_order(state, wanted, found.path.name)
    return {name: tensor.to(wanted[name].dtype).contiguous().clone() for name, tensor in mapped.items()}


def match(state: State, wanted: State, prefixes: tuple[str, ...] = ()) -> State | None:
    """The tensors that a network wants, from a state whose names may have a prefix; nothing if they don't fit.

    What lies outside the prefix (of a training's other modules) is left out; inside it, nothing may be left over. A
    counter of batches that some conversions leave out means nothing to a network in use.
    """
    for prefix in (*_PREFIXES, *prefixes, *(f"module.{prefix}" for prefix in prefixes)):
        inside = {name[len(prefix) :]: tensor for name, tensor in state.items() if name.startswith(prefix)}
        counters = {name: tensor for name, tensor in wanted.items() if name.endswith("num_batches_tracked")}
        full = counters | inside
        if set(full) == set(wanted) and all(full[name].shape == wanted[name].shape for name in wanted):
            return {name: full[name] for name in wanted}
    return None


def _bare(state: State) -> State:
    """A state without a prefix that all of its names have."""
    for prefix in ("module.", "_orig_mod.", "model."):
        if state and all(name.startswith(prefix) for name in state):
            state = {name[len(prefix) :]: tensor for name, tensor in state.items()}
    return state


def _check_outputs(state: State, wanted: State, outputs: int, what: str) -> None:
    """Tell a checkpoint that differs in its last layer alone from one of another network.

    Raises:
        BadInput: ``wrong_classes``.
    """
    for name, place in wanted.items():
        tensor = next((state[prefix + name] for prefix in _PREFIXES if prefix + name in state), None)
        if tensor is None or tensor.shape == place.shape or tensor.ndim != place.ndim or tensor.ndim == 0:
            continue
        if place.shape[0] == outputs and tensor.shape[1:] == place.shape[1:] and place.ndim in (1, 2, 4):
            one_more = tensor.shape[0] == outputs + 1  # a background class before the others: libraries cut it off
            if not one_more:
                raise BadInput("wrong_classes", f"{what} tells {tensor.shape[0]} classes apart ({name}), not {outputs}")


def _difference(state: State, wanted: State) -> str:
    """The first thing in which two states differ."""
    for name, place in wanted.items():
        if name not in state:
            return f"it has no {name}"
        if state[name].shape != place.shape:
            return f"{name} is {list(state[name].shape)} and should be {list(place.shape)}"
    extra = sorted(set(state) - set(wanted))
    return f"it has {extra[0]}, which the network has not" if extra else "the order of its tensors differs"


def map_in_order(published: State, wanted: State, what: str) -> State:
    """Give published tensors, one after the other, the names of a network whose layers come in the same order.

    Args:
        published: tensors in the order in which the published network defines its layers.
        wanted: the state dict of the network; its names and shapes.
        what: name of the published file, for messages.

    Raises:
        BadInput: ``wrong_network``: the numbers of tensors differ, or the shapes of a pair do.
    """
    if len(published) != len(wanted):
        raise BadInput("wrong_network", f"{what} holds {len(published)} tensors and the network has {len(wanted)}")
    for (old, tensor), (new, place) in zip(published.items(), wanted.items(), strict=True):
        if tensor.shape != place.shape:
            raise BadInput(
                "wrong_network",
                f"{what}: {old} is {list(tensor.shape)} and its place in the network, {new}, is {list(place.shape)}",
            )
    return dict(zip(wanted, published.values(), strict=True))


@dataclass(frozen=True)
class About:
    """What a file of converted weights says of itself.

    Attributes:
        status: ``ok``, or why there are no tensors in it.
        reason: the sentence for a person.
        sha256: of the published file.
        companions: the text of the files that lay beside it.
    """

    status: str = "ok"
    reason: str = ""
    sha256: str = ""
    companions: Mapping[str, str] = field(default_factory=dict)


def convert(entry: Mapping[str, Any], outputs: int, output: str | Path) -> About:
    """Write an entry's weights as safetensors for its network; equal inputs give equal bytes.

    Weights that can't be had, or don't fit, become a file without tensors that says why.

    Args:
        entry: of the list of classifiers.
        outputs: how many classes the network tells apart.
        output: the file to write.
    """
    state: State = {}
    try:
        library = load_library(entry["library"])
        found = find(entry, library)
        built = library.build(entry["architecture"], outputs, found.companions)
        state = fit(found, entry, library, built, outputs)
        about = About(sha256=found.sha256, companions=found.companions)
    except BadInput as bad:
        note = f"; {entry['note']}" if entry["note"] else ""
        about = About(bad.status, f"{bad.reason}{note}")
    origin = {
        "library": entry["library"],
        "architecture": entry["architecture"],
        "weights": entry["weights"],
        "status": about.status,
        "reason": about.reason,
        "sha256": about.sha256,
        "companions": dict(about.companions),
    }
    with whole_file(output) as temporary:
        # A single entry: safetensors writes several of them in an order of its own that changes from run to run.
        save_file(state, temporary, metadata={"origin": json.dumps(origin, sort_keys=True)})
    return about


def read_about(path: str | Path) -> About:
    """What a file of converted weights says of itself; of one that somebody else wrote, that it is there.

    Raises:
        D3SError: it is missing, damaged, or a checkpoint of another kind.
    """
    _check_format(Path(path))
    try:
        with safe_open(path, "pt") as file:
            origin = json.loads((file.metadata() or {}).get("origin", "{}"))
    except (SafetensorError, OSError) as error:
        raise _damaged(path, error) from None
    return About(
        origin.get("status", "ok"), origin.get("reason", ""), origin.get("sha256", ""), origin.get("companions", {})
    )


def read_safetensors(path: str | Path) -> State:
    """Read tensors from a safetensors file and from nothing else: reading a pickle can run any code that it holds.

    Raises:
        D3SError: the file is missing, damaged, or a checkpoint of another kind.
    """
    _check_format(Path(path))
    try:
        return load_file(path)
    except SafetensorError as error:
        raise _damaged(path, error) from None


def _is_pickle(path: Path) -> bool:
    """Whether a file begins as a pickle; the length that safetensors begin with may do so too, the brace does not."""
    with open(path, "rb") as file:
        head = file.read(9)
    return head.startswith(_PICKLE_HEADS) and head[8:] != b"{"


def _check_format(path: Path) -> None:
    try:
        pickled = _is_pickle(path)
    except OSError as error:
        raise D3SError(
            f"the weights {path} can't be read ({error.strerror})", "correct the path, or run the workflow to make it"
        ) from None
    if pickled:
        raise D3SError(
            f"{path} is a pickled checkpoint, which can run any code when it is read",
            "convert it to safetensors (rule convert_weights does so for a file pinned by sha256), and name that file",
        )


def _damaged(path: str | Path, error: Exception) -> D3SError:
    return D3SError(
        f"{path} isn't a whole safetensors file ({error})",
        "delete it and run the workflow again; if it is a checkpoint of your own, convert it to safetensors",
    )


def load_weights(body: nn.Module, path: str | Path, architecture: str) -> None:
    """Give a network the weights of a safetensors file.

    Raises:
        D3SError: what ``read_safetensors`` raises, or the weights belong to another network.
    """
    try:
        body.load_state_dict(read_safetensors(path))
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise D3SError(
            f"the weights {path} don't fit the model {architecture} ({first})",
            "correct 'architecture' in the list of classifiers, or convert the weights again",
        ) from None


def load_network(
    library_name: str, architecture: str, path: str | Path, outputs: int = IMAGENET_CLASSES
) -> tuple[Built, About]:
    """A network with its converted weights, in evaluation mode, and what the file says of itself.

    Raises:
        D3SError: what ``load_weights`` raises.
        BadInput: the file has no weights, and says why; or the library can't build the network.
    """
    about = read_about(path)
    if about.status != "ok":
        raise BadInput(about.status, about.reason)
    built = load_library(library_name).build(architecture, outputs, about.companions)
    load_weights(built.body, path, architecture)
    built.network.eval()
    return built, about
