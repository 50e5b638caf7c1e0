"""First weights of an encoder's heads: small random ones, or the columns of a pretrained classifier of ImageNet."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from d3s.encoder import Encoder, read_safetensors
from d3s.errors import D3SError
from d3s.identity import seed as hashed_seed

NAMES = ("classifier", "fc", "head", "head.fc", "last_linear")
"""What timm's networks call their classifier."""


def init_heads(encoder: Encoder, seed: int) -> None:
    """Start both heads from small weights that depend on the seed alone."""
    draws = torch.Generator().manual_seed(hashed_seed(seed, "encoder.heads"))
    with torch.no_grad():
        for head in (encoder.class_head, encoder.background_head):
            head.weight.copy_(torch.randn(head.weight.shape, generator=draws) * 0.01)
            head.bias.zero_()


def take_pretrained_head(encoder: Encoder, weights: str | Path, indices: Mapping[int, Sequence[int]]) -> list[int]:
    """Start the class head from a classifier's rows: of a class with several indices, from their mean.

    The head sees the foreground part alone, so it takes the columns of those features. Classes without indices keep the
    weights that they have.

    Args:
        encoder: whose class head it is.
        weights: state dict of the backbone with its classifier.
        indices: of ImageNet-1k, by class id.

    Returns:
        The classes that were found.

    Raises:
        D3SError: the file holds no classifier of these features, or an index is beyond its classes.
    """
    state = read_safetensors(weights)
    features = encoder.foreground_features + encoder.background_features
    name = next((name for name in NAMES if f"{name}.weight" in state), None)
    matrix = state[f"{name}.weight"].float().flatten(1) if name else torch.empty(0, 0)
    if matrix.shape[1] != features:
        raise D3SError(
            f"{weights} has no classifier of {features} features for the class head to start from",
            "give weights with their classifier, or set heads: random",
        )
    bias = state.get(f"{name}.bias", torch.zeros(len(matrix))).float()
    found = []
    with torch.no_grad():
        for row, label in enumerate(encoder.settings.classes):
            own = list(indices.get(label, ()))
            if not own:
                continue
            if max(own) >= len(matrix):
                raise D3SError(
                    f"the class {label} has the ImageNet index {max(own)}, and {weights} has {len(matrix)} classes",
                    "correct imagenet_indices in the table of classes, or set heads: random",
                )
            encoder.class_head.weight[row] = matrix[own, : encoder.foreground_features].mean(dim=0)
            encoder.class_head.bias[row] = bias[own].mean()
            found.append(label)
    return found
