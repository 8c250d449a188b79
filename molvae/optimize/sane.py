"""A generator that keeps to molecules a chemist would make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molvae.chem.alerts import SanityOptions, insane_reason
from molvae.chem.smiles import parse_many
from molvae.generator import Generator
from molvae.models.windows import Windows


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

    @property
    def windows(self) -> Windows:
        """The model's."""
        return self.inner.windows

    def symbols(self, smiles: Sequence[str | None]) -> np.ndarray:
        """How many symbols each molecule has, ``(n,)``."""
        return self.inner.symbols(smiles)

    def rewrite(self, z: np.ndarray, *, seed: int) -> list[str | None]:
        """Random molecules of ``z (n, d)``, None where they are not sane."""
        return self.inner.decode(z, sane=True, strategy="sample", seed=seed)

    def admit(self, smiles: Sequence[str | None]) -> list[str | None]:
        """The molecules, None where they are not sane."""
        mols = parse_many(smiles)
        limits = SanityOptions()
        sane = [mol is not None and insane_reason(mol, limits) is None for mol in mols]
        return [text if good else None for text, good in zip(smiles, sane, strict=True)]

    def sample(self, n: int, *, seed: int) -> list[str]:
        """``n`` sane molecules from the prior."""
        return self.inner.sample(n, seed=seed, sane=True)
