"""A normalising flow as prior: noise, bent into the shape of what the encoder uses.

Needs zuko: ``pip install 'molvae[flows]'``.
"""

from __future__ import annotations

import importlib.util
import math

import torch
from torch import Tensor, nn

from molvae.base.errors import ConfigError
from molvae.models.bottleneck import Encode
from molvae.models.config import PriorConfig


class Flow(nn.Module):
    r"""Affine couplings (Dinh, Sohl-Dickstein & Bengio 2017, arXiv:1605.08803) of whitened latents.

    .. math:: z = \mu + L f^{-1}(\epsilon), \quad \epsilon \sim N(0, I)

    with the latents' mean and the Cholesky factor of their covariance, so that the couplings need
    to learn only what a Gaussian misses. ``centre (d,)``, ``factor (d, d)``.
    """

    def __init__(self, dim: int, config: PriorConfig) -> None:
        super().__init__()
        if importlib.util.find_spec("zuko") is None:
            raise ConfigError(
                "a flow prior needs zuko, which is not installed: pip install 'molvae[flows]'"
            )
        if dim < 2:
            raise ConfigError("a flow couples dimensions, and this latent space has one alone")
        from zuko.flows import MAF

        self.dim = dim
        self.centre: Tensor
        self.factor: Tensor
        self.register_buffer("centre", torch.zeros(dim))
        self.register_buffer("factor", torch.eye(dim))
        with torch.random.fork_rng(devices=[]):  # weights that are replaced at once
            # Two passes: one half of the dimensions given the other, in turn.
            self.couplings = MAF(
                dim,
                transforms=config.transforms,
                hidden_features=(config.hidden, config.hidden),
                passes=2,
            )
        self.reset(torch.Generator().manual_seed(0))

    def reset(self, generator: torch.Generator) -> None:
        """Weights anew, such that the flow is nearly the Gaussian."""
        for network in self.couplings.modules():
            if isinstance(network, nn.Sequential):
                layers = [layer for layer in network if isinstance(layer, nn.Linear)]
                for layer in layers:
                    gain = 0.01 if layer is layers[-1] else 1.0
                    nn.init.xavier_uniform_(layer.weight, gain=gain, generator=generator)
                    nn.init.zeros_(layer.bias)

    def sample(self, n: int, generator: torch.Generator, encode: Encode | None = None) -> Tensor:
        """``(n, dim)`` float32 draws, on the generator's device."""
        noise = torch.randn(n, self.dim, generator=generator, device=generator.device)
        white = self.couplings().transform.inv(noise.to(self.centre))
        return (self.centre + white @ self.factor.t()).to(noise)

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, ``(n,)``, for ``z (n, dim)``."""
        white = torch.linalg.solve_triangular(self.factor, (z - self.centre).t(), upper=False).t()
        noise, volume = self.couplings().transform.call_and_ladj(white)
        volume = volume - self.factor.diagonal().abs().log().sum()
        return volume - 0.5 * (noise.square().sum(1) + self.dim * math.log(2 * math.pi))
