"""Constraints: bounds on a property or on something measured, read from text such as "SA < 4"."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import model_validator

from molvae.base.errors import ConfigError
from molvae.base.records import Record
from molvae.chem.properties import PROPERTIES

ALERTS = "alerts"
"""The number of medicinal-chemistry alerts (the catalogues pains, brenk and nih), as a property."""
COMPUTED = (*PROPERTIES, ALERTS)
"""What can be computed of any molecule, for nothing."""

_NUMBER = r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
_SIGN = r"(<=|>=|==|≤|≥|<|>|=)"
_NAME = r"([^<>=≤≥]+?)"
_BETWEEN = re.compile(rf"{_NUMBER}\s*{_SIGN}\s*{_NAME}\s*{_SIGN}\s*{_NUMBER}")
_RANGE = re.compile(rf"{_NAME}\s+in\s+{_NUMBER}\s+to\s+{_NUMBER}", re.IGNORECASE)
_RIGHT = re.compile(rf"{_NAME}\s*{_SIGN}\s*{_NUMBER}")
_LEFT = re.compile(rf"{_NUMBER}\s*{_SIGN}\s*{_NAME}")
_NONE = re.compile(rf"no\s+{_NAME}", re.IGNORECASE)
_PLAIN = {"≤": "<=", "≥": ">=", "==": "="}
_TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "="}


class Constraint(Record):
    """``lower <= name <= upper``, in the unit of what is bounded; without equality where ``above``
    (the lower bound) or ``below`` (the upper one) says so.

    A ``computed`` name is a property of :mod:`molvae.chem.properties` or ``alerts``; a ``measured``
    one is an assay that the user tells.

    >>> Constraint(name="logp", kind="computed", lower=1.0, upper=3.0).shortfall(4.0)
    0.5
    """

    name: str
    kind: Literal["measured", "computed"]
    lower: float | None = None
    upper: float | None = None
    above: bool = False
    below: bool = False

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.lower is None and self.upper is None:
            raise ValueError(f"{self.name}: give a lower bound, an upper bound, or both")
        if self.kind == "computed" and self.name not in COMPUTED:
            raise ValueError(unknown(self.name))
        low, high = self.bounds
        if low > high or (low == high and (self.above or self.below)):
            raise ValueError(f"no value meets {self}: its lower bound is not below its upper one")
        if low == high and self.kind == "measured":
            raise ValueError(f"{self}: no measurement is just that; give a range of values")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """The lower and the upper bound, infinite where there is none."""
        low = -math.inf if self.lower is None else self.lower
        return low, math.inf if self.upper is None else self.upper

    def met(self, value: float) -> bool:
        """Whether ``value`` is within the bounds; NaN is not."""
        low, high = self.bounds
        over = value > low if self.above else value >= low
        return bool(over and (value < high if self.below else value <= high))

    def shortfall(self, value: float) -> float:
        """By how much ``value`` misses the bounds: 0 where it is within, infinite for NaN.

        In widths of the range where there are two bounds, else in sizes of the bound (1 at least),
        so that misses of unlike quantities can be added up.
        """
        if self.met(value):
            return 0.0
        if math.isnan(value):
            return math.inf
        low, high = self.bounds
        two = math.isfinite(high - low) and high > low
        scale = high - low if two else max(1.0, abs(low if math.isfinite(low) else high))
        # A value on a bound that does not belong to the range misses it by next to nothing.
        return max(low - value, value - high, 1e-9) / scale

    def __str__(self) -> str:
        if self.lower is not None and self.lower == self.upper:
            return f"{self.name} = {self.lower:g}"
        left, right = "<" if self.above else "<=", "<" if self.below else "<="
        if self.upper is None:
            return f"{self.name} {_TURNED[left]} {self.lower:g}"
        if self.lower is None:
            return f"{self.name} {right} {self.upper:g}"
        return f"{self.lower:g} {left} {self.name} {right} {self.upper:g}"


def read_constraints(
    text: str, assays: Sequence[str] = (), *, measured: bool = False
) -> list[Constraint]:
    """The constraints that ``text`` says, joined by "and".

    A name is one of ``assays``, which is then measured, or a property, both without regard to
    case; with ``measured`` it names an assay, known or not.

    Raises :class:`ConfigError`: text that is none, a name that nobody knows (with the nearest), or
    bounds between which there is nothing.

    >>> [str(c) for c in read_constraints("SA < 4 and no alerts and logP in 1 to 3")]
    ['sa < 4', 'alerts = 0', '1 <= logp <= 3']
    >>> read_constraints("pIC50 >= 6", ["pIC50"])[0].kind
    'measured'
    >>> read_constraints("log_p < 3")
    Traceback (most recent call last):
    ...
    molvae.base.errors.ConfigError: constraint 'log_p < 3': unknown property 'log_p'; did you mean \
'logp'?
    """
    return [_read(part, assays, measured) for part in re.split(r"\s+and\s+", text.strip())]


def _read(text: str, assays: Sequence[str], measured: bool) -> Constraint:
    where = f"constraint {text!r}"
    name, bounds = _bounds(text.strip(), where)
    folded = {assay.casefold(): assay for assay in assays}
    if name.casefold() in folded:
        name, kind = folded[name.casefold()], "measured"
    elif measured:
        kind = "measured"
    else:
        name, kind = name if name.casefold() not in COMPUTED else name.casefold(), "computed"
        if name not in COMPUTED:
            raise ConfigError(f"{where}: {unknown(name, assays)}")
    return Constraint.parse({"name": name, "kind": kind, **bounds}, where)


def _bounds(text: str, where: str) -> tuple[str, dict[str, float | bool]]:
    """The name in ``text`` and what is said of it."""
    if found := _BETWEEN.fullmatch(text):
        low, first, name, second, high = found.groups()
        signs = [_PLAIN.get(sign, sign) for sign in (first, second)]
        if signs[0][0] != signs[1][0] or "=" in signs:
            raise ConfigError(f"{where}: both signs point the same way, as in 1 <= logp <= 3")
        return name, _side(_TURNED[signs[0]], low) | _side(signs[1], high)
    if found := _RANGE.fullmatch(text):
        name, low, high = found.groups()
        return name, _side(">=", low) | _side("<=", high)
    if found := _RIGHT.fullmatch(text):
        name, sign, bound = found.groups()
        return name, _side(_PLAIN.get(sign, sign), bound)
    if found := _LEFT.fullmatch(text):
        bound, sign, name = found.groups()
        return name, _side(_TURNED[_PLAIN.get(sign, sign)], bound)
    if found := _NONE.fullmatch(text):
        return found[1], _side("=", "0")
    raise ConfigError(
        f"{where}: it is no constraint; write it like 'sa < 4', '1 <= logp <= 3' or 'no alerts'"
    )


def _side(sign: str, bound: str) -> dict[str, float | bool]:
    value = float(bound)
    if sign == "=":
        return {"lower": value, "upper": value}
    if sign[0] == "<":
        return {"upper": value, "below": sign == "<"}
    return {"lower": value, "above": sign == ">"}


def unknown(name: str, assays: Sequence[str] = ()) -> str:
    """That nobody knows ``name``, with the names that come nearest to it."""
    names = [*assays, *COMPUTED]
    folded = {known.casefold(): known for known in reversed(names)}
    near = difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.5)
    hint = (
        f"did you mean {' or '.join(repr(folded[key]) for key in near)}?"
        if near
        else f"there are {', '.join(names)}; say of an assay that it is measured"
    )
    return f"unknown property {name!r}; {hint}"
