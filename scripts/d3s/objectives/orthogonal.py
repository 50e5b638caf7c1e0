"""Uncorrelated parts: the squared cross-correlation of foreground and background features (see
``d3s.dependence.covariance``). It needs no labels, and knows nothing of them: what the parts have in common may be
either of the two, or neither.
"""

from dataclasses import dataclass

import torch

from d3s.dependence.covariance import mean_squared_correlation
from d3s.encoder import Encoded
from d3s.objective import Labels, Objective, Terms, check_word


@dataclass(frozen=True)
class OrthogonalSettings:
    """Numbers of the penalty.

    Attributes:
        weight: of the penalty.
        given: ``none`` is correlation as such; ``own`` is the mean of what is left given the class and given the
            background: right where the two are correlated in the training data, since both parts then must be, too.
        unbiased: the estimate that is around zero where there is no correlation; the other one is never negative.
    """

    weight: float = 1.0
    given: str = "none"
    unbiased: bool = True

    def __post_init__(self) -> None:
        check_word("given", self.given, ("none", "own"))


class Orthogonal(Objective):
    """The measure itself is the penalty."""

    Settings = OrthogonalSettings
    settings: OrthogonalSettings

    def penalty(self, encoded: Encoded, labels: Labels, draws: torch.Generator) -> Terms:
        settings = self.settings
        strata = [None] if settings.given == "none" else [labels.klass, labels.background]
        found = []
        for each in strata:
            known = torch.ones(len(labels.klass), dtype=torch.bool, device=labels.klass.device)
            known = known if each is None else each >= 0
            parts = (encoded.foreground[known].float(), encoded.background[known].float())
            own = None if each is None else each[known]
            if int(known.sum()) >= 4:
                found.append(mean_squared_correlation(*parts, own, settings.unbiased))
        mean = torch.stack(found).mean() if found else encoded.foreground.sum() * 0.0
        return {"correlation": settings.weight * mean}


OBJECTIVE = Orthogonal
