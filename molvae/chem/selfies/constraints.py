"""Semantic constraints: how many bonds an atom may have, by element and charge."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from molvae.base.errors import ConfigError

_PERIODIC_TABLE = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb
Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf
Db Sg Bh Hs Mt Ds Rg Cn Fl Lv
"""
ELEMENTS = frozenset(_PERIODIC_TABLE.split())

OTHERS = "?"
MOST_BONDS = 99
"""No atom comes near it; tables made from a stranger's file stay small."""

_HALOGENS = dict.fromkeys(("F", "Cl", "Br", "I"), 1)
_DEFAULT = {"H": 1, "C": 4, "N": 3, "O": 2, "B": 3, "P": 5, "S": 6, OTHERS: 8} | _HALOGENS
_DEFAULT |= {"C+1": 3, "N+1": 4, "O+1": 3, "B+1": 2, "P+1": 4, "S+1": 5}
_DEFAULT |= {"C-1": 3, "N-1": 2, "O-1": 1, "B-1": 4, "P-1": 6, "S-1": 5}
_PRESETS = {
    "default": _DEFAULT,
    "octet_rule": _DEFAULT | {"S": 2, "S+1": 3, "S-1": 1, "P": 3, "P+1": 4, "P-1": 2},
    "hypervalent": _DEFAULT | {"Cl": 7, "Br": 7, "I": 7, "N": 5},
}
_KEY = re.compile(r"([A-Z][a-z]?)(?:[+-][1-9][0-9]*)?")


@dataclass(frozen=True, init=False)
class Constraints:
    """The bonds that each atom may have; a key is an element, with its charge if it has one.

    ``capacities`` maps ``"C"``, ``"N+1"``, ``"O-1"`` ... to the largest sum of bond orders,
    explicit hydrogens included; ``"?"`` stands for every atom that is not listed. Two constraints
    with the same capacities are equal and hash alike.

    >>> Constraints.preset("hypervalent").capacity("N")
    5
    >>> Constraints({"C": 4, "?": 2}).capacity("N", charge=1)
    2
    """

    items: tuple[tuple[str, int], ...]

    def __init__(self, capacities: Mapping[str, int]) -> None:
        for key, value in capacities.items():
            match = _KEY.fullmatch(key)
            if key != OTHERS and (match is None or match[1] not in ELEMENTS):
                raise ConfigError(
                    f"constraints: key {key!r} is no element with an optional charge; "
                    "write it like 'C', 'N+1' or 'O-1'"
                )
            if type(value) is not int or not 0 <= value <= MOST_BONDS:
                raise ConfigError(
                    f"constraints: the capacity of {key!r} is {value!r}; "
                    f"give a whole number from 0 to {MOST_BONDS}"
                )
        if OTHERS not in capacities:
            raise ConfigError("constraints: key '?', the capacity of all other atoms, is missing")
        object.__setattr__(self, "items", tuple(sorted(capacities.items())))

    @classmethod
    def preset(cls, name: str) -> Constraints:
        """The constraints called ``default``, ``octet_rule`` or ``hypervalent`` in ``selfies``."""
        if name not in _PRESETS:
            raise ConfigError(f"constraints {name!r}: choose one of {', '.join(_PRESETS)}")
        return cls(_PRESETS[name])

    @classmethod
    def of(cls, value: Constraints | Mapping[str, int] | str) -> Constraints:
        """Constraints from a preset's name or a table of capacities; constraints pass through."""
        if isinstance(value, Constraints):
            return value
        return cls.preset(value) if isinstance(value, str) else cls(value)

    @property
    def capacities(self) -> dict[str, int]:
        """A fresh copy of the table."""
        return dict(self.items)

    def capacity(self, element: str, charge: int = 0) -> int:
        """The largest sum of bond orders for ``element`` with ``charge``."""
        table = dict(self.items)
        return table.get(f"{element}{charge:+}" if charge else element, table[OTHERS])
