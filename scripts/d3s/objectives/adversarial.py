"""Adversaries (Ganin et al. 2016): a classifier reads the unwanted label from each part, and the encoder raises its
cross entropy, as far as chance and no further (see ``d3s.dependence.adversarial``).

Encoder and adversaries learn by turns, so the reversed gradient is that of the negative cross entropy in the encoder's
own step; the adversaries' steps are plain.
"""

import torch
import torch.nn.functional as F

from d3s.dependence.adversarial import v_information
from d3s.fitted_objective import FittedObjective
from d3s.objective import Side


class Adversarial(FittedObjective):
    """The networks are the adversaries."""

    purpose = "adversary"

    def dependence(self, side: Side, scores: torch.Tensor) -> torch.Tensor:
        return v_information(scores, side.unwanted, side.strata)

    def fit(self, side: Side, scores: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(scores, side.unwanted)


OBJECTIVE = Adversarial
