"""The paper's penalty (section 4): the Wasserstein dependency measure (Ozair et al. 2019) between each part of the
features and the label that it should not know.

The measure of features z and labels y is the Wasserstein distance of p(z, y) from p(z) p(y): the largest difference of
means that a 1-Lipschitz critic finds between true pairs and pairs with shuffled labels. It is zero if and only if they
are independent.

Where this differs from the paper, and why:

- The critics' first weights are He's, not torch's default (see ``Critic``).
- Each of the two measures has a weight. The cross entropies fade as the train images are learnt and the penalty does
  not, so that in a short training a weight of 1 wears away what the part should keep: 0.2 and 0.05 do not.
- The paper's batches are half ImageNet, and its class head starts from the pretrained classifier's columns. Here all
  pictures are the data set's own, and classes need not be ImageNet's, so heads start near zero.
"""

from dataclasses import dataclass

import torch
from torch import nn

from d3s.encoder import Encoded
from d3s.errors import D3SError
from d3s.identity import seed as hashed_seed
from d3s.objective import Labels, Objective, Shape, Terms


@dataclass(frozen=True)
class WassersteinSettings:
    """Numbers of the penalty; where the default is not the paper's, the reason stands beside it.

    Attributes:
        foreground_weight: of the measure between foreground features and background label.
        background_weight: of the measure between background features and class label.
        label_fraction: size of a label's random vector, as a share of the features that it is paired with.
        gradient_penalty: of the critics (WGAN-GP).
        critic_steps: per encoder step.
        critic_rate: learning rate of the critics.
        slope: of the critics' LeakyReLU below zero.
        scaling: ``none`` as in the paper; ``batch`` standardises each feature over the batch before the critic sees it.
    """

    foreground_weight: float = 1.0
    background_weight: float = 1.0
    label_fraction: float = 0.2
    gradient_penalty: float = 10.0
    critic_steps: int = 4
    critic_rate: float = 5e-3
    slope: float = 0.1
    scaling: str = "none"

    def __post_init__(self) -> None:
        if self.scaling not in ("none", "batch"):
            raise D3SError(f"scaling of the objective wasserstein is {self.scaling!r}", "write none or batch")


class Critic(nn.Module):
    """Scores pairs of a feature vector and a label with an MLP whose widths halve down to 1.

    Args:
        features: size of the feature vector.
        labels: number of labels; each becomes a fixed random Gaussian vector.
        settings: of the penalty.
        draws: where vectors and weights are drawn from.
    """

    vectors: torch.Tensor

    def __init__(self, features: int, labels: int, settings: WassersteinSettings, draws: torch.Generator) -> None:
        super().__init__()
        size = max(1, round(features * settings.label_fraction))
        self.register_buffer("vectors", torch.randn(labels, size, generator=draws))
        width = features + size
        layers: list[nn.Module] = []
        while width > 1:
            layers += [nn.Linear(width, width // 2), nn.LeakyReLU(settings.slope)]
            width //= 2
        self.layers = nn.Sequential(*layers[:-1])
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                # He et al. 2015: signals keep their size through the nine or ten layers. Torch's default shrinks them
                # by 0.4 at each, so that the critic starts flat and spends most of a short training finding a slope.
                spread = (2 / (1 + settings.slope**2) / layer.in_features) ** 0.5
                with torch.no_grad():
                    layer.weight.copy_(torch.randn(layer.weight.shape, generator=draws) * spread)
                    layer.bias.zero_()

    def pairs(self, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """N x (features + vector): what ``forward`` scores."""
        return torch.cat([features, self.vectors[labels]], dim=1)

    def forward(self, pairs: torch.Tensor) -> torch.Tensor:
        return self.layers(pairs).squeeze(1)


def dependency(critic: Critic, features: torch.Tensor, labels: torch.Tensor, shuffled: torch.Tensor) -> torch.Tensor:
    """The critic's estimate of the Wasserstein dependency measure, from N true and N shuffled pairs."""
    return critic(critic.pairs(features, labels)).mean() - critic(critic.pairs(features, shuffled)).mean()


def gradient_penalty(critic: Critic, real: torch.Tensor, mixed: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
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


def standardise(features: torch.Tensor) -> torch.Tensor:
    """Each feature with mean 0 and spread 1 over the batch; a constant one becomes 0."""
    return (features - features.mean(dim=0)) / (features.std(dim=0, unbiased=False) + 1e-3)


class Wasserstein(Objective):
    """Two critics: foreground features with backgrounds, background features with classes."""

    Settings = WassersteinSettings
    settings: WassersteinSettings

    def __init__(self, shape: Shape, settings: WassersteinSettings, seed: int) -> None:
        super().__init__(shape, settings, seed)
        self.inner_steps, self.inner_rate = settings.critic_steps, settings.critic_rate
        draws = torch.Generator().manual_seed(hashed_seed(seed, "wasserstein.critics"))
        self.foreground = Critic(shape.foreground, shape.backgrounds, settings, draws)
        self.background = Critic(shape.background, shape.classes, settings, draws)

    def _each(self, encoded: Encoded, labels: Labels) -> list[tuple[str, Critic, torch.Tensor, torch.Tensor]]:
        scaled = [part.float() for part in (encoded.foreground, encoded.background)]
        if self.settings.scaling == "batch":
            scaled = [standardise(part) for part in scaled]
        return [
            ("foreground", self.foreground, scaled[0], labels.background),
            ("background", self.background, scaled[1], labels.klass),
        ]

    def penalty(self, encoded: Encoded, labels: Labels, draws: torch.Generator) -> Terms:
        weights = {"foreground": self.settings.foreground_weight, "background": self.settings.background_weight}
        return {
            f"{name}_dependency": weights[name] * dependency(critic, features, own, _shuffle(own, draws))
            for name, critic, features, own in self._each(encoded, labels)
        }

    def inner_step(self, encoded: Encoded, labels: Labels, draws: torch.Generator) -> Terms:
        terms = {}
        for name, critic, features, own in self._each(encoded, labels):
            shuffled = _shuffle(own, draws)
            real, mixed = critic.pairs(features, own), critic.pairs(features, shuffled)
            weights = torch.rand(len(own), generator=draws).to(features)
            terms[f"{name}_critic"] = critic(mixed).mean() - critic(real).mean()
            terms[f"{name}_gradient"] = self.settings.gradient_penalty * gradient_penalty(critic, real, mixed, weights)
        return {"loss": torch.stack(list(terms.values())).sum(), **terms}


def _shuffle(labels: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    return labels[torch.randperm(len(labels), generator=draws).to(labels.device)]


OBJECTIVE = Wasserstein
