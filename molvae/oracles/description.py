"""A whole objective as text: a direction, a mean, and a list of parts. Read from TOML, checked."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from molvae.base.errors import ConfigError
from molvae.base.records import Record, read_toml
from molvae.oracles.means import WEIGHTED, MeanName
from molvae.oracles.modifiers import MODIFIERS
from molvae.oracles.objective import Direction
from molvae.oracles.parts import (
    Alerts,
    Descriptor,
    Isomers,
    Part,
    Rediscovery,
    Similarity,
    Smarts,
)
from molvae.oracles.relative import Head, Novelty, Scaffold


class Composition(Record):
    """Parts, and the ``mean`` that makes one number of their scores; one part needs no mean."""

    mean: MeanName | None = None
    parts: tuple[AnyPart, ...]

    @classmethod
    def parse(cls, values: Mapping[str, Any], where: str = "objective") -> Self:
        """Make the record from plain values, each part checked by its own kind.

        Raises :class:`ConfigError`: it names the part by its number, from 1, and its key.
        """
        listed = values.get("parts")
        if not isinstance(listed, list | tuple) or not listed:
            raise ConfigError(f"{where}: it has no parts; add at least one [[parts]] table")
        for number, part in enumerate(listed, 1):
            _check_part(part, f"{where}: part {number}")
        return super().parse(values, where)

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not self.parts:
            raise ValueError("an objective needs at least one part")
        if self.mean is None and len(self.parts) > 1:
            raise ValueError(
                f"it has {len(self.parts)} parts and no mean; say how they become one number: "
                "arithmetic, geometric, product or minimum"
            )
        if self.mean not in WEIGHTED and any(part.weight != 1 for part in self.parts):
            raise ValueError(
                f"weights have no meaning for a {self.mean or 'single part'}; leave them out, or "
                "take the arithmetic or geometric mean"
            )
        names = [part.name for part in self.parts if part.name is not None]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"two parts have the name {twice!r}; give each its own")
        return self


class Group(Composition, Part):
    """A mean of parts that is itself a part."""

    kind: Literal["group"] = "group"

    def describe(self) -> str:
        """The mean."""
        return f"{self.mean} of {len(self.parts)}" if self.mean else self.kind


AnyPart = Annotated[
    Descriptor
    | Similarity
    | Rediscovery
    | Isomers
    | Smarts
    | Alerts
    | Novelty
    | Scaffold
    | Head
    | Group,
    Field(discriminator="kind"),
]

PARTS: dict[str, type[Part]] = {
    "property": Descriptor,
    "similarity": Similarity,
    "rediscovery": Rediscovery,
    "isomers": Isomers,
    "smarts": Smarts,
    "alerts": Alerts,
    "novelty": Novelty,
    "scaffold": Scaffold,
    "model": Head,
    "group": Group,
}
"""Every part by its ``kind``."""


class Description(Composition):
    """A whole objective.

    Attributes:
        name: what it is called; by default its file's name.
        about: a line for people.
        source: where the definition is from.
        direction: ``maximize`` or ``minimize``; it has no default.

    >>> part = {"kind": "property", "property": "qed"}
    >>> Description.parse({"direction": "maximize", "parts": [part]}).parts[0].label()
    'qed'
    >>> Description.parse({"direction": "maximize", "parts": [{**part, "wieght": 2}]}, "my.toml")
    Traceback (most recent call last):
    ...
    molvae.base.errors.ConfigError: my.toml: part 1 (property): unknown key 'wieght'; did you \
mean 'weight'?
    """

    name: str = "objective"
    about: str = ""
    source: str = ""
    direction: Direction


Composition.model_rebuild()
Group.model_rebuild()
Description.model_rebuild()


def read_description(path: str | os.PathLike[str]) -> Description:
    """The objective described in a TOML file.

    Raises :class:`FileError`, or :class:`ConfigError` with the file, the part and the key.
    """
    values = read_toml(path)
    return Description.parse({"name": Path(path).stem, **values}, where=os.fspath(path))


def _check_part(values: Any, where: str) -> None:
    kind = _kind(values, PARTS, where)
    where = f"{where} ({kind})"
    if values.get("modifier") is not None:
        modifier = values["modifier"]
        which = _kind(modifier, MODIFIERS, f"{where}, modifier")
        MODIFIERS[which].parse(modifier, f"{where}, modifier {which}")
    PARTS[kind].parse(values, where)


def _kind(values: Any, kinds: Mapping[str, type[Record]], where: str) -> str:
    """The ``kind`` that a table says it is of."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"{where}: it is {values!r}, no table; write it with a key 'kind'")
    kind = values.get("kind")
    if kind is None:
        raise ConfigError(f"{where}: key 'kind' is missing; there are {', '.join(kinds)}")
    if not isinstance(kind, str) or kind not in kinds:
        near = difflib.get_close_matches(str(kind), kinds, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(kinds)}"
        raise ConfigError(f"{where}: unknown kind {kind!r}; {hint}")
    return kind
