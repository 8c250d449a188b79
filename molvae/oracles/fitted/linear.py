"""A linear model with Gaussian weights: ridge regression, and logistic regression for classes.

Bishop, Pattern Recognition and Machine Learning (2006), sections 3.3 and 4.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from molvae.oracles.fitted.evidence import signal_and_noise
from molvae.oracles.fitted.options import FitOptions, Task

_PENALTIES = np.logspace(-4, -1, 4)


@dataclass(frozen=True)
class Linear:
    """Weights of standardised features, and how sure each direction of them is.

    Attributes:
        centre, scale: (p,) float64, the features' means and standard deviations in the fit.
        weights: (p,) float64.
        spread: (p, p) float32 lower triangle R: the prediction's variance is |R x|² + noise.
        constants: (3,) float64: intercept, noise variance, and 1 for a logistic model, else 0.
    """

    centre: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    spread: np.ndarray
    constants: np.ndarray

    @classmethod
    def fit(
        cls, matrix: np.ndarray, labels: np.ndarray, task: Task, options: FitOptions, workers: int
    ) -> Linear:
        """Fit to ``matrix (n, p)`` and ``labels (n,)``.

        The ridge penalty comes from the evidence, the logistic one from three-fold validation.
        """
        centre = matrix.mean(0, dtype=np.float64)
        scale = matrix.std(0, dtype=np.float64)
        scale[scale < 1e-6] = np.inf  # a column without variation says nothing
        x = (matrix - centre) / scale
        if task == "classification":
            weights, intercept, precision = _logistic(x, labels)
            noise = 0.0
        else:
            intercept = float(labels.mean())
            weights, noise, precision = _ridge(x, labels - intercept)
        # precision = L L^T, so x^T precision^-1 x = |L^-1 x|^2
        lower = cholesky(precision, lower=True)
        spread = solve_triangular(lower, np.eye(len(lower)), lower=True).astype(np.float32)
        constants = np.array([intercept, noise, float(task == "classification")])
        return cls(centre, scale, weights, spread, constants)

    def predict(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean ``(n,)`` and standard deviation ``(n,)``: of a new measurement, or of the
        probability of class 1 (Laplace's approximation, by the logistic function's slope)."""
        intercept, noise, is_logistic = self.constants
        x = (matrix - self.centre) / self.scale
        mean = x @ self.weights + intercept
        std = np.sqrt(np.square(x @ self.spread.T.astype(np.float64)).sum(1) + noise)
        if is_logistic:
            mean = 1 / (1 + np.exp(-mean))
            std = std * mean * (1 - mean)
        return mean, std

    def arrays(self) -> dict[str, np.ndarray]:
        """What to store."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], features: int) -> Linear:
        """The model of stored arrays, or :class:`ValueError` where they do not fit together."""
        found = cls(**{name: arrays[name] for name in cls.__dataclass_fields__})
        shapes = [found.centre.shape, found.scale.shape, found.weights.shape]
        if shapes != [(features,)] * 3 or found.spread.shape != (features, features):
            raise ValueError("the arrays of the linear model differ in length")
        return found


def _ridge(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Weights, noise variance and the weights' posterior precision (p, p)."""
    n, p = x.shape
    gram = x.T @ x
    if n <= p:
        values, vectors = np.linalg.eigh(x @ x.T)
        squares, rest, rest_square = np.square(vectors.T @ y), 0, 0.0
    else:
        values, vectors = np.linalg.eigh(gram)
        kept = values > 1e-9 * values[-1]
        values = values[kept]
        squares = np.square(vectors[:, kept].T @ (x.T @ y)) / values
        rest, rest_square = n - len(values), max(float(y @ y - squares.sum()), 0.0)
    signal, noise = signal_and_noise(np.maximum(values, 0.0), squares, rest, rest_square)
    precision = gram / noise
    precision[np.diag_indices(p)] += 1 / signal
    return np.linalg.solve(precision, x.T @ y / noise), noise, precision


def _logistic(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Weights, intercept and the precision (p, p) of Laplace's approximation around them."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    rarer = int(min(y.sum(), (1 - y).sum()))
    best = LogisticRegression(C=float(_PENALTIES[0]), max_iter=500, tol=1e-5)
    if rarer >= 2:
        penalties = {"C": _PENALTIES}
        search = GridSearchCV(best, penalties, cv=min(3, rarer), scoring="neg_log_loss")
        best = search.fit(x, y).best_estimator_
    else:
        best.fit(x, y)
    weights, intercept = best.coef_[0], float(best.intercept_[0])
    p = 1 / (1 + np.exp(-(x @ weights + intercept)))
    precision = (x * (p * (1 - p))[:, None]).T @ x
    precision[np.diag_indices(x.shape[1])] += 1 / best.C
    return weights, intercept, precision
