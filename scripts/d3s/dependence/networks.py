"""Small networks that estimators fit: weights from a generator of their own, so that a seed alone decides them."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn


def mlp(widths: Sequence[int], draws: torch.Generator, slope: float = 0.1) -> nn.Sequential:
    """Linear layers with LeakyReLU between them, He's weights (He et al. 2015), biases zero.

    Args:
        widths: of the input, the hidden layers and the output.
        draws: where weights are drawn from.
        slope: of the LeakyReLU below zero.
    """
    layers: list[nn.Module] = []
    for taken, given in pairwise(widths):
        layers += [nn.Linear(taken, given), nn.LeakyReLU(slope)]
    made = nn.Sequential(*layers[:-1])
    for layer in made:
        if isinstance(layer, nn.Linear):
            spread = (2 / (1 + slope**2) / layer.in_features) ** 0.5
            with torch.no_grad():
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=draws) * spread)
                layer.bias.zero_()
    return made


class LabelNet(nn.Module):
    """A score of every label for N feature vectors: logits of a classifier, or a statistic T(features, label).

    Args:
        features: size of a vector.
        labels: number of labels.
        hidden: widths of the hidden layers; none makes it linear.
        draws: where weights are drawn from.
        strata: how many values the label has that the network may know; it has outputs of its own for each.
    """

    def __init__(
        self, features: int, labels: int, hidden: Sequence[int], draws: torch.Generator, strata: int = 1
    ) -> None:
        super().__init__()
        self.labels, self.strata = labels, strata
        self.layers = mlp([features, *hidden, labels * strata], draws)
        with torch.no_grad():  # starts near knowing nothing, so that its first gradients say little
            self.layers[-1].weight.mul_(0.1)  # type: ignore[operator]

    def forward(self, features: torch.Tensor, strata: torch.Tensor | None = None) -> torch.Tensor:
        """N x labels scores; ``strata`` are needed if the network was made for more than one."""
        scores = self.layers(features)
        if self.strata == 1:
            return scores
        assert strata is not None
        return scores.view(-1, self.strata, self.labels)[torch.arange(len(scores), device=scores.device), strata]
