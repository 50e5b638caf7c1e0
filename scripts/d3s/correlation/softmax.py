"""Softmax regression on features, many weightings and penalties at once, by numpy alone.

The L2 penalty does not change under rotation, so with fewer rows than features the fit is done in the rows' own span.
All fits of one set of rows are one batch of matrix products. Each is accelerated gradient descent (Nesterov 1983,
restarted as O'Donoghue & Candes 2015) in coordinates in which Boehning's bound on the Hessian (1992) is the identity,
so that the step is 1 and nothing is searched for.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Span:
    """Features standardised by a set of rows, divided by the root of their number, and rotated into the rows' span.

    One penalty then serves parts of any size.
    """

    mean: np.ndarray
    scale: np.ndarray
    basis: np.ndarray | None

    @classmethod
    def of(cls, features: np.ndarray) -> "Span":
        """Of N x D features."""
        mean, spread = features.mean(axis=0), features.std(axis=0)
        # a feature that does not vary tells nothing: it is multiplied by zero
        scale = np.where(spread > 1e-8 * max(1.0, float(np.abs(mean).max())), spread, np.inf) * np.sqrt(
            features.shape[1]
        )
        standard = (features - mean) / scale
        if standard.shape[0] >= standard.shape[1]:
            return cls(mean, scale, None)
        values, vectors = np.linalg.eigh(standard @ standard.T)
        keep = values > 1e-10 * max(values[-1], 1e-300)
        return cls(mean, scale, standard.T @ (vectors[:, keep] / np.sqrt(values[keep])))

    def place(self, features: np.ndarray) -> np.ndarray:
        """Rows as classifiers see them, a column of ones (the intercept) behind."""
        standard = (features - self.mean) / self.scale
        rotated = standard if self.basis is None else standard @ self.basis
        return np.concatenate([rotated, np.ones((len(rotated), 1))], axis=1)


def fit_softmax(
    x: np.ndarray,
    y: np.ndarray,
    weights: np.ndarray,
    penalties: np.ndarray,
    classes: int,
    start: np.ndarray | None = None,
    iterations: int = 500,
    tolerance: float = 1e-4,
) -> np.ndarray:
    """Minimise, for each of B problems, sum_i w_i CE_i + penalty / 2 x |W without intercept|^2.

    Args:
        x: N x d rows, the last column ones.
        y: N class numbers.
        weights: B x N, not negative, each row with sum 1.
        penalties: B.
        classes: K.
        start: B x d x K coefficients to start from; zeros without.
        iterations: at most.
        tolerance: all stop once no coordinate of a gradient, in the bound's coordinates, is larger than this share of
            the largest at zero.

    Returns:
        B x d x K coefficients.
    """
    ridge = penalties[:, None] * np.append(np.ones(x.shape[1] - 1), 0.0)
    bound = 0.5 * np.einsum("bn,ni,nj->bij", weights, x, x, optimize=True)
    bound[:, range(x.shape[1]), range(x.shape[1])] += ridge + 1e-9
    inverse = np.linalg.inv(np.linalg.cholesky(bound))  # x L^-T has the identity as bound
    z = x @ inverse.transpose(0, 2, 1)
    weighted = z.transpose(0, 2, 1) * weights[:, None, :]
    shrink = (inverse * ridge[:, None, :]) @ inverse.transpose(0, 2, 1)
    targets = weighted @ np.eye(classes)[y]
    if start is None:
        now = np.zeros((len(weights), x.shape[1], classes))
    else:
        now = np.linalg.solve(inverse.transpose(0, 2, 1), start)
    ahead, momentum = now, np.ones((len(weights), 1, 1))
    limit = tolerance * max(float(np.abs(targets).max()), 1e-12)
    for _ in range(iterations):
        gradient = weighted @ _softmax(z @ ahead) - targets + shrink @ ahead
        if np.abs(gradient).max() < limit:
            break
        step = ahead - gradient
        moved = step - now
        uphill = (gradient * moved).sum(axis=(1, 2), keepdims=True) > 0
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = np.where(uphill, step, step + (momentum - 1) / following * moved)
        momentum = np.where(uphill, 1.0, following)
        now = step
    return inverse.transpose(0, 2, 1) @ now


def losses(x: np.ndarray, y: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """B x N cross entropies."""
    scores = x @ coefficients
    top = scores.max(axis=-1, keepdims=True)
    return (top[..., 0] + np.log(np.exp(scores - top).sum(axis=-1))) - scores[:, np.arange(len(y)), y]


def predict(x: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """B x N class numbers."""
    return (x @ coefficients).argmax(axis=-1)


def _softmax(scores: np.ndarray) -> np.ndarray:
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return scores / scores.sum(axis=-1, keepdims=True)
