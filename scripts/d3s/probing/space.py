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

_BLOCK = 8192


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
    number, width = features.shape
    mean = sum((block.sum(dim=0) for block in _blocks(features)), torch.zeros(width).double()) / number
    squares = sum(((block - mean).square().sum(dim=0) for block in _blocks(features)), torch.zeros(width).double())
    spread = (squares / number).sqrt()
    flat = spread <= 1e-8 * max(1.0, float(mean.abs().max()))
    # A constant feature is left out; a new row in which it differs must not be thrown far away by that.
    scale = torch.where(flat, torch.inf, spread) * max(1, int((~flat).sum())) ** 0.5
    # New rows are held within the range that was met: a feature that hardly ever fires would throw them far out.
    held = np.clip(others, features.min(axis=0), features.max(axis=0))
    if number < width:
        fit, new = (torch.cat([(block - mean) / scale for block in _blocks(each)]) for each in (features, held))
        values, vectors = torch.linalg.eigh(fit @ fit.T)
        keep = values > 1e-10 * max(float(values[-1]), 1e-300)
        lengths = values[keep].clamp(min=1e-300).sqrt()
        parts = [vectors[:, keep] * lengths, (new @ fit.T) @ (vectors[:, keep] / lengths)]
    else:
        products = torch.zeros(width, width).double()
        for block in _blocks(features):
            standard = (block - mean) / scale
            products += standard.T @ standard
        values, vectors = torch.linalg.eigh(products)
        kept = vectors[:, values > 1e-10 * max(float(values[-1]), 1e-300)]
        parts = [((block - mean) / scale @ kept).float() for each in (features, held) for block in _blocks(each)]
    rows = torch.cat([part.float() for part in parts])
    if rows.shape[1] == 0:  # nothing varies: one axis in which all rows are the same
        rows = torch.zeros(len(rows), 1)
    rows = rows.contiguous()
    return Space(rows, number, rows[:number].square().mean(dim=0))


def _blocks(rows: np.ndarray) -> Iterator[torch.Tensor]:
    """Some rows at a time, in float64, so that large features are never held so as a whole; at least one block."""
    for start in range(0, max(1, len(rows)), _BLOCK):
        yield torch.from_numpy(rows[start : start + _BLOCK].astype(np.float64))


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
