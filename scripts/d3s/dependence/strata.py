"""Strata: rows that share the label which may be known, so that dependence is asked for inside them alone.

Where training data are correlated, features that know the class know something of the background too, and rightly so:
marginal independence would cost the class. What can be asked for is independence given the class (``given: own`` of the
objectives). Everything here takes ``strata`` as N numbers from 0, or None for one stratum of all rows.
"""

from collections.abc import Iterator

import torch


def shuffle(number: int, strata: torch.Tensor | None, draws: torch.Generator) -> torch.Tensor:
    """A random order of N rows that exchanges rows of one stratum only; on the processor.

    Args:
        number: N.
        strata: of the rows.
        draws: on the processor.
    """
    order = torch.randperm(number, generator=draws)
    if strata is None:
        return order
    # Both sorts are stable: the k-th row of a stratum gets the k-th row of the same stratum in the random order.
    own = strata.cpu()
    mixed = order[torch.sort(own[order], stable=True).indices]
    result = torch.empty_like(order)
    result[torch.sort(own, stable=True).indices] = mixed
    return result


def each(strata: torch.Tensor | None, number: int, least: int) -> Iterator[torch.Tensor]:
    """Row numbers of every stratum with at least ``least`` rows."""
    if strata is None:
        if number >= least:
            yield torch.arange(number)
        return
    for stratum in strata.unique():
        rows = torch.nonzero(strata == stratum).squeeze(1)
        if len(rows) >= least:
            yield rows


def shares(labels: torch.Tensor, number: int, strata: torch.Tensor | None = None) -> torch.Tensor:
    """N x labels: how often each label occurs in the stratum of each row, as shares of 1.

    Args:
        labels: N numbers from 0.
        number: of labels.
        strata: of the rows.
    """
    ones = torch.nn.functional.one_hot(labels, number).float()
    if strata is None:
        return ones.mean(dim=0).expand(len(labels), number)
    return _means(ones, strata)[strata]


def entropy(labels: torch.Tensor, number: int, strata: torch.Tensor | None = None) -> torch.Tensor:
    """H(label) of N rows, or H(label | stratum), in nats, from their shares (biased low by about labels / 2N)."""
    own = shares(labels, number, strata)
    return -torch.xlogy(own, own).sum(dim=1).mean()


def centre(values: torch.Tensor, strata: torch.Tensor | None = None) -> torch.Tensor:
    """N x D values less their mean, or less the mean of their stratum."""
    if strata is None:
        return values - values.mean(dim=0)
    return values - _means(values, strata)[strata]


def _means(values: torch.Tensor, strata: torch.Tensor) -> torch.Tensor:
    """Strata x D: the mean of the rows of each; of a number that no row has, zero."""
    member = torch.nn.functional.one_hot(strata).to(values.dtype)
    return member.T @ values / member.sum(dim=0)[:, None].clamp(min=1.0)


def standardise(features: torch.Tensor) -> torch.Tensor:
    """Each feature with mean 0 and spread 1 over the batch; a constant one becomes 0."""
    return (features - features.mean(dim=0)) / (features.std(dim=0, unbiased=False) + 1e-3)
