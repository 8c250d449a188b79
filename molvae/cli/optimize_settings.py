"""The settings of ``molvae optimize``: each flag is a key here."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import PositiveInt, model_validator

from molvae.optimize.config import SearchConfig


class OptimizeSettings(SearchConfig):
    """``molvae optimize``; what is optimised is one of ``maximize`` and ``minimize`` (a property
    by name) and ``objective`` (``module:function``, with its ``direction``)."""

    maximize: str | None = None
    minimize: str | None = None
    target: float | None = None
    width: float | None = None
    objective: str | None = None
    direction: Literal["maximize", "minimize"] | None = None
    takes_list: bool = False
    budget: PositiveInt = 300
    start: str | None = None
    smiles_column: str | None = None
    sane: bool = False
    store: Path | None = None
    corpus: Path | None = None
    device: str = "auto"

    @model_validator(mode="after")
    def _one_objective(self) -> Self:
        if sum(v is not None for v in (self.maximize, self.minimize, self.objective)) != 1:
            raise ValueError("give exactly one of maximize, minimize and objective")
        if (self.objective is None) != (self.direction is None):
            raise ValueError("objective and direction go together: say which way is better")
        if self.takes_list and self.objective is None:
            raise ValueError("takes_list is for an objective of your own")
        if self.objective is not None and (self.target is not None or self.width is not None):
            raise ValueError("target and width are for properties, not for a function of your own")
        return self
