"""The Wasserstein dependency measure (Ozair et al. 2019), as the paper estimates it (section 4).

The measure of features z and labels y is the Wasserstein distance of p(z, y) from p(z) p(y): the largest difference of
means that a 1-Lipschitz critic finds between true pairs and pairs with shuffled labels. It is zero if and only if they
are independent. The slope is held near 1 by a gradient penalty (WGAN-GP, Gulrajani et al. 2017).
"""

import torch
from torch import nn

from d3s.dependence.networks import mlp


class Critic(nn.Module):
    """Scores pairs of a feature vector and a label with an MLP whose widths halve down to 1.

    Its first weights are He's, not torch's default: signals keep their size through the nine or ten layers. Torch's
    default shrinks them by 0.4 at each, so that the critic starts flat and spends most of a short training finding a
    slope.

    Args:
        features: size of the feature vector.
        labels: number of labels; each becomes a fixed random Gaussian vector.
        draws: where vectors and weights are drawn from.
        label_fraction: size of a label's vector, as a share of the features.
        slope: of the LeakyReLU below zero.
    """

    vectors: torch.Tensor

    def __init__(
        self, features: int, labels: int, draws: torch.Generator, label_fraction: float = 0.2, slope: float = 0.1
    ) -> None:
        super().__init__()
        size = max(1, round(features * label_fraction))
        self.register_buffer("vectors", torch.randn(labels, size, generator=draws))
        widths = [features + size]
        while widths[-1] > 1:
            widths.append(widths[-1] // 2)
        self.layers = mlp(widths, draws, slope)

    def pairs(self, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """N x (features + vector): what ``forward`` scores."""
        return torch.cat([features, self.vectors[labels]], dim=1)

    def forward(self, pairs: torch.Tensor) -> torch.Tensor:
        return self.layers(pairs).squeeze(1)


def dependency(critic: Critic, features: torch.Tensor, labels: torch.Tensor, shuffled: torch.Tensor) -> torch.Tensor:
    """The critic's estimate of the Wasserstein dependency measure, from N true and N shuffled pairs."""
    return critic(critic.pairs(features, labels)).mean() - critic(critic.pairs(features, shuffled)).mean()


def gradient_penalty(critic: nn.Module, real: torch.Tensor, mixed: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean squared distance of the critic's gradient norm from 1, between pairs (Gulrajani et al. 2017, equation 3).

    Args:
        critic: whose gradient it is.
        real, mixed: N x D pairs with their own and with shuffled labels.
        weights: N, one per sample: one per element would leave the straight line between the two.
    """
    weights = weights[:, None]
    between = (weights * real + (1 - weights) * mixed).detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (gradient.norm(dim=1) - 1).square().mean()
