"""The second pass of building a corpus: rare symbols, and the files in their final form."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from molvae.chem.tokenizer import Tokenizer
from molvae.datasets.splits import PARTS, TRAIN
from molvae.datasets.staging import GROUP, Staging


class DroppedFile:
    """``dropped.csv``, written as it grows, and how often each cause occurred."""

    def __init__(self, path: Path, file_names: Sequence[str]) -> None:
        self._names = file_names
        self._stream = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._stream)
        self._writer.writerow(["file", "row", "text", "reason"])
        self.causes: dict[str, int] = {}

    def __enter__(self) -> DroppedFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()

    def add(self, file: int, row: int, text: str, reason: str) -> None:
        """Note one row; the cause is the reason up to its detail in brackets."""
        self._writer.writerow([self._names[file], row, text, reason])
        cause = reason.partition(" (")[0]
        self.causes[cause] = self.causes.get(cause, 0) + 1


def drop_rare(
    staging: Staging, parts: np.ndarray, min_count: int, dropped: DroppedFile
) -> np.ndarray:
    """Which molecules (n,) stay so that each symbol left occurs ``min_count`` times in training."""
    keep = np.ones(len(parts), dtype=bool)
    rare = np.zeros(len(staging.symbols), dtype=bool)
    while min_count > 1:
        often = staging.symbol_counts(keep & (parts == TRAIN)) >= min_count
        now = ~often & (staging.symbol_counts(keep) > 0)
        if not now.any():
            break
        rare |= now
        keep &= ~staging.holding(now)
    if not keep.all():
        _note_rare(staging, keep, rare, dropped)
    return keep


def _note_rare(staging: Staging, keep: np.ndarray, rare: np.ndarray, dropped: DroppedFile) -> None:
    for (part, ids), table in zip(staging.tokens(), staging.table(), strict=True):
        ends = np.cumsum(staging.lengths[part])
        for i in np.flatnonzero(~keep[part]).tolist():
            molecule = np.unique(ids[ends[i] - staging.lengths[part][i] : ends[i]])
            symbols = ", ".join(staging.symbols[k] for k in molecule if rare[k])
            row = table.slice(i, 1).to_pylist()[0]
            dropped.add(row["file"], row["row"], row["smiles"], f"rare symbol ({symbols})")


def write_arrays(
    staging: Staging, keep: np.ndarray, parts: np.ndarray, tokenizer: Tokenizer, folder: Path
) -> None:
    """Write tokens, offsets, labels and parts of the molecules to ``keep`` (n,)."""
    number = {symbol: k for k, symbol in enumerate(tokenizer.alphabet, tokenizer.first_id)}
    ids = np.array([number.get(symbol, 0) for symbol in staging.symbols], dtype=tokenizer.dtype)
    lengths = staging.lengths[keep].astype(np.int64)
    with (folder / "tokens.npy").open("wb") as out:
        _write_header(out, tokenizer.dtype, (int(lengths.sum()),))
        for part, symbols in staging.tokens():
            out.write(ids[symbols[np.repeat(keep[part], staging.lengths[part])]].tobytes())
    with (folder / "labels.npy").open("wb") as out:
        _write_header(out, np.dtype(np.float32), (len(lengths), staging.label_count))
        for start, labels in enumerate(staging.labels()):
            out.write(labels[keep[start * GROUP : start * GROUP + len(labels)]].tobytes())
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    for name, array in (("offsets.npy", offsets), ("split.npy", parts[keep])):
        with (folder / name).open("wb") as out:
            _write_header(out, array.dtype, array.shape)
            out.write(array.tobytes())


def _write_header(out: IO[bytes], dtype: np.dtype, shape: tuple[int, ...]) -> None:
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": shape,
    }
    np.lib.format.write_array_header_1_0(out, header)


def write_table(
    staging: Staging,
    keep: np.ndarray,
    parts: np.ndarray,
    file_names: Sequence[str],
    label_names: Sequence[str],
    folder: Path,
) -> None:
    """Write ``table.parquet`` of the molecules to ``keep`` (n,): origin, SMILES, labels, part."""
    words = pa.dictionary(pa.int32(), pa.string())
    fields = [("file", words), ("row", pa.int64()), ("smiles", pa.string()), ("name", pa.string())]
    fields += [(name, pa.float32()) for name in label_names]
    schema = pa.schema([*fields, ("split", words)])
    with pq.ParquetWriter(folder / "table.parquet", schema) as out:
        start = 0
        for table, labels in zip(staging.table(), staging.labels(), strict=True):
            here = slice(start, start + len(labels))
            start = here.stop
            file = _words(table.column("file").to_numpy(), file_names)
            columns = [file, *table.columns[1:], *(pa.array(column) for column in labels.T)]
            columns.append(_words(parts[here], PARTS))
            whole = pa.Table.from_arrays(columns, schema=schema)
            out.write_table(whole.filter(pa.array(keep[here])))


def _words(numbers: np.ndarray, words: Sequence[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(numbers, pa.int32()), pa.array(words))
