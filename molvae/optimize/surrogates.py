"""Gaussian processes over molecules: on the latent vector, and on it together with the structure.

All in double precision, on the CPU. ``z`` is divided by one number for all its dimensions, so that
a dimension the model does not use stays as short as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from botorch.exceptions.errors import ModelFittingError
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms import Standardize
from botorch.models.utils.gpytorch_modules import (
    get_covar_module_with_dim_scaled_prior,
    get_gaussian_likelihood_with_lognormal_prior,
)
from botorch.posteriors.gpytorch import GPyTorchPosterior
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import Kernel, ScaleKernel
from gpytorch.likelihoods import FixedNoiseGaussianLikelihood
from gpytorch.means import ConstantMean
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import LogNormalPrior
from torch import Tensor

FIT_ROWS = 256
"""Hyperparameters are fitted on so many observations at most; the posterior uses all."""

MAX_ITERATIONS = 30
"""Steps of the hyperparameter fit (L-BFGS-B); later ones change predictions hardly at all."""


class LookupKernel(Kernel):
    """A kernel between numbered things, read from a fixed matrix ``(m, m)``.

    Here: the Tanimoto similarity of molecules, which is positive definite (Ralaivola et al.,
    Neural Networks 2005) and has nothing to fit, so it is computed once for a step.
    """

    def __init__(self, matrix: Tensor, active_dims: tuple[int, ...]) -> None:
        super().__init__(active_dims=active_dims)
        self.matrix = matrix

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: Any) -> Tensor:
        """Entries of the matrix for numbers ``x1 (..., n, 1)`` and ``x2 (..., m, 1)``."""
        rows, columns = x1[..., 0].long(), x2[..., 0].long()
        if diag:
            return self.matrix[rows, columns]
        return self.matrix[rows.unsqueeze(-1), columns.unsqueeze(-2)]


def latent_kernel(dim: int) -> Kernel:
    """ARD Matérn-5/2 whose length-scale prior grows with the dimension.

    Hvarfner et al., ICML 2024, arXiv:2402.02229.
    """
    return get_covar_module_with_dim_scaled_prior(
        dim, use_rbf_kernel=False, active_dims=tuple(range(dim))
    )


def molecule_kernel(dim: int, similarity: Tensor) -> Kernel:
    """A weighted sum of the latent kernel and the structures' similarity, weights to be fitted.

    Inputs are ``(..., n, dim + 1)``: a latent vector and the molecule's number in ``similarity``.
    """
    parts = [latent_kernel(dim), LookupKernel(similarity, active_dims=(dim,))]
    latent, structure = (
        ScaleKernel(
            part,
            outputscale_prior=LogNormalPrior(math.log(0.5), 1.0),
            outputscale_constraint=GreaterThan(1e-4, transform=None, initial_value=0.5),
        )
        for part in parts
    )
    return latent + structure


@dataclass(frozen=True)
class Posterior:
    """Joint normal over molecules: ``mean (n,)`` and ``covariance (n, n)``."""

    mean: Tensor
    covariance: Tensor

    def of(self, rows: Sequence[int]) -> Posterior:
        """The same of the molecules ``rows`` alone."""
        chosen = torch.as_tensor(rows)
        return Posterior(self.mean[chosen], self.covariance[chosen][:, chosen])


@contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Let botorch draw from torch's global generator without changing it for anybody else."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def fit(
    inputs: Tensor,
    utility: Tensor,
    kernel: Kernel,
    rows: np.ndarray,
    seed: int,
    noise: Tensor | None = None,
) -> SingleTaskGP:
    """A GP conditioned on all of ``inputs (n, k)`` and ``utility (n,)``, standardised.

    Its hyperparameters maximise the posterior density of the observations ``rows`` alone; where
    the optimiser fails from its usual start, it tries others drawn with ``seed``. ``noise (n,)``
    is the variance of each utility as far as repeated measurements tell; what they do not explain
    is a noise common to all, which is fitted as it is without them.
    """
    chosen = torch.as_tensor(rows)
    mean = ConstantMean()
    likelihood: Any = get_gaussian_likelihood_with_lognormal_prior()
    # One transform, made on everything, so that both models see the same scale.
    scale = Standardize(1)
    scale(utility.unsqueeze(-1))

    def model(x: Tensor, y: Tensor) -> SingleTaskGP:
        scale.eval()
        return SingleTaskGP(
            x, y.unsqueeze(-1), None, likelihood, kernel, mean, outcome_transform=scale
        )

    if noise is not None:
        noise = noise / scale.stdvs.squeeze() ** 2
        likelihood = _partly_known(noise[chosen], likelihood.noise_covar)
    small = model(inputs[chosen], utility[chosen])
    before = deepcopy(small.state_dict())
    with own_randomness(seed):
        try:
            fit_gpytorch_mll(
                ExactMarginalLogLikelihood(likelihood, small),
                optimizer_kwargs={"options": {"maxiter": MAX_ITERATIONS}},
            )
        except ModelFittingError:
            small.load_state_dict(before)  # the modes of the priors are a fair model too
    if len(chosen) == len(inputs):
        return small.eval()
    if noise is not None:
        likelihood = _partly_known(noise, likelihood.second_noise_covar)
    return model(inputs, utility).eval()


def _partly_known(noise: Tensor, common: Any) -> FixedNoiseGaussianLikelihood:
    """Noise of known variances ``(n,)`` and, on top of it, the fitted noise ``common``."""
    likelihood = FixedNoiseGaussianLikelihood(noise, learn_additional_noise=True)
    likelihood.second_noise_covar = common
    return likelihood


def posterior(model: SingleTaskGP, inputs: Tensor) -> Posterior:
    """What ``model`` expects of ``inputs (n, k)``, without observation noise."""
    with torch.no_grad():
        joint = cast(GPyTorchPosterior, model.posterior(inputs)).distribution
        return Posterior(joint.mean, joint.covariance_matrix)


def latent_scale(z: np.ndarray) -> float:
    """The number that gives latents ``(n, d)`` about the spread of a uniform unit cube."""
    spread = float(np.sqrt(np.mean(np.var(z, axis=0))))
    return math.sqrt(12.0) * spread if spread > 0 else 1.0
