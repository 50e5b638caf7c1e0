"""Training pictures of the demo's generator: fresh composites of the train split, with their prompts."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from d3s.composition import Placement, paste
from d3s.imageio import resize_rgba


@dataclass(frozen=True)
class CompositeSource:
    """What composites are made of; every member belongs to the train split.

    Attributes:
        exemplars: per class, its cut-outs (``RGBA``).
        templates: per background, its pictures (``RGB``).
        labels: per class, the words for it in a prompt.
        definitions: per class, its definition.
        phrases: per background, its prompt phrase.
    """

    exemplars: list[list[Image.Image]]
    templates: list[list[Image.Image]]
    labels: list[str]
    definitions: list[str]
    phrases: list[str]


@dataclass(frozen=True)
class Shown:
    """What a composite shows: numbers of a class and of a background in their tables."""

    class_number: int
    background_number: int


@dataclass(frozen=True)
class Composite:
    """A training picture with what it shows."""

    image: Image.Image
    shown: Shown


def draw_composite(source: CompositeSource, rng: np.random.Generator, size: int) -> Composite:
    """Draw one composite: more varied than a guide in colour, angle, crop and scale, so that a small network has more
    to learn from than a hundred cut-outs.
    """
    klass, background = int(rng.integers(len(source.exemplars))), int(rng.integers(len(source.templates)))
    exemplar = source.exemplars[klass][rng.integers(len(source.exemplars[klass]))]
    template = source.templates[background][rng.integers(len(source.templates[background]))]
    if rng.random() < 0.5:
        template = ImageOps.mirror(template)
    side = int(template.width * rng.uniform(0.72, 1.0))
    left, top = (int(rng.integers(template.width - side + 1)) for _ in range(2))
    template = _recolour(template.crop((left, top, left + side, top + side)), rng, 0.12)
    if rng.random() < 0.5:
        exemplar = exemplar.convert("RGBa").rotate(rng.uniform(-14, 14), Image.Resampling.BICUBIC, expand=True)
        exemplar = exemplar.convert("RGBA")
    stretch = rng.uniform(0.88, 1.14)
    exemplar = resize_rgba(exemplar, (max(1, round(exemplar.width * stretch)), exemplar.height))
    alpha = exemplar.getchannel("A")
    exemplar = _recolour(exemplar.convert("RGB"), rng, 0.2)
    exemplar.putalpha(alpha)
    placement = Placement(
        scale=rng.uniform(0.6, 1.0), flip=bool(rng.random() < 0.5), x=rng.uniform(0, 1), y=rng.uniform(0.2, 1)
    )
    return Composite(paste(exemplar, template, placement, size), Shown(klass, background))


def _recolour(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhancer(image).enhance(rng.uniform(1 - strength, 1 + strength))
    return image


def prompt_of(source: CompositeSource, shown: Shown, rng: np.random.Generator) -> str:
    """A prompt in the workflow's wording; parts are left out at times, so that each part means something alone."""
    label, phrase = source.labels[shown.class_number], source.phrases[shown.background_number]
    drawn = rng.random()
    if drawn < 0.12:
        return ""  # classifier-free guidance needs to know what no prompt looks like
    if drawn < 0.22:
        return f"a photo, {phrase}"
    if drawn < 0.32:
        return f"a photo of a {label}"
    if drawn < 0.42:
        return f"a photo of a {label}, {phrase}"
    return f"a photo of a {label}, {source.definitions[shown.class_number]}, {phrase}"
