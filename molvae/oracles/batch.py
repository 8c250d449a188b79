"""The molecules of one call to an objective: parsed once, described once, for all of its parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import numpy as np
from rdkit import Chem

from molvae.chem.fingerprints import fingerprint, tanimoto
from molvae.chem.formula import count_elements
from molvae.chem.properties import describe
from molvae.chem.smiles import MoleculeError, parse, parse_many

T = TypeVar("T")

_NO_VALUE = (ValueError, RuntimeError, ArithmeticError)
"""What RDKit raises for a molecule that has not what is asked of it."""


class Batch:
    """``n`` molecules; whatever two parts ask of them alike is computed once.

    >>> batch = Batch(["CCO", "no molecule"])
    >>> batch.property("heavy_atoms")
    array([ 3., nan])
    >>> batch.problem(1)
    'not valid SMILES (holds a space or a character that is none)'
    """

    def __init__(self, smiles: Sequence[str | None]) -> None:
        self.smiles = list(smiles)
        self.mols = parse_many(self.smiles)
        self._kept: dict[Hashable, Any] = {}

    def __len__(self) -> int:
        return len(self.mols)

    def shared(self, key: Hashable, function: Callable[[Chem.Mol], T]) -> list[T | None]:
        """``function`` of each molecule, None for those without; called once for each ``key``."""
        if key not in self._kept:
            self._kept[key] = [_attempt(function, mol) for mol in self.mols]
        found: list[T | None] = self._kept[key]
        return found

    def each(self, key: Hashable, function: Callable[[Chem.Mol], float]) -> np.ndarray:
        """Like :meth:`shared` for numbers: ``(n,)`` float64, NaN for those without."""
        return np.array([np.nan if v is None else v for v in self.shared(key, function)], float)

    def property(self, name: str) -> np.ndarray:
        """A property of :data:`molvae.chem.properties.PROPERTIES`, in its unit: ``(n,)``."""
        return self.each(("property", name), lambda mol: describe(mol, [name])[0])

    def similarity(self, name: str, target: Any) -> np.ndarray:
        """Tanimoto similarity ``(n,)`` to a fingerprint of kind ``name``."""
        prints = self.shared(("fingerprint", name), lambda mol: fingerprint(name, mol))
        return tanimoto(target, prints)

    def elements(self) -> list[Counter[str] | None]:
        """Atoms of each element, hydrogens included."""
        return self.shared("elements", count_elements)

    def canonical(self) -> list[str | None]:
        """Canonical SMILES, None for what is no molecule."""
        return self.shared("canonical", Chem.MolToSmiles)

    def problem(self, row: int) -> str | None:
        """Why the text of a row is no molecule; None where it is one."""
        text = self.smiles[row]
        if text is None:
            return "no molecule"
        try:
            parse(text)
        except MoleculeError as error:
            return error.reason
        return None


def _attempt(function: Callable[[Chem.Mol], T], mol: Chem.Mol | None) -> T | None:
    if mol is None:
        return None
    try:
        return function(mol)
    except _NO_VALUE:
        return None
