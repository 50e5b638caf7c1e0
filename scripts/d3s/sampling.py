"""What images are asked for with; apart from the engine, whose libraries take seconds to import."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

DTYPES = ("bfloat16", "float16", "float32")
"""Types of weights and activations."""
MODES = ("image2image", "inpainting", "text2image")
"""From a guide, as in the paper; from a guide whose foreground keeps its pixels, so that only the background is dreamt;
or from the prompt alone, the ablation without a guide."""
OWN_SCHEDULER = "model"
"""The scheduler that a model comes with, as distilled and flow-matching models want it."""
AUTO = "auto"
"""The batch size that is found by trial."""
NONE = "none"
OFFLOADS = (NONE, "model", "sequential")
"""What waits in main memory until the GPU needs it: nothing, whole networks, or single layers (slow, but smallest)."""


@dataclass(frozen=True)
class Request:
    """One image to make.

    Attributes:
        guide: what it is made from (``RGB``).
        prompt, negative_prompt: what the text encoder is given.
        seed: of its noise.
        mask: where the guide's pixels stay (``L``, 255), for inpainting.
    """

    guide: Image.Image
    prompt: str
    negative_prompt: str
    seed: int
    mask: Image.Image | None = None


@dataclass(frozen=True)
class Sampling:
    """How images are sampled (paper: DDIM, 50 steps, strength 0.9, guidance 5).

    Attributes:
        scheduler: class name of the sampler in diffusers, or ``OWN_SCHEDULER``.
        steps: length of its full schedule; ``strength`` times this many are run.
        strength: how far back in noise the guide is taken, in (0, 1]; 1 where there is no guide.
        guidance: scale of classifier-free guidance; at most 1 is without.
        options: further settings of the scheduler, as sorted pairs, such as ``("use_karras_sigmas", True)``.
        mode: one of ``MODES``.
    """

    scheduler: str
    steps: int
    strength: float
    guidance: float
    options: tuple[tuple[str, str | int | float | bool], ...] = ()
    mode: str = "image2image"


def read_options(text: str) -> tuple[tuple[str, str | int | float | bool], ...]:
    """Settings of a scheduler from JSON, as sorted pairs."""
    return tuple(sorted(json.loads(text).items()))


def read_batch_size(text: str) -> int | str:
    """A batch size from a command line: a number of images, or ``AUTO``.

    Raises:
        ValueError: it is neither.
    """
    if text != AUTO and int(text) < 1:
        raise ValueError(text)
    return text if text == AUTO else int(text)


class ImageMaker(Protocol):
    """An engine: see ``d3s.generator.Generator``."""

    batch_size: int

    def first_timestep(self) -> tuple[int, int]: ...

    def generate(self, requests: Sequence[Request]) -> list[Image.Image]: ...
