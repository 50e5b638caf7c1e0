"""Controls of a generator: what its VAE alone costs, and whether its images follow the prompt."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image

from d3s.generator import Generator
from d3s.sampling import Request

Batcher = Callable[[Sequence[Image.Image]], np.ndarray]
"""Gives N x K probabilities for N pictures."""


@dataclass(frozen=True)
class Sample:
    """A guide with what it shows and what a contrary prompt would ask for instead.

    Attributes:
        request: the guide with its own prompt and seed.
        class_number, background_number: what the guide shows.
        other_class, other_background: what the contrary prompts ask for.
        class_prompt: the prompt with the other class; ``background_prompt``: with the other background.
    """

    request: Request
    class_number: int
    background_number: int
    other_class: int
    other_background: int
    class_prompt: str
    background_prompt: str


def round_trip(generator: Generator, pictures: Sequence[Image.Image], batch: int = 8) -> list[Image.Image]:
    """The pictures after the VAE alone: encoded to the mean of their latents and decoded, no noise between."""
    pipeline, made = generator.pipeline, []
    for start in range(0, len(pictures), batch):
        samples = pipeline.image_processor.preprocess(list(pictures[start : start + batch]))
        with torch.inference_mode():
            latents = pipeline.vae.encode(samples.to(generator.device, pipeline.vae.dtype)).latent_dist.mean
            decoded = pipeline.vae.decode(latents).sample
        made += pipeline.image_processor.postprocess(decoded.float().cpu(), output_type="pil")
    return made


def generate_all(generator: Generator, requests: Sequence[Request]) -> list[Image.Image]:
    """Generate any number of images, in batches of the generator's size."""
    made = []
    for start in range(0, len(requests), generator.batch_size):
        made += generator.generate(requests[start : start + generator.batch_size])
    return made


def measure(
    generator: Generator, samples: Sequence[Sample], judge: Batcher, place: Batcher
) -> list[dict[str, str | float | int]]:
    """Measure the controls of the model card.

    Args:
        generator: what is measured.
        samples: guides of the val split.
        judge: probabilities of the super-classes, by a network that had no part in training.
        place: probabilities of the backgrounds.

    Returns:
        Rows of measure, value and n.
    """
    guides = [sample.request.guide for sample in samples]
    requests = [sample.request for sample in samples]
    sets = {
        "guides": guides,
        "vae_round_trip": round_trip(generator, guides),
        "images": generate_all(generator, requests),
        "other_class_prompt": generate_all(
            generator, [replace(sample.request, prompt=sample.class_prompt) for sample in samples]
        ),
        "other_background_prompt": generate_all(
            generator, [replace(sample.request, prompt=sample.background_prompt) for sample in samples]
        ),
    }
    classes = {name: judge(pictures) for name, pictures in sets.items()}
    places = {name: place(pictures) for name, pictures in sets.items()}
    n, rows = len(samples), np.arange(len(samples))
    own = np.array([sample.class_number for sample in samples])
    other = np.array([sample.other_class for sample in samples])
    own_place = np.array([sample.background_number for sample in samples])
    other_place = np.array([sample.other_background for sample in samples])
    found: list[tuple[str, np.ndarray]] = []
    for name in sets:
        found.append((f"class_top1.{name}", classes[name].argmax(1) == own))
        found.append((f"background_top1.{name}", places[name].argmax(1) == own_place))
    for name, table, mine, its in (
        ("class", classes, own, other),
        ("background", places, own_place, other_place),
    ):
        own_share = _share(table["images"], rows, mine, its)
        contrary_share = _share(table[f"other_{name}_prompt"], rows, mine, its)
        found.append((f"{name}_asked_for.own_prompt", own_share))
        found.append((f"{name}_asked_for.contrary_prompt", contrary_share))
        found.append((f"{name}_followed", contrary_share - own_share))  # paired, so its error is the smaller one
    return [
        {
            "measure": name,
            "value": float(np.mean(values)),
            "standard_error": float(np.std(values, ddof=1) / np.sqrt(n)),
            "n": n,
        }
        for name, values in found
    ]


def _share(probabilities: np.ndarray, rows: np.ndarray, own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Probability of the contrary label among it and the guide's own: it must rise when the prompt asks for it."""
    mine, its = probabilities[rows, own], probabilities[rows, other]
    return its / np.maximum(mine + its, 1e-12)
