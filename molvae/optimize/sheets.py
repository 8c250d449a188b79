"""The tables between a campaign and a laboratory: what to test, what came of it, all of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from molvae.base.errors import ConfigError
from molvae.datasets.readers import read_cells
from molvae.datasets.rows import NAME_NAMES, SMILES_NAMES, plain
from molvae.optimize.measurements import Measurement, unusable_reason
from molvae.optimize.result import ranked
from molvae.optimize.store import Observation, Suggestion

if TYPE_CHECKING:
    from molvae.oracles.objective import Direction

_ID = "ask-"
_OURS = ("predicted", "uncertainty", "acquisition", "route", "nearest_tested", "similarity")


def id_of(suggestion: Suggestion) -> str:
    """The name of a molecule in tables: a campaign's first is ``ask-1``."""
    return f"{_ID}{suggestion.number}"


def check_assay(name: str) -> None:
    """Refuse what cannot be the name of the assay's column, with :class:`ConfigError`.

    >>> check_assay("id")
    Traceback (most recent call last):
    ...
    molvae.base.errors.ConfigError: assay 'id': a table has that column already; name it otherwise
    """
    if not name.strip() or name != name.strip() or not name.isprintable():
        raise ConfigError(f"assay {name!r}: give it a name that can head a column")
    if name.startswith(tuple("=+-@'")):
        raise ConfigError(
            f"assay {name!r}: a spreadsheet takes that for a formula; begin with a letter"
        )
    taken = (*SMILES_NAMES, *NAME_NAMES, *map(plain, _OURS))
    if plain(name) in taken:
        raise ConfigError(f"assay {name!r}: a table has that column already; name it otherwise")


def batch_columns(batch: Sequence[Suggestion], assay: str) -> dict[str, list[Any]]:
    """The table of molecules to test, why each, and an empty column for what is measured."""
    return {
        "smiles": [s.smiles for s in batch],
        "id": [id_of(s) for s in batch],
        **_reasons(batch),
        assay: [None] * len(batch),
    }


def read_results(
    path: str | os.PathLike[str], assay: str, *, smiles_column: str | None = None
) -> list[Measurement]:
    """The column ``assay`` of a table, cell by cell, with the rows' own numbers.

    Raises :class:`FileError` and :class:`InputError` (no such column, no molecules).
    """
    found = []
    for row in read_cells(path, [assay], smiles_column=smiles_column):
        where = f"row {row.number} of {os.fspath(path)}"
        fault = None if assay in row.labels else row.problem
        found.append(Measurement(row.smiles, row.labels.get(assay), where, row.name, fault))
    return found


def export_columns(
    observations: Sequence[Observation], direction: Direction, assay: str
) -> dict[str, list[Any]]:
    """Everything told, best first: ``assay`` is the mean of ``measurements`` values.

    ``spread`` is their standard deviation, ``failure`` the reason where there is no value,
    ``problem`` why the search cannot learn from the molecule.
    """
    rows = ranked(observations, direction)
    suggestions = [o.suggestion for o in rows]
    several = [np.std(o.values, ddof=1) if len(o.values) > 1 else None for o in rows]
    return {
        "smiles": [s.smiles for s in suggestions],
        "id": [id_of(s) for s in suggestions],
        assay: [o.outcome.value for o in rows],
        "measurements": [len(o.values) for o in rows],
        "spread": several,
        "failure": [o.outcome.failure for o in rows],
        "batch": [s.step for s in suggestions],
        **_reasons(suggestions),
        "problem": [unusable_reason(s) for s in suggestions],
    }


def _reasons(suggestions: Sequence[Suggestion]) -> dict[str, list[Any]]:
    reasons = [s.reason for s in suggestions]
    return {
        "predicted": [r.predicted for r in reasons],
        "uncertainty": [r.uncertainty for r in reasons],
        "acquisition": [r.acquisition for r in reasons],
        "route": [s.origin for s in suggestions],
        "nearest_tested": [r.nearest for r in reasons],
        "similarity": [r.similarity for r in reasons],
    }
