"""Which symbols of a batch make rings and branches, which atoms nothing hangs on and what they hang
on, and which symbols are relatives of each other."""

from __future__ import annotations

import numpy as np

from molvae.chem.selfies import Grammar
from molvae.chem.selfies.symbols import BASE
from molvae.models.objective import Role


def roles_and_hosts(
    tokens: np.ndarray, lengths: np.ndarray, grammar: Grammar
) -> tuple[np.ndarray, np.ndarray]:
    """The :class:`Role` of each of ``tokens (b, t)``, uint8, and what the terminal ones hang on,
    int64, 0 for others.

    Rows are start, ``lengths (b,)`` symbols, end, padding. Terminal is the atom at the end of the
    molecule or of a branch, and the first if the second is all that hangs on it. It hangs on the
    one before it in its chain, whose symbol is told, and the first on the second, told as many more
    as there are symbols: by its own symbol that says with what bond.
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
    before = np.tile(np.arange(-1, t - 1), (b, 1))  # in the chain: after a branch, where it began
    np.minimum.at(before, (row[inside], last[inside] + 1), place[inside])

    def atom_before(row: np.ndarray, place: np.ndarray) -> np.ndarray:
        place = before[row, place]
        while (back := structural[row, place]).any():
            place = np.where(back, before[row, place], place)
        return place

    ends = np.zeros((b, t), bool)
    ends[rows, lengths] = True
    ends[row[inside], last[inside]] = True
    # The second atom is all that hangs on the first if neither a branch nor a ring does.
    atoms = np.cumsum(~structural, axis=1) - 1  # up to each place, without the start
    row, place, index = row[~opens], place[~opens], index[~opens]
    hung_on = structural[rows, np.minimum(2, lengths)]
    hung_on[row[atoms[row, atom_before(row, place)] <= index + 2]] = True
    ends[:, 1] |= ~hung_on
    roles = np.where(structural, Role.STRUCTURAL, np.where(ends, Role.TERMINAL, Role.ATOM))
    hosts = np.zeros((b, t), np.int64)
    row, place = np.nonzero(ends & ~structural)
    hosts[row, place] = tokens[row, atom_before(row, place)]
    hosts[:, 1] = np.where(hosts[:, 1] > 0, tokens[:, min(2, t - 1)] + len(grammar.bonds), 0)
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
