"""What a model's own safety checker says of images: a word in the manifest, and never a black picture.

Stable Diffusion 1 comes with a checker, and its pipelines paint over what that flags. Here pipelines run without it,
and it is asked about the finished image, whose pixels nothing changes. Its verdict alone rejects nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image

from d3s.array_store import ArrayStore, through_store
from d3s.models import model_digest, model_index, weights_variant

RECORD, OFF = "record", "off"
"""Whether the checker is asked."""
FLAGGED, CLEAR, UNKNOWN = "flagged", "clear", ""
"""What is known of an image; nothing if the model has no checker, or it was not asked."""
CHECKER = "StableDiffusionSafetyChecker"
"""Its class in diffusers; other kinds of checkers are not asked."""
SAFETY_VERSION = 1
"""Raised whenever a change of this module alters the verdict on a picture; old ones go unused."""


def has_checker(model: str | Path) -> bool:
    """Whether a model comes with a checker that can be asked."""
    named = model_index(model).get("safety_checker")
    return isinstance(named, list) and CHECKER in named and (Path(model) / "safety_checker").is_dir()


def verdicts(
    model: str | Path,
    digests: Sequence[str],
    pictures: Callable[[Sequence[int]], Iterable[tuple[int, Image.Image]]],
    store: Path,
    device: str = "auto",
) -> list[str]:
    """What the checker says of pictures; of each it is asked once, whichever run or shard it is in.

    Args:
        model: folder in diffusers layout, pinned, that ``has_checker``.
        digests: of the pictures' pixels.
        pictures: gives those at some positions, each with its position.
        store: folder where verdicts are kept by the picture's digest.
        device: as ``choose_device``.

    Returns:
        ``FLAGGED`` or ``CLEAR`` for each picture.
    """
    parts = [model_digest(model, part) for part in ("safety_checker/", "feature_extractor/")]
    libraries = [version(name) for name in ("torch", "diffusers", "transformers")]
    kept = ArrayStore(store, "safety", parts, SAFETY_VERSION, libraries)
    flags = through_store(kept, digests, pictures, lambda asked: _flags(model, device, asked))
    return [FLAGGED if flag is not None and flag[0] else CLEAR for flag in flags]


def _flags(model: str | Path, device: str, pictures: Iterable[Image.Image]) -> Iterator[np.ndarray]:
    """Whether each picture is flagged, as 0 or 1."""
    ask: Callable[[Image.Image], bool] | None = None
    for picture in pictures:
        ask = ask or _load_checker(Path(model), device)
        yield np.array([ask(picture)], dtype=np.float16)


def _load_checker(model: Path, device: str) -> Callable[[Image.Image], bool]:
    """A function that asks the checker about one picture; alone, so that no other has a say in its last bits."""
    import diffusers  # these take seconds to import, for nothing if the store knows all verdicts
    import torch
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPImageProcessor

    from d3s.devices import choose_device

    diffusers.utils.logging.set_verbosity_error()
    place = choose_device(device)
    prepare = CLIPImageProcessor.from_pretrained(model / "feature_extractor", local_files_only=True)
    checker = StableDiffusionSafetyChecker.from_pretrained(
        model / "safety_checker",
        dtype=torch.float32,
        use_safetensors=True,
        local_files_only=True,
        variant=weights_variant(model),
    )
    checker = checker.eval().to(place)

    def ask(picture: Image.Image) -> bool:
        inputs = prepare(images=[picture.convert("RGB")], return_tensors="pt").pixel_values.to(place)
        # The second argument is what it would paint black: here, a sample that nobody looks at.
        return bool(checker(inputs, [np.zeros(1)])[1][0])

    return ask
