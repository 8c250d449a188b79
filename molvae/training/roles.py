"""Which symbols of a batch make rings and branches, which atoms nothing hangs on, and which symbols
are relatives of each other."""

from __future__ import annotations

import numpy as np

from molvae.chem.selfies import Grammar
from molvae.chem.selfies.symbols import BASE
from molvae.models.objective import Role


def roles_and_hosts(
    tokens: np.ndarray, lengths: np.ndarray, grammar: Grammar
) -> tuple[np.ndarray, np.ndarray]:
    """The :class:`Role` of each of ``tokens (b, t)``, uint8, and what each atom hangs on, int64.

    Rows are start, ``lengths (b,)`` symbols, end, padding. Terminal is the atom at the end of the
    molecule or of a branch, and the first if the second is all that hangs on it. An atom hangs on
    the one before it in its chain, whose symbol is told, and the first on the second, told as many
    more as there are symbols: by its own symbol it says with what bond.
    """
    b, t = tokens.shape
    rows = np.arange(b)
    digits = grammar.digits[tokens]
    structural, begins = np.zeros((b, t), bool), np.zeros((b, t), bool)
    left = np.zeros(b, np.int64)  # index symbols still to come
    for step in range(t):
        begins[:, step] = (left == 0) & (digits[:, step] > 0)
        structural[:, step] = (left > 0) | begins[:, step]
        left = np.where(left > 0, left - 1, digits[:, step])
    row, place = np.nonzero(begins)
    count = digits[row, place]
    index = np.zeros(len(row), np.int64)
    for k in range(1, int(count.max(initial=0)) + 1):
        value = grammar.values[tokens[row, np.minimum(place + k, t - 1)]]
        index = np.where(k <= count, index * BASE + value, index)
    last = place + count + index + 1  # a branch has one symbol more than its index says
    opens = grammar.branches[tokens[row, place]]
    inside = opens & (last <= lengths[row])
    # The atom before each in its chain: after a branch, the one that it hangs on.
    before = np.tile(np.arange(-1, t - 1), (b, 1))
    np.minimum.at(before, (row[inside], last[inside] + 1), place[inside])
    before[:, 0] = 0
    everywhere = rows[:, None]
    while (back := structural[everywhere, before]).any():
        before = np.where(back, before[everywhere, before], before)
    ends = np.zeros((b, t), bool)
    ends[rows, lengths] = True
    ends[row[inside], last[inside]] = True
    # A ring that is closed at the first atom hangs on it too.
    atoms = np.cumsum(~structural, axis=1) - 1  # up to each place, without the start
    rings = row[~opens], place[~opens]
    hung_on = structural[rows, np.minimum(2, lengths)]
    hung_on[rings[0][atoms[rings[0], before[rings]] <= index[~opens] + 2]] = True
    ends[:, 1] |= ~hung_on
    roles = np.where(structural, Role.STRUCTURAL, np.where(ends, Role.TERMINAL, Role.ATOM))
    hosts = tokens[everywhere, before]
    hosts[:, 1] = tokens[:, min(2, t - 1)] + len(grammar.bonds)
    return roles.astype(np.uint8), hosts


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
