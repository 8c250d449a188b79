"""The prior p(z): a standard normal."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class StandardNormal:
    """N(0, I) in ``dim`` dimensions.

    >>> prior = StandardNormal(2)
    >>> prior.sample(3, torch.Generator().manual_seed(0)).shape
    torch.Size([3, 2])
    >>> prior.log_prob(torch.zeros(1, 2))
    tensor([-1.8379])
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """``(n, dim)`` float32 draws, on the generator's device."""
        return torch.randn(n, self.dim, generator=generator, device=generator.device)

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, ``(n,)``, for ``z (n, dim)``."""
        return -0.5 * (z.square().sum(-1) + self.dim * math.log(2 * math.pi))
