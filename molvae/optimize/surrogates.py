"""A Gaussian process on what molecules are: structure, composition, and place in the latent space.

Its hyperparameters are fitted by BoTorch on a few hundred molecules; the conditioning on all of
them is plain linear algebra on matrices of similarity, in double precision on the CPU.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from botorch.exceptions.errors import ModelFittingError
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.utils.gpytorch_modules import get_gaussian_likelihood_with_lognormal_prior
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import Kernel
from gpytorch.likelihoods import FixedNoiseGaussianLikelihood
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import LogNormalPrior
from torch import Tensor

from molvae.optimize.described import Described
from molvae.optimize.observed import Observed
from molvae.optimize.parts import Part
from molvae.optimize.posterior import Posterior, own_randomness

FIT_ROWS = 200
"""Hyperparameters are fitted on so many molecules at most; the process is conditioned on all."""
MAX_ITERATIONS = 20
"""Steps of the hyperparameter fit (L-BFGS-B); later ones change predictions hardly at all."""
JITTER = 1e-6


class MoleculeKernel(Kernel):
    r"""A weighted sum of likenesses, the weights and length-scales to be fitted.

    .. math:: w_s T(a, b) + w_d \exp(-\tfrac{|a - b|^2}{2 l_d^2}) + w_z M_{5/2}(|a - b| / l_z)

    ``T`` is the Tanimoto similarity of counted environments, positive definite (Ralaivola et al.,
    Neural Networks 2005); the second term sees standardised descriptors, the third latents; both
    distances are root mean squares over the dimensions, so that neither prior depends on their
    number. Inputs ``(n, 1)`` are the numbers of molecules in ``facts``, a matrix for each part.
    """

    def __init__(self, facts: Mapping[Part, Tensor]) -> None:
        super().__init__()
        self.facts = dict(facts)
        for part in self.facts:
            self._positive(f"{part}_weight", 0.5, 1.0, 1e-4)
            if part != "structure":
                self._positive(f"{part}_length", 1.0, 0.7, 1e-2)

    def _positive(self, name: str, mode: float, width: float, least: float) -> None:
        """A number above ``least`` with a log-normal prior of median ``mode``."""
        self.register_parameter(name, torch.nn.Parameter(torch.tensor(mode, dtype=torch.float64)))
        self.register_constraint(name, GreaterThan(least, transform=None, initial_value=mode))
        self.register_prior(f"{name}_prior", LogNormalPrior(math.log(mode), width), name)

    def of(self, facts: Mapping[Part, Tensor]) -> Tensor:
        """The kernel's matrix from the matrices of the parts."""
        return torch.stack(
            [self.weight(part) * self._likeness(part, matrix) for part, matrix in facts.items()]
        ).sum(0)

    def weight(self, part: Part) -> Tensor:
        """The weight of a part: the kernel of a molecule with itself is their sum."""
        found: Tensor = getattr(self, f"{part}_weight")
        return found

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: Any) -> Tensor:
        """The matrix between the molecules numbered ``x1 (n, 1)`` and ``x2 (m, 1)``."""
        rows, columns = x1[..., 0].long(), x2[..., 0].long()
        if diag:
            return self.of({part: matrix[rows, columns] for part, matrix in self.facts.items()})
        chosen = (rows.unsqueeze(-1), columns.unsqueeze(-2))
        return self.of({part: matrix[chosen] for part, matrix in self.facts.items()})

    def _likeness(self, part: Part, matrix: Tensor) -> Tensor:
        if part == "structure":
            return matrix
        length = getattr(self, f"{part}_length")
        if part == "descriptors":
            return torch.exp(-0.5 * matrix / length**2)
        scaled = math.sqrt(5) * matrix.sqrt() / length
        return (1 + scaled + scaled**2 / 3) * torch.exp(-scaled)


@dataclass(frozen=True)
class Scales:
    """What makes descriptors and latents comparable: means and deviations of known molecules."""

    middle: np.ndarray
    spread: np.ndarray
    latent: float

    @classmethod
    def of(cls, known: Described) -> Scales:
        spread = known.descriptors.std(0)
        latent = float(np.sqrt(np.mean(np.var(known.z, axis=0)))) if known.z.size else 1.0
        return cls(known.descriptors.mean(0), np.where(spread > 0, spread, 1.0), latent or 1.0)

    def facts(self, a: Described, b: Described, parts: Sequence[Part]) -> dict[Part, Tensor]:
        """The matrix ``(n, m)`` of each part between two sets of molecules."""
        found: dict[Part, Tensor] = {}
        for part in parts:
            if part == "structure":
                matrix = a.counts.similarity(b.counts)
            elif part == "descriptors":
                one, other = ((d.descriptors - self.middle) / self.spread for d in (a, b))
                matrix = _distances(one, other)
            else:
                matrix = _distances(a.z / self.latent, b.z / self.latent)
            found[part] = torch.as_tensor(matrix)
        return found


@dataclass(frozen=True)
class Hyperparameters:
    """A fitted ``kernel``, the ``noise`` common to all, and the ``mean``; utilities in units."""

    kernel: MoleculeKernel
    noise: float
    mean: float

    @property
    def parts(self) -> tuple[Part, ...]:
        """What of a molecule the kernel sees."""
        return tuple(self.kernel.facts)


@dataclass(frozen=True)
class MoleculeGP:
    """A Gaussian process conditioned on molecules; made by :meth:`of`."""

    fitted: Hyperparameters
    scales: Scales
    known: Described
    root: Tensor
    weights: Tensor
    unit: float
    offset: float

    @classmethod
    @torch.no_grad()
    def of(cls, observed: Observed, fitted: Hyperparameters) -> MoleculeGP:
        """Conditioned on everything ``observed``, none of which is NaN."""
        known = Described.of(observed.smiles, observed.z)
        scales = Scales.of(known)
        targets, unit, offset = _standardised(observed.utility)
        covariance = fitted.kernel.of(scales.facts(known, known, fitted.parts))
        noise = observed.noise()
        given = 0.0 if noise is None else noise / unit**2
        covariance.diagonal().add_(given + fitted.noise + JITTER)
        root = torch.linalg.cholesky(covariance)
        weights = torch.cholesky_solve((targets - fitted.mean).unsqueeze(1), root).squeeze(1)
        return cls(fitted, scales, known, root, weights, unit, offset)

    def expected(self, molecules: Described) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation ``(m,)`` of each molecule's true utility."""
        mean, half = self._given(molecules)
        with torch.no_grad():
            # Every molecule is as like itself as can be.
            prior = sum(self.fitted.kernel.weight(part) for part in self.fitted.parts)
            variance = (prior - half.square().sum(0)).clamp_min(0.0)
        return mean.numpy(), (self.unit * variance.sqrt()).numpy()

    def hopes(self, molecules: Described) -> np.ndarray:
        """Mean and one standard deviation added up, ``(m,)``: what a molecule may well be worth."""
        mean, spread = self.expected(molecules)
        return mean + spread

    def hopes_at(self, z: Tensor) -> Tensor:
        """:meth:`hopes` ``(m,)`` of latents ``z (m, d)``, with their gradient; of a surrogate that
        sees latents alone."""
        known = torch.as_tensor(self.known.z / self.scales.latent)
        between = (z[:, None] / self.scales.latent - known).square().mean(-1)
        # A distance of 0 has no gradient of its root; a little more than none has.
        across = self.fitted.kernel.of({"latent": between + JITTER})
        mean = self.fitted.mean + across @ self.weights
        half = torch.linalg.solve_triangular(self.root, across.T, upper=False)
        variance = self.fitted.kernel.weight("latent") - half.square().sum(0)
        return self.offset + self.unit * (mean + variance.clamp_min(JITTER).sqrt())

    def joint(self, molecules: Described) -> Posterior:
        """The joint distribution of molecules' true utilities."""
        mean, half = self._given(molecules)
        with torch.no_grad():
            facts = self.scales.facts(molecules, molecules, self.fitted.parts)
            return Posterior(mean, self.unit**2 * (self.fitted.kernel.of(facts) - half.T @ half))

    @torch.no_grad()
    def _given(self, molecules: Described) -> tuple[Tensor, Tensor]:
        """Means ``(m,)``, and the factor ``(n, m)`` whose square is what the data explain."""
        facts = self.scales.facts(molecules, self.known, self.fitted.parts)
        across = self.fitted.kernel.of(facts)
        mean = self.fitted.mean + across @ self.weights
        half = torch.linalg.solve_triangular(self.root, across.T, upper=False)
        return self.offset + self.unit * mean, half


def fit_hyperparameters(observed: Observed, parts: Sequence[Part], seed: int) -> Hyperparameters:
    """Those that maximise the posterior density of everything ``observed``, none of it NaN.

    From the modes of the priors; where the optimiser fails it starts elsewhere, drawn with
    ``seed``.
    """
    known = Described.of(observed.smiles, observed.z)
    kernel = MoleculeKernel(Scales.of(known).facts(known, known, parts))
    targets, unit, _ = _standardised(observed.utility)
    likelihood: Any = get_gaussian_likelihood_with_lognormal_prior()
    common = likelihood.noise_covar
    noise = observed.noise()
    if noise is not None:
        likelihood = FixedNoiseGaussianLikelihood(noise / unit**2, learn_additional_noise=True)
        likelihood.second_noise_covar = common
    numbers = torch.arange(len(targets), dtype=torch.float64).unsqueeze(1)
    model = SingleTaskGP(
        numbers, targets.unsqueeze(1), None, likelihood, kernel, outcome_transform=None
    )
    before = deepcopy(model.state_dict())
    with own_randomness(seed):
        try:
            fit_gpytorch_mll(
                ExactMarginalLogLikelihood(likelihood, model),
                optimizer_kwargs={"options": {"maxiter": MAX_ITERATIONS}},
            )
        except ModelFittingError:
            model.load_state_dict(before)  # the modes of the priors are a fair model too
    kernel.requires_grad_(False)
    return Hyperparameters(
        kernel, float(common.noise.detach()), float(model.mean_module.constant.detach())
    )


def _standardised(utility: np.ndarray) -> tuple[Tensor, float, float]:
    """Utilities ``(n,)`` of mean 0 and deviation 1, the unit that they are divided by, the mean."""
    offset, unit = float(utility.mean()), float(utility.std()) or 1.0
    return torch.as_tensor((utility - offset) / unit), unit, offset


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean squared differences ``(n, m)`` of rows."""
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.maximum(squares, 0.0) / max(1, a.shape[1])
