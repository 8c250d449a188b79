"""The generator of a search, renewed from time to time on the best molecules so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from molvae.base.seeds import derive_seed
from molvae.generator import Generator
from molvae.latent.refresh import check_space, refreshed
from molvae.optimize.config import SearchConfig
from molvae.optimize.memory import Memory
from molvae.optimize.observed import Observed
from molvae.optimize.proposals import MoleculeGenerator
from molvae.optimize.records import Suggestion
from molvae.optimize.routes import by_rank

LEARNT = 100
"""Best molecules that are learnt."""


def check_renewable(generator: MoleculeGenerator, config: SearchConfig) -> None:
    """Raises :class:`ConfigError` where the search would be refused once the generator is due."""
    if not config.refresh_space:
        return
    inner = getattr(generator, "inner", None)
    if inner is not None:
        check_renewable(inner, config)
    elif isinstance(generator, Generator):
        check_space(generator)


def renewed(
    generator: MoleculeGenerator,
    observed: Observed,
    every: int,
    seed: int,
    memory: Memory,
    space: bool = False,
) -> MoleculeGenerator:
    """The generator, refreshed on what was best when the last ``every`` observations were full.

    With ``space`` all of it is, and its latents are of another space. It is refreshed from what it
    was at the beginning, so that it follows from the observations.
    """
    first = observed.rows(np.arange(len(observed.utility) // every * every))
    if not len(first.utility):
        return generator
    best = np.argsort(-first.utility, kind="stable")[:LEARNT]
    smiles = [first.smiles[i] for i in best]
    weight = by_rank(len(best))
    stream = derive_seed(seed, "renewal", len(first.utility))
    key = (generator.fingerprint, tuple(smiles), stream, space)
    return memory.recall(
        "generator", key, lambda: _renewed(generator, smiles, weight, stream, space)
    )


def _renewed(
    generator: MoleculeGenerator, smiles: list[str], weight: np.ndarray, seed: int, space: bool
) -> MoleculeGenerator:
    inner = getattr(generator, "inner", None)
    if inner is not None:  # a filter around a generator
        within = _renewed(inner, smiles, weight, seed, space)
        changed: Any = replace(cast(Any, generator), inner=within)
        return cast(MoleculeGenerator, changed)
    if isinstance(generator, Generator):
        return refreshed(generator, smiles, weight, seed=seed, space=space)
    return generator


def moved(
    generator: MoleculeGenerator,
    observed: Observed,
    pending: Sequence[Suggestion],
    memory: Memory,
) -> tuple[Observed, list[Suggestion]]:
    """Both with the latents that a generator with another space than theirs has for them.

    A step's molecules are read together, and only once: the last bits of a latent depend on what
    else is read with it, so that has to follow from the observations.
    """

    def read(kind: str, smiles: Sequence[str], z: np.ndarray) -> np.ndarray:
        key = (generator.fingerprint, tuple(smiles))
        found = memory.recall(kind, key, lambda: np.asarray(generator.encode(list(smiles)), float))
        # What cannot be read any more keeps its place, for everything else is by its row.
        return np.where(np.isfinite(found).all(axis=1, keepdims=True), found, z)

    z = observed.z.copy()
    for step in np.unique(observed.steps).tolist():
        rows = np.flatnonzero(observed.steps == step)
        z[rows] = read(f"latents of step {step}", [observed.smiles[i] for i in rows], z[rows])
    if not pending:
        return replace(observed, z=z), []
    names, before = [s.smiles for s in pending], np.stack([s.z for s in pending])
    out = read("latents out for testing", names, before)
    return replace(observed, z=z), [replace(s, z=row) for s, row in zip(pending, out, strict=True)]


def returned(generator: MoleculeGenerator, chosen: Sequence[Suggestion]) -> list[Suggestion]:
    """What was chosen in another space, with the latents that ``generator`` has for it.

    What was asked for was asked for there, and says nothing here.
    """
    z = np.asarray(generator.encode([s.smiles for s in chosen]), float)
    return [replace(s, z=row, asked=None) for s, row in zip(chosen, z, strict=True)]
