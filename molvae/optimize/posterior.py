"""What a surrogate believes of several molecules together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor


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
