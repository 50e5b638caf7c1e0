"""Diffusion models on disk: which files they consist of, pinned by digest, safetensors only.

Standard library alone: the Snakefile reads a model's digest each time it is parsed.
"""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from d3s.errors import D3SError
from d3s.identity import digest, file_sha256

PINS = "digests.json"
ORIGIN = ".hub.json"
"""Where a fetched model came from, and how it was pinned then; a hidden file, since it is no part of the model."""
_PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl"}


def pin_model(folder: str | Path, sha256: Callable[[Path], str] = file_sha256) -> dict[str, str]:
    """The SHA-256 of every file that a model in diffusers layout consists of, by its relative name.

    Args:
        folder: of the model.
        sha256: gives it for a file.

    Raises:
        D3SError: there is no model, or it has weights in a format that can carry code.
    """
    folder = Path(folder)
    if not (folder / "model_index.json").is_file():
        raise D3SError(f"{folder} holds no model in diffusers layout", "it needs a model_index.json at its top")
    inside = {path: path.relative_to(folder).parts for path in folder.rglob("*") if path.is_file()}
    files = sorted(path for path, parts in inside.items() if not any(part.startswith(".") for part in parts))
    for path in files:
        if path.suffix in _PICKLES:
            raise D3SError(
                f"{path} is a pickle, which can run code when it is read",
                "convert the model to safetensors and delete it",
            )
    return {
        path.relative_to(folder).as_posix(): sha256(path)
        for path in files
        if path.suffix in {".json", ".txt", ".safetensors", ".model"} and path.name != PINS
    }


def read_pins(folder: str | Path) -> dict[str, str]:
    """The digests that a model is pinned by.

    Raises:
        D3SError: it is not there or not pinned yet.
    """
    path = Path(folder) / PINS
    if not path.parent.is_dir():
        raise D3SError(
            f"there is no model at {folder}",
            "if generator: hub: says where it is, fetch it first: snakemake --cores 1 fetch_model (with your "
            "--configfile); else correct generator: model:, or fetch one with scripts/fetch_model.py",
        )
    try:
        pins = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise D3SError(
            f"the model {folder} is not pinned: {path} is missing", f"run: python scripts/pin_model.py {folder}"
        ) from None
    except ValueError as error:
        raise D3SError(f"{path} is damaged ({error})", f"run: python scripts/pin_model.py {folder}") from None
    return {str(name): str(value) for name, value in pins.items()}


def model_digest(folder: str | Path, part: str = "") -> str:
    """One digest for a pinned model, or for a part of it such as ``tokenizer``."""
    return digest({name: value for name, value in read_pins(folder).items() if name.startswith(part)})


def planned_digest(generator: Mapping[str, Any], part: str = "") -> str:
    """What a run is planned with: the digest of the config's model, or for one of a hub where it comes from.

    Fetching a model must not change the plan, so its files have no say in it; recipes have their digest all the same.

    Args:
        generator: that section of the config.
        part: as ``model_digest``.
    """
    if generator["hub"]:
        return _origin(generator["hub"], generator["revision"], generator["variant"])
    return model_digest(generator["model"], part)


def run_digest(folder: str | Path, planned: str) -> str:
    """The digest of a model as recipes have it.

    Args:
        folder: of the model.
        planned: from ``planned_digest`` when the run was planned; nothing is compared if it is empty.

    Raises:
        D3SError: the model is another one by now.
    """
    found = model_digest(folder)
    if planned.startswith("hub "):
        origin = read_origin(folder)
        known = _origin(origin["name"], origin["revision"], origin["variant"]) if origin else "nothing that is known"
        if known != planned:
            raise D3SError(
                f"{folder} was not fetched from {planned.removeprefix('hub ')}, as generator: hub: has it, but from "
                f"{known.removeprefix('hub ')}",
                "name another folder under generator: model:, or delete it, and it is fetched; a model that is there "
                "already needs no generator: hub:",
            )
    elif planned and planned != found:
        raise D3SError(f"{folder} changed while the workflow was running", "start the workflow again")
    return found


def _origin(name: str, revision: str, variant: str) -> str:
    return f"hub {name} {revision} {variant}".strip()


def model_index(folder: str | Path) -> dict[str, Any]:
    """What a model consists of: the library and class of each part, by its name; nothing if there is no such file."""
    try:
        index = json.loads((Path(folder) / "model_index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return index if isinstance(index, dict) else {}


def read_origin(folder: str | Path) -> dict[str, Any] | None:
    """The ``name``, ``revision``, ``variant`` and ``pins`` that a model was fetched with; nothing if it was not."""
    try:
        origin = json.loads((Path(folder) / ORIGIN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return origin if isinstance(origin, dict) and {"name", "revision", "variant", "pins"} <= set(origin) else None


def check_model(folder: str | Path, sha256: Callable[[Path], str] = file_sha256) -> None:
    """Compare a model's files with their pins.

    Args:
        folder: of the model.
        sha256: gives it for a file; ``d3s.kept_digests`` has one that reads no file twice.

    Raises:
        D3SError: naming what differs, is missing or is not pinned.
    """
    pins, found = read_pins(folder), pin_model(folder, sha256)
    for name in sorted(pins.keys() | found.keys()):
        if pins.get(name) != found.get(name):
            state = (
                "is missing" if name not in found else "is not pinned" if name not in pins else "differs from its pin"
            )
            raise D3SError(
                f"{Path(folder) / name} {state}",
                f"restore the model, or accept it as it is: python scripts/pin_model.py {folder}",
            )


def weights_variant(folder: str | Path) -> str | None:
    """The variant that a model's weights are named by, such as ``fp16``; nothing if they are the plain ones."""
    names = [path.name for path in Path(folder).glob("*/*.safetensors")]
    variants = {match[1] for name in names if (match := re.search(r"\.(fp16|bf16|fp32)(?:-\d+-of-\d+)?\.safe", name))}
    plain = any(not re.search(r"\.(fp16|bf16|fp32)(?:-\d+-of-\d+)?\.safe", name) for name in names)
    return None if plain or not variants else min(variants)
