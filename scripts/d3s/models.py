"""Diffusion models on disk: which files they consist of, pinned by digest, safetensors only.

Standard library alone: the Snakefile reads a model's digest each time it is parsed.
"""

import json
import re
from pathlib import Path

from d3s.errors import D3SError
from d3s.identity import digest, file_sha256

PINS = "digests.json"
_PICKLES = {".bin", ".pt", ".pth", ".ckpt", ".pkl"}


def pin_model(folder: str | Path) -> dict[str, str]:
    """The SHA-256 of every file that a model in diffusers layout consists of, by its relative name.

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
        path.relative_to(folder).as_posix(): file_sha256(path)
        for path in files
        if path.suffix in {".json", ".txt", ".safetensors", ".model"} and path.name != PINS
    }


def read_pins(folder: str | Path) -> dict[str, str]:
    """The digests that a model is pinned by.

    Raises:
        D3SError: it is not pinned yet.
    """
    path = Path(folder) / PINS
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


def check_model(folder: str | Path) -> None:
    """Compare a model's files with their pins.

    Raises:
        D3SError: naming what differs, is missing or is not pinned.
    """
    pins, found = read_pins(folder), pin_model(folder)
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
