"""A search kept near a lead: to molecules that hold its scaffold or a pattern, or are like it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Self

from pydantic import field_validator, model_validator
from rdkit import Chem

from molvae.base.records import Record
from molvae.chem.patterns import checked_smarts, scaffold
from molvae.chem.similarity import fingerprints, similarity
from molvae.chem.smiles import parse
from molvae.oracles.modifiers import checked_molecule

SIMILARITY = (0.4, 1.0)
"""The range of similarity to a lead where none is said."""


class Restriction(Record):
    """Which molecules the search may propose, beside what is bounded in numbers.

    Attributes:
        keep_scaffold: SMILES of a lead, whose Bemis-Murcko scaffold (J. Med. Chem. 39:2887, 1996)
            a molecule must hold, as it is or as part of a larger one; stereo does not count.
        keep_smarts: a SMARTS pattern that must be there.
        similar_to: SMILES of a lead to which a molecule must be similar.
        similarity: lowest and highest Tanimoto similarity to it, 0 to 1 (Morgan bits, radius 2).

    >>> kept = Restriction(keep_scaffold="Oc1ccncc1", similar_to="Oc1ccncc1", similarity=(0.3, 0.9))
    >>> kept.labels
    ('hold the scaffold c1ccncc1', 'have a similarity of 0.3 to 0.9 to Oc1ccncc1')
    >>> [round(miss, 2) for miss in kept.shortfalls(Chem.MolFromSmiles("Oc1ccccc1"))]
    [1.0, 0.0]
    >>> kept.shortfalls(Chem.MolFromSmiles("Nc1ccncc1"))
    [0.0, 0.0]
    """

    keep_scaffold: str | None = None
    keep_smarts: str | None = None
    similar_to: str | None = None
    similarity: tuple[float, float] = SIMILARITY

    @field_validator("keep_scaffold")
    @classmethod
    def _ringed(cls, text: str | None) -> str | None:
        if text is not None and not scaffold(parse(checked_molecule(text))):
            raise ValueError("it has no ring, hence no scaffold; name a pattern to keep instead")
        return text

    @field_validator("keep_smarts")
    @classmethod
    def _smarts(cls, text: str | None) -> str | None:
        return None if text is None else checked_smarts(text)

    @field_validator("similar_to")
    @classmethod
    def _molecule(cls, text: str | None) -> str | None:
        return None if text is None else checked_molecule(text)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.similarity
        if not 0 <= low <= high <= 1:
            raise ValueError(
                f"similarity from {low:g} to {high:g}: give the lowest, then the highest, 0 to 1"
            )
        if self.similar_to is None and self.similarity != SIMILARITY:
            raise ValueError("a range of similarity needs the lead: say similar to which molecule")
        return self

    @property
    def leads(self) -> tuple[str, ...]:
        """The molecules that the restriction is made of: good places to set out from."""
        named = (self.similar_to, self.keep_scaffold)
        return tuple(dict.fromkeys(text for text in named if text is not None))

    @property
    def labels(self) -> tuple[str, ...]:
        """What a molecule must do, in words, one for each number of :meth:`shortfalls`."""
        return tuple(label for label, _ in _demands(self))

    def shortfalls(self, mol: Chem.Mol) -> list[float]:
        """By how much a molecule misses each of the demands, 0 where it meets it.

        A similarity misses by its distance to the range; a scaffold or pattern that is not there
        by 1.
        """
        return [miss(mol) for _, miss in _demands(self)]


@functools.lru_cache(maxsize=64)
def _demands(kept: Restriction) -> list[tuple[str, Callable[[Chem.Mol], float]]]:
    """Each demand in words, and by how much a molecule misses it."""
    found: list[tuple[str, Callable[[Chem.Mol], float]]] = []
    if kept.keep_scaffold is not None:
        core = scaffold(parse(kept.keep_scaffold))
        found.append((f"hold the scaffold {core}", _lacks(Chem.MolFromSmiles(core))))
    if kept.keep_smarts is not None:
        pattern = Chem.MolFromSmarts(kept.keep_smarts)
        found.append((f"hold the pattern {kept.keep_smarts}", _lacks(pattern)))
    if kept.similar_to is not None:
        low, high = kept.similarity
        label = f"have a similarity of {low:g} to {high:g} to {kept.similar_to}"
        lead = fingerprints([parse(kept.similar_to)])[0]

        def unlike(mol: Chem.Mol) -> float:
            alike = float(similarity(fingerprints([mol])[0], lead))
            return math.inf if math.isnan(alike) else max(0.0, low - alike, alike - high)

        found.append((label, unlike))
    return found


def _lacks(pattern: Chem.Mol) -> Callable[[Chem.Mol], float]:
    return lambda mol: 0.0 if mol.HasSubstructMatch(pattern) else 1.0
