"""What is stored of the molecules of a corpus before the alphabet and the parts are known.

The first pass appends symbols under provisional numbers, labels, and SMILES to files; a second
one (:mod:`molvae.datasets.finishing`) streams them into their final form. Some fifteen bytes per
molecule (a key, a length, a part) stay in memory, all else on disk.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from molvae.datasets.clean import Cleaned

GROUP = 65_536
"""Molecules that are held in memory together."""

_SCHEMA = pa.schema(
    [("file", pa.int32()), ("row", pa.int64()), ("smiles", pa.string()), ("name", pa.string())]
)


class Staging:
    """Append molecules, then :meth:`finish`, then read back group by group. A context manager.

    After :meth:`finish` there are ``symbols`` (in the order of their numbers) and, for the ``n``
    molecules, ``lengths``, ``group`` keys and given ``parts``, all ``(n,)``.
    """

    def __init__(self, folder: Path, label_count: int) -> None:
        self._folder = folder
        self.label_count = label_count
        self._numbers: defaultdict[str, int] = defaultdict()
        self._numbers.default_factory = self._numbers.__len__
        self._columns: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._waiting: list[pa.RecordBatch] = []
        self.symbols: tuple[str, ...] = ()

    def __enter__(self) -> Staging:
        self._folder.mkdir()
        self._tokens = (self._folder / "tokens").open("w+b")
        self._labels = (self._folder / "labels").open("w+b")
        self._table = pq.ParquetWriter(self._folder / "table", _SCHEMA)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tokens.close()
        self._labels.close()
        if error is None:
            self._table.close()

    def append(
        self,
        files: Sequence[int],
        items: Sequence[Cleaned],
        parts: Sequence[int],
        labels: np.ndarray,
    ) -> None:
        """Store clean, encoded molecules, with the number of their file, the part that the source
        gives them, and their labels (k, p) float32."""
        number = self._numbers
        ids = [number[symbol] for item in items for symbol in item.result[0]]
        self._tokens.write(np.array(ids, dtype=np.uint16).tobytes())
        self._labels.write(labels.tobytes())
        lengths = np.array([len(item.result[0]) for item in items], dtype=np.int32)
        group = np.array([item.result[1] for item in items], dtype=np.uint64)
        self._columns.append((lengths, group, np.array(parts, dtype=np.uint8)))
        columns = [
            pa.array(files, pa.int32()),
            pa.array([item.number for item in items], pa.int64()),
            pa.array([item.smiles for item in items], pa.string()),
            pa.array([item.name for item in items], pa.string()),
        ]
        self._waiting.append(pa.RecordBatch.from_arrays(columns, schema=_SCHEMA))
        self._write_table(GROUP)

    def _write_table(self, least: int) -> None:
        """Write full groups of ``GROUP`` rows, while ``least`` rows or more are waiting."""
        while (waiting := sum(batch.num_rows for batch in self._waiting)) and waiting >= least:
            table = pa.Table.from_batches(self._waiting, _SCHEMA)
            self._table.write_table(table.slice(0, GROUP), row_group_size=GROUP)
            self._waiting = table.slice(GROUP).to_batches()

    def finish(self) -> None:
        """End the first pass."""
        self._write_table(1)
        self._table.close()
        nothing = (np.zeros(0, np.int32), np.zeros(0, np.uint64), np.zeros(0, np.uint8))
        columns = zip(*(self._columns or [nothing]), strict=True)
        self.lengths, self.group, self.parts = (np.concatenate(column) for column in columns)
        self._columns = []
        self.symbols = tuple(self._numbers)

    def tokens(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Symbol numbers, flat, of ``GROUP`` consecutive molecules, with which ones they are."""
        self._tokens.seek(0)
        for start in range(0, len(self.lengths), GROUP):
            part = slice(start, min(start + GROUP, len(self.lengths)))
            count = int(self.lengths[part].sum(dtype=np.int64))
            yield part, np.frombuffer(self._tokens.read(2 * count), dtype=np.uint16)

    def labels(self) -> Iterator[np.ndarray]:
        """Labels ``(k, p)`` of the same groups of molecules."""
        self._labels.seek(0)
        for start in range(0, len(self.lengths), GROUP):
            rows = min(GROUP, len(self.lengths) - start)
            values = np.frombuffer(self._labels.read(4 * rows * self.label_count), np.float32)
            yield values.reshape(rows, self.label_count)

    def table(self) -> Iterator[pa.Table]:
        """File, row, SMILES and name of the same groups of molecules."""
        with pq.ParquetFile(self._folder / "table") as table:
            for group in range(table.num_row_groups):
                yield table.read_row_group(group)

    def symbol_counts(self, chosen: np.ndarray) -> np.ndarray:
        """How often each symbol occurs in the molecules where ``chosen`` (n,) is true."""
        counts = np.zeros(len(self.symbols), dtype=np.int64)
        for part, ids in self.tokens():
            taken = ids[np.repeat(chosen[part], self.lengths[part])]
            counts += np.bincount(taken, minlength=len(counts))
        return counts

    def holding(self, flagged: np.ndarray) -> np.ndarray:
        """Which molecules (n,) hold a symbol that is ``flagged``."""
        result = np.zeros(len(self.lengths), dtype=bool)
        for part, ids in self.tokens():
            ends = np.cumsum(self.lengths[part])
            result[part] = np.logical_or.reduceat(flagged[ids], ends - self.lengths[part])
        return result
