"""What the symbols of an alphabet do, as arrays by id: for code that works on ids alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molvae.chem.selfies.symbols import DIGIT_OF, digits_of


@dataclass(frozen=True)
class Grammar:
    """By id ``(v,)``: ``digits``, how many index symbols follow (none after atoms); ``values``,
    what a symbol counts as where it is such an index; ``branches``, whether it opens a branch.

    >>> Grammar.of(["[C]", "[Branch1]"], first_id=3).digits
    array([0, 0, 0, 0, 1])
    """

    digits: np.ndarray
    values: np.ndarray
    branches: np.ndarray

    @classmethod
    def of(cls, alphabet: Sequence[str], first_id: int) -> Grammar:
        """Of the symbols whose ids begin with ``first_id``; the ids before do nothing."""
        none = [""] * first_id + list(alphabet)
        return cls(
            digits=np.array([digits_of(symbol) for symbol in none], np.int64),
            values=np.array([DIGIT_OF.get(symbol, 0) for symbol in none], np.int64),
            branches=np.array(["Branch" in symbol for symbol in none], bool),
        )
