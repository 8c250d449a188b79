"""The settings of ``molvae campaign new``: each flag is a key here."""

from __future__ import annotations

from typing import Literal

from molvae.optimize.config import SearchConfig


class CampaignSettings(SearchConfig):
    """What is measured, which way is better, the model, and where to start."""

    model: str
    assay: str
    direction: Literal["maximize", "minimize"]
    start: str | None = None
    smiles_column: str | None = None
    sane: bool = False
    device: str = "auto"

    def search(self) -> SearchConfig:
        """The search alone."""
        return SearchConfig(**{name: getattr(self, name) for name in SearchConfig.model_fields})
