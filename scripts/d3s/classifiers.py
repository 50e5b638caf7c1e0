"""What a classifier of ImageNet sees in an image, summed up to the super-classes of the data set (paper, section 4)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import timm
import torch
from PIL import Image
from torch import nn

from d3s.array_store import ArrayStore
from d3s.identity import file_sha256

T = TypeVar("T")

MEAN, STD = 0.5, 0.5
"""Of the inputs that the EfficientNet-Lite family was trained on, for each colour, where white is 1."""


SCORING_VERSION = 1
"""Raised whenever a change of this module alters the probabilities that a model gives a picture; old ones go unused."""


def probability_store(folder: str | Path, timm_name: str, weights: str | Path, input_size: int) -> ArrayStore:
    """Where the probabilities of one classifier are kept, by the digest of the picture's pixels."""
    libraries = (torch.__version__, timm.__version__)
    return ArrayStore(folder, "probabilities", timm_name, file_sha256(weights), input_size, SCORING_VERSION, libraries)


def to_input(image: Image.Image, input_size: int) -> torch.Tensor:
    """A picture as a classifier wants it: the whole of it, resized (bicubic, antialiased), 3 x S x S float32.

    Pillow resizes it alone, so that its numbers depend on nothing else in its batch.
    """
    small = image.convert("RGB").resize((input_size, input_size), Image.Resampling.BICUBIC)
    samples = torch.from_numpy(np.array(small)).permute(2, 0, 1)
    return (samples.float() / 255.0 - MEAN) / STD


@dataclass(frozen=True)
class Classifier:
    """A model with what is needed to ask it.

    Attributes:
        model: maps N x 3 x S x S to N x C logits; in evaluation mode, on ``device``.
        input_size: S, in pixels.
        batch_size: pictures per call, always: the last batch is filled up, so that a picture's probabilities don't
            depend on how many others there are.
        device: where it runs.
    """

    model: nn.Module
    input_size: int
    batch_size: int
    device: torch.device

    def probabilities(self, images: Iterable[Image.Image]) -> Iterator[np.ndarray]:
        """For each picture, in order, its C probabilities (float32); one batch of pictures is held at a time."""
        for batch in batches(images, self.batch_size):
            inputs = torch.zeros(self.batch_size, 3, self.input_size, self.input_size)
            for place, image in enumerate(batch):
                inputs[place] = to_input(image, self.input_size)
            with torch.inference_mode():
                outputs = self.model(inputs.to(self.device)).float().softmax(dim=-1).cpu().numpy()
            yield from outputs[: len(batch)]


def batches(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of ``size`` things, in order; the last may be shorter."""
    iterator = iter(things)
    while batch := list(islice(iterator, size)):
        yield batch
