"""SMILES text to molecules and back: parse with limits, canonicalise, write another traversal.

Canonical SMILES are molvae's identity of a molecule: deduplication, caches, budgets and novelty
all count them. Everything here refuses input that would keep RDKit busy for long *before* RDKit
sees it; what passes these limits and still takes long is caught by :mod:`molvae.datasets.clean`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

import numpy as np
from rdkit import Chem
from rdkit.rdBase import BlockLogs

from molvae.base.errors import InputError
from molvae.base.seeds import derive_seed

MAX_LENGTH = 1000
"""Characters of SMILES text that :func:`parse` accepts."""
MAX_ATOMS = 250
"""Heavy atoms that :func:`parse` accepts."""

ATOM = re.compile(r"\[[^\]]*\]|Cl|Br|[BCNOPSFIbcnops]")
"""One atom in SMILES text."""

_MAPPED = re.compile(r":\d+\]")
_SHOWN = 60


class MoleculeError(InputError):
    """A molecule that cannot be used.

    ``reason`` is the cause without the molecule's text, fit for a table of counts or a column.
    """

    def __init__(self, smiles: str, reason: str) -> None:
        shown = smiles if len(smiles) <= _SHOWN else smiles[: _SHOWN - 3] + "..."
        super().__init__(f"molecule {shown!r}: {reason}")
        self.smiles = smiles
        self.reason = reason

    def __reduce__(self) -> tuple[type[MoleculeError], tuple[str, str]]:
        return type(self), (self.smiles, self.reason)


def parse(smiles: str, *, max_length: int = MAX_LENGTH, max_atoms: int = MAX_ATOMS) -> Chem.Mol:
    """The sanitised RDKit molecule of one SMILES string.

    Raises :class:`MoleculeError` whose ``reason`` says what is wrong: empty, too long, too many
    heavy atoms, not SMILES, an impossible valence, a ring that cannot be kekulised. Length and
    atoms are checked before RDKit sees the text, which would take over 20 s on ``"C" * 100000``.

    >>> parse("OCC").GetNumAtoms()
    3
    >>> parse("C1CC")
    Traceback (most recent call last):
    ...
    molvae.chem.smiles.MoleculeError: molecule 'C1CC': not valid SMILES (ring 1 is not closed)
    """
    with BlockLogs():
        return _parse(smiles, max_length, max_atoms)


def canonicalise(smiles: str) -> str:
    """RDKit's canonical SMILES, or :class:`MoleculeError`.

    >>> canonicalise("OCC")
    'CCO'
    """
    return str(Chem.MolToSmiles(parse(smiles)))


def canonicalise_many(smiles: Sequence[str | None]) -> list[str | None]:
    """Canonical SMILES, output i for input i; None where the input is None or cannot be parsed.

    >>> canonicalise_many(["OCC", None, "C1"])
    ['CCO', None, None]
    """
    result: list[str | None] = []
    with BlockLogs():
        for text in smiles:
            try:
                mol = None if text is None else _parse(text, MAX_LENGTH, MAX_ATOMS)
            except MoleculeError:
                mol = None
            result.append(None if mol is None else Chem.MolToSmiles(mol))
    return result


def smiles_list(smiles: Iterable[object]) -> list[str | None]:
    """Molecules as users have them, a list, an array, a column of pandas, as SMILES or None.

    What pandas and numpy have for a missing cell (NaN, NA) is None. Raises :class:`InputError` for
    one text (each of its letters would be a molecule), a table, and for what is neither text nor
    missing.

    >>> smiles_list(["CCO", None, float("nan")])
    ['CCO', None, None]
    """
    if isinstance(smiles, str | bytes):
        raise InputError(f"give a list of SMILES, not one text: [{smiles[:60]!r}]")
    if hasattr(smiles, "columns") or getattr(smiles, "ndim", 1) != 1:
        raise InputError("give one column of SMILES, not a table")
    if not isinstance(smiles, Iterable):
        raise InputError(f"give a list of SMILES, not {type(smiles).__name__}")
    found: list[str | None] = []
    for row, text in enumerate(smiles, start=1):
        if isinstance(text, str):
            found.append(text)
        elif text is None or type(text).__name__ == "NAType" or _is_nan(text):
            found.append(None)
        else:
            raise InputError(f"molecule {row} is {type(text).__name__}, not the text of a SMILES")
    return found


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def foreign_part(smiles: str | None) -> str | None:
    """What is in a SMILES that hardly any model's alphabet has, and what to do; None where nothing.

    >>> foreign_part("CCN.Cl")
    'more than one molecule (a salt or a mixture): keep the one that is meant'
    """
    if smiles is None:
        return None
    if "." in smiles:
        return "more than one molecule (a salt or a mixture): keep the one that is meant"
    return "atom map numbers: take them out" if _MAPPED.search(smiles) else None


def parse_many(smiles: Sequence[str | None]) -> list[Chem.Mol | None]:
    """RDKit molecules, output i for input i; None where the input is None or cannot be parsed.

    >>> [mol and mol.GetNumAtoms() for mol in parse_many(["OCC", None, "C1"])]
    [3, None, None]
    """
    result: list[Chem.Mol | None] = []
    with BlockLogs():
        for text in smiles:
            try:
                result.append(None if text is None else _parse(text, MAX_LENGTH, MAX_ATOMS))
            except MoleculeError:
                result.append(None)
    return result


def randomise(smiles: str, seed: int, n: int = 1) -> list[str]:
    """``n`` spellings of the same molecule, each a traversal from a random atom and order.

    The draw depends on ``seed`` and the text alone, never on RDKit's global state. Stereochemistry
    is kept. Spellings may repeat. Raises :class:`MoleculeError`.

    Bjerrum, "SMILES Enumeration as Data Augmentation", arXiv:1703.07076.

    >>> spellings = randomise("CC(=O)Oc1ccccc1C(=O)O", seed=1, n=3)
    >>> {canonicalise(spelling) for spelling in spellings}
    {'CC(=O)Oc1ccccc1C(=O)O'}
    """
    mol = parse(smiles)
    rng = np.random.default_rng(derive_seed(seed, "randomise", smiles))
    atoms = mol.GetNumAtoms()
    result = []
    for _ in range(n):
        shuffled = Chem.RenumberAtoms(mol, rng.permutation(atoms).tolist())
        result.append(str(Chem.MolToSmiles(shuffled, canonical=False)))
    return result


def _parse(smiles: str, max_length: int, max_atoms: int) -> Chem.Mol:
    """:func:`parse` inside somebody else's ``BlockLogs``."""
    if len(smiles) > max_length:
        raise MoleculeError(smiles, f"longer than {max_length:,} characters")
    if not smiles or smiles.isspace():
        raise MoleculeError(smiles, "empty")
    if not smiles.isascii() or not smiles.isprintable() or " " in smiles:
        raise MoleculeError(smiles, "not valid SMILES (holds a space or a character that is none)")
    if len(smiles) > max_atoms and len(ATOM.findall(smiles)) > max_atoms:
        raise MoleculeError(smiles, f"more than {max_atoms:,} atoms")
    mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        raise MoleculeError(smiles, _diagnose(smiles))
    return mol


def _diagnose(smiles: str) -> str:
    """Why RDKit refused: syntax, valence or aromaticity."""
    mol = Chem.MolFromSmiles(smiles, sanitize=False)
    if mol is not None:
        try:
            Chem.SanitizeMol(mol)
        except Chem.AtomValenceException as error:
            atom = mol.GetAtomWithIdx(error.cause.GetAtomIdx())
            return f"impossible valence ({atom.GetSymbol()}, atom {atom.GetIdx() + 1})"
        except Chem.MolSanitizeException:
            return "aromatic atoms that cannot be kekulised"
    unclosed = _unclosed_ring(smiles)
    return f"not valid SMILES ({unclosed})" if unclosed else "not valid SMILES"


def _unclosed_ring(smiles: str) -> str | None:
    if smiles.count("(") != smiles.count(")"):
        return "brackets do not match"
    outside = re.sub(r"\[[^\]]*\]", "", smiles)
    rings: set[str] = set()
    for label in re.findall(r"%\(\d+\)|%\d\d|\d", outside):
        rings ^= {label.strip("%()").lstrip("0") or "0"}
    return f"ring {min(rings)} is not closed" if rings else None
