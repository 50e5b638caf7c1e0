"""A linear classifier with a fixed penalty, for the table of spurious correlation; ``d3s.probing`` has the probes."""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression


@dataclass(frozen=True)
class ProbeSettings:
    """How the classifier is fitted.

    Attributes:
        regularisation: scikit-learn's ``C`` of the L2 penalty, on features that are standardised and divided by the
            square root of their number, so that one value serves parts of any size.
        seed: of the pairing of classes and backgrounds.
    """

    regularisation: float = 10.0
    seed: int = 0


class Probe:
    """Multinomial logistic regression on standardised features, every label weighing the same in its loss.

    Without those weights a cross-fitted probe falls below chance where there is nothing to read: the label of the
    exemplars that are held out is the rarest among those that are left.

    The L2 penalty does not change under rotation, so with fewer rows than features the fit is done in the rows' own
    span: the same probe, many times faster.

    Args:
        features: N x D rows to fit on; their mean and spread also standardise the rows of ``predict``.
    """

    def __init__(self, features: np.ndarray, settings: ProbeSettings) -> None:
        self.settings = settings
        self.mean = features.mean(axis=0)
        spread = features.std(axis=0)
        self.scale = np.where(spread > 1e-8 * max(1.0, float(np.abs(self.mean).max())), spread, np.inf)
        self.scale *= np.sqrt(features.shape[1])
        standard = (features - self.mean) / self.scale
        self.basis: np.ndarray | None = None
        if standard.shape[0] < standard.shape[1]:
            values, vectors = np.linalg.eigh(standard @ standard.T)
            keep = values > 1e-10 * max(values[-1], 1e-300)
            self.basis = standard.T @ (vectors[:, keep] / np.sqrt(values[keep]))
            standard = standard @ self.basis
        self.fitted_on = standard

    def place(self, features: np.ndarray) -> np.ndarray:
        """Rows as the classifier sees them."""
        standard = (features - self.mean) / self.scale
        return standard if self.basis is None else standard @ self.basis

    def predictions(self, labels: np.ndarray, placed: np.ndarray) -> np.ndarray:
        """Fit to the labels of the fitting rows and tell the labels of rows that ``place`` gave."""
        if len(np.unique(labels)) < 2:
            return np.full(len(placed), labels[0])
        model = LogisticRegression(C=self.settings.regularisation, class_weight="balanced", max_iter=500, tol=1e-3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(self.fitted_on, labels).predict(placed)
