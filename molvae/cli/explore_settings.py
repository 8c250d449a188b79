"""The settings of ``molvae explore``: each flag of a command is a key here."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from molvae.base.records import Record
from molvae.chem.properties import property_function
from molvae.latent.analogues import SIMILARITY
from molvae.latent.arithmetic import RELATED, STRENGTHS, Search
from molvae.latent.atlas import LIMIT

Share = Annotated[float, Field(ge=0, le=1)]


class ExploreSettings(Record):
    """What all of them have."""

    seed: int = 0
    device: str = "auto"


class Described(ExploreSettings):
    """Those whose tables have columns of properties."""

    properties: tuple[str, ...] = ()

    @field_validator("properties")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            property_function(name)
        return names


class InterpolateSettings(Described):
    """``molvae explore interpolate``."""

    points: Annotated[int, Field(ge=2)] = 11
    way: Literal["linear", "spherical", "dense"] = "linear"
    through: str | None = None
    distinct: bool = False
    smiles_column: str | None = None

    @model_validator(mode="after")
    def _through_for_dense(self) -> Self:
        if self.through is not None and self.way != "dense":
            raise ValueError(f"through belongs to the way dense, and the way is {self.way}")
        return self


class AnaloguesSettings(Described):
    """``molvae explore analogues``."""

    molecules: PositiveInt = 50
    similarity: tuple[Share, Share] = SIMILARITY
    keep_scaffold: bool = False
    sane: bool = False
    diverse: bool = False


class ArithmeticSettings(Described):
    """``molvae explore arithmetic``; the attribute is a pattern, a property's range or a label."""

    smarts: str | None = None
    target: str | None = None
    above: float | None = None
    below: float | None = None
    label: str | None = None
    lose: bool = False
    to: str | None = None
    strengths: tuple[PositiveFloat, ...] = STRENGTHS
    similarity: Share = RELATED
    sane: bool = True
    held_out: PositiveInt = 50
    smiles_column: str | None = None

    @model_validator(mode="after")
    def _one_attribute(self) -> Self:
        given = [self.smarts is not None, self.target is not None, self.label is not None]
        if sum(given) != 1:
            raise ValueError(
                "say what the attribute is by one of smarts, target (with above or below) and label"
            )
        if (self.above is not None or self.below is not None) and self.target is None:
            raise ValueError("above and below belong to a target, a property")
        return self

    def search(self) -> Search:
        """What is tried, and what counts."""
        return Search(self.strengths, self.similarity, self.sane)


class MapSettings(Described):
    """``molvae explore map``; ``labels`` are columns of the file to colour by."""

    properties: tuple[str, ...] = ("logp", "mw", "tpsa", "qed")
    labels: tuple[str, ...] = ()
    methods: tuple[Literal["pca", "tsne"], ...] = ("pca", "tsne")
    limit: Annotated[int, Field(ge=3)] = LIMIT
    smiles_column: str | None = None


class DirectionsSettings(Described):
    """``molvae explore directions``."""

    properties: tuple[str, ...] = ("logp", "mw", "tpsa", "rings", "aromatic_rings")
    along: str | None = None
    width: PositiveFloat = 3.0
    smiles_column: str | None = None
