"""One SQLite file that is ours: opened, locked, checked and changed without surprises.

What is in it is the business of :mod:`molvae.optimize.store`.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from molvae.base.errors import ConfigError, FileError, ModelError
from molvae.base.files import file_errors

FORMAT = 3
IN_MEMORY = ":memory:"
"""The path of a campaign that is no file."""
_APPLICATION_ID = 0x6D6F6C76  # "molv": how the file says that it is ours

# Assays are numbered as the settings list them: the first objective is 0.
_OUTCOMES = """
CREATE TABLE outcomes (
    suggestion INTEGER NOT NULL REFERENCES suggestions (id),
    assay INTEGER NOT NULL DEFAULT 0,
    repeat INTEGER NOT NULL DEFAULT 0,
    value REAL,
    failure TEXT,
    PRIMARY KEY (suggestion, assay, repeat),
    CHECK ((value IS NULL) = (failure IS NOT NULL))
);
"""
# What a suggestion's own columns say of assay 0, this says of the others.
_PREDICTIONS = """
CREATE TABLE predictions (
    suggestion INTEGER NOT NULL REFERENCES suggestions (id),
    assay INTEGER NOT NULL,
    predicted REAL,
    uncertainty REAL,
    PRIMARY KEY (suggestion, assay)
);
"""
_SCHEMA = f"""
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE suggestions (
    id INTEGER PRIMARY KEY,
    smiles TEXT NOT NULL UNIQUE,
    step INTEGER NOT NULL,
    origin TEXT NOT NULL,
    z BLOB NOT NULL,
    asked BLOB,
    predicted REAL,
    uncertainty REAL,
    acquisition REAL,
    nearest TEXT,
    similarity REAL,
    feasible REAL
);
{_OUTCOMES}{_PREDICTIONS}"""
# Format 1 had one outcome for each molecule, and no reasons for a suggestion.
_FROM_FORMAT_1 = """
ALTER TABLE suggestions ADD COLUMN predicted REAL;
ALTER TABLE suggestions ADD COLUMN uncertainty REAL;
ALTER TABLE suggestions ADD COLUMN acquisition REAL;
ALTER TABLE suggestions ADD COLUMN nearest TEXT;
ALTER TABLE suggestions ADD COLUMN similarity REAL;
ALTER TABLE outcomes ADD COLUMN repeat INTEGER NOT NULL DEFAULT 0;
"""
# Format 2 had one assay, and no constraints.
_FROM_FORMAT_2 = f"""
ALTER TABLE suggestions ADD COLUMN feasible REAL;
ALTER TABLE outcomes RENAME TO old_outcomes;
{_OUTCOMES}{_PREDICTIONS}
INSERT INTO outcomes SELECT suggestion, 0, repeat, value, failure FROM old_outcomes;
DROP TABLE old_outcomes;
"""


class Database:
    """The open file with its ``settings``; only one process may have it open at a time."""

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        settings: Mapping[str, Any],
        *,
        create: bool,
        resume: bool,
        partial: bool = False,
    ) -> None:
        """Open ``path`` (None: in memory); ``create`` and ``resume`` say if it may be new or old.

        An old file must have been made with these ``settings``; with ``partial`` it may have
        others besides. Raises :class:`FileError`, :class:`ModelError` and :class:`ConfigError`
        as :class:`~molvae.optimize.store.Store` says.
        """
        self.path = IN_MEMORY if path is None else os.fspath(path)
        if path is not None:
            _look_at(Path(path), create, resume)
        with self.errors():
            self.connection = sqlite3.connect(self.path, timeout=1.0, isolation_level=None)
        try:
            with self.errors():
                self._open(json.loads(json.dumps(settings)), create, partial)
                rows = self.connection.execute("SELECT key, value FROM settings").fetchall()
                self.settings: dict[str, Any] = {key: json.loads(value) for key, value in rows}
        except BaseException:
            self.connection.close()
            raise

    def _open(self, settings: dict[str, Any], create: bool, partial: bool) -> None:
        # Exclusive: a second process would evaluate the same suggestions again.
        self.connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        (application,) = self.connection.execute("PRAGMA application_id").fetchone()
        (tables,) = self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application == 0 and tables == 0:
            if not create:
                raise ModelError(_damaged(self.path, "it is empty"))
            self._fill(settings)
            return
        if application != _APPLICATION_ID:
            raise ModelError(f"{self.path} is a database, but no molvae campaign; name another")
        (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        if version > FORMAT:
            raise ModelError(
                f"campaign {self.path} has format {version}, newer than this molvae's {FORMAT}; "
                "update molvae"
            )
        (health,) = self.connection.execute("PRAGMA quick_check(1)").fetchone()
        if health != "ok":
            raise ModelError(_damaged(self.path, health))
        self.connection.execute("PRAGMA journal_mode = WAL")
        with self.transaction():  # takes the lock now, not when the first batch has been proposed
            if version < FORMAT:
                self._execute_all(_FROM_FORMAT_1 * (version < 2) + _FROM_FORMAT_2)
                self.connection.execute(f"PRAGMA user_version = {FORMAT}")
        self._check(settings, partial)

    def _fill(self, settings: dict[str, Any]) -> None:
        self.connection.execute("PRAGMA journal_mode = WAL")
        with self.transaction():
            self._execute_all(_SCHEMA)
            self.connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            self.connection.execute(f"PRAGMA user_version = {FORMAT}")
            self.connection.executemany(
                "INSERT INTO settings VALUES (?, ?)",
                [(key, json.dumps(value)) for key, value in settings.items()],
            )

    def _execute_all(self, script: str) -> None:
        for statement in script.split(";"):
            self.connection.execute(statement)

    def _check(self, settings: Mapping[str, Any], partial: bool) -> None:
        rows = self.connection.execute("SELECT key, value FROM settings").fetchall()
        stored = {key: json.loads(value) for key, value in rows}
        for key in settings if partial else [*settings, *stored]:
            was, now = stored.get(key), settings.get(key)
            if was != now:
                raise ConfigError(
                    f"campaign {self.path} was started with {key} = {shown(was)}, not "
                    f"{shown(now)}; "
                    "resume with what it was started with, or start another campaign"
                )

    def close(self) -> None:
        """Close the file and release it to others."""
        with self.errors():
            self.connection.close()

    def discard(self) -> None:
        """Close the file and remove it."""
        self.close()
        if self.path != IN_MEMORY:
            with file_errors(self.path, "remove"):
                Path(self.path).unlink(missing_ok=True)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is written inside is written whole or not at all."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self.connection.in_transaction:  # a full disk has made SQLite roll back by itself
                self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn SQLite's errors into one clear sentence each."""
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


def _look_at(path: Path, create: bool, resume: bool) -> None:
    """Refuse what SQLite would take for an empty database and write over."""
    if path.exists() and not resume:
        raise FileError(f"the campaign {path} exists already; resume it, or choose another file")
    if not path.exists() and not create:
        raise FileError(f"there is no campaign {path}; begin it, or name another file")
    with file_errors(path, "use"):
        path.parent.mkdir(parents=True, exist_ok=True)
        opening = b""
        if path.exists():
            with path.open("rb") as stream:
                opening = stream.read(16)
    if opening not in (b"", b"SQLite format 3\0"):
        raise ModelError(_damaged(os.fspath(path), "it does not begin like a database"))


def shown(setting: object) -> str:
    """A setting for people: digests by their first digits, which tell them apart as well.

    >>> shown("0123456789abcdef" * 4 + ", sane molecules only")
    "'0123456789ab..., sane molecules only'"
    """
    return re.sub("[0-9a-f]{64}", lambda digest: digest[0][:12] + "...", repr(setting))


def _damaged(path: str, reason: object) -> str:
    # SQLite's own words may be several lines.
    why = " ".join(str(reason).split())
    return f"campaign {path} is damaged or no campaign ({why}); restore it or name another file"
