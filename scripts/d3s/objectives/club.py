"""The upper bound CLUB (see ``d3s.dependence.club``) of the mutual information between each part and the label that it
should not know; the variational network is a classifier of that label, fitted by maximum likelihood.
"""

import torch
import torch.nn.functional as F

from d3s.dependence.club import club
from d3s.dependence.strata import shares
from d3s.fitted_objective import FittedObjective
from d3s.objective import Side


class Club(FittedObjective):
    """The networks are the classifiers q(label | features)."""

    purpose = "club"

    def dependence(self, side: Side, scores: torch.Tensor) -> torch.Tensor:
        own = shares(side.unwanted, self.labels_of[side.name], side.strata)
        # Below zero the network is worse than none, and pushing further would only teach the features to deceive it.
        return club(F.log_softmax(scores, dim=1), side.unwanted, own).clamp(min=0.0)

    def fit(self, side: Side, scores: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(scores, side.unwanted)


OBJECTIVE = Club
