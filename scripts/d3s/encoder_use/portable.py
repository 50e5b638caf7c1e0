"""An encoder as others take it: from pixels to its parts and logits, with everything that is affine as one matrix."""

from typing import NamedTuple

import torch
from torch import nn

from d3s.encoder import Encoder

OUTPUTS = ("foreground", "background", "class_logits", "background_logits")
"""What an encoder gives, by name, in this order."""


class Portable(nn.Module):
    """An encoder whose ``forward`` takes normalised pictures, frozen layers included.

    Args:
        encoder: in evaluation mode.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """N x 3 x side x side to the tensors of ``OUTPUTS``, N rows each."""
        return tuple(self.encoder(self.encoder.activations(pixels)))


class Head(NamedTuple):
    """A linear head on all pooled features."""

    weight: torch.Tensor
    """Outputs x features."""
    bias: torch.Tensor
    """Outputs."""


def class_head(encoder: Encoder) -> Head:
    """The class head as a linear map of all pooled features: what it does not look at has a weight of zero.

    Whatever lies between pooled features and logits is affine (the split, an eraser, the head), so it is found by what
    it makes of zero and of each unit vector. In double precision: a difference of two logits is a weight.
    """
    features = encoder.foreground_features + encoder.background_features
    exact = encoder.double()
    with torch.no_grad():
        bias = exact.encode_pooled(torch.zeros(1, features, dtype=torch.float64)).class_logits[0]
        weight = exact.encode_pooled(torch.eye(features, dtype=torch.float64)).class_logits - bias
    encoder.float()
    return Head(weight.T.float().contiguous(), bias.float())
