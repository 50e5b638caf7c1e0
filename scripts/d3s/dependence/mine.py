"""Mutual information by the Donsker-Varadhan bound, with the gradient's bias corrected (MINE, Belghazi et al. 2018).

    I(Z; Y) >= E_p(z,y)[T] - log E_p(z)p(y)[exp T]      for every statistic T

A network T is fitted to make the bound tight. Of a batch, the gradient of the logarithm is biased, since the mean of
exp T stands in a denominator; a moving average of it over batches takes its place there (section 3.2 of that article).
"""

import torch
from torch import nn


def donsker_varadhan(
    joint: torch.Tensor, product: torch.Tensor, log_weights: torch.Tensor | None = None
) -> torch.Tensor:
    """The bound, in nats.

    Args:
        joint: N statistics of true pairs.
        product: M statistics of pairs that are independent, of any shape.
        log_weights: of those, of the same shape, if they don't weigh the same; they sum to 1. With labels, all pairs
            of a row and a label with the label's share are the whole product, and nothing need be shuffled.
    """
    return joint.mean() - _log_mean_exp(product, log_weights)


def _log_mean_exp(product: torch.Tensor, log_weights: torch.Tensor | None) -> torch.Tensor:
    if log_weights is None:
        return product.flatten().logsumexp(0) - torch.log(torch.tensor(float(product.numel())))
    return (product + log_weights).flatten().logsumexp(0)


class MovingMean(nn.Module):
    """The moving average of E[exp T], as a logarithm so that it can't overflow.

    Args:
        decay: share of the old average in each step.
    """

    log_mean: torch.Tensor

    def __init__(self, decay: float = 0.9) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("log_mean", torch.tensor(float("-inf")))

    def update(self, log_batch: torch.Tensor) -> torch.Tensor:
        """Take in log E[exp T] of a batch; the average after it."""
        new = log_batch.detach()
        if torch.isneginf(self.log_mean):
            self.log_mean.copy_(new)
        else:
            weight = torch.tensor([self.decay, 1 - self.decay]).log().to(new)
            self.log_mean.copy_(torch.logaddexp(self.log_mean + weight[0], new + weight[1]))
        return self.log_mean


def mine_loss(
    joint: torch.Tensor, product: torch.Tensor, mean: MovingMean, log_weights: torch.Tensor | None = None
) -> torch.Tensor:
    """What the network T minimises: minus the bound, whose gradient is corrected by the moving average.

    Its value is that of the bound, and its gradient that of -E[T] + E[exp T] / average.
    """
    log_batch = _log_mean_exp(product, log_weights)
    ratio = (log_batch - mean.update(log_batch)).clamp(max=20.0).exp()
    return -(joint.mean() - log_batch.detach()) + ratio - ratio.detach()
