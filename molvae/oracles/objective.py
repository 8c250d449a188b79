"""What is optimised, said in full: a name, a function, and a direction that is never implied."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from molvae.base.errors import ConfigError

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Objective:
    """One number per molecule, and whether more of it or less of it is wanted.

    ``function`` takes one canonical SMILES and returns a number, or, with ``batch``, takes a list
    of them and returns as many numbers. A molecule without a value gets NaN or an exception; both
    are recorded as that molecule's failure. ``explain`` gives for a list of molecules the reason
    why each has no value, None for those that have one. ``definition`` is what the objective
    computes, in values fit for JSON, where its name does not say it all: a campaign is resumed with
    the same definition only.

    >>> carbons = Objective("carbons", lambda smiles: smiles.count("C"), "maximize")
    >>> str(carbons)
    'maximise carbons'
    >>> carbons.utility(3.0)
    3.0
    """

    name: str
    function: Callable[[Any], Any]
    direction: Direction
    batch: bool = False
    explain: Callable[[Sequence[str]], Sequence[str | None]] | None = None
    definition: Mapping[str, Any] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        if self.direction not in get_args(Direction):
            raise ConfigError(
                f"objective {self.name!r}: direction is {self.direction!r}; "
                "say 'maximize' or 'minimize'"
            )
        if not callable(self.function):
            raise ConfigError(f"objective {self.name!r}: {self.function!r} is not a function")

    def utility(self, value: float) -> float:
        """``value`` so that more is better: negated when the objective is minimised."""
        return value if self.direction == "maximize" else -value

    def describe(self) -> dict[str, Any]:
        """What tells this objective from another one in a campaign's record."""
        told = {"name": self.name, "direction": self.direction, "batch": self.batch}
        return told if self.definition is None else {**told, "definition": dict(self.definition)}

    def __str__(self) -> str:
        return f"{self.direction.replace('ize', 'ise')} {self.name}"
