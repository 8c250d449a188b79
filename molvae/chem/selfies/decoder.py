"""Symbol ids to SMILES, in one pass.

SELFIES lists atoms in the order in which SMILES writes them, so the text is one piece per atom,
with brackets and ring labels put on as they turn out to be needed. What a symbol does depends only
on itself and on the free valence ("state") of the atom it meets, so each pair of the two is
looked up in a table made once per alphabet: no symbol is parsed and no atom object made on the way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from molvae.chem.selfies.constraints import Constraints
from molvae.chem.selfies.errors import CodecError
from molvae.chem.selfies.symbols import BASE, BOND_TEXT, DIGIT_OF, Kind, Symbol, read_symbol

# Markers in the third place of a table entry, where an atom has the order of its bond (1 to 3).
_ROOT, _BRANCH, _RING, _END, _SKIP = 0, -1, -2, -3, -4

_BOND = re.compile(r"([()]*)([=#/\\]?)")

Ring = tuple[int, int, bool, tuple[int, str, str]]
"""Lower atom, higher atom, whether the chain bonds them already, (order, direction at each)."""


class Decoder:
    """Decodes ids into SMILES; id ``first_id + k`` is ``symbols[k]``.

    Immutable once made, so any number of threads may use it.
    """

    def __init__(self, symbols: Sequence[str], constraints: Constraints, first_id: int = 0) -> None:
        meanings = [read_symbol(symbol, constraints) for symbol in symbols]
        self._first_id = first_id
        self._pad = first_id + len(meanings)
        self._dots = frozenset(i for i, m in enumerate(meanings, first_id) if m.kind is Kind.DOT)
        self._nops = frozenset(i for i, m in enumerate(meanings, first_id) if m.kind is Kind.NOP)
        self._plain = frozenset(range(first_id, self._pad)) - self._dots - self._nops
        self._digits = [0] * first_id + [DIGIT_OF.get(symbol, 0) for symbol in symbols] + [0]
        unused: list[Any] = [None] * first_id
        rows = [unused + [_entry(m, state) for m in meanings] for state in range(5)]
        largest = max((m.capacity for m in meanings), default=0)
        # Bonds take 3 at most and a branch leaves 1: above state 4 the symbols do the same.
        self._rows = rows + rows[4:] * max(0, largest - 4)

    def decode(self, ids: Sequence[int]) -> str:
        """The SMILES of ``ids``, spelt as ``selfies.decoder`` spells it; "" where no atom stands.

        Raises :class:`CodecError` for an id outside the alphabet.
        """
        texts: list[str] = []
        free: list[int] = []
        rings: list[Ring] = []
        if self._plain.issuperset(ids):
            self._derive([*ids], texts, free, rings)
        else:
            for fragment in self._fragments(ids):
                atoms = len(texts)
                self._derive(fragment, texts, free, rings)
                if 0 < atoms < len(texts):
                    texts[atoms] = "." + texts[atoms]
        if rings:
            _close_rings(texts, free, rings)
        return "".join(texts)

    def _fragments(self, ids: Sequence[int]) -> list[list[int]]:
        fragments: list[list[int]] = [[]]
        for i in ids:
            if i in self._plain:
                fragments[-1].append(i)
            elif i in self._dots:
                fragments.append([])
            elif i not in self._nops:
                raise CodecError(
                    f"id {i} is outside the alphabet's {self._first_id} to {self._pad - 1}; "
                    "decode with the tokenizer that made it"
                )
        return fragments

    def _derive(self, ids: list[int], texts: list[str], free: list[int], rings: list[Ring]) -> None:
        """Append one fragment's atoms to ``texts`` and ``free`` (valence left), and its rings."""
        rows, digits, pad = self._rows, self._digits, self._pad
        length = end = len(ids)
        ids += (pad, pad, pad)  # an index may be cut off by the end: its missing digits are 0
        stack: list[tuple[int, int, int, int, int, int]] = []
        atoms = len(texts)
        position = state = 0
        atom = parent = -1  # the atom that the next one is bonded to, and the one before it
        group = -1  # first atom of a branch on `atom` that needs brackets if another atom follows
        while True:
            while position < end:
                text, left, order = rows[state][ids[position]]
                position += 1
                if order > 0:
                    if group >= 0:
                        first_text = texts[group]
                        if first_text[0] == ")":  # of the branch before
                            texts[group] = ")(" + first_text[1:]
                        else:
                            texts[group] = "(" + first_text
                        text = ")" + text
                        group = -1
                        depth = len(stack)  # branches opened on this atom now end in this one
                        while depth and stack[depth - 1][2] == atom:
                            depth -= 1
                            stack[depth] = (*stack[depth][:5], atoms)
                    texts.append(text)
                    free.append(left)
                    free[atom] -= order
                    parent = atom
                    atom = atoms
                    atoms += 1
                    if not left:
                        break
                    state = left
                elif order == _RING:
                    index = digits[ids[position]]
                    position += 1
                    for _ in range(left):
                        index = index * BASE + digits[ids[position]]
                        position += 1
                    if atom:  # a ring on the very first atom would close on itself
                        other = atom - index - 1
                        if other < 0:
                            other = 0
                        rings.append((other, atom, other == parent, text))
                    state -= text[0]
                    if not state:
                        break
                elif order == _BRANCH:
                    index = digits[ids[position]]
                    position += 1
                    for _ in range(left):
                        index = index * BASE + digits[ids[position]]
                        position += 1
                    stack.append((end, state - text, atom, parent, group, atoms))
                    end = position + index + 1
                    if end > length:
                        end = length
                    state = text
                elif order == _ROOT:
                    texts.append(text)
                    free.append(left)
                    atom = atoms
                    atoms += 1
                    if not left:
                        break
                    state = left
                elif order == _END:
                    break
            if not stack:
                return
            if position < end:
                position = end
            end, state, atom, parent, group, first = stack.pop()
            if first < atoms:
                group = first


def _entry(symbol: Symbol, state: int) -> tuple[Any, int, int]:
    """What ``symbol`` does when the atom before it has ``state`` bonds free (0: no atom yet).

    An atom: (text, valence left, bond order). A ring: ((order, direction at either end), further
    digits, marker). A branch: (state inside, further digits, marker).
    """
    if symbol.kind is Kind.ATOM:
        if state == 0:
            return symbol.text, symbol.capacity, _ROOT
        order = min(symbol.order, state, symbol.capacity)
        if order == 0:
            return None, 0, _END  # no room for a bond: the atom is lost and the chain ends
        bond = symbol.stereo[0] if order == 1 else BOND_TEXT[order]
        return bond + symbol.text, symbol.capacity - order, order
    if symbol.kind is Kind.BRANCH and state > 1:
        return min(state - 1, symbol.order), symbol.digits - 1, _BRANCH
    if symbol.kind is Kind.RING and state > 0:
        return (min(symbol.order, state), *symbol.stereo), symbol.digits - 1, _RING
    if symbol.kind is Kind.END and state > 0:
        return None, 0, _END
    return None, 0, _SKIP


def _close_rings(texts: list[str], free: list[int], rings: list[Ring]) -> None:
    """Make each ring bond as far as both atoms have valence left, in the order of the symbols.

    A ring between atoms that are bonded already raises the order of their bond instead.
    """
    made: dict[tuple[int, int], tuple[int, str, str]] = {}
    for low, high, bonded, (wanted, left, right) in rings:
        order = min(wanted, free[low], free[high])
        if order <= 0:
            continue
        if bonded:
            order = _raise_chain_bond(texts, high, order)
        elif (low, high) in made:
            old, left, right = made[low, high]
            made[low, high] = min(old + order, 3), left, right
            order = min(order, 3 - old)
        else:
            made[low, high] = order, left, right
        free[low] -= order
        free[high] -= order
    # Labels count up along the text, as selfies writes them; at an atom, older rings come first.
    labels = {ends: _label(number) for number, ends in enumerate(sorted(made, key=_low), 1)}
    for ends, (order, left, right) in made.items():
        low, high = ends
        bond = BOND_TEXT[order]
        label = labels[ends]
        texts[low] += (bond or left) + label
        texts[high] += (bond or right) + label


def _label(number: int) -> str:
    return str(number) if number < 10 else f"%{number}" if number < 100 else f"%({number})"


def _low(ends: tuple[int, int]) -> int:
    return ends[0]


def _raise_chain_bond(texts: list[str], atom: int, order: int) -> int:
    """Add ``order`` to the bond that leads to ``atom``, up to 3; returns what was added."""
    text = texts[atom]
    brackets, bond = _BOND.match(text).groups()  # type: ignore[union-attr]
    old = BOND_TEXT.index(bond) if bond in BOND_TEXT[2:] else 1
    new = min(old + order, 3)
    texts[atom] = brackets + BOND_TEXT[new] + text[len(brackets) + len(bond) :]
    return new - old
