"""Zero-shot heads: a network that reads texts compares pictures with the names of ImageNet's classes (CLIP, FLAVA).

Radford et al., "Learning transferable visual models from natural language supervision" (2021): the features of several
sentences about a class are averaged, and a picture's logit is their scaled cosine.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import nn

from d3s import cli
from d3s.array_store import ArrayStore, through_store
from d3s.errors import BadInput
from d3s.identity import digest

PROMPTS = (
    "itap of a {class}.",
    "a bad photo of the {class}.",
    "a origami {class}.",
    "a photo of the large {class}.",
    "a {class} in a video game.",
    "art of the {class}.",
    "a photo of the small {class}.",
)
"""The seven sentences that CLIP's authors found to do most of what eighty do."""
TEXTS_VERSION = 1
"""Raised whenever a change of this module alters the features of a class's texts."""
_FINE = 2.0**11
"""How much finer the second half of a number is kept than the first."""


class ZeroShotNetwork(nn.Module):
    """A network of two towers as a classifier; it has no head until ``set_head``.

    Subclasses give ``image_features``, ``text_features``, ``scale`` and perhaps ``bias``.
    """

    head: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("head", torch.empty(0), persistent=False)

    def image_features(self, inputs: torch.Tensor) -> torch.Tensor:
        """N x D features of N x 3 x S x S pictures."""
        raise NotImplementedError

    def text_features(self, texts: Sequence[str]) -> torch.Tensor:
        """N x D features of N texts."""
        raise NotImplementedError

    def scale(self) -> torch.Tensor:
        """What cosines are multiplied by."""
        raise NotImplementedError

    def bias(self) -> torch.Tensor | float:
        """What is added to them then."""
        return 0.0

    def set_head(self, features: np.ndarray) -> None:
        """Take the features of the classes' texts, C x D and of length 1 each, for a head."""
        self.head = torch.from_numpy(features).to(next(self.parameters()).device)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """N x C logits."""
        if not self.head.numel():
            raise BadInput("no_head", "the network compares pictures with texts, and it was given none")
        features = nn.functional.normalize(self.image_features(inputs).float(), dim=-1)
        return self.scale().float() * features @ self.head.T + self.bias()


def class_features(
    network: ZeroShotNetwork, names: Sequence[str], prompts: Sequence[str], store: ArrayStore | None
) -> np.ndarray:
    """The features of each class: the mean over its sentences of features of length 1, of length 1 itself.

    Args:
        network: reads texts.
        names: of the classes.
        prompts: sentences with ``{class}``.
        store: of features by the digest of a class's sentences; nothing is kept without one.

    Returns:
        C x D float32.
    """
    sentences = [tuple(prompt.replace("{class}", name) for prompt in prompts) for name in names]

    def wanted(places: Sequence[int]) -> Iterator[tuple[int, tuple[str, ...]]]:
        return cli.progress(((place, sentences[place]) for place in places), len(places), "classes", "texts")

    def compute(asked: Iterable[tuple[str, ...]]) -> Iterator[np.ndarray]:
        for texts in asked:
            with torch.inference_mode():
                features = nn.functional.normalize(network.text_features(texts).float(), dim=-1).mean(dim=0)
            yield _in_halves(nn.functional.normalize(features, dim=0).cpu().numpy())

    kept = through_store(store, [digest(texts) for texts in sentences], wanted, compute)
    return np.stack([_whole(halves) for halves in kept if halves is not None])


def _in_halves(values: np.ndarray) -> np.ndarray:
    """Numbers as pairs of half-precision ones, 2 x D, as stores keep them: 22 bits in place of 11."""
    coarse = values.astype(np.float16)
    return np.stack([coarse, ((values - coarse.astype(np.float32)) * _FINE).astype(np.float16)])


def _whole(halves: np.ndarray) -> np.ndarray:
    coarse, fine = halves.astype(np.float32)
    return coarse + fine / np.float32(_FINE)
