"""Plain training: the two cross entropies and nothing else (empirical risk minimisation, the baseline)."""

import torch

from d3s.encoder import Encoded
from d3s.objective import Labels, Objective, Terms


class Erm(Objective):
    """No penalty."""

    def penalty(self, encoded: Encoded, labels: Labels, draws: torch.Generator) -> Terms:
        return {}


OBJECTIVE = Erm
