"""The settings of ``molvae campaign new``: each flag is a key here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from molvae.cli.goal_settings import GoalSettings, Texts

if TYPE_CHECKING:
    from molvae.optimize.goals import Goals


class CampaignSettings(GoalSettings):
    """What is measured, which way is better, the model, and where to start.

    One objective is an ``assay`` with its ``direction``; one or several are listed in ``maximize``
    and ``minimize``. ``measured`` are constraints on assays that are no objectives.
    """

    model: str
    assay: str | None = None
    direction: Literal["maximize", "minimize"] | None = None
    measured: Texts = ()
    start: str | None = None
    smiles_column: str | None = None
    sane: bool = False
    typical: Annotated[float, Field(gt=0, le=1)] | None = None
    device: str = "auto"

    @model_validator(mode="after")
    def _objectives(self) -> Self:
        listed = self.maximize or self.minimize
        if self.assay is None and self.direction is None:
            if not listed:
                raise ValueError(
                    "there is no objective; give maximize or minimize, or an assay and a direction"
                )
            return self
        for key, other in (("assay", "direction"), ("direction", "assay")):
            if getattr(self, key) is None:
                raise ValueError(f"key {key!r} is missing; it goes with {other}")
        if listed:
            raise ValueError("give assay and direction, or maximize and minimize, not both")
        return self

    def goals(self) -> Goals:
        """What the campaign is after; :class:`ConfigError` where that makes no sense."""
        from molvae.optimize.goals import Goals

        aims = [(name, "maximize") for name in self.maximize]
        aims += [(name, "minimize") for name in self.minimize]
        if self.assay is not None and self.direction is not None:
            aims = [(self.assay, self.direction)]
        return Goals.of(
            aims, self.constraint, measured=self.measured, restriction=self.restriction()
        )
