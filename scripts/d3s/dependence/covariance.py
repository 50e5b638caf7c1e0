"""Linear dependence between two sets of features: the squared Frobenius norm of their cross-correlation.

It knows no labels, so it sees whatever the two parts have in common, linearly; dependence of a higher order (one part
being the square of the other, say) it does not see.
"""

import torch

from d3s.dependence.hsic import hsic
from d3s.dependence.strata import centre


def cross_correlation(
    first: torch.Tensor, second: torch.Tensor, strata: torch.Tensor | None = None, unbiased: bool = True
) -> torch.Tensor:
    """The sum of squared correlations over all pairs of a column of each.

    It is the HSIC of linear kernels of standardised columns: N x N products, however many columns there are. Of N
    independent rows the biased sum is about D E / N; the unbiased one, which needs four rows, is around zero.

    Args:
        first, second: N x D and N x E.
        strata: correlations of what is left when the means of strata are taken away.
        unbiased: see above.
    """
    kernels = []
    for values in (first, second):
        left = centre(values, strata)
        left = left / (left.square().mean(dim=0).sqrt() + 1e-3)
        kernels.append(left @ left.T)
    return hsic(kernels[0], kernels[1], unbiased)


def mean_squared_correlation(
    first: torch.Tensor, second: torch.Tensor, strata: torch.Tensor | None = None, unbiased: bool = True
) -> torch.Tensor:
    """``cross_correlation`` over the root of the numbers of columns: of a size that does not grow with both."""
    return cross_correlation(first, second, strata, unbiased) / (first.shape[1] * second.shape[1]) ** 0.5
