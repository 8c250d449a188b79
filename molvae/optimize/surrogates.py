"""A Gaussian process on what molecules are: structure, composition, and place in the latent space.

Its hyperparameters are fitted by BoTorch on a few hundred molecules; the conditioning on all of
them is plain linear algebra on matrices of similarity, in double precision on the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from botorch.exceptions.errors import ModelFittingError
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.utils.gpytorch_modules import get_gaussian_likelihood_with_lognormal_prior
from gpytorch.kernels import Kernel
from gpytorch.likelihoods import FixedNoiseGaussianLikelihood
from gpytorch.mlls import ExactMarginalLogLikelihood
from torch import Tensor

from molvae.optimize.conditioned import JITTER, Conditioned, Targets
from molvae.optimize.described import Described
from molvae.optimize.kernel import MoleculeKernel, Scales
from molvae.optimize.observed import Observed
from molvae.optimize.parts import Part
from molvae.optimize.posterior import Posterior, Surrogate, own_randomness

FIT_ROWS = 200
"""Hyperparameters are fitted on so many molecules at most; the process is conditioned on all."""
MAX_ITERATIONS = 20
"""Steps of the hyperparameter fit (L-BFGS-B); later ones change predictions hardly at all."""


@dataclass(frozen=True)
class Hyperparameters:
    """A fitted ``kernel``, the ``noise`` common to all, and the ``mean``; utilities in units."""

    kernel: MoleculeKernel
    noise: float
    mean: float

    @property
    def parts(self) -> tuple[Part, ...]:
        """What of a molecule the kernel sees."""
        return self.kernel.parts

    def between(self, scales: Scales, a: Described, b: Described) -> Tensor:
        """The covariance ``(n, m)`` between two sets of molecules."""
        return self.kernel.of(scales.facts(a, b, self.parts, self.kernel.lengths))

    @property
    def prior(self) -> Tensor:
        """The variance of any molecule: it is as like itself as can be."""
        first, *others = (self.kernel.weight(part) for part in self.parts)
        return sum(others, start=first)


@dataclass(frozen=True)
class MoleculeGP(Surrogate):
    """A Gaussian process conditioned on molecules; made by :meth:`of`."""

    fitted: Hyperparameters
    scales: Scales
    known: Described
    targets: Targets
    process: Conditioned

    @classmethod
    @torch.no_grad()
    def of(cls, observed: Observed, fitted: Hyperparameters) -> MoleculeGP:
        """Conditioned on everything ``observed``, none of which is NaN."""
        known = Described.of(observed.smiles, observed.z)
        scales = Scales.of(known)
        targets = Targets.of(observed.utility)
        noise = targets.noise(observed.noise()) + fitted.noise + JITTER
        covariance = fitted.between(scales, known, known)
        process = Conditioned.of(covariance, targets.values, noise, fitted.mean)
        return cls(fitted, scales, known, targets, process)

    @torch.no_grad()
    def expected(self, molecules: Described) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation ``(m,)`` of each molecule's true utility."""
        across = self.fitted.between(self.scales, molecules, self.known)
        return self.process.margins(across, self.fitted.prior, self.targets)

    @torch.no_grad()
    def joint(self, molecules: Described) -> Posterior:
        """The joint distribution of molecules' true utilities."""
        across = self.fitted.between(self.scales, molecules, self.known)
        within = self.fitted.between(self.scales, molecules, molecules)
        return self.process.joint(across, within, self.targets)

    def hopes_at(self, z: Tensor) -> Tensor:
        """:meth:`hopes` ``(m,)`` of latents ``z (m, d)``, with their gradient; of a surrogate that
        sees latents alone."""
        known = torch.as_tensor(self.known.z / self.scales.latent)
        between = (z[:, None] / self.scales.latent - known).square().mean(-1)
        # A distance of 0 has no gradient of its root; a little more than none has.
        mean, half = self.process.given(self.fitted.kernel.of({"latent": between + JITTER}))
        variance = self.fitted.kernel.weight("latent") - half.square().sum(0)
        return self.targets.offset + self.targets.unit * (mean + variance.clamp_min(JITTER).sqrt())


def fit_hyperparameters(observed: Observed, parts: Sequence[Part], seed: int) -> Hyperparameters:
    """Those that maximise the posterior density of everything ``observed``, none of it NaN.

    From the modes of the priors; where the optimiser fails it starts elsewhere, drawn with
    ``seed``.
    """
    known = Described.of(observed.smiles, observed.z)
    kernel = Scales.of(known).kernel(known, parts)
    targets = Targets.of(observed.utility)
    numbers = torch.arange(len(targets.values), dtype=torch.float64).unsqueeze(1)
    given = observed.noise()
    noise = None if given is None else given / targets.unit**2
    return Hyperparameters(kernel, *fit_process(kernel, numbers, targets.values, noise, seed))


def fit_process(
    kernel: Kernel, inputs: Tensor, values: Tensor, noise: Tensor | None, seed: int
) -> tuple[float, float]:
    """Fit a ``kernel`` on ``inputs (n, k)`` with ``values (n,)``, each of which has its ``noise``.

    Returns:
        The noise common to all beside it, and the mean. The kernel has no gradient any more.
    """
    likelihood: Any = get_gaussian_likelihood_with_lognormal_prior()
    common = likelihood.noise_covar
    if noise is not None:
        likelihood = FixedNoiseGaussianLikelihood(noise, learn_additional_noise=True)
        likelihood.second_noise_covar = common
    model = SingleTaskGP(
        inputs, values.unsqueeze(1), None, likelihood, kernel, outcome_transform=None
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
    return float(common.noise.detach()), float(model.mean_module.constant.detach())
