"""The Fréchet distance of two normal distributions, each fitted to a set of vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Gaussian:
    """The mean ``(d,)`` and covariance ``(d, d)`` of ``count`` vectors, float64."""

    mean: np.ndarray
    covariance: np.ndarray
    count: int

    @classmethod
    def of(cls, vectors: np.ndarray) -> Gaussian:
        """Fit to ``vectors (n, d)``; NaN everywhere for fewer than two.

        >>> Gaussian.of(np.array([[0.0, 0.0], [2.0, 0.0]])).mean.tolist()
        [1.0, 0.0]
        """
        d = vectors.shape[1]
        if len(vectors) < 2:
            return cls(np.full(d, np.nan), np.full((d, d), np.nan), len(vectors))
        values = np.asarray(vectors, np.float64)
        return cls(values.mean(0), np.cov(values.T).reshape(d, d), len(values))


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    r"""The squared 2-Wasserstein distance of two normal distributions.

    .. math:: \|\mu_a-\mu_b\|^2 + \mathrm{tr}(C_a + C_b - 2 (C_a C_b)^{1/2})

    Dowson and Landau, J. Multivar. Anal. 12:450 (1982). The trace of the root is computed as
    that of :math:`(C_a^{1/2} C_b C_a^{1/2})^{1/2}`, which is symmetric, so neither complex numbers
    nor a singular covariance disturb it. NaN where either side has fewer than two vectors.

    >>> one = Gaussian(np.zeros(2), np.eye(2), 10)
    >>> frechet_distance(one, Gaussian(np.array([3.0, 4.0]), np.eye(2), 10))
    25.0
    """
    if a.count < 2 or b.count < 2:
        return math.nan
    values, vectors = np.linalg.eigh(a.covariance)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    middle = np.linalg.eigvalsh(root @ b.covariance @ root)
    apart = a.mean - b.mean
    spread = np.trace(a.covariance) + np.trace(b.covariance)
    distance = float(apart @ apart + spread - 2 * np.sqrt(np.clip(middle, 0, None)).sum())
    return max(distance, 0.0)  # of one distribution and itself, rounding leaves a little less
