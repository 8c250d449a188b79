"""What worker processes do with each clean molecule, and what a corpus stores of it."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rdkit import Chem

from molvae.chem.properties import PROPERTIES, describe, property_function
from molvae.chem.selfies import Constraints, Encoder
from molvae.chem.smiles import MoleculeError
from molvae.chem.tokenizer import Tokenizer
from molvae.datasets.clean import Cleaned
from molvae.datasets.options import CorpusOptions
from molvae.datasets.sources import NOT_GIVEN, Source
from molvae.datasets.splits import key, scaffold

Encoded = tuple[list[str], int, list[float]]
"""A molecule's symbols, the key that decides its part, and its computed labels."""


@dataclass(frozen=True)
class Work:
    """What is done to every molecule in the workers: a picklable function of it.

    ``alphabet`` None takes every symbol; ``max_symbols`` None any number of them.
    """

    properties: tuple[str, ...]
    by_scaffold: bool
    constraints: Constraints
    alphabet: frozenset[str] | None
    max_symbols: int | None

    @classmethod
    def of(cls, options: CorpusOptions, tokenizer: Tokenizer | None) -> Work:
        """Raises :class:`ConfigError` for an unknown property or preset of constraints."""
        for name in options.properties:
            property_function(name)
        longest = options.max_symbols
        if tokenizer is not None:
            longest = min(tokenizer.max_length, longest or tokenizer.max_length)
        return cls(
            properties=options.properties,
            by_scaffold=options.split.method == "scaffold",
            constraints=tokenizer.constraints
            if tokenizer is not None
            else Constraints.preset(options.constraints),
            alphabet=None if tokenizer is None else frozenset(tokenizer.alphabet),
            max_symbols=longest,
        )

    def __call__(self, mol: Chem.Mol, smiles: str) -> Encoded:
        """Encode and describe one molecule.

        Raises :class:`CodecError` or :class:`MoleculeError` where it does not fit.
        """
        symbols = _encoder(self.constraints).encode(smiles)
        if self.max_symbols is not None and len(symbols) > self.max_symbols:
            raise MoleculeError(smiles, f"more than {self.max_symbols} symbols ({len(symbols)})")
        if self.alphabet is not None and not self.alphabet.issuperset(symbols):
            unknown = ", ".join(sorted(set(symbols) - self.alphabet))
            raise MoleculeError(smiles, f"symbol not in the alphabet ({unknown})")
        group = key(scaffold(mol) if self.by_scaffold else smiles)
        return symbols, group, describe(mol, self.properties)


@functools.lru_cache(maxsize=8)
def _encoder(constraints: Constraints) -> Encoder:
    return Encoder(constraints)


def label_cards(source: Source, options: CorpusOptions) -> list[dict[str, str]]:
    """Name, unit and description of each label: the source's, then the computed ones."""
    listed = [(label.name, label.unit, label.description) for label in source.labels]
    listed += [PROPERTIES[name][:3] for name in options.properties]
    return [dict(zip(("name", "unit", "description"), entry, strict=True)) for entry in listed]


def label_table(source: Source, items: Sequence[Cleaned], width: int) -> np.ndarray:
    """The labels (k, width) float32 of clean molecules, the source's shifted to their units."""
    columns = [(label.column, label.shift) for label in source.labels]
    table = np.empty((len(items), width), dtype=np.float32)
    for row, item in zip(table, items, strict=True):
        given = [item.labels.get(column, math.nan) + shift for column, shift in columns]
        row[:] = given + item.result[2]
    return table


def given_part(source: Source, item: Cleaned, file: int) -> int:
    """The part that the source gives a row, or ``NOT_GIVEN``."""
    if source.split_column is not None:
        return int(item.labels[source.split_column])
    return source.parts[file] if source.parts else NOT_GIVEN
