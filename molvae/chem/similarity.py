"""Morgan fingerprints as packed bits, and Tanimoto similarity in bulk.

Intersections are counted by sparse-by-dense products over blocks: about ten times RDKit's own
``BulkTanimotoSimilarity`` per core, in memory that depends on the block and not on the sets.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator
from rdkit.DataStructs import BitVectToBinaryText
from scipy.sparse import csr_array

from molvae.base.parallel import chunked, ordered_map
from molvae.base.progress import Progress
from molvae.chem.smiles import parse_many

_REFERENCES = 8192
_QUERIES = 256
_BITS_SET = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(1, dtype=np.uint8)


def fingerprints(mols: Sequence[Chem.Mol | None], radius: int = 2, bits: int = 2048) -> np.ndarray:
    """Morgan fingerprints ``(n, bits / 8)`` uint8, packed; row i for molecule i.

    The row of None, which no molecule has, is all zeros: similarity to it is NaN. ``bits`` is a
    multiple of 8. Rogers and Hahn, J. Chem. Inf. Model. 50:742 (2010).

    >>> fingerprints([Chem.MolFromSmiles("CCO"), None]).shape
    (2, 256)
    """
    if bits < 8 or bits % 8:
        raise ValueError(f"bits must be a positive multiple of 8, not {bits}")
    generator = _generator(radius, bits)
    packed = np.zeros((len(mols), bits // 8), np.uint8)
    for row, mol in enumerate(mols):
        if mol is not None:
            text = BitVectToBinaryText(generator.GetFingerprint(mol))
            packed[row] = np.frombuffer(text, np.uint8)
    return packed


def similarity(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Tanimoto similarities ``(n, m)`` float64 of packed fingerprints ``(n, w)`` and ``(m, w)``.

    One fingerprint ``(w,)`` on either side drops that axis: two of them give a number. A row of
    zeros (no molecule) is NaN to everything.

    >>> ethanol, propanol = fingerprints([Chem.MolFromSmiles(s) for s in ("CCO", "CCCO")])
    >>> round(float(similarity(ethanol, propanol)), 3)
    0.556
    """
    rows, columns = np.atleast_2d(a), np.atleast_2d(b)
    result = np.empty((len(rows), len(columns)))
    for start in range(0, len(columns), _REFERENCES):
        part = slice(start, start + _REFERENCES)
        sparse, sizes = _sparse(columns[part]), _sizes(columns[part])
        for first in range(0, len(rows), _QUERIES):
            block = rows[first : first + _QUERIES]
            shared = (sparse @ _dense(block)).T.astype(np.float64)
            union = _sizes(block)[:, None] + sizes - shared
            with np.errstate(invalid="ignore"):
                tanimoto = shared / union
            tanimoto[_sizes(block) == 0] = np.nan
            tanimoto[:, sizes == 0] = np.nan
            result[first : first + _QUERIES, part] = tanimoto
    return result.reshape((*a.shape[:-1], *b.shape[:-1]))


def nearest(queries: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The most similar reference of each query: ``(index (n,) int64, tanimoto (n,) float64)``.

    Both sides are packed fingerprints, ``(n, w)`` and ``(m, w)``. Of equals, the first. A query
    of zeros, or no reference at all, gives index -1 and NaN.

    >>> prints = fingerprints([Chem.MolFromSmiles(s) for s in ("CCO", "CCCO", "c1ccccc1")])
    >>> nearest(prints[:1], prints[1:])
    (array([0]), array([0.55555556]))
    """
    best = np.full(len(queries), -1.0)
    index = np.full(len(queries), -1, np.int64)
    query_sizes = _sizes(queries).astype(np.float32)
    for start in range(0, len(reference), _REFERENCES):
        part = reference[start : start + _REFERENCES]
        sparse, sizes = _sparse(part), _sizes(part).astype(np.float32)[:, None]
        for first in range(0, len(queries), _QUERIES):
            block = slice(first, first + _QUERIES)
            shared = sparse @ _dense(queries[block])
            tanimoto = shared / np.maximum(sizes + query_sizes[block] - shared, 1)
            place = tanimoto.argmax(axis=0)
            value = tanimoto[place, np.arange(tanimoto.shape[1])].astype(np.float64)
            better = np.flatnonzero((value > best[block]) & (query_sizes[block] > 0))
            best[first + better] = value[better]
            index[first + better] = start + place[better]
    found = index >= 0
    exact = np.full(len(queries), np.nan)
    if found.any():
        ours, theirs = queries[found], reference[index[found]]
        shared = _sizes(ours & theirs)
        exact[found] = shared / np.maximum(_sizes(ours | theirs), 1)
    return index, exact


def pairwise_similarity(a: Sequence[str | None], b: Sequence[str | None]) -> np.ndarray:
    """Tanimoto similarity of ``a[i]`` and ``b[i]``, ``(n,)``; NaN where either is None.

    >>> pairwise_similarity(["CCO", "CCO", None], ["CCO", "CCCO", "C"]).round(3).tolist()
    [1.0, 0.556, nan]
    """
    distinct = list(dict.fromkeys([*a, *b]))
    place = {smiles: i for i, smiles in enumerate(distinct)}
    prints = fingerprints(parse_many(distinct))
    ours, theirs = prints[[place[s] for s in a]], prints[[place[s] for s in b]]
    shared = np.unpackbits(ours & theirs, axis=1).sum(1)
    missing = np.array([x is None or y is None for x, y in zip(a, b, strict=True)])
    either = np.unpackbits(ours | theirs, axis=1).sum(1)
    return np.where(missing, np.nan, shared / np.maximum(either, 1))


@functools.cache
def _generator(radius: int, bits: int) -> rdFingerprintGenerator.FingerprintGenerator64:
    return rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=bits)


def _sizes(packed: np.ndarray) -> np.ndarray:
    """Bits set in each row: (n, w) uint8 to (n,)."""
    return _BITS_SET[packed].sum(axis=1, dtype=np.int64)


def _dense(packed: np.ndarray) -> np.ndarray:
    """(n, w) packed to (bits, n) float32."""
    return np.ascontiguousarray(np.unpackbits(packed, axis=1).T, dtype=np.float32)


def _sparse(packed: np.ndarray) -> csr_array:
    """(n, w) packed to (n, bits) float32, one stored 1 for each bit set."""
    bits = packed.shape[1] * 8
    places = np.flatnonzero(np.unpackbits(packed, axis=1).view(np.bool_))
    ends = np.concatenate([[0], np.cumsum(_sizes(packed))])
    ones = np.ones(len(places), np.float32)
    return csr_array((ones, places % bits, ends), shape=(len(packed), bits))


def nearest_molecules(
    queries: Sequence[str],
    reference: Sequence[str],
    *,
    workers: int | None = None,
    progress: bool | None = None,
) -> tuple[list[str | None], np.ndarray]:
    """Each query's most similar reference molecule, and the Tanimoto similarity ``(n,)`` to it.

    Both sides are SMILES; one that does not parse has None and NaN, and is nobody's neighbour.
    The reference is read by all cores (``workers`` None) in blocks, so it may be large.

    >>> nearest_molecules(["CCO", "bad("], ["c1ccccc1", "CCCO"], workers=1)
    (['CCCO', None], array([0.55555556,        nan]))
    """
    prints = fingerprints(parse_many(queries))
    best = np.full(len(queries), np.nan)
    found: list[str | None] = [None] * len(queries)
    blocks = ordered_map(_parsed_prints, chunked(reference, _REFERENCES), workers)
    start = 0
    with Progress("comparing with the training molecules", len(reference), progress) as bar:
        for block in blocks:
            index, tanimoto = nearest(prints, block)
            # `best` starts as NaN, to which nothing compares.
            for row in np.flatnonzero((index >= 0) & ~(tanimoto <= best)):
                found[row], best[row] = reference[start + index[row]], tanimoto[row]
            start += len(block)
            bar.advance(len(block))
    return found, best


def _parsed_prints(smiles: list[str]) -> np.ndarray:
    return fingerprints(parse_many(smiles))
