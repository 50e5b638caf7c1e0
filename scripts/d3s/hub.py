"""Models from a hub: one revision, by its commit, safetensors only, pinned as it arrives; and single files."""

import re
import shutil
from pathlib import Path

from d3s.errors import BadInput, D3SError
from d3s.models import ORIGIN, PINS, pin_model, read_origin
from d3s.shards import whole_folder, write_json

COMMIT = re.compile(r"[0-9a-f]{40}")
NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
PARTS = ("*.json", "*.txt", "*.model", "README.md", "LICENSE*")
"""What a model is beside its weights."""


def fetch_model(name: str, revision: str, folder: Path, variant: str = "") -> int:
    """Fetch a model in diffusers layout into a folder, whole or not at all, and pin it; once fetched, it is not again.

    Args:
        name: such as ``stabilityai/sdxl-turbo``.
        revision: a commit; a branch or a tag could be another model tomorrow.
        folder: to make; it must be empty or not exist, or hold just this model, as it was fetched.
        variant: of the weights, such as ``fp16``; the others are left where they are.

    Returns:
        How many files it has.

    Raises:
        D3SError: the name or the revision is none, the folder holds something else, the hub can't be reached or has no
            such model, or what came holds no safetensors.
    """
    if not NAME.fullmatch(name):
        raise D3SError(f"{name!r} is no name of a model", "write OWNER/NAME")
    if not COMMIT.fullmatch(revision):
        raise D3SError(f"the revision {revision!r} is no commit", "copy the 40 digits from the model's list of commits")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        return _pin_again(folder, name, revision, variant)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    weights = f"*/*.{variant}*.safetensors" if variant else "*/*.safetensors"
    others = [] if variant else ["*/*.fp16*.safetensors", "*/*.bf16*.safetensors", "*/*.non_ema*.safetensors"]
    with whole_folder(folder) as temporary:
        try:
            snapshot_download(
                name, revision=revision, local_dir=temporary, allow_patterns=[*PARTS, weights], ignore_patterns=others
            )
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
            raise D3SError(
                f"{name} can't be fetched ({str(error).splitlines()[0][:300]})",
                "check the name, the network and, for a model that asks for it, your login; or copy the model's folder "
                "by hand and run scripts/pin_model.py on it",
            ) from None
        shutil.rmtree(temporary / ".cache", ignore_errors=True)  # the library's notes on the download
        pins = pin_model(temporary)
        if not any(file.endswith(".safetensors") for file in pins):
            what = f" of the variant {variant!r}" if variant else ""
            raise D3SError(f"{name} has no weights in safetensors{what}", "choose a revision or a variant that has")
        write_json(temporary / PINS, pins)
        write_json(temporary / ORIGIN, {"name": name, "revision": revision, "variant": variant, "pins": pins})
    return len(pins)


def fetch_file(name: str, file: str, revision: str | None = None) -> Path:
    """One file of a model of the hub, from the hub's cache on this machine if it is there.

    Args:
        name: such as ``timm/resnet50.a1_in1k``.
        file: in it.
        revision: a commit; without one it is what the hub has today.

    Raises:
        BadInput: ``unavailable``.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(name, file, revision=revision))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        told = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise BadInput("unavailable", f"{file} of {name} can't be fetched ({told})") from None


def _pin_again(folder: Path, name: str, revision: str, variant: str) -> int:
    """Write the pins of a model that was fetched before; Snakemake takes them away before it runs a rule again.

    Raises:
        D3SError: the folder holds something else.
    """
    origin = read_origin(folder)
    if origin is None:
        raise D3SError(f"{folder} exists already, and not from a hub", "name another folder, or delete it")
    known = {part: origin[part] for part in ("name", "revision", "variant")}
    if known != {"name": name, "revision": revision, "variant": variant}:
        raise D3SError(
            f"{folder} exists already and holds {' '.join(known.values()).strip()}", "name another folder, or delete it"
        )
    if pin_model(folder) != origin["pins"]:
        raise D3SError(f"{folder} exists already and was changed since it was fetched", "delete it, and fetch it again")
    write_json(folder / PINS, origin["pins"])
    return len(origin["pins"])
