"""Conditions as people give them, by name and in their own units, to what a model is told."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

import numpy as np

from molvae.base.errors import ConfigError, InputError, ModelError
from molvae.models.conditions import Conditioner
from molvae.models.config import ConditionProperty

Value = float | str | None
"""A number, or a level of a category by name or label value; None and NaN: unknown."""

Conditions = Mapping[str, Value | Sequence[Value] | np.ndarray]
"""One value for all molecules, or one for each, by the property's name in any case."""

NONE = (
    "this model takes no conditions; train one that does with: molvae train --preset conditional "
    "--condition NAME ..."
)


def condition_table(
    conditioner: Conditioner | None,
    conditions: Conditions | None,
    rows: int,
    guidance: float = 1.0,
) -> np.ndarray | None:
    """What the model is told of ``rows`` molecules, ``(rows, k)`` float32 with NaN where unknown;
    None for no conditions at all.

    Raises :class:`ModelError` for a model that takes none, :class:`ConfigError` for a name or level
    that it does not know, a number that is not one and a ``guidance`` towards nothing,
    :class:`InputError` for a wrong number of values.
    """
    if not conditions and guidance != 1:
        raise ConfigError(f"guidance is {guidance:g}, but no conditions are given to guide to")
    if not conditions:
        return None
    if conditioner is None:
        raise ModelError(NONE)
    entries = conditioner.config.properties
    table = np.full((rows, len(entries)), np.nan, np.float32)
    asked: dict[int, str] = {}
    for name, given in conditions.items():
        column = _column(name, entries)
        first = asked.setdefault(column, name)
        if first != name:
            raise ConfigError(
                f"the condition {entries[column].name} is given twice, as {first!r} and as "
                f"{name!r}; give it once"
            )
        if given is None or isinstance(given, str | int | float | np.number):
            table[:, column] = _label(entries[column], given)
            continue
        if len(given) != rows:
            raise InputError(
                f"the condition {name!r} has {len(given)} values for {rows} molecules; give one "
                "for each, or one for all"
            )
        table[:, column] = [_label(entries[column], value) for value in given]
    return table


def outside(conditioner: Conditioner | None, conditions: Conditions | None) -> list[str]:
    """A sentence for each number that is asked for outside the range of the training data."""
    table = condition_table(conditioner, conditions, 1) if _single(conditions) else None
    if table is None or conditioner is None:
        return []
    return [
        f"{name} = {value:g} is outside the training data, which have {low:.4g} to {high:.4g}"
        for name, value, low, high, entry in zip(
            conditioner.names,
            table[0].tolist(),
            conditioner.low.tolist(),
            conditioner.high.tolist(),
            conditioner.config.properties,
            strict=True,
        )
        if entry.kind == "number" and (value < low or value > high)
    ]


def described(conditioner: Conditioner) -> list[str]:
    """Each condition with its range or levels, for people.

    >>> import torch
    >>> from molvae.models.config import ConditionConfig
    >>> levels = {"amide": 0, "urea": 1}
    >>> property = {"name": "series", "kind": "category", "levels": levels}
    >>> config = ConditionConfig.parse({"properties": [property]})
    >>> described(Conditioner(config, torch.Generator()))
    ['series (amide, urea)']
    """
    ranges = zip(conditioner.low.tolist(), conditioner.high.tolist(), strict=True)
    return [
        f"{entry.name} ({', '.join(entry.levels)})"
        if entry.kind == "category"
        else f"{entry.name} ({low:.4g} to {high:.4g})"
        for entry, (low, high) in zip(conditioner.config.properties, ranges, strict=True)
    ]


def read_condition(text: str) -> tuple[str, Value]:
    """``NAME=VALUE`` as name and value; raises :class:`ConfigError` for anything else.

    >>> read_condition("logP=2.5"), read_condition("series=urea")
    (('logP', 2.5), ('series', 'urea'))
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and value):
        raise ConfigError(f"cannot read the condition {text!r}: write NAME=VALUE, as in logP=2.5")
    try:
        return name, float(value)
    except ValueError:
        return name, value


def _single(conditions: Conditions | None) -> bool:
    """Whether all molecules are asked for the same."""
    values = (conditions or {}).values()
    return all(value is None or isinstance(value, str | int | float) for value in values)


def _column(name: str, entries: Sequence[ConditionProperty]) -> int:
    names = [entry.name for entry in entries]
    folded = [own.casefold() for own in names]
    if name.casefold() in folded:
        return folded.index(name.casefold())
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    hint = f"did you mean {names[folded.index(near[0])]!r}? " if near else ""
    raise ConfigError(f"this model has no condition {name!r}; {hint}it takes {', '.join(names)}")


def _label(entry: ConditionProperty, value: Value) -> float:
    """The label value of one condition, NaN for unknown."""
    if value is None or value != value:
        return np.nan
    if entry.kind == "category":
        return _level(entry, value)
    try:
        number = float(value)
    except ValueError:
        number = np.inf
    if not np.isfinite(number):
        raise ConfigError(f"the condition {entry.name} is {value!r}; it takes a number")
    return number


def _level(entry: ConditionProperty, value: float | str) -> float:
    text = value.casefold() if isinstance(value, str) else f"{value:g}"
    for name, label in entry.levels.items():
        if name.casefold() == text:
            return label
    if not isinstance(value, str) and value in entry.levels.values():
        return float(value)
    shown = repr(value) if isinstance(value, str) else text
    raise ConfigError(
        f"the condition {entry.name} has no level {shown}; it takes {', '.join(entry.levels)}"
    )
