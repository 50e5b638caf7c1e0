"""CLUB: a variational upper bound of mutual information (Cheng et al. 2020).

    I(Z; Y) <= E_p(z,y)[log q(y|z)] - E_p(z)p(y)[log q(y|z)]      where q(y|z) is p(y|z)

With the true conditional the value is I(Z; Y) plus the lautum information KL(p(z)p(y) || p(z,y)): an upper bound, and
not a tight one: of Gaussians with correlation r it is r^2 / (1 - r^2), and I is -log(1 - r^2) / 2. With a network q
that is fitted by maximum likelihood it bounds as well as q fits.
"""

import torch


def club(log_likelihoods: torch.Tensor, labels: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """The bound for labels, in nats; the second mean is exact, since it sums over all labels.

    Args:
        log_likelihoods: N x labels, log q(y|z).
        labels: N.
        shares: N x labels, p(y) or p(y | stratum); see ``d3s.dependence.strata.shares``.
    """
    own = log_likelihoods.gather(1, labels[:, None]).squeeze(1)
    return (own - (shares * log_likelihoods).sum(dim=1)).mean()


def club_gaussian(
    mean: torch.Tensor, log_variance: torch.Tensor, values: torch.Tensor, shuffled: torch.Tensor
) -> torch.Tensor:
    """The bound for continuous values with a Gaussian q(y|z), in nats.

    Args:
        mean, log_variance: N x D, of q(y|z).
        values: N x D, that belong to the same z.
        shuffled: N x D, in another order.
    """
    precision = torch.exp(-log_variance)
    return ((mean - shuffled).square() - (mean - values).square()).mul(precision).sum(dim=1).mean() / 2
