"""Which symbols of a batch make rings and branches, which atoms nothing hangs on, and which symbols
are relatives of each other."""

from __future__ import annotations

import numpy as np

from molvae.chem.selfies import Grammar
from molvae.chem.selfies.symbols import BASE
from molvae.models.objective import Role


def roles_of(tokens: np.ndarray, lengths: np.ndarray, grammar: Grammar) -> np.ndarray:
    """The :class:`Role` of each of ``tokens (b, t)``, uint8.

    Rows are start, ``lengths (b,)`` symbols, end, padding. Terminal is the atom at the end of the
    molecule or of a branch.
    """
    b, t = tokens.shape
    digits = grammar.digits[tokens]
    structural, begins = np.zeros((b, t), bool), np.zeros((b, t), bool)
    left = np.zeros(b, np.int64)  # index symbols still to come
    for step in range(t):
        begins[:, step] = (left == 0) & (digits[:, step] > 0)
        structural[:, step] = (left > 0) | begins[:, step]
        left = np.where(left > 0, left - 1, digits[:, step])
    ends = np.zeros((b, t), bool)
    ends[np.arange(b), lengths] = True
    row, place = np.nonzero(begins & grammar.branches[tokens])
    count = digits[row, place]
    index = np.zeros(len(row), np.int64)
    for k in range(1, int(count.max(initial=0)) + 1):
        value = grammar.values[tokens[row, np.minimum(place + k, t - 1)]]
        index = np.where(k <= count, index * BASE + value, index)
    last = place + count + index + 1  # a branch has one symbol more than its index says
    inside = last <= lengths[row]
    ends[row[inside], last[inside]] = True
    roles = np.where(structural, Role.STRUCTURAL, np.where(ends, Role.TERMINAL, Role.ATOM))
    return roles.astype(np.uint8)


def kinds_of(grammar: Grammar) -> np.ndarray:
    """The kind of each symbol where it is an atom that others follow and where it is one at an end
    (:attr:`Role.ATOM`, :attr:`Role.TERMINAL`), ``(2, v)`` int64.

    Atoms are of a kind if they ask for the same bond and, where others follow, if others can follow
    them; any other symbol is a kind of its own.
    """
    own = np.arange(len(grammar.bonds))
    atoms = grammar.bonds > 0
    alike = grammar.bonds * 2 + grammar.ends
    followed = np.where(atoms, len(own) + alike, own)
    ending = np.where(atoms, len(own) + 2 * grammar.bonds, own)
    _, kinds = np.unique(np.stack([followed, ending]), return_inverse=True)
    return kinds.reshape(2, -1).astype(np.int64)
