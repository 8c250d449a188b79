"""A generator with no network: molecules are strings of beads, and z says which bead is where."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from molvae.chem.smiles import canonicalise_many
from molvae.optimize.routes import Parents

BEADS = ("C", "O", "C(F)", "N", "C(=O)")
LENGTH = 5
STEP = 0.7
FIRST, LAST = "Cl", "Br"  # different ends, so that a string and its reverse are two molecules


@cache
def levels() -> dict[str, tuple[int, ...]]:
    """The beads of each of the 3,125 molecules, by canonical SMILES."""
    combinations = list(itertools.product(range(len(BEADS)), repeat=LENGTH))
    texts = [FIRST + "C" + "".join(BEADS[i] for i in c) + "C" + LAST for c in combinations]
    return {s: c for s, c in zip(canonicalise_many(texts), combinations, strict=True) if s}


@cache
def molecules() -> dict[tuple[int, ...], str]:
    return {beads: smiles for smiles, beads in levels().items()}


# Edits of a graph leave the space of beads.
IN_SPACE = {"edit": 0.0, "recombination": 0.0}


class BeadGenerator:
    """z ``(n, LENGTH)``: coordinate i rounds to the number of bead i."""

    latent_dim = LENGTH
    fingerprint = "beads"

    def encode(self, smiles: Sequence[str]) -> np.ndarray:
        nothing = (np.nan,) * LENGTH
        beads = np.array([levels().get(s, nothing) for s in smiles], float)
        return STEP * (beads.reshape(-1, LENGTH) - len(BEADS) // 2)

    def decode(self, z: np.ndarray) -> list[str | None]:
        beads = np.rint(np.asarray(z) / STEP + len(BEADS) // 2).clip(0, len(BEADS) - 1)
        return [molecules()[tuple(row)] for row in beads.astype(int).tolist()]

    def sample(self, n: int, *, seed: int) -> list[str]:
        z = np.random.default_rng(seed).standard_normal((n, LENGTH))
        return [s for s in self.decode(z) if s is not None]


def distance_to(target: Sequence[int]) -> Callable[[str], float]:
    """An objective to minimise whose only zero is the molecule with the beads ``target``."""
    return lambda smiles: float(np.sum(np.subtract(levels()[smiles], target) ** 2))


class ChainGenerator(BeadGenerator):
    """Encodes any molecule, by how many of each bead's elements it has; decodes as beads do."""

    fingerprint = "chains"

    def encode(self, smiles: Sequence[str]) -> np.ndarray:
        counts = [[s.count(letter) for letter in "CONF="] for s in smiles]
        return np.array(counts, float).reshape(-1, LENGTH)


def chains() -> Parents:
    """Some molecules whose graphs can be edited, as parents."""
    smiles = tuple(list(levels())[::300])
    return Parents(smiles, ChainGenerator().encode(smiles), np.ones(len(smiles)))
