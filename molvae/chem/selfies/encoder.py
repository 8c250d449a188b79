"""SMILES to SELFIES symbols, in one pass over the text.

Symbols stand in the order of the atoms in the SMILES, so they are written while it is read. What is
known only at the end, the draft mends: double bonds of aromatic systems, handedness of
stereocentres with rings, and lengths of branches, whose places are kept by negative numbers.
"""

from __future__ import annotations

from typing import Any

from molvae.chem.selfies.atoms import CLOSES, OPENS, TOKENS, Kind, Refused, Token, read_token
from molvae.chem.selfies.constraints import Constraints
from molvae.chem.selfies.draft import CHAIN, Draft, Opening
from molvae.chem.selfies.errors import CodecError
from molvae.chem.selfies.symbols import BASE, DOT

# Plain numbers: an enumeration's comparison costs as much as the rest of an atom.
_PLAIN, _AROMATIC, _CHIRAL, _BONDED, _COLON, _RING, _CLOSE, _DOT = map(int, Kind)


class _Memory(dict[str, Token]):
    """Meanings of tokens, read when first met; bounded, for texts may hold any isotope."""

    def __init__(self, constraints: Constraints, size: int = 50_000) -> None:
        super().__init__()
        self._constraints = constraints
        self._size = size

    def __missing__(self, text: str) -> Token:
        token = read_token(text, self._constraints)
        if len(self) < self._size:
            self[text] = token
        return token


class Encoder:
    """Encodes SMILES into the symbols that ``selfies.encoder`` gives under the same constraints.

    What a token means is remembered, no molecule is. Threads may share an encoder.
    """

    def __init__(self, constraints: Constraints) -> None:
        self.constraints = constraints
        self._meaning = _Memory(constraints).__getitem__

    def encode(self, smiles: str) -> list[str]:
        """The symbols of ``smiles``.

        Raises :class:`CodecError` with the reason where the text is malformed, an aromatic system
        has no Kekulé form, or an atom has more bonds than the constraints allow.

        >>> Encoder(Constraints.preset("default")).encode("CC(=O)N")
        ['[C]', '[C]', '[=Branch1]', '[C]', '[=O]', '[N]']
        """
        try:
            draft, branches = self._read(smiles, {})
            if draft.ahead:
                # SELFIES names a ring at its later atom. A label that opens there and closes at
                # the earlier one, as in C(CC1)1, is due before it is known: read again, knowing.
                draft, branches = self._read(smiles, draft.ahead)
            if draft.system:
                draft.kekulise()
            draft.check_valences()
            if draft.chiral:
                draft.mirror_stereocentres()
            if branches:
                draft.write_branches(branches)
        except Refused as refusal:
            raise CodecError.about("SMILES", smiles, refusal.reason, refusal.advice) from None
        return draft.symbols

    def _read(
        self, smiles: str, ahead: dict[int, list[str]]
    ) -> tuple[Draft, list[tuple[int, int]]]:
        """The draft, and (place, index) of its branches."""
        draft = Draft(ahead)
        symbols, atoms, free, chiral = draft.symbols, draft.atoms, draft.free, draft.chiral
        system, places = draft.system, draft.aromatic_places
        opened: dict[str, Opening] = {}
        branches: list[tuple[int, int]] = []
        stack: list[tuple[int, int, bool, int, int]] = []
        atom = parent = -1  # the atom that the next one is bonded to, and the one before it
        aromatic = False
        ranks: list[int] | None = None  # of the bonds of `atom`, if it is a stereocentre
        grown = 0  # symbols that the indices of branches will add to the draft
        count = labels = 0
        tokens = TOKENS.findall(smiles)
        for kind, brackets, symbol, order, left, info in map(self._meaning, tokens):
            if brackets:
                if brackets & CLOSES:
                    if not stack:
                        raise Refused("bracket that closes nothing")
                    atom, parent, aromatic, place, grown_before = stack.pop()
                    index = len(symbols) - place - 2 + grown - grown_before
                    branches.append((place, index))
                    grown += 1 if index < BASE else 2 if index < BASE**2 else 3
                    ranks = chiral[atom][1] if atom in chiral else None
                if brackets & OPENS:
                    if atom < 0:
                        raise Refused("branch before any atom")
                    stack.append((atom, parent, aromatic, len(symbols), grown))
                    symbols.append(-order)
            if kind < _RING:
                if atom >= 0:
                    free[atom] -= order
                    free.append(left)
                    if ranks is not None:
                        ranks.append(CHAIN)
                        ranks = None
                else:
                    if count:
                        symbols.append(DOT)
                    symbol = info.root
                    free.append(info.capacity)
                if kind == _AROMATIC:
                    if aromatic:
                        system[count] = [atom]
                        system[atom].append(count)
                        places[count] = len(symbols)
                    else:
                        system[count] = []
                        aromatic = True
                elif kind == _PLAIN:
                    aromatic = False
                else:
                    if info.chiral:
                        ranks = []
                        chiral[count] = len(symbols), ranks
                    if info.aromatic:
                        system[count] = []
                        delocalised = kind == _COLON or (aromatic and kind == _CHIRAL)
                    else:
                        delocalised = kind == _COLON
                    if delocalised and atom >= 0:
                        draft.bond_aromatic(atom, count)
                        places[count] = len(symbols)
                    aromatic = info.aromatic
                symbols.append(symbol)
                atoms.append(info)
                parent = atom
                atom = count
                count += 1
            elif kind == _RING:
                if atom < 0:
                    raise Refused("ring label before any atom")
                labels += 1
                if symbol in opened:
                    draft.close_ring(opened.pop(symbol), atom, parent, aromatic, left)
                else:
                    opened[symbol] = draft.open_ring(atom, parent, aromatic, left, labels)
            elif kind == _CLOSE:  # nothing follows on this atom: what stood in brackets is chain
                if not stack:
                    raise Refused("bracket that closes nothing")
                atom, parent, aromatic, place, _ = stack.pop()
                branches.append((place, -1))
                grown -= 1
            else:
                _check_complete(count, stack, opened)
                atom = parent = -1
                aromatic = False
                ranks = None
        _check_complete(count, stack, opened)
        return draft, branches


def _check_complete(count: int, stack: list[Any], opened: dict[str, Opening]) -> None:
    """Refuse a fragment that ends with something open, and a text that begins without an atom."""
    if not count:
        raise Refused("no atoms")
    if stack:
        raise Refused("bracket never closed")
    if opened:
        raise Refused(f"ring never closed ({next(iter(opened))})")
