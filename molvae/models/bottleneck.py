"""The Gaussian bottleneck q(z|x) = N(mean, diag(exp(log_var))) of the VAE."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from molvae.models.parts import floored_log_var, linear


@dataclass(frozen=True, eq=False)
class Posterior:
    """A diagonal Gaussian per molecule: ``mean (b, d)`` and ``log_var (b, d)``.

    >>> q = Posterior(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2))
    >>> q.kl()
    tensor([[0.5000, 0.0000]])
    """

    mean: Tensor
    log_var: Tensor

    @property
    def std(self) -> Tensor:
        """The standard deviations, ``(b, d)``."""
        return (0.5 * self.log_var).exp()

    def sample(self, noise: Tensor) -> Tensor:
        """z ``(b, d)`` = mean + std * noise, for standard normal ``noise (b, d)``.

        The reparameterisation trick (Kingma & Welling 2014): gradients reach mean and log_var.
        """
        return self.mean + self.std * noise

    def kl(self) -> Tensor:
        """KL(q || N(0, 1)) per molecule and dimension in nats, ``(b, d)``.

        Closed form (Kingma & Welling 2014, appendix B): (mean² + exp(log_var) - log_var - 1) / 2.
        """
        return 0.5 * (self.mean.square() + self.log_var.exp() - self.log_var - 1)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z|x) in nats, ``(b,)``, for ``z (b, d)``."""
        return torch.distributions.Normal(self.mean, self.std).log_prob(z).sum(-1)


class GaussianBottleneck(nn.Module):
    """Features ``(b, f)`` to the :class:`Posterior` in ``latent_dim`` dimensions.

    ``min_std`` keeps every posterior at least that wide: a decoder that must work from a z off by
    that much learns that neighbours in the latent space are similar molecules.
    """

    def __init__(
        self, features: int, latent_dim: int, min_std: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.min_std = min_std
        self.project = linear(features, 2 * latent_dim, generator)

    def forward(self, features: Tensor) -> Posterior:
        projected = self.project(features)
        # At least in single precision: the KL is a difference of near numbers.
        projected = projected.to(torch.promote_types(projected.dtype, torch.float32))
        mean, raw = projected.chunk(2, dim=-1)
        return Posterior(mean, floored_log_var(raw, self.min_std))
