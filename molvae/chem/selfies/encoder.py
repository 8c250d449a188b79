"""SMILES to SELFIES symbols, in one pass over the text.

Symbols stand in the order of the atoms in the SMILES, so they are written while it is read. Three
things are known only later and mended afterwards: the double bonds of aromatic systems, the
handedness of stereocentres with rings, and the lengths of branches, for which a negative number
(minus the order of the branch's bond) keeps the place.
"""

from __future__ import annotations

from typing import Any

from molvae.chem.selfies.atoms import TOKENS, Atom, Kind, Refused, Token, read_token
from molvae.chem.selfies.constraints import Constraints
from molvae.chem.selfies.errors import CodecError
from molvae.chem.selfies.kekule import perfect_matching
from molvae.chem.selfies.symbols import BASE, BOND_TEXT, DOT, MAX_INDEX, index_symbols

_PLAIN, _AROMATIC, _BONDED, _COLON, _CHIRAL, _RING, _CLOSE, _DOT = (int(kind) for kind in Kind)
_CHAIN = 1 << 30
_MEMORY = 50_000
_SHORT = [index_symbols(index) for index in range(BASE * BASE)]


class Encoder:
    """Encodes SMILES into the symbols that ``selfies.encoder`` gives under the same constraints.

    What a token means is remembered, at most 50,000 of them; no molecule is. Threads may share it.
    """

    def __init__(self, constraints: Constraints) -> None:
        self.constraints = constraints
        self._known: dict[str, Token] = {}

    def encode(self, smiles: str) -> list[str]:
        """The symbols of ``smiles``.

        Raises :class:`CodecError` with the reason where the text is malformed, an aromatic system
        has no Kekulé form, or an atom has more bonds than the constraints allow.

        >>> Encoder(Constraints.preset("default")).encode("CC(=O)N")
        ['[C]', '[C]', '[=Branch1]', '[C]', '[=O]', '[N]']
        """
        try:
            ahead: dict[int, list[str]] = {}
            symbols = self._read(smiles, ahead)
            if symbols is None:
                symbols = self._read(smiles, ahead)
            return symbols  # type: ignore[return-value]
        except Refused as refusal:
            raise CodecError.about("SMILES", smiles, str(refusal)) from None

    def _learn(self, text: str) -> Token:
        token = read_token(text, self.constraints)
        if len(self._known) < _MEMORY:
            self._known[text] = token
        return token

    def _read(self, smiles: str, ahead: dict[int, list[str]]) -> list[Any] | None:
        """The symbols, or None where the text must be read again with ``ahead`` filled in.

        SELFIES names a ring at its later atom. Where a label opens at the later atom and closes at
        the earlier one, as in ``C(CC1)C1``'s rarer sister ``C(CC1)1``, the symbols are due before
        the earlier atom is known; ``ahead`` holds them by the count of ring labels until there.
        """
        known, learn = self._known, self._learn
        symbols: list[Any] = []
        atoms: list[Atom] = []
        free: list[int] = []  # valence left, by atom
        system: dict[int, list[int]] = {}  # aromatic bonds, by atom
        slots: dict[int, int] = {}  # place of the symbol of an atom with an aromatic bond
        chiral: dict[int, tuple[int, list[int]]] = {}  # place of its symbol, its bonds' ranks
        rings: dict[tuple[int, int], int] = {}  # place of the ring's symbol, by its atoms
        opened: dict[str, tuple[int, int, bool, str, int, int, int]] = {}
        branches: list[tuple[int, int]] = []  # place of the branch's symbol, its index
        stack: list[tuple[int, int, bool, int, int]] = []
        atom = parent = -1  # the atom that the next one is bonded to, and the one before it
        aromatic = False
        pending = -1  # place of a branch that is one only if its atom has more to come
        grown = pending_grown = 0  # symbols that the branches' indices will add
        count = labels = 0
        for text in TOKENS.findall(smiles):
            try:
                kind, opens, symbol, order, left, info = known[text]
            except KeyError:
                kind, opens, symbol, order, left, info = learn(text)
            if pending >= 0:
                if kind <= _RING:
                    index = len(symbols) - pending - 2 + grown - pending_grown
                    branches.append((pending, index))
                    grown += 1 if index < BASE else 2 if index < BASE * BASE else 3
                else:
                    branches.append((pending, -1))
                    grown -= 1
                pending = -1
            if kind < _RING:
                if atom >= 0:
                    if opens:
                        stack.append((atom, parent, aromatic, len(symbols), grown))
                        symbols.append(-order)
                    free[atom] -= order
                    free.append(left)
                    if chiral and atom in chiral:
                        chiral[atom][1].append(_CHAIN)
                else:
                    if opens:
                        raise Refused("a branch stands before any atom; correct the SMILES")
                    if count:
                        symbols.append(DOT)
                    symbol = f"[{info.body}]"
                    free.append(info.capacity)
                if kind:
                    if info.chiral:
                        chiral[count] = len(symbols), []
                    if info.aromatic:
                        system[count] = []
                    if atom >= 0 and (kind == _COLON or (aromatic and kind == _AROMATIC)):
                        system.setdefault(count, []).append(atom)
                        system.setdefault(atom, []).append(count)
                        slots[count] = len(symbols)
                    aromatic = info.aromatic
                else:
                    aromatic = False
                symbols.append(symbol)
                atoms.append(info)
                parent = atom
                atom = count
                count += 1
            elif kind == _RING:
                if atom < 0:
                    raise Refused("a ring label stands before any atom; correct the SMILES")
                labels += 1
                start = opened.pop(symbol, None)
                if start is None:
                    rank = -1
                    if atom in chiral:
                        rank = len(chiral[atom][1])
                        chiral[atom][1].append(0)
                    place = len(symbols)
                    if labels in ahead:
                        symbols += ahead[labels]
                    opened[symbol] = atom, parent, aromatic, left, labels, rank, place
                    continue
                first, first_parent, first_aromatic, first_bond, label, rank, place = start
                if first < atom:
                    low, high, bonded = first, atom, parent == first
                else:
                    low, high, bonded = atom, first, first_parent == atom
                if bonded or low == high or (low, high) in rings:
                    raise Refused(f"ring {symbol} bonds atoms that are bonded; correct the SMILES")
                if not order and not first_bond:
                    order, delocalised, bond = 1, aromatic and first_aromatic, ""
                else:
                    ends = (first_bond, left) if low == first else (left, first_bond)
                    order, delocalised, bond = _ring_bond(symbol, *ends)
                if delocalised:
                    system.setdefault(first, []).append(atom)
                    system.setdefault(atom, []).append(first)
                free[low] -= order
                free[high] -= order
                if chiral:
                    if first in chiral:
                        chiral[first][1][rank] = atom if first < atom else 0
                    if atom in chiral:
                        chiral[atom][1].append(first if atom < first else 0)
                if low == first:
                    place = len(symbols)
                    symbols += _ring_symbols(bond, high - low - 1)
                elif label not in ahead:
                    ahead[label] = _ring_symbols(bond, high - low - 1)
                    place = -1
                rings[low, high] = place
            elif kind == _CLOSE:
                if not stack:
                    raise Refused("a ')' closes nothing; correct the SMILES")
                atom, parent, aromatic, pending, pending_grown = stack.pop()
            else:
                _check_complete(count, stack, opened)
                atom = parent = -1
                aromatic = False
        if pending >= 0:
            branches.append((pending, -1))
        _check_complete(count, stack, opened)
        if -1 in rings.values():
            return None
        if system:
            _kekulise(system, symbols, atoms, free, slots, rings)
        if min(free) < 0:
            raise Refused(_overbonded(atoms, free))
        for place, ranks in chiral.values():
            if _is_odd(ranks):
                symbols[place] = _mirrored(symbols[place])
        if branches:
            _write_branches(symbols, branches)
        return symbols


def _check_complete(count: int, stack: list[Any], opened: dict[str, Any]) -> None:
    """Refuse a fragment that ends with something open, and a text that begins without an atom."""
    if not count:
        raise Refused("it has no atoms; remove it")
    if stack:
        raise Refused("a '(' is never closed; correct the SMILES")
    if opened:
        raise Refused(f"ring {next(iter(opened))} is never closed; correct the SMILES")


def _ring_bond(label: str, low: str, high: str) -> tuple[int, bool, str]:
    """Order, whether delocalised, and SELFIES text of a ring bond written at the two atoms."""
    if low and high and low != high and not (low in "/\\" and high in "/\\"):
        raise Refused(f"ring {label} is closed by two different bonds; correct the SMILES")
    if ":" in (low, high):
        return 1, True, ""
    for order in (2, 3):
        if BOND_TEXT[order] in (low, high):
            return order, False, BOND_TEXT[order]
    sides = "".join(side if side in ("/", "\\") else "-" for side in (low, high))
    return 1, False, "" if sides == "--" else sides


def _ring_symbols(bond: str, index: int) -> list[str]:
    digits = _SHORT[index] if index < BASE * BASE else _long_index(index)
    return [f"[{bond}Ring{len(digits)}]", *digits]


def _long_index(index: int) -> tuple[str, ...]:
    if index > MAX_INDEX:
        raise Refused(f"a ring or branch spans more than {MAX_INDEX + 1} symbols; remove it")
    return index_symbols(index)


def _kekulise(
    system: dict[int, list[int]],
    symbols: list[Any],
    atoms: list[Atom],
    free: list[int],
    slots: dict[int, int],
    rings: dict[tuple[int, int], int],
) -> None:
    """Place the double bonds of the aromatic ``system`` in ``symbols`` and ``free``."""
    nodes = []
    for node, neighbours in system.items():
        rests = atoms[node].rests
        key = free[node], len(neighbours)
        if key not in rests:
            rests[key] = atoms[node].takes_no_double_bond(*key)
        if not rests[key]:
            nodes.append(node)
    nodes.sort()
    number = {node: i for i, node in enumerate(nodes)}
    graph = [[number[near] for near in system[node] if near in number] for node in nodes]
    mates = perfect_matching(graph)
    if mates is None:
        raise Refused("its aromatic rings have no Kekulé form; correct the SMILES")
    for i, j in enumerate(mates):
        if i < j:
            low, high = nodes[i], nodes[j]
            free[low] -= 1
            free[high] -= 1
            place = rings.get((low, high))
            if place is not None:
                symbols[place] = "[=" + symbols[place][1:]
                continue
            place = slots[high]
            symbols[place] = f"[={atoms[high].body}]"
            if symbols[place - 1] == -1:
                symbols[place - 1] = -2


def _overbonded(atoms: list[Atom], free: list[int]) -> str:
    faults = sorted(
        {
            f"[{atom.body}] with {atom.capacity - left} bonds where {atom.capacity} are allowed"
            for atom, left in zip(atoms, free, strict=True)
            if left < 0
        }
    )
    return f"the constraints forbid {', '.join(faults)}; choose others or remove the molecule"


def _is_odd(ranks: list[int]) -> bool:
    """Whether sorting ``ranks`` is an odd permutation.

    SELFIES gives an atom's bonds back in the order: rings to earlier atoms, rings to later atoms,
    chain; a chirality counted along the bonds as written turns over if that order is odd to it.
    """
    inversions = 0
    for i, rank in enumerate(ranks):
        for later in ranks[i + 1 :]:
            inversions += rank > later
    return inversions % 2 == 1


def _mirrored(symbol: str) -> str:
    return symbol.replace("@@", "@") if "@@" in symbol else symbol.replace("@", "@@")


def _write_branches(symbols: list[Any], branches: list[tuple[int, int]]) -> None:
    """Put each branch's symbol and index in its place, from the back so that places hold."""
    branches.sort(reverse=True)
    for place, index in branches:
        if index < 0:
            del symbols[place]
            continue
        digits = _SHORT[index] if index < BASE * BASE else _long_index(index)
        bond = BOND_TEXT[-symbols[place]]
        symbols[place : place + 1] = [f"[{bond}Branch{len(digits)}]", *digits]
