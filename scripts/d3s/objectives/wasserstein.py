"""The paper's penalty (section 4): the Wasserstein dependency measure (Ozair et al. 2019) between each part of the
features and the label that it should not know; see ``d3s.dependence.wasserstein``.

Where this differs from the paper, and why:

- The critics' first weights are He's, not torch's default (see ``Critic``).
- Each of the two measures has a weight. The cross entropies fade as the train images are learnt and the penalty does
  not, so that in a short training a weight of 1 wears away what the part should keep: 0.2 and 0.05 do not.
- The paper's batches are half ImageNet, and its class head starts from the pretrained classifier's columns. Here both
  are settings of the training, and off unless asked for.
"""

from dataclasses import dataclass

import torch

from d3s.dependence.strata import shuffle
from d3s.dependence.wasserstein import Critic, dependency, gradient_penalty
from d3s.encoder import Encoded
from d3s.identity import seed as hashed_seed
from d3s.objective import Labels, Objective, PartSettings, Shape, Side, Terms, sides, total


@dataclass(frozen=True)
class WassersteinSettings(PartSettings):
    """Numbers of the penalty; where the default is not the paper's, the reason stands beside it.

    Attributes:
        scaling: as in the paper, features are taken as they are.
        label_fraction: size of a label's random vector, as a share of the features that it is paired with.
        gradient_penalty: of the critics (WGAN-GP).
        critic_steps: per encoder step.
        critic_rate: learning rate of the critics.
        slope: of the critics' LeakyReLU below zero.
    """

    scaling: str = "none"
    label_fraction: float = 0.2
    gradient_penalty: float = 10.0
    critic_steps: int = 4
    critic_rate: float = 5e-3
    slope: float = 0.1


class Wasserstein(Objective):
    """Two critics: foreground features with backgrounds, background features with classes."""

    Settings = WassersteinSettings
    settings: WassersteinSettings

    def __init__(self, shape: Shape, settings: WassersteinSettings, seed: int) -> None:
        super().__init__(shape, settings, seed)
        self.inner_steps, self.inner_rate = settings.critic_steps, settings.critic_rate
        draws = torch.Generator().manual_seed(hashed_seed(seed, "wasserstein.critics"))
        sizes = (settings.label_fraction, settings.slope)
        self.foreground = Critic(shape.foreground, shape.backgrounds, draws, *sizes)
        self.background = Critic(shape.background, shape.classes, draws, *sizes)

    def _each(self, encoded: Encoded, labels: Labels) -> list[tuple[Side, Critic]]:
        critics = {"foreground": self.foreground, "background": self.background}
        return [(side, critics[side.name]) for side in sides(encoded, labels, self.settings)]

    def penalty(self, encoded: Encoded, labels: Labels, draws: torch.Generator) -> Terms:
        return {
            f"{side.name}_dependency": side.weight
            * dependency(critic, side.features, side.unwanted, _shuffled(side, draws))
            if len(side)
            else side.features.sum()
            for side, critic in self._each(encoded, labels)
        }

    def inner_step(self, encoded: Encoded, labels: Labels, draws: torch.Generator) -> Terms:
        terms = {}
        for side, critic in self._each(encoded, labels):
            if not len(side):
                continue
            shuffled = _shuffled(side, draws)
            real, mixed = critic.pairs(side.features, side.unwanted), critic.pairs(side.features, shuffled)
            weights = torch.rand(len(side), generator=draws).to(side.features)
            terms[f"{side.name}_critic"] = critic(mixed).mean() - critic(real).mean()
            slope = gradient_penalty(critic, real, mixed, weights)
            terms[f"{side.name}_gradient"] = self.settings.gradient_penalty * slope
        return total(terms)


def _shuffled(side: Side, draws: torch.Generator) -> torch.Tensor:
    return side.unwanted[shuffle(len(side), side.strata, draws).to(side.unwanted.device)]


OBJECTIVE = Wasserstein
