"""A generator that keeps to molecules a chemist would make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molvae.generator import Generator


@dataclass(frozen=True)
class SaneGenerator:
    """``inner`` without the molecules that :func:`molvae.chem.alerts.insane_reason` objects to.

    Molecules to begin with are the user's own choice and are not filtered.
    """

    inner: Generator

    @property
    def latent_dim(self) -> int:
        """Length ``d`` of a latent vector."""
        return self.inner.latent_dim

    @property
    def fingerprint(self) -> str:
        """The model's, and that it is filtered: a campaign cannot go on without the filter."""
        return f"{self.inner.fingerprint}, sane molecules only"

    def encode(self, smiles: Sequence[str]) -> np.ndarray:
        """Latents ``(n, d)`` of any molecules."""
        return self.inner.encode(smiles)

    def decode(self, z: np.ndarray) -> list[str | None]:
        """Molecules of ``z (n, d)``, None where they are not sane."""
        return self.inner.decode(z, sane=True)

    def sample(self, n: int, *, seed: int) -> list[str]:
        """``n`` sane molecules from the prior."""
        return self.inner.sample(n, seed=seed, sane=True)
