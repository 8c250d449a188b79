"""Settings of the search, and of the `molvae optimize` command."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from molvae.base.records import Record


class SearchConfig(Record):
    """What makes two campaigns with the same model and objective different.

    ``initial`` is the number of molecules sampled from the prior before anything is learnt; None
    means three batches (a third of the budget at most), and none where start molecules are given.
    ``candidates`` is the number of latents decoded in each step, of which a batch is evaluated.
    """

    batch_size: PositiveInt = 10
    initial: NonNegativeInt | None = None
    candidates: int = Field(default=512, ge=16)
    seed: int = 0


class OptimizeOptions(SearchConfig):
    """The keys of a TOML file for `molvae optimize`; each is also a flag of the same name.

    Exactly one of ``maximize`` and ``minimize`` (a property by name) and ``objective``
    (``module:function``, with its ``direction``) is given.
    """

    model: Path
    maximize: str | None = None
    minimize: str | None = None
    target: float | None = None
    width: float | None = None
    objective: str | None = None
    direction: Literal["maximize", "minimize"] | None = None
    takes_list: bool = False
    budget: PositiveInt = 300
    start: Path | None = None
    store: Path | None = None
    resume: bool = False
    output: str = "-"
    device: str = "auto"

    @model_validator(mode="after")
    def _one_objective(self) -> Self:
        if sum(v is not None for v in (self.maximize, self.minimize, self.objective)) != 1:
            raise ValueError("give exactly one of maximize, minimize and objective")
        if (self.objective is None) != (self.direction is None):
            raise ValueError("objective and direction go together: say which way is better")
        if self.objective is None and self.takes_list:
            raise ValueError("takes_list is for an objective of your own")
        if self.objective is not None and (self.target, self.width) != (None, None):
            raise ValueError("target and width are for properties, not for a function of your own")
        return self
