"""Molecular formulae: read from text, and counted in a molecule, hydrogens included."""

from __future__ import annotations

import re
from collections import Counter

from rdkit import Chem
from rdkit.rdBase import BlockLogs

_ELEMENT = re.compile(r"([A-Z][a-z]?)(\d{0,5})")


def parse_formula(text: str) -> dict[str, int]:
    """How many atoms of each element a formula asks for; an element named twice is added up.

    Raises ``ValueError`` that says what is wrong with the text.

    >>> parse_formula("C9H10N2O2PF2Cl")
    {'C': 9, 'H': 10, 'N': 2, 'O': 2, 'P': 1, 'F': 2, 'Cl': 1}
    >>> parse_formula("C2H5OH")
    {'C': 2, 'H': 6, 'O': 1}
    """
    counts: Counter[str] = Counter()
    place = 0
    for match in _ELEMENT.finditer(text):
        if match.start() != place:
            break
        place = match.end()
        symbol, number = match.groups()
        if not _is_element(symbol):
            raise ValueError(f"there is no element {symbol!r}; write a formula such as C7H8N2O2")
        if number and int(number) == 0:
            raise ValueError(f"no atoms of {symbol}: leave it out")
        counts[symbol] += int(number or 1)
    if place != len(text) or not counts:
        raise ValueError(f"not a formula from character {place + 1} on; write one such as C7H8N2O2")
    return dict(counts)


def count_elements(mol: Chem.Mol) -> Counter[str]:
    """Atoms of each element in ``mol``, implicit hydrogens included, isotopes not told apart.

    >>> sorted(count_elements(Chem.MolFromSmiles("CCO")).items())
    [('C', 2), ('H', 6), ('O', 1)]
    """
    counts: Counter[str] = Counter()
    for atom in mol.GetAtoms():
        if atom.GetAtomicNum():  # a dummy atom is no element
            counts[atom.GetSymbol()] += 1
        counts["H"] += atom.GetTotalNumHs()
    return +counts


def _is_element(symbol: str) -> bool:
    with BlockLogs():
        try:
            return bool(Chem.GetPeriodicTable().GetAtomicNumber(symbol) > 0)
        except RuntimeError:
            return False
