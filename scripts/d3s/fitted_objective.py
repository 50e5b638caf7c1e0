"""Objectives that fit a network for each part, which scores every value of the label that the part should not know."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch

from d3s.dependence.networks import LabelNet
from d3s.encoder import Encoded
from d3s.identity import seed as hashed_seed
from d3s.objective import Labels, Objective, PartSettings, Shape, Side, Terms, sides, total


@dataclass(frozen=True)
class FittedSettings(PartSettings):
    """What such objectives have in common.

    Attributes:
        hidden: width of the networks' hidden layers; 0 makes them linear.
        layers: how many hidden layers.
        network_steps: of the networks, per encoder step.
        network_rate: their learning rate.
    """

    hidden: int = 128
    layers: int = 1
    network_steps: int = 4
    network_rate: float = 1e-3


class FittedObjective(Objective):
    """Two networks, and what is done with their scores.

    Attributes:
        purpose: name of the term, and of the draws of first weights.
        labels_of: how many labels each part's network scores.
    """

    Settings = FittedSettings
    settings: FittedSettings
    purpose: ClassVar[str]

    def __init__(self, shape: Shape, settings: FittedSettings, seed: int) -> None:
        super().__init__(shape, settings, seed)
        self.inner_steps, self.inner_rate = settings.network_steps, settings.network_rate
        draws = torch.Generator().manual_seed(hashed_seed(seed, f"{self.purpose}.networks"))
        hidden = [settings.hidden] * settings.layers if settings.hidden else []
        given = settings.given == "own"
        self.labels_of = {"foreground": shape.backgrounds, "background": shape.classes}
        self.foreground = LabelNet(
            shape.foreground, shape.backgrounds, hidden, draws, strata=shape.classes if given else 1
        )
        self.background = LabelNet(
            shape.background, shape.classes, hidden, draws, strata=shape.backgrounds if given else 1
        )

    @abstractmethod
    def dependence(self, side: Side, scores: torch.Tensor) -> torch.Tensor:
        """What the encoder is to lower, from N x labels scores; without its weight."""

    @abstractmethod
    def fit(self, side: Side, scores: torch.Tensor) -> torch.Tensor:
        """What the network is to lower."""

    def _scored(self, encoded: Encoded, labels: Labels) -> list[tuple[Side, torch.Tensor]]:
        networks = {"foreground": self.foreground, "background": self.background}
        return [
            (side, networks[side.name](side.features, side.strata)) for side in sides(encoded, labels, self.settings)
        ]

    def penalty(self, encoded: Encoded, labels: Labels, draws: torch.Generator) -> Terms:
        return {
            f"{side.name}_{self.purpose}": side.weight * self.dependence(side, scores) if len(side) else scores.sum()
            for side, scores in self._scored(encoded, labels)
        }

    def inner_step(self, encoded: Encoded, labels: Labels, draws: torch.Generator) -> Terms:
        return total(
            {f"{side.name}_fit": self.fit(side, scores) for side, scores in self._scored(encoded, labels) if len(side)}
        )
