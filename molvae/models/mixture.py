"""Priors that are mixtures of Gaussians, fitted to what the encoder makes of molecules."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from molvae.models.bottleneck import Encode


class Mixture(nn.Module):
    r"""Gaussians with full covariances, :math:`p(z) = \sum_k w_k N(z; \mu_k, L_k L_k^T)`.

    Fitted to the aggregate posterior of a trained model, it is the prior of Ghosh et al. 2020
    (arXiv:1903.12436), with which even an autoencoder can be sampled. ``log_weights (k,)``,
    ``means (k, d)``, ``factors (k, d, d)`` lower triangular.

    >>> prior = Mixture(dim=2, components=1)
    >>> prior.sample(3, torch.Generator().manual_seed(0)).shape, prior.log_prob(torch.zeros(1, 2))
    (torch.Size([3, 2]), tensor([-1.8379]))
    """

    def __init__(self, dim: int, components: int) -> None:
        super().__init__()
        self.dim = dim
        self.log_weights: Tensor
        self.means: Tensor
        self.factors: Tensor
        self.register_buffer("log_weights", torch.full((components,), -math.log(components)))
        self.register_buffer("means", torch.zeros(components, dim))
        self.register_buffer("factors", torch.eye(dim).repeat(components, 1, 1))

    def sample(self, n: int, generator: torch.Generator, encode: Encode | None = None) -> Tensor:
        """``(n, dim)`` float32 draws, on the generator's device."""
        chosen, noise = _draw(self.log_weights, n, self.dim, generator)
        z = torch.empty_like(noise)
        means, factors = self.means.to(noise), self.factors.to(noise)
        for k in chosen.unique().tolist():
            z[chosen == k] = means[k] + noise[chosen == k] @ factors[k].t()
        return z

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, ``(n,)``, for ``z (n, dim)``."""
        each = []
        for mean, factor in zip(self.means, self.factors, strict=True):
            apart = torch.linalg.solve_triangular(factor, (z - mean).t(), upper=False)
            each.append(-0.5 * apart.square().sum(0) - factor.diagonal().abs().log().sum())
        densities = torch.stack(each, 1) - 0.5 * self.dim * math.log(2 * math.pi)
        return torch.logsumexp(densities + self.log_weights, 1)


class VampPrior(nn.Module):
    r"""The posteriors of some molecules, :math:`p(z) = \sum_k w_k q(z|u_k)`.

    A VampPrior (Tomczak & Welling 2018, arXiv:1705.07120) whose pseudo-inputs u are molecules of
    the data (their "VampPrior data") and whose weights are fitted. ``log_weights (k,)``,
    ``means (k, d)``, ``stds (k, d)``.

    >>> VampPrior(dim=2, components=3).log_prob(torch.zeros(1, 2))
    tensor([-1.8379])
    """

    def __init__(self, dim: int, components: int) -> None:
        super().__init__()
        self.dim = dim
        self.log_weights: Tensor
        self.means: Tensor
        self.stds: Tensor
        self.register_buffer("log_weights", torch.full((components,), -math.log(components)))
        self.register_buffer("means", torch.zeros(components, dim))
        self.register_buffer("stds", torch.ones(components, dim))

    def sample(self, n: int, generator: torch.Generator, encode: Encode | None = None) -> Tensor:
        """``(n, dim)`` float32 draws, on the generator's device."""
        chosen, noise = _draw(self.log_weights, n, self.dim, generator)
        return self.means.to(noise)[chosen] + self.stds.to(noise)[chosen] * noise

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, ``(n,)``, for ``z (n, dim)``."""
        return torch.logsumexp(self.densities(z) + self.log_weights, 1)

    def densities(self, z: Tensor) -> Tensor:
        """log q(z|u) for each molecule u, ``(n, k)``, for ``z (n, dim)``."""
        precision = self.stds.double() ** -2
        means, z = self.means.double(), z.double()
        constant = (means.square() * precision - precision.log() + math.log(2 * math.pi)).sum(1)
        both = z @ (means * precision).t() - 0.5 * z.square() @ precision.t()
        return (both - 0.5 * constant).float()


def _draw(
    log_weights: Tensor, n: int, dim: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Components ``(n,)`` and noise ``(n, dim)``, on the generator's device."""
    weights = log_weights.float().softmax(0).to(generator.device)
    shape = (n, dim)
    if n == 0:
        return torch.empty(0, dtype=torch.int64, device=generator.device), weights.new_empty(shape)
    chosen = torch.multinomial(weights, n, replacement=True, generator=generator)
    return chosen, torch.randn(shape, generator=generator, device=generator.device)
