"""The settings of the commands around a model: each flag of a command is a key here."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from molvae.base.records import Record
from molvae.bulk.options import BulkOptions
from molvae.chem.alerts import SanityOptions
from molvae.latent.ascent import PENALTY, RATE, STEPS
from molvae.metrics.health import HealthOptions
from molvae.models.sampling import SamplingOptions


class ReadSettings(Record):
    """``molvae encode`` and ``molvae predict``."""

    smiles_column: str | None = None
    device: str = "auto"


class DecodeSettings(SamplingOptions):
    """``molvae decode``."""

    strategy: Literal["greedy", "sample", "beam"] = "greedy"
    conditions: dict[str, float | str] = Field(default_factory=dict)
    sane: bool | SanityOptions = False
    seed: int = 0
    device: str = "auto"


class ClimbSettings(Record):
    """``molvae climb``; it goes one way (``direction``), or to a ``value``, and sets out from the
    molecules of ``start``, or from so many samples (``molecules``)."""

    target: str
    direction: Literal["maximize", "minimize"] | None = None
    value: float | None = None
    start: str | None = None
    molecules: PositiveInt | None = None
    steps: PositiveInt = STEPS
    rate: PositiveFloat = RATE
    penalty: NonNegativeFloat = PENALTY
    paths: bool = False
    smiles_column: str | None = None
    seed: int = 0
    device: str = "auto"

    @model_validator(mode="after")
    def _one_way_from_one_place(self) -> Self:
        if (self.direction is None) == (self.value is None):
            raise ValueError("give either direction (maximize or minimize) or a value")
        if self.start is not None and self.molecules is not None:
            raise ValueError("give either start or molecules, the number of samples to start from")
        return self

    @property
    def way(self) -> Literal["maximize", "minimize"] | float:
        """The direction, or the value."""
        way = self.direction if self.value is None else self.value
        assert way is not None
        return way

    @property
    def samples(self) -> int:
        """How many samples to set out from, where there is no ``start``."""
        return 100 if self.molecules is None else self.molecules


class GenerateSettings(BulkOptions):
    """``molvae generate``; ``workers`` None takes every core, ``prior`` None is the model's own."""

    workers: Annotated[int, Field(ge=1)] | None = None
    prior: Literal["normal", "blank"] | None = None
    device: str = "auto"

    def options(self) -> BulkOptions:
        """What decides on the molecules, without where and by how many they are drawn."""
        return BulkOptions(**{name: getattr(self, name) for name in BulkOptions.model_fields})


class HealthSettings(HealthOptions):
    """``molvae health``; ``data`` None is the held-out part of the model's own corpus.

    ``labels`` are columns of ``data`` that hold targets of the model.
    """

    data: str | None = None
    labels: tuple[str, ...] = ()
    smiles_column: str | None = None
    device: str = "auto"

    def options(self) -> HealthOptions:
        """How much is measured, without of what and where."""
        return HealthOptions(**{name: getattr(self, name) for name in HealthOptions.model_fields})
