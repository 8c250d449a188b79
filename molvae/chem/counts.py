"""Circular environments with their counts, as sparse rows that are compared in bulk.

A count is written in levels: one column says that there is at least one, the next that there are at
least two, and so on. Then the Tanimoto similarity of two sets of columns is that of the counts, the
sum of their minima over the sum of their maxima, up to the highest level.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator
from scipy.sparse import csr_array

LEVELS = (1, 2, 3, 4, 6)
"""Counts that are told apart."""
COLUMNS = 2048
"""Columns that the environments of each level are folded into."""


def count_columns(mol: Chem.Mol) -> np.ndarray:
    """The columns ``(k,)`` of one molecule, of ``len(LEVELS) * COLUMNS``; each is a one.

    Morgan environments of radius 2 (Rogers and Hahn, J. Chem. Inf. Model. 50:742, 2010).

    >>> len(count_columns(Chem.MolFromSmiles("CCO")))
    6
    """
    counts = _generator().GetCountFingerprint(mol).GetNonzeroElements()
    columns = [
        level * COLUMNS + column
        for column, count in counts.items()
        for level, least in enumerate(LEVELS)
        if count >= least
    ]
    return np.array(columns, np.int32)


@dataclass(frozen=True)
class Counts:
    """Molecules' counts, ``rows (n, len(LEVELS) * COLUMNS)`` of float32 ones; see :meth:`of`."""

    rows: csr_array

    @classmethod
    def of(cls, columns: Sequence[np.ndarray]) -> Counts:
        """Of the :func:`count_columns` of each molecule."""
        ends = np.cumsum([0, *(len(row) for row in columns)])
        places = np.concatenate([np.empty(0, np.int32), *columns])
        ones = np.ones(len(places), np.float32)
        return cls(csr_array((ones, places, ends), shape=(len(columns), len(LEVELS) * COLUMNS)))

    @cached_property
    def dense(self) -> np.ndarray:
        """The same, transposed and dense: ``(len(LEVELS) * COLUMNS, n)``."""
        return np.ascontiguousarray(self.rows.toarray().T)

    def similarity(self, others: Counts) -> np.ndarray:
        """Tanimoto similarities ``(n, m)`` float64 of these molecules' counts and of others'.

        >>> mols = [Chem.MolFromSmiles(s) for s in ("CCO", "CCCO", "CCCCO")]
        >>> counts = Counts.of([count_columns(mol) for mol in mols])
        >>> counts.similarity(counts)[0].round(3)
        array([1.   , 0.5  , 0.357])
        """
        shared = np.asarray(self.rows @ others.dense, np.float64)
        sizes = [np.diff(counts.rows.indptr).astype(np.float64) for counts in (self, others)]
        union = sizes[0][:, None] + sizes[1] - shared
        return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


@functools.cache
def _generator() -> rdFingerprintGenerator.FingerprintGenerator64:
    return rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=COLUMNS)
