"""A campaign on disk: one SQLite file of settings, suggestions and what became of them.

A suggestion is written before it is evaluated and its outcome in one transaction when it is told,
so a process killed anywhere loses nothing told and evaluates nothing told again.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from types import TracebackType
from typing import Any

import numpy as np

from molvae.optimize.database import Database
from molvae.oracles.evaluator import Outcome

_COLUMNS = (
    "id, smiles, step, origin, z, asked, predicted, uncertainty, acquisition, nearest, similarity"
)


@dataclass(frozen=True)
class Reason:
    """Why a molecule is suggested, as far as it is known.

    ``predicted`` value and its ``uncertainty`` (one standard deviation) and ``acquisition`` (the
    improvement on the best to be expected, given the other molecules that are out for testing) are
    in the objective's unit, NaN before anything is learnt. ``nearest`` is the most similar molecule
    tested, ``similarity`` the Tanimoto similarity to it (Morgan fingerprints, radius 2).
    """

    predicted: float = math.nan
    uncertainty: float = math.nan
    acquisition: float = math.nan
    nearest: str | None = None
    similarity: float = math.nan


@dataclass(frozen=True)
class Suggestion:
    """A molecule to evaluate: its own latent ``z (d,)``, and the one ``asked (d,)`` for it, if any.

    ``origin`` is where it comes from: start, prior, perturbation, crossover, gradient, or told (the
    user's own, whose ``z`` is NaN where the model cannot encode it). ``number`` is the campaign's
    own, 0 until it is written.
    """

    smiles: str
    step: int
    origin: str
    z: np.ndarray
    asked: np.ndarray | None = None
    reason: Reason = Reason()
    number: int = 0

    @property
    def usable(self) -> bool:
        """Whether the search can learn from it: the model can encode it."""
        return bool(np.isfinite(self.z).all())


@dataclass(frozen=True)
class Observation:
    """A suggestion and its outcome; ``order`` counts molecules from 1.

    ``values`` are its measurements, of which the outcome is the mean; ``failures`` the reasons of
    those that failed. Failures do not count where there is a value.
    """

    order: int
    suggestion: Suggestion
    outcome: Outcome
    values: tuple[float, ...] = ()
    failures: tuple[str, ...] = ()


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

    def tell(self, outcomes: Sequence[tuple[str, Outcome]]) -> None:
        """Write the outcomes of pending suggestions, named by their SMILES, all or none."""
        with self._file.errors(), self._file.transaction():
            for smiles, outcome in outcomes:
                self._tell(smiles, outcome, "0")

    def record(
        self, suggestions: Sequence[Suggestion], outcomes: Sequence[tuple[str, Outcome]]
    ) -> None:
        """Write molecules and measurements, of these or earlier molecules, repeated ones too.

        All or none of them.
        """
        repeat = "(SELECT count(*) FROM outcomes WHERE suggestion = id)"
        with self._file.errors(), self._file.transaction():
            self._suggest(suggestions)
            for smiles, outcome in outcomes:
                self._tell(smiles, outcome, repeat)

    def _suggest(self, suggestions: Sequence[Suggestion]) -> None:
        self._file.connection.executemany(
            f"INSERT INTO suggestions ({_COLUMNS}) VALUES (NULL{10 * ', ?'})",
            [
                (s.smiles, s.step, s.origin, _pack(s.z), _pack(s.asked), *vars(s.reason).values())
                for s in suggestions
            ],
        )

    def _tell(self, smiles: str, outcome: Outcome, repeat: str) -> None:
        self._file.connection.execute(
            f"INSERT INTO outcomes SELECT id, {repeat}, ?, ? FROM suggestions WHERE smiles = ?",
            (outcome.value if outcome.ok else None, outcome.failure, smiles),
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
        return [_suggestion(*row) for row in rows]

    def observations(self) -> list[Observation]:
        """Every molecule evaluated so far, failures included, in the order of suggestion."""
        with self._file.errors():
            rows = self._file.connection.execute(
                f"SELECT {_COLUMNS}, value, failure "
                "FROM outcomes JOIN suggestions ON id = suggestion ORDER BY id, repeat"
            ).fetchall()
        groups = groupby(rows, key=lambda row: row[0])
        return [_observation(order, list(group)) for order, (_, group) in enumerate(groups, 1)]

    def close(self) -> None:
        """Close the file and release it to others."""
        self._file.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _observation(order: int, rows: Sequence[tuple[Any, ...]]) -> Observation:
    values = tuple(row[-2] for row in rows if row[-2] is not None)
    failures = tuple(row[-1] for row in rows if row[-1] is not None)
    if values:
        outcome = Outcome(math.fsum(values) / len(values))
    else:
        outcome = Outcome(math.nan, failures[-1])
    return Observation(order, _suggestion(*rows[0][:-2]), outcome, values, failures)


def _pack(z: np.ndarray | None) -> bytes | None:
    return None if z is None else np.asarray(z, dtype="<f8").tobytes()


def _suggestion(
    number: int,
    smiles: str,
    step: int,
    origin: str,
    z: bytes,
    asked: bytes | None,
    *reason: Any,
) -> Suggestion:
    predicted, uncertainty, acquisition, nearest, similarity = reason
    return Suggestion(
        smiles,
        step,
        origin,
        np.frombuffer(z, dtype="<f8"),
        None if asked is None else np.frombuffer(asked, dtype="<f8"),
        Reason(_nan(predicted), _nan(uncertainty), _nan(acquisition), nearest, _nan(similarity)),
        number,
    )


def _nan(value: float | None) -> float:
    return math.nan if value is None else value
