"""Ways to fit a linear classifier where classes and backgrounds go together.

- ``erm``: every training image weighs the same.
- ``balanced``: every group (class and background) weighs the same.
- ``group_dro`` (Sagawa et al. 2020): the group that does worst weighs most, by exponentiated weights; it is of use with
  a strong penalty only, so the penalties that are tried reach further up.
- ``dfr`` (deep feature reweighting, Kirichenko et al. 2023): fitted to the validation part alone, cut down to groups of
  equal size; the coefficients of several such draws are averaged.

A penalty is chosen on the validation part, by the accuracy of its worst group, then by the mean over groups, then the
strongest. That part is unbiased, whatever the correlation of training: all methods are told this much about groups, as
is usual (Sagawa et al. 2020; Gulrajani & Lopez-Paz 2021 on why it must be said).
"""

from dataclasses import dataclass

import numpy as np

from d3s.correlation.softmax import Span, fit_softmax, losses, predict
from d3s.identity import seed as hashed_seed

METHODS = ("erm", "balanced", "group_dro", "dfr")
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
STRONG_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
"""For ``group_dro``: without one it fits all groups alike, and none is the worst (Sagawa et al. 2020, section 3.2)."""


@dataclass(frozen=True)
class Rows:
    """Rows to fit or to choose on.

    Attributes:
        features: N x D.
        labels: N class numbers.
        groups: N group numbers.
        folds: N numbers 0 or 1, halves of the validation part that ``dfr`` chooses its penalty by.
    """

    features: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    folds: np.ndarray | None = None


@dataclass(frozen=True)
class Fit:
    """A fitted classifier.

    Attributes:
        span: that rows are placed in.
        coefficients: d x K.
        penalty: the one that was chosen.
        worst_group, mean_group: accuracies on the validation part that it was chosen by; NaN where that is empty.
    """

    span: Span
    coefficients: np.ndarray
    penalty: float
    worst_group: float
    mean_group: float

    def predict(self, features: np.ndarray) -> np.ndarray:
        """N class numbers."""
        return predict(self.span.place(features), self.coefficients[None])[0]


def group_weights(groups: np.ndarray) -> np.ndarray:
    """N weights with sum 1 of which every group has the same share."""
    _, where, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return 1.0 / (sizes[where] * len(sizes))


def group_accuracies(correct: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """B x G accuracies of B x N answers."""
    _, where, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(where, weights=row, minlength=len(sizes)) for row in correct.astype(np.float64)])
    return sums / sizes


def fit_group_dro(
    x: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray,
    penalties: np.ndarray,
    classes: int,
    rounds: int = 40,
    step: float = 1.0,
    inner: int = 12,
) -> np.ndarray:
    """Minimise the largest of the groups' mean losses, plus the penalty: B x d x K coefficients.

    The groups' weights q go up with exp(step x loss) from round to round, as in Sagawa et al. (2020); between rounds
    the weighted problem is solved further from where it stood. Weights are averaged over the second half of the rounds,
    and the problem is solved with them at the end: the saddle point of a concave and convex function.
    """
    _, where, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    share = np.eye(len(sizes))[where] / sizes  # N x G: q @ share.T are the rows' weights
    q = np.full((len(penalties), len(sizes)), 1.0 / len(sizes))
    total = np.zeros_like(q)
    coefficients = np.zeros((len(penalties), x.shape[1], classes))
    for turn in range(rounds):
        coefficients = fit_softmax(x, y, q @ share.T, penalties, classes, coefficients, inner)
        q = q * np.exp(step * (losses(x, y, coefficients) @ share))
        q /= q.sum(axis=1, keepdims=True)
        if turn >= rounds // 2:
            total += q
    return fit_softmax(x, y, (total / total.sum(axis=1, keepdims=True)) @ share.T, penalties, classes, coefficients)


def fit(method: str, train: Rows, validation: Rows, classes: int) -> Fit:
    """Fit one of ``METHODS`` but ``dfr`` on the training rows and choose its penalty on the validation rows."""
    return fit_all((method,), train, validation, classes)[method]


def fit_all(methods: tuple[str, ...], train: Rows, validation: Rows, classes: int) -> dict[str, Fit]:
    """As ``fit``, several methods at once: those that differ by weights alone are one batch."""
    span = Span.of(train.features)
    x, y = span.place(train.features), train.labels
    placed = span.place(validation.features) if len(validation.labels) else None
    weighted = [method for method in methods if method in ("erm", "balanced")]
    made: dict[str, tuple[tuple[float, ...], np.ndarray]] = {}
    if weighted:
        each = {"erm": np.full(len(y), 1.0 / len(y)), "balanced": group_weights(train.groups)}
        weights = np.repeat(np.stack([each[method] for method in weighted]), len(PENALTIES), axis=0)
        found = fit_softmax(x, y, weights, np.tile(PENALTIES, len(weighted)), classes)
        made |= {
            method: (PENALTIES, found[n * len(PENALTIES) :][: len(PENALTIES)]) for n, method in enumerate(weighted)
        }
    if "group_dro" in methods:
        found = fit_group_dro(x, y, train.groups, np.array(STRONG_PENALTIES), classes)
        made["group_dro"] = STRONG_PENALTIES, found
    chosen = {}
    for method, (penalties, coefficients) in made.items():
        if placed is None:
            chosen[method] = Fit(span, coefficients[-2], penalties[-2], float("nan"), float("nan"))
            continue
        correct = predict(placed, coefficients) == validation.labels
        best, worst, mean = _best(correct, validation.groups)
        chosen[method] = Fit(span, coefficients[best], penalties[best], worst, mean)
    return chosen


def fit_dfr(validation: Rows, classes: int, seed: int, draws: int = 10) -> Fit:
    """Fit to balanced draws of the validation part and average their coefficients.

    The penalty is chosen by fitting on each half (``folds``) and trying on the other.

    Args:
        validation: with ``folds``.
        classes: K.
        seed: of the draws.
        draws: how many.
    """
    span = Span.of(validation.features)
    x = span.place(validation.features)
    folds = np.zeros(len(x), dtype=int) if validation.folds is None else validation.folds
    correct = np.zeros((len(PENALTIES), len(x)), dtype=bool)
    for fold in (0, 1):
        rows, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        if len(rows) and len(others):
            found = _average_draws(x[rows], validation, rows, classes, seed, draws, np.array(PENALTIES))
            correct[:, others] = predict(x[others], found) == validation.labels[others]
    best, worst, mean = _best(correct, validation.groups)
    rows = np.arange(len(x))
    found = _average_draws(x, validation, rows, classes, seed, draws, np.array([PENALTIES[best]]))
    return Fit(span, found[0], PENALTIES[best], worst, mean)


def _average_draws(
    x: np.ndarray, of: Rows, rows: np.ndarray, classes: int, seed: int, draws: int, penalties: np.ndarray
) -> np.ndarray:
    labels, groups = of.labels[rows], of.groups[rows]
    weights = np.stack([_balanced_draw(groups, hashed_seed(seed, "dfr.draw", turn)) for turn in range(draws)])
    found = fit_softmax(x, labels, np.repeat(weights, len(penalties), axis=0), np.tile(penalties, draws), classes)
    return found.reshape(draws, len(penalties), *found.shape[1:]).mean(axis=0)


def _balanced_draw(groups: np.ndarray, seed: int) -> np.ndarray:
    """Weights of equally many rows of every group, as many as the smallest has, and of no others."""
    rng = np.random.default_rng(seed)
    names, sizes = np.unique(groups, return_counts=True)
    weights = np.zeros(len(groups))
    for name in names:
        weights[rng.permutation(np.flatnonzero(groups == name))[: sizes.min()]] = 1.0
    return weights / weights.sum()


def _best(correct: np.ndarray, groups: np.ndarray) -> tuple[int, float, float]:
    """The best of B penalties, weakest first: by worst group, then by the mean over groups, then the strongest."""
    accuracies = group_accuracies(correct, groups)
    worst, mean = accuracies.min(axis=1).round(9), accuracies.mean(axis=1).round(9)
    best = max(range(len(correct)), key=lambda number: (worst[number], mean[number], number))
    return best, float(worst[best]), float(mean[best])
