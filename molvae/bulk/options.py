"""What to draw and what to keep: the settings of a job, and conditions on properties."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field

from molvae.base.errors import ConfigError
from molvae.chem.alerts import SanityOptions
from molvae.chem.properties import property_function
from molvae.models.sampling import SamplingOptions

LARGEST_BLOCK = 2_000

_SIGNS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
_CONDITION = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)\s*(>=|<=|>|<|=)\s*(\S+)\s*")


@dataclass(frozen=True)
class Condition:
    """A bound on one property, such as ``qed>=0.6``."""

    name: str
    sign: str
    value: float

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read ``name``, one of ``>= <= > < =``, and a number; else :class:`ConfigError`.

        >>> Condition.parse("qed >= 0.6")
        Condition(name='qed', sign='>=', value=0.6)
        """
        match = _CONDITION.fullmatch(text)
        try:
            name, sign, number = match.groups() if match else ("", "", "")
            value = float(number)
            if math.isnan(value):
                raise ValueError
        except ValueError:
            raise ConfigError(
                f"cannot read the condition {text!r}: write a property, one of "
                f"{' '.join(_SIGNS)}, and a number, as in 'qed>=0.6'"
            ) from None
        property_function(name)
        return cls(name, sign, value)

    def met(self, values: np.ndarray) -> np.ndarray:
        """Which of ``values (n,)`` meet it; NaN never does.

        >>> Condition("qed", ">", 0.5).met(np.array([0.4, 0.6, np.nan])).tolist()
        [False, True, False]
        """
        return np.asarray(_SIGNS[self.sign](values, self.value))

    def __str__(self) -> str:
        return f"{self.name}{self.sign}{self.value:g}"


def _known_properties(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        property_function(name)
    return names


def _readable_conditions(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        Condition.parse(text)
    return texts


class BulkOptions(SamplingOptions):
    """What to draw and what to keep.

    Symbols are chosen as in :class:`~molvae.models.sampling.SamplingOptions`. ``molecules`` is how
    many are wanted; ``properties`` are computed and written; ``where`` keeps molecules that meet
    all conditions, such as ``"qed>=0.6"``; ``sane`` (true, or limits) turns down what no chemist
    would make; ``conditions`` are what a conditional model is asked for, by name, and ``guidance``
    how much they count; ``unique`` keeps each molecule once. Each draw is one of ``candidates``
    that the model's critic chooses from, None for as many as the model is set up for. ``block`` is
    the number of draws in a block, None for 2,000 (20,000 in a directory of shards), or fewer for
    small jobs.
    """

    molecules: Annotated[int, Field(ge=1)] = 1000
    seed: int = 0
    unique: bool = True
    sane: bool | SanityOptions = False
    properties: Annotated[tuple[str, ...], AfterValidator(_known_properties)] = ()
    where: Annotated[tuple[str, ...], AfterValidator(_readable_conditions)] = ()
    conditions: dict[str, float | str] = Field(default_factory=dict)
    candidates: Annotated[int, Field(ge=1)] | None = None
    block: Annotated[int, Field(ge=1)] | None = None

    def bounds(self) -> tuple[Condition, ...]:
        """The parsed ``where``."""
        return tuple(Condition.parse(text) for text in self.where)

    def columns(self) -> tuple[str, ...]:
        """The properties to compute: those wanted and those that conditions ask for."""
        return tuple(dict.fromkeys([*self.properties, *(c.name for c in self.bounds())]))

    def draws_per_block(self, largest: int = LARGEST_BLOCK) -> int:
        """``block``, or a size that suits the job."""
        return self.block or min(largest, max(100, self.molecules + self.molecules // 4))
