"""The settings of the commands around a model: each flag of a command is a key here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from molvae.base.records import Record
from molvae.bulk.options import BulkOptions
from molvae.chem.alerts import SanityOptions
from molvae.metrics.health import HealthOptions
from molvae.models.sampling import SamplingOptions


class ReadSettings(Record):
    """``molvae encode`` and ``molvae predict``."""

    smiles_column: str | None = None
    device: str = "auto"


class DecodeSettings(SamplingOptions):
    """``molvae decode``."""

    strategy: Literal["greedy", "sample", "beam"] = "greedy"
    sane: bool | SanityOptions = False
    seed: int = 0
    device: str = "auto"


class GenerateSettings(BulkOptions):
    """``molvae generate``; ``workers`` None takes every core, ``prior`` None is the model's own."""

    workers: Annotated[int, Field(ge=1)] | None = 1
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
