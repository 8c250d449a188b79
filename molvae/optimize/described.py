"""What the surrogates know of molecules: their latents, their structures, their compositions."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from rdkit import Chem

from molvae.chem.counts import Counts, count_columns
from molvae.chem.formula import count_elements
from molvae.chem.properties import describe

ELEMENTS = ("C", "H", "N", "O", "F", "P", "S", "Cl", "Br", "I")
PROPERTIES = (
    "logp",
    "tpsa",
    "mw",
    "hbd",
    "hba",
    "rotatable_bonds",
    "rings",
    "aromatic_rings",
    "aliphatic_rings",
    "largest_ring",
    "fsp3",
    "formal_charge",
)
"""Besides the elements, the descriptors: of whole molecules, and quick to compute."""
REMEMBERED = 1 << 16


@dataclass(frozen=True)
class Described:
    """``n`` molecules: latents ``z (n, d)``, descriptors ``(n, k)``, and columns of counts."""

    z: np.ndarray
    descriptors: np.ndarray
    columns: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, smiles: Sequence[str], z: np.ndarray) -> Described:
        """Molecules that are valid SMILES, and their latents.

        >>> Described.of(["CCO"], np.zeros((1, 2))).descriptors.shape
        (1, 22)
        """
        facts = [_facts(text) for text in smiles]
        table = np.array([values for _, values in facts], float)
        width = len(ELEMENTS) + len(PROPERTIES)
        return cls(z, table.reshape(-1, width), tuple(columns for columns, _ in facts))

    def __len__(self) -> int:
        return len(self.columns)

    @cached_property
    def counts(self) -> Counts:
        """The columns in one matrix."""
        return Counts.of(self.columns)


def count_columns_of(smiles: Sequence[str]) -> list[np.ndarray]:
    """The :func:`~molvae.chem.counts.count_columns` of molecules, as remembered."""
    return [_facts(text)[0] for text in smiles]


@functools.lru_cache(maxsize=REMEMBERED)
def _facts(smiles: str) -> tuple[np.ndarray, tuple[float, ...]]:
    """A search asks for the same molecules in every step, so they are remembered."""
    mol = Chem.MolFromSmiles(smiles)
    elements = count_elements(mol)
    values = [*(elements[e] for e in ELEMENTS), *describe(mol, PROPERTIES)]
    return count_columns(mol), tuple(values)
