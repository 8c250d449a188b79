"""The symbols of SELFIES: their grammar, their meaning, and the digits they stand for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

from molvae.chem.selfies.constraints import ELEMENTS, OTHERS, Constraints
from molvae.chem.selfies.errors import CodecError, shortened

ORGANIC = frozenset(("B", "C", "N", "O", "S", "P", "F", "Cl", "Br", "I"))
"""Elements that SMILES writes without brackets."""

DIGITS = (
    *("[C]", "[Ring1]", "[Ring2]", "[Branch1]", "[=Branch1]", "[#Branch1]"),
    *("[Branch2]", "[=Branch2]", "[#Branch2]"),
    *("[O]", "[N]", "[=N]", "[=C]", "[#C]", "[S]", "[P]"),
)
"""The symbol of each hexadecimal digit; a symbol that is not here counts as 0."""

DIGIT_OF = {symbol: value for value, symbol in enumerate(DIGITS)}
BASE = len(DIGITS)
MAX_INDEX = BASE**3 - 1
"""Rings and branches carry at most three digits."""

BOND_TEXT = ("", "", "=", "#")
"""How SMILES and SELFIES write a bond, by its order."""

DOT, NOP = ".", "[nop]"

_ATOM = re.compile(
    r"\[(?P<bond>[=#/\\]?)(?P<body>(?P<isotope>[0-9]{0,9})(?P<element>[A-Z][a-z]?)"
    r"(?P<chirality>@{0,2})(?:H(?P<hydrogens>[0-9]))?(?P<charge>(?:[+-][1-9]{1,9})?))\]"
)
_BRANCH = re.compile(r"\[(?P<bond>[=#]?)Branch(?P<digits>[123])\]")
_RING = re.compile(
    r"\[(?:(?P<bond>[=#]?)|(?P<left>[-/\\])(?P<right>[-/\\]))Ring(?P<digits>[123])\]"
)
_ORDER = {"": 1, "=": 2, "#": 3}
_SPLIT = re.compile(r"\[[^\[\]]*\]|\.")


class Kind(IntEnum):
    """What a symbol asks the decoder to do."""

    ATOM = 0
    BRANCH = 1
    RING = 2
    END = 3
    DOT = 4
    NOP = 5


@dataclass(frozen=True)
class Symbol:
    """A symbol's meaning under some constraints.

    ``order`` is the bond it asks for. Of an atom, ``text`` is its SMILES without the bond,
    ``stereo`` the direction of a single bond ("", "/" or "\\"), and ``capacity`` the bonds it may
    have beside its own hydrogens. Of rings and branches, ``digits`` is the number of index symbols
    that follow; of rings, ``stereo`` holds the direction at either end.
    """

    kind: Kind
    order: int = 0
    text: str = ""
    stereo: tuple[str, str] = ("", "")
    capacity: int = 0
    digits: int = 0


@dataclass(frozen=True)
class AtomParts:
    """What an atom's symbol says of the atom; ``bare`` where SMILES needs no brackets for it.

    ``direction`` is that of a single bond before it ("", "/" or "\\"), ``chirality`` "", "@" or
    "@@". A bare atom takes whatever hydrogens its bonds leave, so its ``hydrogens`` mean nothing.
    """

    element: str
    charge: int
    hydrogens: int
    isotope: int
    chirality: str
    order: int
    direction: str
    bare: bool


def atom_of_symbol(symbol: str) -> AtomParts | None:
    """The parts of an atom's symbol, None for any other text.

    >>> atom_of_symbol("[=N+1]").order, atom_of_symbol("[Ring1]")
    (2, None)
    """
    match = _ATOM.fullmatch(symbol)
    if match is None or match["element"] not in ELEMENTS:
        return None
    bond = match["bond"]
    return AtomParts(
        element=match["element"],
        charge=int(match["charge"] or 0),
        hydrogens=int(match["hydrogens"] or 0),
        isotope=int(match["isotope"] or 0),
        chirality=match["chirality"],
        order=_ORDER.get(bond, 1),
        direction=bond if bond in ("/", "\\") else "",
        bare=match["body"] in ORGANIC,
    )


def read_symbol(symbol: str, constraints: Constraints) -> Symbol:
    """The meaning of ``symbol``, or :class:`CodecError` where it has none.

    >>> read_symbol("[=C]", Constraints.preset("default")).capacity
    4
    """
    if symbol == DOT:
        return Symbol(Kind.DOT)
    if symbol == NOP:
        return Symbol(Kind.NOP)
    if match := _BRANCH.fullmatch(symbol):
        return Symbol(Kind.BRANCH, _ORDER[match["bond"]], digits=int(match["digits"]))
    if (match := _RING.fullmatch(symbol)) and (match["left"], match["right"]) != ("-", "-"):
        stereo = tuple((match[side] or "").strip("-") for side in ("left", "right"))
        order = _ORDER[match["bond"] or ""]
        return Symbol(Kind.RING, order, stereo=stereo, digits=int(match["digits"]))  # type: ignore[arg-type]
    if "eps" in symbol and symbol[-4:-2] not in ("ch", "ng"):  # as loose as selfies is
        return Symbol(Kind.END)
    if (match := _ATOM.fullmatch(symbol)) and match["element"] in ELEMENTS:
        return _read_atom(symbol, match, constraints)
    raise CodecError(f"{shortened(symbol)} is not a SELFIES symbol; correct or remove it")


def _read_atom(symbol: str, match: re.Match[str], constraints: Constraints) -> Symbol:
    hydrogens, charge = int(match["hydrogens"] or 0), int(match["charge"] or 0)
    capacity = constraints.capacity(match["element"], charge) - hydrogens
    if capacity < 0:
        raise CodecError(
            f"{symbol!r} has more hydrogens than the constraints allow {match['element']} bonds; "
            "choose other constraints or remove it"
        )
    bond = match["bond"]
    text = match["body"]
    if text not in ORGANIC:
        element_text = match["element"] + match["chirality"]
        text = f"[{atom_text(match['isotope'], element_text, hydrogens, charge)}]"
    stereo = bond if bond in ("/", "\\") else ""
    return Symbol(Kind.ATOM, _ORDER.get(bond, 1), text, (stereo, stereo), capacity)


def atom_text(isotope: str, element_text: str, hydrogens: int, charge: int) -> str:
    """The inside of a bracket atom, its element and chirality given as one text.

    >>> atom_text("013", "C@@", 1, -1), atom_text("", "C", 0, 0)
    ('13C@@H1-1', 'CH0')
    """
    mass = str(int(isotope)) if isotope else ""
    if hydrogens:
        count = f"H{hydrogens}"
    else:
        count = "H0" if not mass and not charge and element_text in ORGANIC else ""
    return f"{mass}{element_text}{count}{charge:+}" if charge else f"{mass}{element_text}{count}"


def index_symbols(index: int) -> tuple[str, ...]:
    """The symbols that spell ``index``, most significant digit first.

    >>> index_symbols(17)
    ('[Ring1]', '[Ring1]')
    """
    digits = [DIGITS[index % BASE]]
    while index := index // BASE:
        digits.append(DIGITS[index % BASE])
    return tuple(reversed(digits))


def split_selfies(text: str) -> list[str]:
    """The symbols of a SELFIES text, dots between fragments included.

    Raises :class:`CodecError` where the text is not made of symbols only.

    >>> split_selfies("[C][=C].[F]")
    ['[C]', '[=C]', '.', '[F]']
    """
    symbols = _SPLIT.findall(text)
    if sum(map(len, symbols)) != len(text):
        raise CodecError.about("SELFIES", text, "text outside [bracketed] symbols", "correct it")
    return symbols


def robust_alphabet(constraints: Constraints) -> list[str]:
    """The sorted symbols that give a molecule within ``constraints`` in any order and number.

    The same as ``selfies.get_semantic_robust_alphabet()`` under these constraints.
    """
    alphabet = set(DIGITS)
    for atom, capacity in constraints.items:
        if atom != OTHERS:
            alphabet.update(
                f"[{bond}{atom}]" for bond, order in _ORDER.items() if order <= capacity
            )
    for digits in "123":
        alphabet.update(f"[{bond}Ring{digits}]" for bond in ("", "="))
        alphabet.update(f"[{bond}Branch{digits}]" for bond in ("", "=", "#"))
    return sorted(alphabet)
