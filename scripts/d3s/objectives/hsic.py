"""Normalised HSIC (see ``d3s.dependence.hsic``) between each part and the label that it should not know: an RBF kernel
on features, with the median distance of the batch, and a delta kernel on labels. No network is fitted.
"""

from dataclasses import dataclass

import torch

from d3s.dependence.hsic import delta, normalised_hsic, rbf
from d3s.encoder import Encoded
from d3s.objective import Labels, Objective, PartSettings, Terms, sides


@dataclass(frozen=True)
class HsicSettings(PartSettings):
    """Numbers of the penalty.

    Attributes:
        unbiased: the estimate that is around zero where there is no dependence; the other one is never negative.
    """

    unbiased: bool = True


class Hsic(Objective):
    """The measure itself is the penalty."""

    Settings = HsicSettings
    settings: HsicSettings

    def penalty(self, encoded: Encoded, labels: Labels, draws: torch.Generator) -> Terms:
        terms = {}
        for side in sides(encoded, labels, self.settings):
            found = normalised_hsic(rbf(side.features), delta(side.unwanted), self.settings.unbiased, side.strata)
            terms[f"{side.name}_hsic"] = side.weight * found
        return terms


OBJECTIVE = Hsic
