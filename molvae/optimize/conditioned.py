"""Exact conditioning of a Gaussian process, from matrices of covariance alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from molvae.optimize.posterior import Posterior

JITTER = 1e-6


@dataclass(frozen=True)
class Targets:
    """Utilities in units: ``values (n,)`` of mean 0 and deviation 1, and what leads back."""

    values: Tensor
    unit: float
    offset: float

    @classmethod
    def of(cls, utility: np.ndarray) -> Targets:
        """Of utilities ``(n,)``, none of them NaN; the unit is 1 where they are all the same.

        >>> targets = Targets.of(np.array([1.0, 3.0]))
        >>> targets.values.tolist(), targets.unit, targets.offset
        ([-1.0, 1.0], 1.0, 2.0)
        """
        offset, unit = float(utility.mean()), float(utility.std()) or 1.0
        return cls(torch.as_tensor((utility - offset) / unit), unit, offset)

    def noise(self, noise: Tensor | None) -> Tensor | float:
        """Variances ``(n,)`` of the utilities in units; 0 where none are known."""
        return 0.0 if noise is None else noise / self.unit**2


@dataclass(frozen=True)
class Conditioned:
    """A process of constant ``mean`` given ``n`` targets: what follows for other molecules.

    Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, algorithm 2.1.
    """

    root: Tensor
    weights: Tensor
    mean: float

    @classmethod
    @torch.no_grad()
    def of(
        cls, covariance: Tensor, values: Tensor, noise: Tensor | float, mean: float
    ) -> Conditioned:
        """Of the ``covariance (n, n)`` of what has the ``values (n,)``, each with its ``noise``.

        The covariance is written to.
        """
        covariance.diagonal().add_(noise)
        root = torch.linalg.cholesky(covariance)
        weights = torch.cholesky_solve((values - mean).unsqueeze(1), root).squeeze(1)
        return cls(root, weights, mean)

    def given(self, across: Tensor) -> tuple[Tensor, Tensor]:
        """Means ``(m,)``, and the factor ``(n, m)`` whose square is what the data explain, from
        the covariances ``across (m, n)``."""
        mean = self.mean + across @ self.weights
        half = torch.linalg.solve_triangular(self.root, across.T, upper=False)
        return mean, half

    def margins(
        self, across: Tensor, prior: Tensor, targets: Targets
    ) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations ``(m,)`` of molecules of variance ``prior``."""
        mean, half = self.given(across)
        variance = (prior - half.square().sum(0)).clamp_min(0.0)
        return (
            (targets.offset + targets.unit * mean).numpy(),
            (targets.unit * variance.sqrt()).numpy(),
        )

    def joint(self, across: Tensor, within: Tensor, targets: Targets) -> Posterior:
        """The joint distribution of molecules with the covariance ``within (m, m)``."""
        mean, half = self.given(across)
        return Posterior(
            targets.offset + targets.unit * mean, targets.unit**2 * (within - half.T @ half)
        )
