"""Molecules as counts of their parts: a sparse row per molecule, for linear models."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator
from scipy.sparse import coo_array, csr_array

_RINGS, _ATOMS = 16, 64
_FURTHEST = 6  # bonds between the atoms of a pair
# RDKit's binary form of a count fingerprint, read a fifth faster than its table: after a head of
# four numbers (version, size of an index, length, entries) each column and its count.
_HEAD, _ENTRY = 16, 8


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
    hashed: list[bytes] = []  # of each molecule its surroundings, then its pairs
    others: list[tuple[int, int]] = []  # row and column of all that counts one
    for row, mol in enumerate(mols):
        if mol is None:
            hashed += [b"", b""]
            continue
        hashed.append(around.GetCountFingerprint(mol).ToBinary()[_HEAD:])
        hashed.append(pairs.GetCountFingerprint(mol).ToBinary()[_HEAD:])
        others.append((row, width - _ATOMS + min(mol.GetNumHeavyAtoms(), _ATOMS - 1)))
        for ring in mol.GetRingInfo().AtomRings():
            others.append((row, ring_sizes + min(len(ring), _RINGS - 1)))
    columns, counts = np.frombuffer(b"".join(hashed), "<i4").reshape(-1, 2).T
    kinds = np.repeat(np.arange(len(hashed)), [len(part) // _ENTRY for part in hashed])
    rings = np.array(others, np.int64).reshape(-1, 2).T
    rows = np.concatenate([kinds // 2, rings[0]])
    places = np.concatenate([columns + bits * (kinds % 2), rings[1]])
    values = np.concatenate([counts, np.ones_like(rings[0])]).astype(np.float32)
    found = coo_array((values, (rows, places)), shape=(len(mols), width)).tocsr()
    found.sort_indices()
    found.data = np.log1p(found.data)
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
