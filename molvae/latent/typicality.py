"""How hard a model finds it to write a molecule, and which molecules it would write itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from molvae.base.errors import ConfigError, ModelError
from molvae.base.seeds import derive_seed
from molvae.generator import Generator
from molvae.latent.posteriors import Likelihood, Posteriors

SAMPLES = 500
"""Samples of a model that say what is typical of it."""


def writes_alone(generator: Generator) -> bool:
    """Whether the decoder has learnt to write from z = 0, so that log p(x|z=0) is a likelihood."""
    config = generator.model.config
    return config.prior.kind == "blank" or config.forget * config.forget_all > 0


def alone(generator: Generator, smiles: Sequence[str | None]) -> Likelihood:
    """log p(x|z=0) of each molecule."""
    return generator.likelihood(smiles, np.zeros((len(smiles), generator.latent_dim), np.float32))


def drawn(generator: Generator, smiles: Sequence[str | None], found: Posteriors) -> Likelihood:
    """log p(x|z) with a draw from each molecule's posterior among ``found``, the noise of which is
    the same for all, so that what is said of one does not depend on the others."""
    stream = np.random.default_rng(derive_seed(0, "bound"))
    noise = stream.standard_normal(generator.latent_dim, dtype=np.float32)
    return generator.likelihood(smiles, found.mean + found.std * noise)


def surprisal(generator: Generator, smiles: Sequence[str | None]) -> np.ndarray:
    """Nats for each symbol, the end included, that the model needs to write a molecule, ``(n,)``.

    -log p(x|z=0) / symbols where its decoder has learnt to write alone (:func:`writes_alone`), else
    minus the ELBO / symbols. NaN for what it cannot encode, and for a model without either.

    >>> import molvae
    >>> druglike = molvae.load("druglike", "cpu")
    >>> quinoline, phosphinoline = surprisal(druglike, ["CCNc1nccc2ccccc12", "CCNc1pccc2ccccc12"])
    >>> bool(quinoline + 0.5 < phosphinoline)
    True
    """
    if writes_alone(generator):
        written = alone(generator, smiles)
        nats = written.nats
    else:
        found = generator.posterior(smiles)
        written = drawn(generator, smiles, found)
        nats = written.nats - found.kl()
    return -nats / np.maximum(written.symbols, 1)


def check_typical(generator: Generator, share: float) -> None:
    """Raises :class:`ConfigError` for a share that is none, and :class:`ModelError` for a model
    whose posteriors are points and whose decoder cannot write alone (an autoencoder, a VQ-VAE)."""
    if not 0 < share <= 1:
        raise ConfigError(
            f"typical is {share:g}: give a share of the model's samples, above 0 and at most 1"
        )
    if np.isnan(surprisal(generator, generator.sample(1))).any():
        raise ModelError(
            "this model has no likelihood that could tell typical molecules from others, for its "
            "latents are points and its decoder has not learnt to write without one; leave typical "
            "out"
        )


def typical_surprisal(
    generator: Generator, share: float, *, seed: int = 0, progress: bool | None = False
) -> float:
    """What the easiest ``share`` of :data:`SAMPLES` samples of the model have at most, in nats for
    each symbol. Raises what :func:`check_typical` does."""
    check_typical(generator, share)
    own = generator.sample(SAMPLES, seed=derive_seed(seed, "typical"), progress=progress)
    return float(np.quantile(surprisal(generator, own), share))
