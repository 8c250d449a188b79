"""SMILES tokens: how a text is cut into them, and what each means for the encoder."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Any

from molvae.chem.selfies.constraints import ELEMENTS, Constraints
from molvae.chem.selfies.errors import shortened
from molvae.chem.selfies.symbols import atom_text

_ATOM = r"\[[^\]]*\]|Cl?|Br?|[NOPSFIbcnops]"
_BOND = r"[-/\\:=#]?"
_LABEL = "[0-9]|%[0-9][0-9]"
TOKENS = re.compile(
    r"[cnosNOSFIPbp0-9]|Cl?|"  # most tokens, tried first
    rf"\)?\(?{_BOND}(?:{_ATOM})|\)?{_BOND}(?:{_LABEL})|.",
    re.DOTALL,
)
"""One match per token: an atom or ring label with its bond and with a bracket before it that opens
its branch or closes the last one (a ``)`` by itself thus ends a chain); ``.``; and any other single
character, which is an error."""

OPENS, CLOSES = 1, 2

_ATOM_TOKEN = re.compile(rf"(?P<closes>\)?)(?P<opens>\(?)(?P<bond>{_BOND})(?P<atom>{_ATOM})")
_RING_TOKEN = re.compile(rf"(?P<closes>\)?)(?P<bond>{_BOND})(?P<label>{_LABEL})")
_BRACKET = re.compile(
    r"\[(?P<isotope>[0-9]{0,9})(?P<element>[A-Za-z][a-z]?)(?P<chirality>@{0,2})"
    r"(?P<hydrogens>(?:H[0-9]?)?)(?P<charge>(?:\+{1,9}|-{1,9}|[+-][0-9]{1,9})?)(?::[0-9]{1,9})?\]"
)
_ORDER = {"=": 2, "#": 3}

# Neutral valences that an aromatic atom may have, and its outer electrons.
_VALENCES = {
    **dict.fromkeys(("B", "Al"), (3,)),
    **dict.fromkeys(("C", "Si"), (4,)),
    **dict.fromkeys(("N", "P", "As"), (3, 5)),
    **dict.fromkeys(("O", "S", "Se", "Te"), (2, 4)),
}
_ELECTRONS = {
    **dict.fromkeys(("B", "Al"), 3),
    **dict.fromkeys(("C", "Si"), 4),
    **dict.fromkeys(("N", "P", "As"), 5),
    **dict.fromkeys(("O", "S", "Se", "Te"), 6),
}
_AROMATIC = frozenset(element.lower() for element in _VALENCES)


class Kind(IntEnum):
    """What a token asks the encoder to do; every kind below RING is an atom."""

    PLAIN = 0
    AROMATIC = 1  # lower case, no bond written, not chiral
    CHIRAL = 2  # with @ or @@, upper case or no bond written
    BONDED = 3  # lower case after a written bond
    COLON = 4  # any atom after ":"
    RING = 5
    CLOSE = 6
    DOT = 7


_PUNCTUATION = {")": Kind.CLOSE, ".": Kind.DOT}


class Refused(Exception):
    """Why a molecule cannot be encoded; the encoder adds the molecule and raises a CodecError.

    ``reason`` reads "cause" or "cause (detail)", so that causes can be counted.
    """

    def __init__(self, reason: str, advice: str = "correct or remove it") -> None:
        super().__init__(reason)
        self.reason = reason
        self.advice = advice


class Atom:
    """What an atom's token says of it beyond the bond; shared by all molecules that hold it."""

    def __init__(self, text: str, constraints: Constraints) -> None:
        self.hydrogens: int | None = None
        self.charge = 0
        self.chiral = False
        if text[0] != "[":
            self.element = self.body = text.capitalize()
            self.aromatic = text.islower()
        else:
            match = _BRACKET.fullmatch(text)
            if match is None or match["element"].capitalize() not in ELEMENTS:
                raise Refused(f"not an atom of SELFIES ({shortened(text)})")
            self.element = match["element"].capitalize()
            self.aromatic = match["element"] in _AROMATIC
            self.chiral = bool(match["chirality"])
            self.hydrogens = int(match["hydrogens"][1:] or 1) if match["hydrogens"] else 0
            self.charge = _charge(match["charge"])
            element_text = self.element + match["chirality"]
            self.body = atom_text(match["isotope"], element_text, self.hydrogens, self.charge)
        self.capacity = constraints.capacity(self.element, self.charge) - (self.hydrogens or 0)
        self.root = f"[{self.body}]"
        self.double = f"[={self.body}]"
        self.rests = _Rests(self)

    def takes_no_double_bond(self, left: int, aromatic_bonds: int) -> bool:
        """Whether the atom has no place for a double bond in its aromatic system.

        ``left`` is the valence left when every aromatic bond is single. After R. Apodaca, "A
        comprehensive treatment of aromaticity in the SMILES language" (2020), with what
        selfies 2.2.0 adds to it for charges and radicals.
        """
        if not aromatic_bonds:
            return True
        valences = _VALENCES.get(self.element)
        if valences is None:
            raise Refused(f"aromatic bond at an atom that has none ({self.element})")
        used = self.capacity - left
        if self.hydrogens is None:
            return used in valences
        bound = used + (aromatic_bonds + 1) // 2 + self.hydrogens + max(0, self.charge)
        unpaired = max(0, _ELECTRONS[self.element] - bound) % 2
        used += self.hydrogens + self.charge
        spare = valences[-1] - used - unpaired
        return used in valences or spare < 0 or spare % 2 == 0


class _Rests(dict[tuple[int, int], bool]):
    """Remembered answers of ``takes_no_double_bond``, by its arguments."""

    def __init__(self, atom: Atom) -> None:
        super().__init__()
        self._atom = atom

    def __missing__(self, key: tuple[int, int]) -> bool:
        answer = self[key] = self._atom.takes_no_double_bond(*key)
        return answer


def _charge(text: str) -> int:
    if not text:
        return 0
    size = int(text[1:]) if text[1:].isdigit() else len(text)
    return size if text[0] == "+" else -size


Token = tuple[int, int, str, int, Any, Any]
"""An atom: kind, brackets before it, its symbol, the order of its bond, the valence left after it,
its :class:`Atom`. A ring label: kind, brackets, label, 0, the bond's character, None. Else the kind
alone counts."""


def read_token(text: str, constraints: Constraints) -> Token:
    """The meaning of one match of ``TOKENS``, or :class:`Refused`."""
    if match := _ATOM_TOKEN.fullmatch(text):
        atom, bond = Atom(match["atom"], constraints), match["bond"]
        brackets = CLOSES * bool(match["closes"]) | OPENS * bool(match["opens"])
        order = _ORDER.get(bond, 1)
        symbol = f"[{'' if bond in ('-', ':') else bond}{atom.body}]"
        if bond == ":":
            kind = Kind.COLON
        elif bond and atom.aromatic:
            kind = Kind.BONDED
        elif atom.chiral:
            kind = Kind.CHIRAL
        else:
            kind = Kind.AROMATIC if atom.aromatic else Kind.PLAIN
        return int(kind), brackets, symbol, order, atom.capacity - order, atom
    if match := _RING_TOKEN.fullmatch(text):
        brackets = CLOSES * bool(match["closes"])
        return int(Kind.RING), brackets, match["label"], 0, match["bond"], None
    if text in _PUNCTUATION:
        return int(_PUNCTUATION[text]), 0, "", 0, None, None
    raise Refused(f"unexpected text ({text!r})")
