"""What the symbols of an alphabet do, as arrays by id: for code that works on ids alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molvae.chem.selfies.constraints import Constraints
from molvae.chem.selfies.symbols import DIGIT_OF, Kind, digits_of, read_symbol


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
        none = [""] * first_id + list(alphabet)
        bonds, ends = np.zeros(len(none), np.int64), np.zeros(len(none), bool)
        for place, text in enumerate(alphabet, first_id):
            symbol = read_symbol(text, constraints)
            if symbol.kind == Kind.ATOM:
                bonds[place], ends[place] = symbol.order, symbol.capacity <= symbol.order
        return cls(
            digits=np.array([digits_of(symbol) for symbol in none], np.int64),
            values=np.array([DIGIT_OF.get(symbol, 0) for symbol in none], np.int64),
            branches=np.array(["Branch" in symbol for symbol in none], bool),
            bonds=bonds,
            ends=ends,
        )
