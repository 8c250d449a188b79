"""A Gaussian process on fingerprints, with the Tanimoto similarity as its kernel.

Ralaivola et al., Neural Networks 18:1093 (2005); Griffiths et al., GAUCHE, NeurIPS 2023.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, solve_triangular

from molvae.base.errors import ConfigError
from molvae.chem.similarity import similarity
from molvae.oracles.fitted.evidence import signal_and_noise
from molvae.oracles.fitted.options import FitOptions, Task

LIMIT = 4000
"""Molecules that a Gaussian process takes: its time grows with their cube."""


@dataclass(frozen=True)
class TanimotoProcess:
    """The molecules of the fit and what the posterior needs of them.

    Attributes:
        prints: (n, w) uint8, packed fingerprints.
        weights: (n,) float64, the posterior mean's weights in units of the label.
        constants: (3,) float64: the labels' mean, the variance of the signal and of the noise.
    """

    prints: np.ndarray
    weights: np.ndarray
    constants: np.ndarray

    @classmethod
    def fit(
        cls, matrix: np.ndarray, labels: np.ndarray, task: Task, options: FitOptions, workers: int
    ) -> TanimotoProcess:
        """Fit to bits ``(n, p)`` and ``labels (n,)``, its two variances by their evidence.

        Raises :class:`ConfigError` beyond :data:`LIMIT` molecules and for classes.
        """
        if task == "classification":
            raise ConfigError("a gp is for measured quantities; take kind forest or ridge")
        if len(labels) > LIMIT:
            raise ConfigError(
                f"a gp takes {LIMIT:,} molecules at most, not {len(labels):,}; take kind forest"
            )
        prints = np.packbits(matrix > 0, axis=1)
        mean = float(labels.mean())
        values, vectors = np.linalg.eigh(_kernel(prints, prints))
        values = np.maximum(values, 0.0)
        projected = vectors.T @ (labels - mean)
        signal, noise = signal_and_noise(values, np.square(projected))
        weights = signal * (vectors @ (projected / (signal * values + noise)))
        return cls(prints, weights, np.array([mean, signal, noise]))

    def predict(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean ``(n,)`` and standard deviation ``(n,)`` of a new measurement with its noise."""
        mean, signal, noise = self.constants
        across = _kernel(np.packbits(matrix > 0, axis=1), self.prints)
        explained = solve_triangular(self._factor, signal * across.T, lower=True)
        variance = signal + noise - np.square(explained).sum(0)
        return mean + across @ self.weights, np.sqrt(np.maximum(variance, noise))

    @cached_property
    def _factor(self) -> np.ndarray:
        """The lower Cholesky factor of the labels' covariance: quicker made anew than stored."""
        _, signal, noise = self.constants
        covariance = signal * _kernel(self.prints, self.prints)
        covariance[np.diag_indices_from(covariance)] += noise + 1e-9 * signal
        return np.asarray(cho_factor(covariance, lower=True)[0])

    def arrays(self) -> dict[str, np.ndarray]:
        """What to store."""
        return {"prints": self.prints, "weights": self.weights, "constants": self.constants}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], features: int) -> TanimotoProcess:
        """The process of stored arrays, or :class:`ValueError` where they do not fit together."""
        found = cls(arrays["prints"], arrays["weights"], arrays["constants"])
        n = len(found.weights)
        if found.prints.shape != (n, features // 8) or found.constants.shape != (3,):
            raise ValueError("the arrays of the process differ in length")
        return found


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.nan_to_num(similarity(a, b))
