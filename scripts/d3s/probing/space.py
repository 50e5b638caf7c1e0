"""Rows as all probes see them: standardised by the rows that are fitted on, and turned to their principal axes.

A turn changes no distance and no L2 penalty, so it changes no probe. With fewer rows than features it leaves out the
directions in which no fitted row lies (a penalised probe has no weight there): the same probe, many times faster. And
in principal axes the curvature of the logistic loss is nearly diagonal, which is what makes the solver quick.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: matrices are small, and the last bits then don't depend on the machine's cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class Space:
    """Rows in principal axes, scaled so that the rows that are fitted on have a mean square length of about 1.

    Attributes:
        rows: (N + M) x D float32: the N rows to fit on, then M others.
        fitted: N.
        spread: D mean squares of the fitted rows' coordinates.
    """

    rows: torch.Tensor
    fitted: int
    spread: torch.Tensor


def space_of(features: np.ndarray, others: np.ndarray) -> Space:
    """Standardise and turn.

    Args:
        features: N x P rows to fit on.
        others: M x P rows to tell the labels of.
    """
    fit, new = (torch.from_numpy(np.array(rows, dtype=np.float64)) for rows in (features, others))
    mean = fit.mean(dim=0)
    spread = fit.std(dim=0, correction=0)
    flat = spread <= 1e-8 * max(1.0, float(mean.abs().max()))
    # A constant feature is left out; a new row in which it differs must not be thrown far away by that.
    scale = torch.where(flat, torch.inf, spread) * max(1, int((~flat).sum())) ** 0.5
    # New rows are held within the range that was met: a feature that hardly ever fires would throw them far out.
    new = new.clamp(fit.amin(dim=0), fit.amax(dim=0))
    fit, new = (fit - mean) / scale, (new - mean) / scale
    if fit.shape[0] < fit.shape[1]:
        values, vectors = torch.linalg.eigh(fit @ fit.T)
        keep = values > 1e-10 * max(float(values[-1]), 1e-300)
        lengths = values[keep].clamp(min=1e-300).sqrt()
        turned, others_turned = vectors[:, keep] * lengths, (new @ fit.T) @ (vectors[:, keep] / lengths)
    else:
        values, vectors = torch.linalg.eigh(fit.T @ fit)
        keep = values > 1e-10 * max(float(values[-1]), 1e-300)
        turned, others_turned = fit @ vectors[:, keep], new @ vectors[:, keep]
    if turned.shape[1] == 0:  # nothing varies: one axis in which all rows are the same
        turned, others_turned = torch.zeros(len(fit), 1), torch.zeros(len(new), 1)
    rows = torch.cat([turned, others_turned]).float().contiguous()
    return Space(rows, len(fit), rows[: len(fit)].square().mean(dim=0))


def label_weights(labels: torch.Tensor, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights by which every label that occurs counts the same, and all of a task's rows one together.

    Without them a cross-fitted probe falls below chance where there is nothing to read: the label of the groups that
    are held out is the rarest among those that are left.

    Args:
        labels: T x N numbers from 0; -1 for a row that the task is not fitted on.
        classes: K.

    Returns:
        T x N weights and T x K flags of the labels that occur.
    """
    known = labels >= 0
    counts = torch.zeros(len(labels), classes).scatter_add_(1, labels.clamp(min=0), known.float())
    present = counts > 0
    share = torch.where(present, 1.0 / counts.clamp(min=1.0), 0.0) / present.sum(dim=1, keepdim=True).clamp(min=1)
    return torch.where(known, share.gather(1, labels.clamp(min=0)), 0.0), present
