"""Linear maps, embeddings and floors with explicit randomness: no global generator is touched."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


# torch's own first weights would come from the global generator; and ``skip_init`` leaves them out
# by way of a device without memory, for which torch imports its compiler, a second each time.
class _Linear(nn.Linear):
    def reset_parameters(self) -> None:
        """None: they are set by who makes it."""


class _Embedding(nn.Embedding):
    def reset_parameters(self) -> None:
        """None: they are set by who makes it."""


def linear(inputs: int, outputs: int, generator: torch.Generator, scale: float = 1.0) -> nn.Linear:
    """A linear map with zero bias and Glorot-uniform weights (Glorot & Bengio 2010) x ``scale``."""
    layer = _Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight, gain=scale, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


def silent(inputs: int, outputs: int) -> nn.Linear:
    """A linear map without bias whose weights are 0."""
    layer = _Linear(inputs, outputs, bias=False)
    nn.init.zeros_(layer.weight)
    return layer


def embedding(symbols: int, dim: int, generator: torch.Generator) -> nn.Embedding:
    """One vector per symbol, entries from N(0, 1/dim): vectors of about unit length."""
    layer = _Embedding(symbols, dim)
    nn.init.normal_(layer.weight, std=dim**-0.5, generator=generator)
    return layer


def floored_log_var(raw: Tensor, min_std: float) -> Tensor:
    """The logarithm of ``exp(raw) + min_std²``: a log-variance that cannot fall below the floor.

    Smooth, so the gradient never vanishes abruptly, and equal to ``raw`` for ``min_std`` 0.

    >>> floored_log_var(torch.tensor([-100.0]), 0.1).div(2).exp()
    tensor([0.1000])
    """
    if min_std <= 0:
        return raw
    return torch.logaddexp(raw, raw.new_tensor(2 * math.log(min_std)))


def normal(shape: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    """Standard normal noise drawn on the generator's device, then of ``like``'s kind."""
    noise = torch.randn(shape, generator=generator, device=generator.device)
    return noise.to(like)


def uniform(shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
    """Uniform numbers in [0, 1) drawn on the generator's device, then moved to ``device``."""
    return torch.rand(shape, generator=generator, device=generator.device).to(device)
