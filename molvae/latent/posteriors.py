"""What a model says about given molecules: where they lie, and how likely they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from molvae.base.seeds import derive_seed

Reasons = list[str | None]
"""What was wrong with each input, None where nothing was."""


@dataclass(frozen=True)
class Posteriors:
    """q(z|x) of ``n`` molecules: ``mean (n, d)`` and ``std (n, d)``, float32, NaN rows where a
    molecule could not be read, with the reason in ``reasons (n,)`` (None where all is well)."""

    mean: np.ndarray
    std: np.ndarray
    reasons: Reasons

    def kl(self) -> np.ndarray:
        """KL(q(z|x) || N(0, I)) of each molecule in nats, ``(n,)``; NaN without widths, for that
        of a point is infinite wherever the point is."""
        if not self.wide:
            return np.full(len(self.mean), np.nan)
        mean, std = self.mean.astype(np.float64), self.std.astype(np.float64)
        return np.asarray(0.5 * (mean**2 + std**2 - 1 - 2 * np.log(std)).sum(1))

    @property
    def wide(self) -> bool:
        """Whether the posteriors have a width: those of an autoencoder or VQ-VAE are points."""
        return not bool((self.std == 0).any())

    def sample(self, seed: int) -> np.ndarray:
        """One draw from each posterior, ``(n, d)``."""
        noise = np.random.default_rng(derive_seed(seed, "posterior")).standard_normal(
            self.mean.shape, dtype=np.float32
        )
        return self.mean + self.std * noise


@dataclass(frozen=True)
class Likelihood:
    """log p(x|z) of ``n`` molecules under given latents, the true symbols given so far."""

    nats: np.ndarray
    """log p(x|z), ``(n,)``; NaN where the molecule could not be read."""
    correct: np.ndarray
    """Symbols, the end included, to which the decoder gave the highest probability, ``(n,)``."""
    symbols: np.ndarray
    """Symbols to predict, the end included, ``(n,)``; 0 where it could not be read."""
