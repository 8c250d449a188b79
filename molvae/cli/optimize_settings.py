"""The settings of ``molvae optimize``: each flag is a key here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from molvae.cli.goal_settings import GoalSettings


class OptimizeSettings(GoalSettings):
    """``molvae optimize``; what is optimised is one of ``maximize`` and ``minimize`` (properties
    by name, one or several), ``task`` (a name, or a TOML file that describes an objective), and
    with their ``direction`` ``objective`` (``module:function``), ``command`` (a program),
    ``oracle`` (a directory of ``molvae fit-oracle``) and ``dock`` (a receptor)."""

    task: str | None = None
    target: float | None = None
    width: float | None = None
    objective: str | None = None
    direction: Literal["maximize", "minimize"] | None = None
    takes_list: bool = False
    command: str | None = None
    protocol: Literal["jsonl", "csv"] | None = None
    oracle: Path | None = None
    pessimism: NonNegativeFloat | None = None
    dock: str | None = None
    exhaustiveness: PositiveInt | None = None
    workers: NonNegativeInt = 0
    timeout: PositiveFloat | None = None
    memory_mb: PositiveInt | None = None
    retries: NonNegativeInt = 2
    budget: PositiveInt = 300
    start: str | None = None
    known: str | None = None
    known_column: str | None = None
    smiles_column: str | None = None
    sane: bool = False
    typical: Annotated[float, Field(gt=0, le=1)] | None = None
    store: Path | None = None
    corpus: Path | None = None
    device: str = "auto"

    @model_validator(mode="after")
    def _one_objective(self) -> Self:
        brought = (self.objective, self.command, self.oracle, self.dock)
        own = [v for v in brought if v is not None]
        properties = [*self.maximize, *self.minimize]
        if len(own) + bool(properties) + (self.task is not None) != 1:
            raise ValueError(
                "give exactly one of maximize, minimize, task and objective, command, oracle, dock"
            )
        if (not own) != (self.direction is None):
            raise ValueError(
                "objective, command, oracle or dock and direction go together: say which way is "
                "better"
            )
        if len(properties) > 1 and (self.target is not None or self.width is not None):
            raise ValueError("target and width are for a single property")
        if self.takes_list and self.objective is None:
            raise ValueError("takes_list is for an objective of your own")
        if (own or self.task) and (self.target is not None or self.width is not None):
            raise ValueError("target and width are for properties, not for what you bring yourself")
        if self.known_column is not None and self.known is None:
            raise ValueError("known_column is for a table of known values")
        if self.protocol is not None and self.command is None:
            raise ValueError("protocol is for a command")
        if self.pessimism is not None and self.oracle is None:
            raise ValueError("pessimism is for an oracle, which knows how unsure it is")
        if self.exhaustiveness is not None and self.dock is None:
            raise ValueError("exhaustiveness is for docking")
        return self
