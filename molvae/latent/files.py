"""Latent vectors on disk: ``.npy`` arrays, or tables with the columns ``z0``, ``z1`` and so on."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from molvae.base.errors import InputError
from molvae.base.files import atomic_file, file_errors, require_file
from molvae.datasets.textio import open_binary, text_lines
from molvae.datasets.writers import check_output, write_table

_AXIS = re.compile(r"z(\d+)")


def write_latents(
    path: str | os.PathLike[str], z: np.ndarray, columns: Mapping[str, Sequence[Any]]
) -> None:
    """Write ``z (n, d)``: as it is to ``.npy``, else as a table after ``columns`` (names, SMILES).

    NaN rows are blank in tables.
    """
    if Path(path).suffix == ".npy":
        with atomic_file(path, "wb") as out:
            np.save(out, z, allow_pickle=False)
        return
    # The shortest decimals that are the same float32, instead of all the digits of a float64.
    text = z.astype(np.float32).astype(str).astype(np.float64)
    write_table(path, {**columns, **{f"z{i}": text[:, i] for i in range(z.shape[1])}})


def check_latents_output(
    path: str | os.PathLike[str], *, reads: str | os.PathLike[str] | None = None
) -> None:
    """Refuse a place where :func:`write_latents` could not write, as
    :func:`~molvae.datasets.writers.check_output` does."""
    if Path(path).suffix == ".npy":
        require_file(path)
    else:
        check_output(path, reads=reads, computed=True)


def read_latents(path: str | os.PathLike[str]) -> np.ndarray:
    """Read latents ``(n, d)`` from ``.npy``, ``.parquet``, ``.csv`` or ``.tsv`` (also gzipped),
    or CSV from ``"-"``; a blank row is NaN.

    Raises :class:`InputError` where there are no columns ``z0``, ``z1`` ..., or a cell is text.
    """
    name = os.fspath(path)
    if name.endswith(".npy"):
        return _read_npy(path)
    if name.endswith(".parquet"):
        return _read_parquet(path)
    with open_binary(path) as stream:
        delimiter = "\t" if ".tsv" in Path(path).suffixes else ","
        rows = csv.reader(text_lines(stream, name), delimiter=delimiter)
        places = _axes(next(rows, []), name)
        return np.array(
            [
                [_number(row[i] if i < len(row) else "", name, number) for i in places]
                for number, row in enumerate(rows, start=2)
                if row
            ],
            dtype=np.float32,
        ).reshape(-1, len(places))


def _read_npy(path: str | os.PathLike[str]) -> np.ndarray:
    with file_errors(path), open(path, "rb") as stream:
        try:
            z = np.load(stream, allow_pickle=False)
        except ValueError as error:
            raise InputError(f"{os.fspath(path)} is not a whole .npy array ({error})") from error
    if z.ndim != 2 or z.dtype.kind not in "fiu":
        raise InputError(
            f"{os.fspath(path)} holds {z.dtype} of shape {z.shape}: latents are numbers (n, d)"
        )
    return np.asarray(z, dtype=np.float32)


def _read_parquet(path: str | os.PathLike[str]) -> np.ndarray:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with file_errors(path):
            table = pq.read_table(path)
        names = table.column_names
        columns = [table.column(i).cast(pa.float32()) for i in _axes(names, os.fspath(path))]
    except pa.ArrowException as error:
        raise InputError(f"{os.fspath(path)} is not a table of latents ({error})") from error
    return np.column_stack([column.to_numpy() for column in columns])


def _axes(header: Sequence[str], where: str) -> list[int]:
    """The places of the columns z0, z1, ... in the header."""
    found = {int(m[1]): i for i, name in enumerate(header) if (m := _AXIS.fullmatch(name.strip()))}
    if not found or sorted(found) != list(range(len(found))):
        raise InputError(
            f"{where} has no columns z0, z1, ... without a gap; "
            "write latents with molvae encode, or as a .npy array"
        )
    return [found[i] for i in range(len(found))]


def _number(cell: str, where: str, row: int) -> float:
    try:
        return float(cell) if cell.strip() else float("nan")
    except ValueError:
        raise InputError(f"{where}: row {row} has {cell!r} where a number should be") from None
