"""Mutual information by MINE (see ``d3s.dependence.mine``) between each part and the label that it should not know."""

import torch

from d3s.dependence.mine import MovingMean, donsker_varadhan, mine_loss
from d3s.dependence.strata import shares
from d3s.fitted_objective import FittedObjective, FittedSettings
from d3s.objective import Shape, Side


class Mine(FittedObjective):
    """The networks are the statistics T(features, label); all labels of a row make up the product, so none is drawn."""

    purpose = "mine"

    def __init__(self, shape: Shape, settings: FittedSettings, seed: int) -> None:
        super().__init__(shape, settings, seed)
        self.means = torch.nn.ModuleDict({"foreground": MovingMean(), "background": MovingMean()})

    def _log_weights(self, side: Side) -> torch.Tensor:
        return (shares(side.unwanted, self.labels_of[side.name], side.strata) / len(side)).log()

    def dependence(self, side: Side, scores: torch.Tensor) -> torch.Tensor:
        joint = scores.gather(1, side.unwanted[:, None])
        # Below zero the statistic is worse than none: there is nothing to lower.
        return donsker_varadhan(joint, scores, self._log_weights(side)).clamp(min=0.0)

    def fit(self, side: Side, scores: torch.Tensor) -> torch.Tensor:
        mean = self.means[side.name]
        assert isinstance(mean, MovingMean)
        return mine_loss(scores.gather(1, side.unwanted[:, None]), scores, mean, self._log_weights(side))


OBJECTIVE = Mine
