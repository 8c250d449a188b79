"""A campaign on disk: one SQLite file of settings, suggestions and what became of them.

A suggestion is written before it is evaluated and its outcome in one transaction when it is told,
so a process killed anywhere loses nothing told and evaluates nothing told again.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from molvae.base.errors import ConfigError, FileError, ModelError
from molvae.base.files import file_errors
from molvae.oracles.evaluator import Outcome

FORMAT = 1
_APPLICATION_ID = 0x6D6F6C76  # "molv": how the file says that it is ours

_SCHEMA = """
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE suggestions (
    id INTEGER PRIMARY KEY,
    smiles TEXT NOT NULL UNIQUE,
    step INTEGER NOT NULL,
    origin TEXT NOT NULL,
    z BLOB NOT NULL,
    asked BLOB
);
CREATE TABLE outcomes (
    suggestion INTEGER PRIMARY KEY REFERENCES suggestions (id),
    value REAL,
    failure TEXT,
    CHECK ((value IS NULL) = (failure IS NOT NULL))
);
"""


@dataclass(frozen=True)
class Suggestion:
    """A molecule to evaluate: its own latent ``z (d,)``, and the one ``asked (d,)`` for it, if any.

    ``origin`` is where it comes from: start, prior, perturbation, crossover or gradient.
    """

    smiles: str
    step: int
    origin: str
    z: np.ndarray
    asked: np.ndarray | None = None


@dataclass(frozen=True)
class Observation:
    """A suggestion and its outcome; ``order`` counts evaluations from 1."""

    order: int
    suggestion: Suggestion
    outcome: Outcome


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
    ) -> None:
        """Create the campaign at ``path`` (None: in memory), or with ``resume`` go on with it.

        ``settings`` are what makes a campaign this one (JSON values); they must be the same as
        those it was started with. With ``resume``, a file that does not exist is created.

        Raises:
            FileError: the file exists and ``resume`` is not set, or cannot be opened or locked.
            ModelError: it is damaged, no campaign, or one of a newer format.
            ConfigError: it was started with other settings.
        """
        self.path = ":memory:" if path is None else os.fspath(path)
        if path is not None and Path(path).exists() and not resume:
            raise FileError(
                f"the campaign {self.path} exists already; resume it, or choose another file"
            )
        if path is not None:
            _look_at(Path(path))
        with self._errors():
            self._db = sqlite3.connect(self.path, timeout=1.0, isolation_level=None)
        try:
            with self._errors():
                self._open(json.loads(json.dumps(settings)))
        except BaseException:
            self._db.close()
            raise

    def _open(self, settings: dict[str, Any]) -> None:
        # Exclusive: a second process would evaluate the same suggestions again.
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        (application,) = self._db.execute("PRAGMA application_id").fetchone()
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application == 0 and tables == 0:
            self._db.execute("PRAGMA journal_mode = WAL")
            with self._transaction():
                for statement in _SCHEMA.split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                self._db.execute(f"PRAGMA user_version = {FORMAT}")
                self._db.executemany(
                    "INSERT INTO settings VALUES (?, ?)",
                    [(key, json.dumps(value)) for key, value in settings.items()],
                )
            return
        if application != _APPLICATION_ID:
            raise ModelError(f"{self.path} is a database, but no molvae campaign; name another")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > FORMAT:
            raise ModelError(
                f"campaign {self.path} has format {version}, newer than this molvae's {FORMAT}; "
                "update molvae"
            )
        (health,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if health != "ok":
            raise ModelError(_damaged(self.path, health))
        self._db.execute("PRAGMA journal_mode = WAL")
        with self._transaction():
            pass  # takes the lock now, not when the first batch has been proposed
        self._check(settings)

    def _check(self, settings: Mapping[str, Any]) -> None:
        rows = self._db.execute("SELECT key, value FROM settings").fetchall()
        stored = {key: json.loads(value) for key, value in rows}
        for key in [*settings, *stored]:
            was, now = stored.get(key), settings.get(key)
            if was != now:
                raise ConfigError(
                    f"campaign {self.path} was started with {key} = {was!r}, not {now!r}; "
                    "resume with what it was started with, or start another campaign"
                )

    def suggest(self, suggestions: Sequence[Suggestion]) -> None:
        """Write suggestions as pending, all or none."""
        with self._errors(), self._transaction():
            self._db.executemany(
                "INSERT INTO suggestions (smiles, step, origin, z, asked) VALUES (?, ?, ?, ?, ?)",
                [(s.smiles, s.step, s.origin, _pack(s.z), _pack(s.asked)) for s in suggestions],
            )

    def tell(self, outcomes: Sequence[tuple[str, Outcome]]) -> None:
        """Write the outcomes of pending suggestions, named by their SMILES, all or none."""
        with self._errors(), self._transaction():
            for smiles, outcome in outcomes:
                self._db.execute(
                    "INSERT INTO outcomes SELECT id, ?, ? FROM suggestions WHERE smiles = ?",
                    (outcome.value if outcome.ok else None, outcome.failure, smiles),
                )

    def pending(self) -> list[Suggestion]:
        """Suggestions without an outcome, in the order in which they were made."""
        with self._errors():
            rows = self._db.execute(
                "SELECT smiles, step, origin, z, asked FROM suggestions "
                "WHERE id NOT IN (SELECT suggestion FROM outcomes) ORDER BY id"
            ).fetchall()
        return [_suggestion(*row) for row in rows]

    def observations(self) -> list[Observation]:
        """Everything evaluated so far, failures included, in order."""
        with self._errors():
            rows = self._db.execute(
                "SELECT smiles, step, origin, z, asked, value, failure "
                "FROM outcomes JOIN suggestions ON id = suggestion ORDER BY id"
            ).fetchall()
        return [
            Observation(
                order,
                _suggestion(*row),
                Outcome(math.nan if value is None else value, failure),
            )
            for order, (*row, value, failure) in enumerate(rows, start=1)
        ]

    def close(self) -> None:
        """Close the file and release it to others."""
        with self._errors():
            self._db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:  # SQLite has rolled back by itself where the disk is full
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise FileError(
                    f"campaign {self.path} is in use by another run; wait for it, or stop it"
                ) from error
            raise FileError(f"cannot use the campaign {self.path}: {error}") from error
        except (sqlite3.DatabaseError, ValueError) as error:
            raise ModelError(_damaged(self.path, error)) from error


def _look_at(path: Path) -> None:
    """Refuse what SQLite would take for an empty database and write over."""
    with file_errors(path, "use"):
        path.parent.mkdir(parents=True, exist_ok=True)
        opening = b""
        if path.exists():
            with path.open("rb") as stream:
                opening = stream.read(16)
    if opening not in (b"", b"SQLite format 3\0"):
        raise ModelError(_damaged(os.fspath(path), "it does not begin like a database"))


def _damaged(path: str, reason: object) -> str:
    return f"campaign {path} is damaged or no campaign ({reason}); restore it or name another file"


def _pack(z: np.ndarray | None) -> bytes | None:
    return None if z is None else np.asarray(z, dtype="<f8").tobytes()


def _suggestion(smiles: str, step: int, origin: str, z: bytes, asked: bytes | None) -> Suggestion:
    return Suggestion(
        smiles,
        step,
        origin,
        np.frombuffer(z, dtype="<f8"),
        None if asked is None else np.frombuffer(asked, dtype="<f8"),
    )
