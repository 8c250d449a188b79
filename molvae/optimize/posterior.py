"""What a surrogate is, and what it believes of several molecules together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from molvae.optimize.described import Described


@dataclass(frozen=True)
class Posterior:
    """Joint normal over molecules: ``mean (n,)`` and ``covariance (n, n)``."""

    mean: Tensor
    covariance: Tensor

    def of(self, rows: Sequence[int]) -> Posterior:
        """The same of the molecules ``rows`` alone."""
        chosen = torch.as_tensor(rows)
        return Posterior(self.mean[chosen], self.covariance[chosen][:, chosen])


class Surrogate(Protocol):
    """What has learnt from observations what molecules are worth.

    Beliefs are in the unit of what was observed, in double precision, of the true utilities (no
    noise of a measurement is in them), and :meth:`expected` is the margin of :meth:`joint`.
    """

    def expected(self, molecules: Described) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation ``(m,)`` of each molecule's true utility."""
        ...

    def joint(self, molecules: Described) -> Posterior:
        """The joint distribution of ``m`` molecules' true utilities."""
        ...

    def hopes(self, molecules: Described) -> np.ndarray:
        """Mean and one standard deviation added up, ``(m,)``: what a molecule may well be worth."""
        mean, spread = self.expected(molecules)
        return mean + spread


@contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Let botorch draw from torch's global generator without changing it for anybody else."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
