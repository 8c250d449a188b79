"""The tables between a campaign and a laboratory: what to test, what came of it, all of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from molvae.base.errors import ConfigError, InputError
from molvae.datasets.readers import read_cells
from molvae.datasets.rows import NAME_NAMES, SMILES_NAMES, plain
from molvae.datasets.textio import STDIN
from molvae.optimize.goals import Goals
from molvae.optimize.measurements import Measurement, unusable_reason
from molvae.optimize.records import Observation, Suggestion
from molvae.optimize.standing import Standing

_ID = "ask-"
_OURS = (
    *("acquisition", "route", "nearest_tested", "similarity", "batch", "problem"),
    *("feasibility", "feasible", "pareto"),
)
_OF_ASSAYS = ("predicted", "uncertainty", "measurements", "spread", "failure")
"""Columns that each assay has, with its name behind them where there are several."""


def id_of(suggestion: Suggestion) -> str:
    """The name of a molecule in tables: a campaign's first is ``ask-1``."""
    return f"{_ID}{suggestion.number}"


def check_assays(names: Sequence[str]) -> None:
    """Refuse what cannot be the names of assays' columns, with :class:`ConfigError`.

    >>> check_assays(["id"])
    Traceback (most recent call last):
    ...
    molvae.base.errors.ConfigError: assay 'id': a table has that column already; name it otherwise
    """
    of_others = [plain(f"{word} {other}") for word in _OF_ASSAYS for other in names]
    taken = (*SMILES_NAMES, *NAME_NAMES, *map(plain, (*_OURS, *_OF_ASSAYS)), *of_others)
    for name in names:
        if not name.strip() or name != name.strip() or not name.isprintable():
            raise ConfigError(f"assay {name!r}: give it a name that can head a column")
        if name.startswith(tuple("=+-@'")):
            raise ConfigError(
                f"assay {name!r}: a spreadsheet takes that for a formula; begin with a letter"
            )
        if plain(name) in taken:
            raise ConfigError(f"assay {name!r}: a table has that column already; name it otherwise")
        alike = [other for other in names if plain(other) == plain(name)]
        if len(alike) > 1:
            raise ConfigError(
                f"assays {alike[0]!r} and {alike[1]!r} are the same column to a table; name one "
                "of them otherwise"
            )


def batch_columns(batch: Sequence[Suggestion], assays: Sequence[str]) -> dict[str, list[Any]]:
    """The table of molecules to test, why each, and an empty column for each assay."""
    return {
        "smiles": [s.smiles for s in batch],
        "id": [id_of(s) for s in batch],
        **_reasons(batch, assays),
        **{assay: [None] * len(batch) for assay in assays},
    }


def read_results(
    path: str | os.PathLike[str],
    assays: Sequence[str],
    *,
    column: str | None = None,
    smiles_column: str | None = None,
) -> list[Measurement]:
    """The columns of ``assays`` in a table, cell by cell, with the rows' own numbers.

    Of several assays, some may have no column. ``column`` is what the column of a single assay is
    called, if not like it.

    Raises :class:`FileError`, :class:`InputError` (no such column, no molecules) and
    :class:`ConfigError` (one ``column`` for several assays).
    """
    if column is not None and len(assays) > 1:
        raise ConfigError(
            f"column {column!r} may be any of {', '.join(assays)}; name the columns like the assays"
        )
    # Standard input can be read once only: then all of them have to be there.
    once = len(assays) == 1 or os.fspath(path) == STDIN
    found: list[tuple[int, Measurement]] = []
    problems = []
    for group in [list(assays)] if once else [[assay] for assay in assays]:
        columns = group if column is None else [column]
        try:
            rows = list(read_cells(path, columns, smiles_column=smiles_column))
        except InputError as error:
            problems.append(str(error))
            continue
        for row in rows:
            where = f"row {row.number} of {os.fspath(path)}"
            for assay, name in zip(group, columns, strict=True):
                fault = None if name in row.labels else row.problem
                cell = row.labels.get(name)
                told = Measurement(row.smiles, cell, where, row.name, fault, assay)
                found.append((row.number, told))
    if problems and not found:
        raise InputError(problems[0])
    return [told for _, told in sorted(found, key=lambda pair: pair[0])]


def export_columns(observations: Sequence[Observation], goals: Goals) -> dict[str, list[Any]]:
    """Everything told, best first: an assay's column is the mean of its ``measurements``.

    ``spread`` is their standard deviation, ``failure`` the reason where there is no value,
    ``problem`` why the search cannot learn from the molecule. Where there are several assays, each
    has these columns; where molecules can be infeasible or several can be best, ``feasible`` and
    ``pareto`` say which are.
    """
    standing = Standing.of(goals, observations)
    rows = standing.ranked()
    suggestions = [o.suggestion for o in rows]
    columns: dict[str, list[Any]] = {
        "smiles": [s.smiles for s in suggestions],
        "id": [id_of(s) for s in suggestions],
    }
    for number, assay in enumerate(goals.assays):
        told = [o.of(number) for o in rows]
        several = [np.std(m.values, ddof=1) if len(m.values) > 1 else None for m in told]
        of = f" {assay}" if len(goals.assays) > 1 else ""
        columns |= {
            assay: [m.outcome.value for m in told],
            f"measurements{of}": [len(m.values) for m in told],
            f"spread{of}": several,
            f"failure{of}": [m.outcome.failure if m.told else None for m in told],
        }
    return {
        **columns,
        **standing.marks(rows),
        "batch": [s.step for s in suggestions],
        **_reasons(suggestions, goals.assays),
        "problem": [unusable_reason(s) for s in suggestions],
    }


def _reasons(suggestions: Sequence[Suggestion], assays: Sequence[str]) -> dict[str, list[Any]]:
    reasons = [s.reason for s in suggestions]
    columns: dict[str, list[Any]] = {}
    for number, assay in enumerate(assays):
        of = f" {assay}" if len(assays) > 1 else ""
        expected = [r.expected(number) for r in reasons]
        columns[f"predicted{of}"] = [value for value, _ in expected]
        columns[f"uncertainty{of}"] = [spread for _, spread in expected]
    if any(not np.isnan(r.feasible) for r in reasons):
        columns["feasibility"] = [r.feasible for r in reasons]
    return {
        **columns,
        "acquisition": [r.acquisition for r in reasons],
        "route": [s.origin for s in suggestions],
        "nearest_tested": [r.nearest for r in reasons],
        "similarity": [r.similarity for r in reasons],
    }
