"""A campaign on disk: one SQLite file of settings, suggestions and what became of them.

A suggestion is written before it is evaluated and its outcome in one transaction when it is told,
so a process killed anywhere loses nothing told and evaluates nothing told again.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from types import TracebackType
from typing import Any

import numpy as np

from molvae.optimize.database import Database
from molvae.optimize.records import UNMEASURED, Measured, Observation, Reason, Suggestion
from molvae.oracles.answers import Outcome

__all__ = ["Measured", "Observation", "Reason", "Store", "Suggestion"]

_COLUMNS = (
    "id, smiles, step, origin, z, asked, "
    "predicted, uncertainty, acquisition, nearest, similarity, feasible"
)
_Others = Mapping[int, Mapping[int, tuple[float, float]]]


class Store:
    """The campaign file, open. Only one process may have it open at a time.

    >>> with Store(None, {"objective": "qed"}) as store:
    ...     store.suggest([Suggestion("CCO", 0, "prior", np.zeros(2))])
    ...     store.tell([("CCO", Outcome(0.41))])
    ...     [o.suggestion.smiles for o in store.observations()], store.pending()
    (['CCO'], [])
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        settings: Mapping[str, Any],
        *,
        resume: bool = False,
        create: bool = True,
        partial: bool = False,
    ) -> None:
        """Create the campaign at ``path`` (None: in memory), or with ``resume`` go on with it.

        ``settings`` are what makes a campaign this one (JSON values); they must be the same as
        those it was started with, or with ``partial`` some of them. With ``resume``, a file that
        does not exist is created, unless ``create`` is false.

        Raises:
            FileError: the file exists and ``resume`` is not set, or cannot be opened or locked.
            ModelError: it is damaged, no campaign, or one of a newer format.
            ConfigError: it was started with other settings.
        """
        self._file = Database(path, settings, create=create, resume=resume, partial=partial)
        # Nobody else writes to the file while it is open: what was read holds until we write.
        self._observations: list[Observation] | None = None

    @property
    def path(self) -> str:
        """Where the file is."""
        return self._file.path

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the campaign was started with."""
        return self._file.settings

    def suggest(self, suggestions: Sequence[Suggestion]) -> None:
        """Write suggestions as pending, all or none."""
        with self._file.errors(), self._file.transaction():
            self._suggest(suggestions)

    def tell(self, outcomes: Sequence[tuple[str, Outcome]], assay: int = 0) -> None:
        """Write the outcomes of pending suggestions, named by their SMILES, all or none."""
        self._observations = None
        with self._file.errors(), self._file.transaction():
            for smiles, outcome in outcomes:
                self._tell(smiles, assay, outcome, "0")

    def record(
        self, suggestions: Sequence[Suggestion], outcomes: Sequence[tuple[str, int, Outcome]]
    ) -> None:
        """Write molecules and measurements (SMILES, number of the assay, outcome), of these or
        earlier molecules, repeated ones too.

        All or none of them.
        """
        self._observations = None
        repeat = "(SELECT count(*) FROM outcomes WHERE suggestion = id AND assay = ?2)"
        with self._file.errors(), self._file.transaction():
            self._suggest(suggestions)
            for smiles, assay, outcome in outcomes:
                self._tell(smiles, assay, outcome, repeat)

    def _suggest(self, suggestions: Sequence[Suggestion]) -> None:
        self._file.connection.executemany(
            f"INSERT INTO suggestions ({_COLUMNS}) VALUES (NULL{11 * ', ?'})",
            [
                (s.smiles, s.step, s.origin, _pack(s.z), _pack(s.asked), *_facts(s.reason))
                for s in suggestions
            ],
        )
        others = [
            (s.smiles, assay, *o) for s in suggestions for assay, o in s.reason.others.items()
        ]
        if others:
            self._file.connection.executemany(
                "INSERT INTO predictions SELECT id, ?2, ?3, ?4 FROM suggestions WHERE smiles = ?1",
                others,
            )

    def _tell(self, smiles: str, assay: int, outcome: Outcome, repeat: str) -> None:
        self._file.connection.execute(
            f"INSERT INTO outcomes SELECT id, ?2, {repeat}, ?3, ?4 "
            "FROM suggestions WHERE smiles = ?1",
            (smiles, assay, outcome.value if outcome.ok else None, outcome.failure),
        )

    def numbered(self, suggestions: Sequence[Suggestion]) -> list[Suggestion]:
        """Suggestions with the numbers they would have if they were written now."""
        with self._file.errors():
            (last,) = self._file.connection.execute(
                "SELECT coalesce(max(id), 0) FROM suggestions"
            ).fetchone()
        return [replace(s, number=last + i) for i, s in enumerate(suggestions, start=1)]

    def pending(self) -> list[Suggestion]:
        """Suggestions without an outcome, in the order in which they were made."""
        with self._file.errors():
            rows = self._file.connection.execute(
                f"SELECT {_COLUMNS} FROM suggestions "
                "WHERE id NOT IN (SELECT suggestion FROM outcomes) ORDER BY id"
            ).fetchall()
        others = self._others()
        return [_suggestion(others, *row) for row in rows]

    def observations(self) -> list[Observation]:
        """Every molecule evaluated so far, failures included, in the order of suggestion."""
        if self._observations is None:
            self._observations = self._read_observations()
        return list(self._observations)

    def _read_observations(self) -> list[Observation]:
        with self._file.errors():
            rows = self._file.connection.execute(
                f"SELECT {_COLUMNS}, assay, value, failure "
                "FROM outcomes JOIN suggestions ON id = suggestion ORDER BY id, assay, repeat"
            ).fetchall()
        groups, others = groupby(rows, key=lambda row: row[0]), self._others()
        return [
            _observation(order, others, list(group)) for order, (_, group) in enumerate(groups, 1)
        ]

    def _others(self) -> _Others:
        """What is predicted of each suggestion's assays but the first."""
        with self._file.errors():
            rows = self._file.connection.execute(
                "SELECT suggestion, assay, predicted, uncertainty FROM predictions"
            ).fetchall()
        found: dict[int, dict[int, tuple[float, float]]] = {}
        for suggestion, assay, predicted, uncertainty in rows:
            found.setdefault(suggestion, {})[assay] = (_nan(predicted), _nan(uncertainty))
        return found

    def close(self) -> None:
        """Close the file and release it to others."""
        self._file.close()

    def discard(self) -> None:
        """Close the file and remove it."""
        self._file.discard()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _observation(order: int, others: _Others, rows: Sequence[tuple[Any, ...]]) -> Observation:
    told = {
        assay: _measured([row[-2:] for row in group])
        for assay, group in groupby(rows, key=lambda row: row[-3])
    }
    first = told.pop(0, UNMEASURED)
    suggestion = _suggestion(others, *rows[0][:-3])
    return Observation(order, suggestion, first.outcome, first.values, first.failures, told)


def _measured(rows: Iterable[Sequence[Any]]) -> Measured:
    pairs = list(rows)
    values = tuple(value for value, _ in pairs if value is not None)
    failures = tuple(failure for _, failure in pairs if failure is not None)
    if values:
        return Measured(Outcome(math.fsum(values) / len(values)), values, failures)
    return Measured(Outcome(math.nan, failures[-1]), values, failures)


def _facts(reason: Reason) -> tuple[float | str | None, ...]:
    return (
        reason.predicted,
        reason.uncertainty,
        reason.acquisition,
        reason.nearest,
        reason.similarity,
        reason.feasible,
    )


def _pack(z: np.ndarray | None) -> bytes | None:
    return None if z is None else np.asarray(z, dtype="<f8").tobytes()


def _suggestion(
    others: _Others,
    number: int,
    smiles: str,
    step: int,
    origin: str,
    z: bytes,
    asked: bytes | None,
    *reason: Any,
) -> Suggestion:
    predicted, uncertainty, acquisition, nearest, similarity, feasible = reason
    return Suggestion(
        smiles,
        step,
        origin,
        np.frombuffer(z, dtype="<f8"),
        None if asked is None else np.frombuffer(asked, dtype="<f8"),
        Reason(
            _nan(predicted),
            _nan(uncertainty),
            _nan(acquisition),
            nearest,
            _nan(similarity),
            _nan(feasible),
            others.get(number, {}),
        ),
        number,
    )


def _nan(value: float | None) -> float:
    return math.nan if value is None else value
