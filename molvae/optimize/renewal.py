"""The generator of a search, renewed from time to time on the best molecules so far."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np

from molvae.base.seeds import derive_seed
from molvae.generator import Generator
from molvae.latent.refresh import refreshed
from molvae.optimize.memory import Memory
from molvae.optimize.observed import Observed
from molvae.optimize.proposals import MoleculeGenerator
from molvae.optimize.routes import by_rank

LEARNT = 100
"""Best molecules that are learnt."""


def renewed(
    generator: MoleculeGenerator, observed: Observed, every: int, seed: int, memory: Memory
) -> MoleculeGenerator:
    """The generator, refreshed on what was best when the last ``every`` observations were full.

    It is refreshed from what it was at the beginning, so that it follows from the observations.
    """
    first = observed.rows(np.arange(len(observed.utility) // every * every))
    if not len(first.utility):
        return generator
    best = np.argsort(-first.utility, kind="stable")[:LEARNT]
    smiles = [first.smiles[i] for i in best]
    weight = by_rank(len(best))
    stream = derive_seed(seed, "renewal", len(first.utility))
    key = (generator.fingerprint, tuple(smiles), stream)
    return memory.recall("generator", key, lambda: _renewed(generator, smiles, weight, stream))


def _renewed(
    generator: MoleculeGenerator, smiles: list[str], weight: np.ndarray, seed: int
) -> MoleculeGenerator:
    inner = getattr(generator, "inner", None)
    if inner is not None:  # a filter around a generator
        changed: Any = replace(cast(Any, generator), inner=_renewed(inner, smiles, weight, seed))
        return cast(MoleculeGenerator, changed)
    if isinstance(generator, Generator):
        return refreshed(generator, smiles, weight, seed=seed)
    return generator
