"""Scores that took minutes, kept on disk: one SQLite file for each way of computing them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from molvae.base.errors import FileError
from molvae.base.files import file_errors

_WAIT = 60.0


class ScoreCache:
    """Numbers by canonical SMILES, in a file that many processes may use at once.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cache = ScoreCache(Path(folder, "scores.sqlite"))
    ...     cache.put("CCO", -2.6)
    ...     cache.get("CCO"), cache.get("CC")
    (-2.6, None)
    """

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises :class:`FileError` where that cannot be."""
        self.path = path
        with file_errors(path, "write"):
            path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS scores (smiles TEXT PRIMARY KEY, score REAL NOT NULL)"
            )

    def get(self, smiles: str) -> float | None:
        """The score of a molecule, None where there is none yet."""
        with self._open() as database:
            row = database.execute(
                "SELECT score FROM scores WHERE smiles = ?", (smiles,)
            ).fetchone()
        return None if row is None else float(row[0])

    def put(self, smiles: str, score: float) -> None:
        """Keep a score."""
        with self._open() as database:
            database.execute("INSERT OR REPLACE INTO scores VALUES (?, ?)", (smiles, score))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        # A connection for each call: it may not cross to another process or thread.
        try:
            with closing(sqlite3.connect(self.path, timeout=_WAIT)) as database, database:
                yield database
        except sqlite3.Error as error:
            raise FileError(
                f"cannot use the scores in {self.path}: {error}; remove the file, or name another"
            ) from error
