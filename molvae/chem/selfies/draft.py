"""A molecule while its SELFIES symbols are written: what can only be settled once all is read."""

from __future__ import annotations

from typing import Any, NamedTuple

from molvae.chem.selfies.atoms import Atom, Refused
from molvae.chem.selfies.kekule import perfect_matching
from molvae.chem.selfies.symbols import BASE, BOND_TEXT, MAX_INDEX, index_symbols

CHAIN = 1 << 30
"""Rank of a chain bond at a stereocentre: behind all rings."""

_BRANCHES = [
    [[f"[{bond}Branch{len(digits)}]", *digits] for digits in map(index_symbols, range(BASE**2))]
    for bond in BOND_TEXT
]


class Opening(NamedTuple):
    """A ring label that waits for its other end."""

    atom: int
    parent: int
    aromatic: bool
    bond: str
    label: int  # how many ring labels stood before it
    rank: int  # its place among the ranks of a stereocentre
    place: int  # of the ring's symbol, where that is written at the opening


class Draft:
    """Flat lists by atom, and dictionaries for the few atoms that are aromatic or chiral."""

    __slots__ = (
        "ahead",
        "aromatic_places",
        "atoms",
        "chiral",
        "free",
        "rings",
        "symbols",
        "system",
    )

    def __init__(self, ahead: dict[int, list[str]]) -> None:
        self.symbols: list[Any] = []  # a negative number is a branch to come, of that bond order
        self.atoms: list[Atom] = []
        self.free: list[int] = []  # valence left
        self.system: dict[int, list[int]] = {}  # aromatic bonds, by atom
        self.aromatic_places: dict[int, int] = {}  # of symbols with an aromatic bond, by atom
        self.chiral: dict[int, tuple[int, list[int]]] = {}  # symbol's place, ranks of the bonds
        self.rings: dict[tuple[int, int], int] = {}  # symbol's place, by (lower, higher) atom
        self.ahead = ahead

    def bond_aromatic(self, first: int, second: int) -> None:
        """Make a bond of the aromatic system."""
        self.system.setdefault(first, []).append(second)
        self.system.setdefault(second, []).append(first)

    def open_ring(self, atom: int, parent: int, aromatic: bool, bond: str, label: int) -> Opening:
        """Note a ring label's first end, writing its symbols where a later end cannot."""
        rank = -1
        if atom in self.chiral:
            ranks = self.chiral[atom][1]
            rank = len(ranks)
            ranks.append(0)
        place = len(self.symbols)
        if label in self.ahead:
            self.symbols += self.ahead[label]
        return Opening(atom, parent, aromatic, bond, label, rank, place)

    def close_ring(
        self, opening: Opening, atom: int, parent: int, aromatic: bool, bond: str
    ) -> None:
        """Make a ring bond and write its symbols, which stand at the later of its atoms."""
        first = opening.atom
        if first < atom:
            low, high, bonded = first, atom, parent == first
        else:
            low, high, bonded = atom, first, opening.parent == atom
        ends = low, high
        if bonded or low == high or ends in self.rings:
            raise Refused("ring label between bonded atoms")
        if not bond and not opening.bond:
            order, delocalised, text = 1, aromatic and opening.aromatic, ""
        elif low == first:
            order, delocalised, text = _ring_bond(opening.bond, bond)
        else:
            order, delocalised, text = _ring_bond(bond, opening.bond)
        if delocalised:
            self.bond_aromatic(first, atom)
        self.free[low] -= order
        self.free[high] -= order
        if self.chiral:
            if first in self.chiral:
                self.chiral[first][1][opening.rank] = atom if first == low else 0
            if atom in self.chiral:
                self.chiral[atom][1].append(first if atom == low else 0)
        if low == first:
            self.rings[ends] = len(self.symbols)
            self.symbols += _ring_symbols(text, high - low - 1)
        elif opening.label in self.ahead:
            self.rings[ends] = opening.place
        else:
            self.rings[ends] = -1
            self.ahead[opening.label] = _ring_symbols(text, high - low - 1)

    def kekulise(self) -> None:
        """Place the double bonds of the aromatic system."""
        system, atoms, free, symbols = self.system, self.atoms, self.free, self.symbols
        nodes = [
            node
            for node, bonded in system.items()
            if not atoms[node].rests[free[node], len(bonded)]
        ]
        nodes.sort()
        mates = perfect_matching(nodes, system, len(atoms))
        if mates is None:
            raise Refused("aromatic rings without a Kekulé form")
        rings, places = self.rings, self.aromatic_places
        for low in nodes:
            high = mates[low]
            if high < low:
                continue
            free[low] -= 1
            free[high] -= 1
            place = rings.get((low, high))
            if place is not None:
                symbols[place] = "[=" + symbols[place][1:]
            else:
                place = places[high]
                symbols[place] = atoms[high].double
                if symbols[place - 1] == -1:
                    symbols[place - 1] = -2

    def check_valences(self) -> None:
        """Refuse atoms with more bonds than the constraints allow."""
        if min(self.free) >= 0:
            return
        faults = {
            f"[{atom.body}] with {atom.capacity - left} bonds, at most {atom.capacity}"
            for atom, left in zip(self.atoms, self.free, strict=True)
            if left < 0
        }
        reason = f"valence beyond the constraints ({'; '.join(sorted(faults))})"
        raise Refused(reason, "choose other constraints or remove it")

    def mirror_stereocentres(self) -> None:
        """Turn over each chirality whose bonds SELFIES lists in an odd permutation.

        SELFIES gives an atom's bonds back in the order: rings to earlier atoms, rings to later
        atoms by their number, chain.
        """
        for place, ranks in self.chiral.values():
            inversions = 0
            for i, rank in enumerate(ranks):
                for later in ranks[i + 1 :]:
                    inversions += rank > later
            if inversions % 2:
                symbol = self.symbols[place]
                old, new = ("@@", "@") if "@@" in symbol else ("@", "@@")
                self.symbols[place] = symbol.replace(old, new)

    def write_branches(self, branches: list[tuple[int, int]]) -> None:
        """Write the symbol and index of each (place, index), or nothing where the index is -1."""
        symbols = self.symbols
        branches.sort(reverse=True)  # from the back, so that the places before still hold
        for place, index in branches:
            if index < 0:
                del symbols[place]
            elif index < BASE**2:
                symbols[place : place + 1] = _BRANCHES[-symbols[place]][index]
            else:
                digits = _long_index(index)
                symbol = f"[{BOND_TEXT[-symbols[place]]}Branch{len(digits)}]"
                symbols[place : place + 1] = [symbol, *digits]


def _ring_bond(low: str, high: str) -> tuple[int, bool, str]:
    """Order, whether delocalised, and SELFIES text of a ring bond as written at its two atoms."""
    if low and high and low != high and not (low in "/\\" and high in "/\\"):
        raise Refused(f"ring closed by two kinds of bond ({low!r}, {high!r})")
    if ":" in (low, high):
        return 1, True, ""
    for order in (2, 3):
        if BOND_TEXT[order] in (low, high):
            return order, False, BOND_TEXT[order]
    sides = "".join(side if side in ("/", "\\") else "-" for side in (low, high))
    return 1, False, "" if sides == "--" else sides


def _ring_symbols(bond: str, index: int) -> list[str]:
    digits = _long_index(index)
    return [f"[{bond}Ring{len(digits)}]", *digits]


def _long_index(index: int) -> tuple[str, ...]:
    if index > MAX_INDEX:
        raise Refused(f"ring or branch too long (at most {MAX_INDEX + 1} symbols)")
    return index_symbols(index)
