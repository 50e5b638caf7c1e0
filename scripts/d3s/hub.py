"""Models from a hub: one revision, by its commit, safetensors only, pinned as it arrives."""

import re
import shutil
from pathlib import Path

from d3s.errors import D3SError
from d3s.models import PINS, pin_model
from d3s.shards import whole_folder, write_json

COMMIT = re.compile(r"[0-9a-f]{40}")
NAME = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
PARTS = ("*.json", "*.txt", "*.model", "README.md", "LICENSE*")
"""What a model is beside its weights."""


def fetch_model(name: str, revision: str, folder: Path, variant: str = "") -> int:
    """Fetch a model in diffusers layout into a folder, whole or not at all, and pin it.

    Args:
        name: such as ``stabilityai/sdxl-turbo``.
        revision: a commit; a branch or a tag could be another model tomorrow.
        folder: to make; it must not exist.
        variant: of the weights, such as ``fp16``; the others are left where they are.

    Returns:
        How many files it has.

    Raises:
        D3SError: the name or the revision is none, the folder exists, the hub can't be reached or has no such model,
            or what came holds no safetensors.
    """
    if not NAME.fullmatch(name):
        raise D3SError(f"{name!r} is no name of a model", "write OWNER/NAME")
    if not COMMIT.fullmatch(revision):
        raise D3SError(f"the revision {revision!r} is no commit", "copy the 40 digits from the model's list of commits")
    if folder.exists():
        raise D3SError(f"{folder} exists already", "name another folder, or delete it")
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
    return len(pins)
