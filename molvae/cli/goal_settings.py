"""What a search is after beside its objectives, as settings of more than one command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator

from molvae.optimize.config import SearchConfig

if TYPE_CHECKING:
    from molvae.optimize.restriction import Restriction


def _listed(value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""Texts; a single one may stand for a list of one."""


class GoalSettings(SearchConfig):
    """Objectives by name, constraints as text, and the lead that the search is kept near."""

    maximize: Texts = ()
    minimize: Texts = ()
    constraint: Texts = ()
    keep_scaffold: str | None = None
    keep_smarts: str | None = None
    similar_to: str | None = None
    similarity: tuple[float, float] | None = None

    def search(self) -> SearchConfig:
        """The search alone."""
        return SearchConfig(**{name: getattr(self, name) for name in SearchConfig.model_fields})

    def given(self) -> dict[str, Any]:
        """The keys of the search that were given."""
        chosen = self.search().to_dict()
        return {
            key: chosen[key] for key in SearchConfig.model_fields if key in self.model_fields_set
        }

    def restriction(self) -> Restriction:
        """Where the search is kept; :class:`ConfigError` where that makes no sense."""
        from molvae.optimize.restriction import Restriction

        keys = ("keep_scaffold", "keep_smarts", "similar_to", "similarity")
        given = {key: getattr(self, key) for key in keys if getattr(self, key) is not None}
        return Restriction.parse(given, "restriction")
