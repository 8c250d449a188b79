"""What the symbols of an alphabet do, as arrays by id: for code that works on ids alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molvae.chem.selfies.constraints import Constraints
from molvae.chem.selfies.symbols import DIGIT_OF, NOP, Kind, read_symbol


@dataclass(frozen=True)
class Grammar:
    """By id ``(v,)``: ``digits``, how many index symbols follow (none after atoms); ``values``,
    what a symbol counts as where it is such an index; ``branches``, whether it opens a branch;
    ``bonds``, of atoms the order of the bond before them, and 0 of all else; ``ends``, which atoms
    have no bond left for another behind them.

    >>> grammar = Grammar.of(["[C]", "[Branch1]", "[=O]"], 3, Constraints.preset("default"))
    >>> grammar.digits, grammar.bonds
    (array([0, 0, 0, 0, 1, 0]), array([0, 0, 0, 1, 0, 2]))
    """

    digits: np.ndarray
    values: np.ndarray
    branches: np.ndarray
    bonds: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, alphabet: Sequence[str], first_id: int, constraints: Constraints) -> Grammar:
        """Of the symbols whose ids begin with ``first_id``; the ids before do nothing."""
        texts = [NOP] * first_id + list(alphabet)
        symbols = [read_symbol(text, constraints) for text in texts]
        atoms = np.array([symbol.kind == Kind.ATOM for symbol in symbols], bool)
        orders = np.array([symbol.order for symbol in symbols], np.int64)
        return cls(
            digits=np.array([symbol.digits for symbol in symbols], np.int64),
            values=np.array([DIGIT_OF.get(text, 0) for text in texts], np.int64),
            branches=np.array([symbol.kind == Kind.BRANCH for symbol in symbols], bool),
            bonds=orders * atoms,
            ends=atoms & (np.array([symbol.capacity for symbol in symbols]) <= orders),
        )
