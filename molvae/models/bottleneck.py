"""The bottleneck: q(z|x) = N(mean, diag(exp(log_var))) of the VAE, or a point of no width."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from molvae.models.codebook import Codebook
from molvae.models.config import ModelConfig
from molvae.models.packing import Packing
from molvae.models.parts import floored_log_var, linear
from molvae.models.windows import WindowReader, Windows

Encode = Callable[[Tensor, Tensor], "Posterior"]
"""From tokens ``(b, t)`` and lengths ``(b,)`` to q(z|x)."""


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


class Point(Posterior):
    """A posterior of no width: z is its mean ``(b, d)``. The KL of a point to N(0, 1) is infinite
    whatever the point, so it says nothing and is NaN.

    >>> q = Point.at(torch.ones(1, 2))
    >>> q.sample(torch.randn(1, 2)), q.std, q.kl()
    (tensor([[1., 1.]]), tensor([[0., 0.]]), tensor([[nan, nan]]))
    """

    @classmethod
    def at(cls, mean: Tensor) -> Point:
        """The point ``mean (b, d)``."""
        return cls(mean, torch.full_like(mean, -torch.inf))

    def kl(self) -> Tensor:
        """NaN, ``(b, d)``."""
        return torch.full_like(self.mean, torch.nan)


class Bottleneck(nn.Module):
    """The encoder's features to the :class:`Posterior`: of each window's, and of the molecule's.

    ``min_std`` keeps every posterior at least that wide: a decoder that must work from a z off by
    that much learns that neighbours in the latent space are similar molecules. What belongs to
    windows that a molecule does not reach is the prior itself, with no KL; without widths it is 0.
    """

    def __init__(
        self, features: int, windows: Windows, config: ModelConfig, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.min_std = config.min_std
        self.windows = windows
        kind, rest = config.bottleneck.kind, windows.rest
        self.numbers = numbers = 2 if kind == "gaussian" else 1
        self.project = linear(features, numbers * rest, generator) if rest else None
        self.read = WindowReader(windows, features, numbers, generator) if windows.count else None
        self.codebook = Codebook(config.bottleneck, generator) if kind == "vq" else None

    def shown(self, z: Tensor) -> Tensor:
        """What the decoder is to see of ``z (b, d)``: z itself, or its codes."""
        return z if self.codebook is None else self.codebook(z)

    def forward(self, packing: Packing, features: Tensor, places: Tensor | None) -> Posterior:
        """The posteriors of ``features (b, f)``, with windows also of packed ``places (n, f)``."""
        pairs = []
        mask = None
        if self.read is not None and places is not None:
            pairs.append(self.read(packing, places))
            lengths = packing.restore(packing.lengths) - 1
            begun = self.windows.begun(lengths)
            mask = self.windows.mask(begun, torch.ones_like(lengths, dtype=torch.bool))
        if self.project is not None:
            pairs.append(self.project(features).chunk(self.numbers, dim=-1))
        mean, *rest = (torch.cat(parts, -1) for parts in zip(*pairs, strict=True))
        # At least in single precision: the KL is a difference of near numbers.
        precise = torch.promote_types(mean.dtype, torch.float32)
        mean = mean.to(precise)
        if not rest:
            return Point.at(mean if mask is None else mean * mask)
        log_var = floored_log_var(rest[0].to(precise), self.min_std)
        if mask is None:
            return Posterior(mean, log_var)
        return Posterior(mean * mask, log_var * mask)
