"""The curves of a run: ``history.csv`` always, TensorBoard on request."""

from __future__ import annotations

import csv
import importlib.util
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from molvae.base.errors import ConfigError
from molvae.base.files import atomic_file, file_errors


class Log(Protocol):
    """Something that keeps rows of numbers by step."""

    def write(self, row: Mapping[str, float]) -> None:
        """Keep one row; it has the key ``step``."""

    def close(self) -> None:
        """Finish."""


class History:
    """``history.csv``: one line per interval, written through at once.

    A value that a row does not have is left blank. ``keep_until`` is the step of the state that a
    run continues from: later lines, and a line cut short by a kill, are dropped and written again.
    """

    def __init__(self, path: Path, columns: tuple[str, ...], keep_until: int | None = None):
        self._columns = columns
        kept = _lines_until(path, keep_until) if keep_until is not None else []
        with atomic_file(path, newline="") as out:
            csv.writer(out, lineterminator="\n").writerows([columns, *kept])
        self._path = path

    def write(self, row: Mapping[str, float]) -> None:
        """Append a row and hand it to the system."""
        text = io.StringIO()
        line = [_number(row[name]) if name in row else "" for name in self._columns]
        csv.writer(text, lineterminator="\n").writerow(line)
        with file_errors(self._path, "write"), open(self._path, "a", encoding="utf-8") as out:
            out.write(text.getvalue())

    def close(self) -> None:
        """Nothing is left open."""


class TensorBoard:
    """The same rows as TensorBoard scalars."""

    def __init__(self, path: Path):
        if importlib.util.find_spec("tensorboard") is None:
            raise ConfigError(
                "run.tensorboard is on but tensorboard is not installed; "
                "pip install 'molvae[tensorboard]', or leave it off: history.csv has the same"
            )
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(path))

    def write(self, row: Mapping[str, float]) -> None:
        """Add one scalar per key."""
        for name, value in row.items():
            if name != "step":
                self._writer.add_scalar(name.replace("_", "/", 1), value, int(row["step"]))

    def close(self) -> None:
        """Flush and close."""
        self._writer.close()


def read_history(path: Path) -> dict[str, list[float]]:
    """The columns of a ``history.csv``; NaN where a row has no value."""
    with file_errors(path), open(path, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    names = list(rows[0]) if rows else []
    return {name: [float(row[name] or "nan") for row in rows] for name in names}


def _lines_until(path: Path, step: int) -> list[list[str]]:
    with file_errors(path), open(path, encoding="utf-8", newline="") as stream:
        header, *lines = list(csv.reader(stream))
    place = header.index("step")
    whole = [line for line in lines if len(line) == len(header)]
    return [line for line in whole if int(line[place]) <= step]


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.7g}"
