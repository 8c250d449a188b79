"""Molecules as rows of numbers: fingerprint bits and descriptors, the same in a year's time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molvae.chem.properties import PROPERTIES, compute
from molvae.chem.similarity import fingerprints
from molvae.chem.smiles import parse_many
from molvae.oracles.fitted.options import FeatureSet

RADIUS = 2
BITS = 2048


@dataclass(frozen=True)
class FeatureSpace:
    """Which numbers describe a molecule.

    ``descriptors`` are names of properties, after the fingerprint's bits if there are any. What a
    molecule lacks is filled in with ``fill (p,)``, the median of the molecules of the fit.
    """

    has_bits: bool
    descriptors: tuple[str, ...]
    fill: np.ndarray

    @classmethod
    def of(cls, features: FeatureSet, smiles: Sequence[str]) -> tuple[FeatureSpace, np.ndarray]:
        """The space, and the matrix (n, p) float32 of the molecules that it is made for.

        >>> space, matrix = FeatureSpace.of("both", ["CCO", "CC"])
        >>> matrix.shape == (2, len(space.fill)) == (2, BITS + len(space.descriptors))
        True
        """
        names = () if features == "morgan" else tuple(PROPERTIES)
        has_bits = features != "descriptors"
        bare = cls(has_bits, names, np.zeros(BITS * has_bits + len(names), np.float32))
        matrix = bare._numbers(smiles)
        known = np.ma.masked_invalid(matrix)
        fill = np.ma.median(known, axis=0).filled(0.0).astype(np.float32)
        space = cls(has_bits, names, fill)
        return space, space._filled(matrix)

    def matrix(self, smiles: Sequence[str]) -> np.ndarray:
        """The numbers ``(n, p)`` float32 of molecules that can be parsed; none is missing."""
        return self._filled(self._numbers(smiles))

    def _numbers(self, smiles: Sequence[str]) -> np.ndarray:
        parts = [np.zeros((len(smiles), 0), np.float32)]
        if self.has_bits:
            packed = fingerprints(parse_many(smiles), RADIUS, BITS)
            parts.append(np.unpackbits(packed, axis=1).astype(np.float32))
        if self.descriptors:
            parts.append(compute(smiles, self.descriptors, progress=False).astype(np.float32))
        return np.concatenate(parts, axis=1)

    def _filled(self, matrix: np.ndarray) -> np.ndarray:
        return np.where(np.isfinite(matrix), matrix, self.fill)
