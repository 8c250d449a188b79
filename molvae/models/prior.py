"""Priors p(z): where sampling starts.

The objective measures the KL to a standard normal, but what the encoder uses of the latent space is
not all of it. Sampling may start from what it does use (an *exemplar* prior, or one that was fitted
to it), or from nothing at all, where the decoder has learnt to write alone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from molvae.models.batch import Batch
from molvae.models.bottleneck import Encode
from molvae.models.codeprior import CodePrior
from molvae.models.config import ModelConfig, PriorConfig
from molvae.models.flow import Flow
from molvae.models.mixture import Mixture, VampPrior
from molvae.models.parts import normal, uniform
from molvae.models.windows import Windows

_CHUNK = 2048  # molecules that are encoded together


class StandardNormal(nn.Module):
    """N(0, I) in ``dim`` dimensions.

    >>> prior = StandardNormal(2)
    >>> prior.sample(3, torch.Generator().manual_seed(0)).shape
    torch.Size([3, 2])
    >>> prior.log_prob(torch.zeros(1, 2))
    tensor([-1.8379])
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def sample(self, n: int, generator: torch.Generator, encode: Encode | None = None) -> Tensor:
        """``(n, dim)`` float32 draws, on the generator's device."""
        return torch.randn(n, self.dim, generator=generator, device=generator.device)

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats, ``(n,)``, for ``z (n, dim)``."""
        return -0.5 * (z.square().sum(-1) + self.dim * math.log(2 * math.pi))


class Blank(nn.Module):
    """Always z = 0: everything forgotten, and the decoder writes as a language model."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def sample(self, n: int, generator: torch.Generator, encode: Encode | None = None) -> Tensor:
        """``(n, dim)`` zeros, on the generator's device."""
        return torch.zeros(n, self.dim, device=generator.device)


class Exemplars(nn.Module):
    """The posterior of a molecule picked from a stored set, its end to be written anew.

    A mixture with one component for each of ``count`` molecules (the exemplar VAE of Norouzi, Fleet
    & Norouzi 2020, arXiv:2004.04795; a VampPrior, Tomczak & Welling 2018, whose pseudo-inputs are
    real)::

        e ~ stored molecules,   z = (mean(e) + width * std(e) * noise) * keep

    where ``keep`` is 1 for the first windows and 0 from a place on that leaves a share of the
    molecule, drawn evenly from 0 to ``rewrite``, to the decoder; the global part goes with it. The
    molecules are part of the model file: tokens ``(symbols,)`` and lengths ``(count,)``, whole
    numbers.
    """

    def __init__(self, windows: Windows, config: PriorConfig, vocab_size: int) -> None:
        super().__init__()
        self.dim = windows.dim
        self.windows, self.config = windows, config
        self.tokens: Tensor
        self.lengths: Tensor
        kind = torch.uint8 if vocab_size <= 256 else torch.int16
        self.register_buffer("tokens", torch.zeros(config.symbols, dtype=kind))
        self.register_buffer("lengths", torch.zeros(config.exemplars, dtype=torch.int16))

    def sample(self, n: int, generator: torch.Generator, encode: Encode | None = None) -> Tensor:
        """``(n, dim)`` float32 draws; ``encode`` is the model's q(z|x)."""
        if encode is None:
            raise ValueError("an exemplar prior needs the model's encoder")
        chosen = torch.randint(
            len(self.lengths), (n,), generator=generator, device=generator.device
        )
        parts = [self._sample(rows, generator, encode) for rows in chosen.split(_CHUNK)]
        return torch.cat([torch.empty(0, self.dim, device=generator.device), *parts])

    def _sample(self, rows: Tensor, generator: torch.Generator, encode: Encode) -> Tensor:
        ends = self.lengths.to(torch.int64).cumsum(0)
        lengths = self.lengths.to(torch.int64)
        symbols = [
            self.tokens[int(ends[i] - lengths[i]) : int(ends[i])].tolist() for i in rows.tolist()
        ]
        batch = Batch.collate(symbols).to(self.tokens.device)
        posterior = encode(batch.tokens, batch.lengths)
        noise = normal(tuple(posterior.mean.shape), generator, posterior.mean)
        z = posterior.mean + self.config.width * posterior.std * noise
        anew = self.config.rewrite * uniform((len(rows),), generator, z.device)
        kept = self.windows.first(1 - anew, batch.lengths.to(z.device) - 2)
        return (z * self.windows.mask(kept, anew == 0)).to(generator.device)


Prior = StandardNormal | Blank | Exemplars | Mixture | VampPrior | Flow | CodePrior


def make_prior(model: ModelConfig, windows: Windows, vocab_size: int) -> Prior:
    """The prior that the settings of a model with so many symbols name, before it is fitted."""
    config, dim = model.prior, windows.dim
    match config.kind:
        case "exemplars":
            return Exemplars(windows, config, vocab_size)
        case "blank":
            return Blank(dim)
        case "mixture":
            return Mixture(dim, config.components)
        case "vamp":
            return VampPrior(dim, config.components)
        case "flow":
            return Flow(dim, config)
        case "codes":
            return CodePrior(dim, config, model.bottleneck)
        case _:
            return StandardNormal(dim)
