"""What an adversary reads: a lower bound of V-information (Xu et al. 2020), which gradient reversal lowers (Ganin et
al. 2016).

    I_V(Z -> Y) = H(Y) - min_q E[-log q(y|z)] >= H(Y) - E[-log q(y|z)]      for every q of the adversary's family

The adversary minimises its cross entropy and the encoder maximises it. The bound is never taken below zero, which an
adversary attains that says the labels' shares whatever it sees: an encoder gains nothing by making it sure of what is
wrong, the known failure of plain gradient reversal.
"""

import torch
import torch.nn.functional as F

from d3s.dependence.strata import entropy


def v_information(
    logits: torch.Tensor, labels: torch.Tensor, strata: torch.Tensor | None = None, clip: bool = True
) -> torch.Tensor:
    """The bound of N rows, in nats; given a stratum, with the entropy inside strata.

    Args:
        logits: N x labels, of the adversary.
        labels: N.
        strata: what the adversary may know beside the features.
        clip: never below zero.
    """
    bound = entropy(labels, logits.shape[1], strata) - F.cross_entropy(logits, labels)
    return bound.clamp(min=0.0) if clip else bound
