"""HSIC: the Hilbert-Schmidt norm of the cross-covariance of two kernels (Gretton et al. 2005), and its normalised form.

It is zero if and only if two variables are independent, for kernels such as the RBF kernel on features and the delta
kernel on labels. No network is fitted. The normalised form divides by the HSIC of each with itself (as CKA, Kornblith
et al. 2019), so that features can't lower it by shrinking; it lies between 0 and 1.

The biased estimate is never negative, and of N independent rows it is about 1/N too large, times the kernels' spread;
the unbiased one (Song et al. 2012, equation 5) is around zero there, and needs four rows.
"""

import torch

from d3s.dependence.strata import each

LEAST = {True: 4, False: 2}
"""Rows that the unbiased and the biased estimate need at least."""


def rbf(features: torch.Tensor, bandwidth: float | torch.Tensor | None = None) -> torch.Tensor:
    """N x N kernel exp(-d^2 / 2 s^2).

    Args:
        features: N x D.
        bandwidth: s; if None, the median distance of two different rows, through which no gradient goes.
    """
    squares = (features[:, None, :] - features[None, :, :]).square().sum(-1) if features.shape[1] <= 8 else None
    if squares is None:  # many features: by products, which costs no N x N x D numbers
        norms = features.square().sum(dim=1)
        squares = (norms[:, None] + norms[None, :] - 2 * features @ features.T).clamp(min=0.0)
    if bandwidth is None:
        apart = ~torch.eye(len(features), dtype=torch.bool, device=features.device)
        found = squares.detach()[apart]
        scale = found.median() if len(found) else squares.new_tensor(1.0)
    else:
        scale = torch.as_tensor(bandwidth, dtype=features.dtype, device=features.device) ** 2
    return torch.exp(-squares / (2 * scale.clamp(min=1e-12)))


def delta(labels: torch.Tensor) -> torch.Tensor:
    """N x N kernel: 1 where two labels are the same."""
    return (labels[:, None] == labels[None, :]).float()


def hsic(
    first: torch.Tensor, second: torch.Tensor, unbiased: bool = True, strata: torch.Tensor | None = None
) -> torch.Tensor:
    """HSIC of two N x N kernels; inside strata, its mean over them by their rows. Zero if there are too few rows."""
    total, weight = first.new_zeros(()), 0
    for rows in each(strata, len(first), LEAST[unbiased]):
        whole = len(rows) == len(first)
        own = (first, second) if whole else (first[rows][:, rows], second[rows][:, rows])
        total = total + len(rows) * (_unbiased(*own) if unbiased else _biased(*own))
        weight += len(rows)
    return total / max(weight, 1)


def normalised_hsic(
    first: torch.Tensor, second: torch.Tensor, unbiased: bool = True, strata: torch.Tensor | None = None
) -> torch.Tensor:
    """HSIC of two N x N kernels over the root of their own HSICs (biased, and 1e-4 at least: one may be constant)."""
    own = hsic(first, first, False, strata) * hsic(second, second, False, strata)
    return hsic(first, second, unbiased, strata) / own.clamp(min=1e-8).sqrt()


def _biased(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    n = len(first)
    centred = first - first.mean(dim=0) - first.mean(dim=1, keepdim=True) + first.mean()
    return (centred * second).sum() / n**2


def _unbiased(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    n = len(first)
    off = 1.0 - torch.eye(n, dtype=first.dtype, device=first.device)
    k, m = first * off, second.to(first.dtype) * off
    both = (k * m).sum()
    sums = k.sum() * m.sum() / ((n - 1) * (n - 2))
    mixed = 2.0 / (n - 2) * (k.sum(dim=0) * m.sum(dim=0)).sum()
    return (both + sums - mixed) / (n * (n - 3))
