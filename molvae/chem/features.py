"""Molecules as counts of their parts: a sparse row per molecule, for linear models."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator
from scipy.sparse import csr_array

_RINGS, _ATOMS = 16, 64
_FURTHEST = 6  # bonds between the atoms of a pair


def feature_count(bits: int) -> int:
    """How many columns :func:`part_counts` has.

    >>> feature_count(4096)
    6224
    """
    return bits + bits // 2 + _RINGS + _ATOMS


def part_counts(mols: Sequence[Chem.Mol | None], bits: int) -> csr_array:
    """``log(1 + count)`` of each molecule's parts, ``(n, feature_count(bits))`` float32, sparse.

    The parts are the atoms' surroundings of radius 0 to 2 (Rogers & Hahn 2010) in ``bits``
    columns, pairs of atoms at most six bonds apart (Carhart et al. 1985) in half as many, rings by
    their size, and 1 in the column of the number of heavy atoms. The row of None is empty.

    >>> part_counts([Chem.MolFromSmiles("c1ccccc1"), None], 64).shape
    (2, 176)
    """
    around, pairs = _generators(bits)
    width, ring_sizes = feature_count(bits), bits + bits // 2
    columns: list[int] = []
    counts: list[int] = []
    ends = [0]
    for mol in mols:
        if mol is not None:
            row: dict[int, int] = around.GetCountFingerprint(mol).GetNonzeroElements()
            for pair, count in pairs.GetCountFingerprint(mol).GetNonzeroElements().items():
                row[bits + pair] = count
            for ring in mol.GetRingInfo().AtomRings():
                size = ring_sizes + min(len(ring), _RINGS - 1)
                row[size] = row.get(size, 0) + 1
            row[width - _ATOMS + min(mol.GetNumHeavyAtoms(), _ATOMS - 1)] = 1
            columns.extend(row)
            counts.extend(row.values())
        ends.append(len(columns))
    values = np.log1p(np.array(counts, np.float32))
    places = np.array(columns, np.int64)
    found = csr_array((values, places, np.array(ends, np.int64)), shape=(len(mols), width))
    found.sort_indices()
    return found


@functools.cache
def _generators(
    bits: int,
) -> tuple[
    rdFingerprintGenerator.FingerprintGenerator64, rdFingerprintGenerator.FingerprintGenerator64
]:
    return (
        rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=bits),
        rdFingerprintGenerator.GetAtomPairGenerator(fpSize=bits // 2, maxDistance=_FURTHEST),
    )
