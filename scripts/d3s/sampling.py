"""What images are asked for with; apart from the engine, whose libraries take seconds to import."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

DTYPES = ("bfloat16", "float16", "float32")
"""Types of weights and activations."""


@dataclass(frozen=True)
class Request:
    """One image to make: its guide (``RGB``), prompts and noise seed."""

    guide: Image.Image
    prompt: str
    negative_prompt: str
    seed: int


@dataclass(frozen=True)
class Sampling:
    """How images are sampled (paper: DDIM, 50 steps, strength 0.9, guidance 5)."""

    scheduler: str
    steps: int
    strength: float
    guidance: float


class ImageMaker(Protocol):
    """An engine: see ``d3s.generator.Generator``."""

    def first_timestep(self) -> tuple[int, int]: ...

    def generate(self, requests: Sequence[Request]) -> list[Image.Image]: ...
