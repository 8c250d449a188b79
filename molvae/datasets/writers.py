"""Write a table of molecules as CSV, TSV, Parquet, SMILES, SDF or JSON, whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from molvae.base.errors import ConfigError, InputError
from molvae.base.files import atomic_file, file_errors, require_file
from molvae.datasets.rows import is_smiles_name, plain
from molvae.datasets.textio import STDIN as STDOUT

Columns = Mapping[str, Sequence[Any] | np.ndarray]

_FORMULA = tuple("=+-@\t\n")


def write_table(
    path: str | os.PathLike[str],
    columns: Columns,
    *,
    smiles_column: str | None = None,
    format: str | None = None,
) -> int:
    """Write equally long ``columns`` to ``path``; the number of molecules written.

    The format is that of the extension, ``.csv``, ``.tsv``, ``.parquet``, ``.smi``, ``.sdf``,
    ``.json`` (a list of records) or ``.jsonl`` (a record a line), each also with ``.gz``, or
    ``format`` if given, which ``"-"`` (standard output, CSV) needs for another. None and NaN are
    empty cells. ``.smi`` holds the SMILES and a column called ``name``, ``.sdf`` 2-D coordinates
    and all other columns as properties; both leave out rows without a SMILES, and ``.sdf`` those
    whose SMILES cannot be read.

    In CSV and TSV, text that a spreadsheet would take for a formula is prefixed with ``'``,
    except in columns of SMILES (``smiles_column`` and every name that ends in "smiles").

    The file replaces what was there only when it is complete. Raises :class:`FileError` (no
    permission, disk full: what was there stands), :class:`ConfigError` for an unknown format, and
    :class:`InputError` for columns of unequal length or, for ``.smi`` and ``.sdf``, no SMILES.

    >>> write_table("-", {"smiles": ["CCO", None], "note": ["=1+1", "b"], "logp": [0.5, None]})
    smiles,note,logp
    CCO,'=1+1,0.5
    ,b,
    2
    """
    kind, packed = _format(path, format)
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InputError(f"the columns to write differ in length: {shown}")
    rows = {name: _cells(values) for name, values in columns.items()}
    smiles = _smiles_column(columns, smiles_column, required=kind in ("smi", "sdf"))
    with _binary(path, packed) as out:
        return _WRITERS[kind](out, rows, smiles)


def check_output(
    path: str | os.PathLike[str],
    *,
    reads: str | os.PathLike[str] | None = None,
    computed: bool = False,
) -> None:
    """Refuse a place where :func:`write_table` should not write, before the work for it is done.

    Raises :class:`ConfigError` for an unknown format, for the file that the command ``reads`` (its
    other columns would be gone), and where values are ``computed`` for ``.smi``, which has no place
    for them; :class:`FileError` for a directory.

    >>> check_output("best.xyz")
    Traceback (most recent call last):
    ...
    molvae.base.errors.ConfigError: cannot tell how to write best.xyz: the format 'xyz' is not \
one of csv, tsv, parquet, smi, sdf, json, jsonl; give a name that ends in one of these
    """
    kind, _ = _format(path, None)
    require_file(path)
    where = os.fspath(path)
    if computed and kind == "smi":
        raise ConfigError(
            f"{where} would hold molecules and names alone, and nothing of what is computed; give "
            "a name that ends in .csv, .sdf or .parquet"
        )
    if reads and where != STDOUT and _same_file(where, reads):
        raise ConfigError(
            f"{where} is the file that is read, and its other columns would be lost; give another "
            "name to write to"
        )


def _same_file(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> bool:
    first, second = Path(one), Path(other)
    return first.exists() and second.exists() and first.samefile(second)


def _format(path: str | os.PathLike[str], format: str | None) -> tuple[str, bool]:
    name = Path(path).name.lower()
    packed = name.endswith(".gz")
    kind = format or Path(name.removesuffix(".gz")).suffix.removeprefix(".")
    if os.fspath(path) == STDOUT and format is None:
        kind = "csv"
    if kind not in _WRITERS:
        raise ConfigError(
            f"cannot tell how to write {os.fspath(path)}: the format {kind!r} is not one of "
            f"{', '.join(_WRITERS)}; give a name that ends in one of these"
        )
    return kind, packed


def _smiles_column(columns: Columns, wanted: str | None, *, required: bool) -> str | None:
    if wanted is not None and wanted not in columns:
        raise InputError(f"no column {wanted!r} to write; there are {', '.join(columns)}")
    found = wanted or next((name for name in columns if is_smiles_name(name)), None)
    if found is None and required:
        raise InputError(
            f"this format needs a column of SMILES; there are only {', '.join(columns)}"
        )
    return found


@contextlib.contextmanager
def _binary(path: str | os.PathLike[str], packed: bool) -> Iterator[IO[bytes]]:
    if os.fspath(path) == STDOUT:
        with file_errors("standard output", "write"):
            memory = io.BytesIO()
            yield memory
            _to_stdout(memory.getvalue())
        return
    with atomic_file(path, "wb") as out:
        if packed:  # no time and no name inside: the same table gives the same bytes
            with gzip.GzipFile("", "wb", fileobj=out, mtime=0) as stream:
                yield cast(IO[bytes], stream)
        else:
            yield out


def _to_stdout(data: bytes) -> None:
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:  # replaced by a text-only stream, as doctest and notebooks do
        sys.stdout.write(data.decode())
    else:
        sys.stdout.flush()
        binary.write(data)
        binary.flush()


def _cells(values: Sequence[Any] | np.ndarray) -> list[Any]:
    """Plain Python values; None for what is missing."""
    items = values.tolist() if isinstance(values, np.ndarray) else list(values)
    return [_plain_value(item) for item in items]


def _plain_value(item: Any) -> Any:
    if isinstance(item, np.generic):
        item = item.item()
    return None if isinstance(item, float) and math.isnan(item) else item


def _delimited(delimiter: str) -> Callable[[IO[bytes], Columns, str | None], int]:
    def write(out: IO[bytes], columns: Columns, smiles: str | None) -> int:
        text = io.TextIOWrapper(out, "utf-8", newline="", write_through=True)
        writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
        writer.writerow([_escaped(name) for name in columns])
        cells = [
            values if name == smiles or plain(name).endswith("smiles") else map(_escaped, values)
            for name, values in columns.items()
        ]
        writer.writerows(zip(*cells, strict=True))
        text.detach()
        return _height(columns)

    return write


def _escaped(value: Any) -> Any:
    """Text that a spreadsheet would run, made plain; a number written as text is harmless.

    Line ends become ``\n``: a lone ``\r`` would end the row for some readers.
    """
    if not isinstance(value, str):
        return value
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    if text.startswith(_FORMULA):
        try:
            float(text)
        except ValueError:
            return "'" + text
    return text


def _parquet(out: IO[bytes], columns: Columns, smiles: str | None) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pa.table({name: pa.array(values) for name, values in columns.items()})
    except pa.ArrowException as error:
        raise InputError(f"a column mixes kinds of values: {error}") from error
    pq.write_table(table, out, compression="zstd")
    return _height(columns)


def _smi(out: IO[bytes], columns: Columns, smiles: str | None) -> int:
    names = next((values for name, values in columns.items() if plain(name) == "name"), None)
    written = 0
    for row, text in enumerate(columns[str(smiles)]):
        if text:
            name = None if names is None or names[row] is None else _one_line(names[row])
            out.write((f"{text} {name}\n" if name else f"{text}\n").encode())
            written += 1
    return written


def _sdf(out: IO[bytes], columns: Columns, smiles: str | None) -> int:
    from rdkit import Chem
    from rdkit.Chem import rdDepictor

    from molvae.chem.smiles import parse_many

    others = {name: values for name, values in columns.items() if name != smiles}
    written = 0
    for row, mol in enumerate(parse_many([text or None for text in columns[str(smiles)]])):
        if mol is None:
            continue
        rdDepictor.Compute2DCoords(mol)
        for name, values in others.items():
            if plain(name) == "name" and values[row] is not None:
                mol.SetProp("_Name", _one_line(values[row]))
        out.write(Chem.MolToMolBlock(mol).encode())
        for name, values in others.items():
            if values[row] is not None:
                tag = _one_line(name).replace("<", "(").replace(">", ")")
                out.write(f">  <{tag}>\n{_one_line(values[row])}\n\n".encode())
        out.write(b"$$$$\n")
        written += 1
    return written


def _one_line(value: Any) -> str:
    return " ".join(str(value).split())


def _json(out: IO[bytes], columns: Columns, smiles: str | None) -> int:
    for row, line in enumerate(_json_records(columns)):
        out.write(("[\n" if row == 0 else ",\n").encode() + line.encode())
    out.write(b"\n]\n" if _height(columns) else b"[]\n")
    return _height(columns)


def _jsonl(out: IO[bytes], columns: Columns, smiles: str | None) -> int:
    for line in _json_records(columns):
        out.write(line.encode() + b"\n")
    return _height(columns)


def _json_records(columns: Columns) -> Iterator[str]:
    for row in zip(*columns.values(), strict=True):
        record = {name: _json_value(cell) for name, cell in zip(columns, row, strict=True)}
        yield json.dumps(record, ensure_ascii=False, default=str, allow_nan=False)


def _json_value(cell: Any) -> Any:
    """JSON has no infinities: they are text."""
    return str(cell) if isinstance(cell, float) and math.isinf(cell) else cell


def _height(columns: Columns) -> int:
    return len(next(iter(columns.values()), ()))


_WRITERS: dict[str, Callable[[IO[bytes], Columns, str | None], int]] = {
    "csv": _delimited(","),
    "tsv": _delimited("\t"),
    "parquet": _parquet,
    "smi": _smi,
    "sdf": _sdf,
    "json": _json,
    "jsonl": _jsonl,
}
