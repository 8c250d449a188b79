"""Read molecules from any file, row after row, in memory that does not grow with the file."""

from __future__ import annotations

import csv
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from molvae.base.errors import InputError
from molvae.datasets.read_parquet import parquet_rows
from molvae.datasets.read_sdf import sdf_rows
from molvae.datasets.rows import (
    Cells,
    Columns,
    Labels,
    Row,
    is_smiles_name,
    locate,
    plain,
    smiles_problem,
)
from molvae.datasets.textio import display_name, open_binary, text_lines

_DELIMITERS = "\t,;|"
_SPACE = " "


def read_molecules(
    path: str | os.PathLike[str],
    *,
    smiles_column: str | None = None,
    labels: Sequence[str] = (),
    split_column: str | None = None,
    limit: int | None = None,
) -> Iterator[Row]:
    """The rows of ``path``, a ``.smi``, ``.txt``, ``.csv``, ``.tsv``, ``.sdf`` or ``.parquet``
    file, each also gzipped, or ``"-"`` for standard input, whose format is sniffed.

    ``smiles_column`` names the column of SMILES where it is not ``SMILES``, ``smiles``,
    ``canonical_smiles``, ``structure`` or the like; ``labels`` names numeric columns (SDF:
    properties); ``split_column`` a column of train, validation and test words, which become the
    label of its name as 0, 1 and 2. A ``.smi`` file may have a header and names, and needs
    neither. ``limit`` stops after that many rows. Rows that cannot be used are yielded too, with
    their ``problem``; blank lines are passed over. Row numbers are the file's own lines from 1,
    header included (SDF and Parquet: records from 1).

    The file is opened and its columns are found before the call returns. Raises
    :class:`FileError` (missing, a directory, no permission) and :class:`InputError` (empty, not
    text, damaged, no such column, a column twice, labels that are all text).

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "a.csv")
    ...     _ = file.write_text("id,SMILES,logP\\na,CCO,-0.1\\nb,CCC,high\\n")
    ...     for row in read_molecules(file, labels=["logP"]):
    ...         print(row)
    Row(number=2, smiles='CCO', name='a', labels={'logP': -0.1}, problem=None)
    Row(number=3, smiles='CCC', name='b', labels={'logP': nan}, \
problem='label logP is not a number ("high")')
    """
    return _rows(path, smiles_column, Labels(labels, display_name(path), split_column), limit)


def read_cells(
    path: str | os.PathLike[str], columns: Sequence[str], *, smiles_column: str | None = None
) -> Iterator[Row]:
    """:func:`read_molecules` for columns that may hold anything: ``labels`` are the cells as they
    stand, text where the file is one."""
    return _rows(path, smiles_column, Cells(columns, display_name(path)), None)


def _rows(
    path: str | os.PathLike[str], smiles_column: str | None, reader: Labels, limit: int | None
) -> Iterator[Row]:
    suffix = _suffix(path)
    if suffix == ".parquet":
        rows = parquet_rows(path, smiles_column, reader)
    else:
        rows = _text_rows(path, suffix, smiles_column, reader)
    rows = _ended(itertools.islice(rows, limit), reader)
    first = next(rows, None)
    if first is None:
        if limit == 0:
            return iter(())
        where = display_name(path)
        raise InputError(f"{where} holds no molecules, only a header or blank lines")
    return itertools.chain([first], rows)


def _ended(rows: Iterator[Row], labels: Labels) -> Iterator[Row]:
    yield from rows
    labels.finish()


def _suffix(path: str | os.PathLike[str]) -> str:
    name = Path(path).name.lower()
    return Path(name.removesuffix(".gz")).suffix


def _text_rows(
    path: str | os.PathLike[str], suffix: str, smiles_column: str | None, labels: Labels
) -> Iterator[Row]:
    where = display_name(path)
    with open_binary(path) as stream:
        lines = text_lines(stream, where)
        opening = list(itertools.islice(lines, 4))
        lines = itertools.chain(opening, lines)
        if suffix in (".sdf", ".sd", ".mol") or _looks_like_sdf(opening):
            yield from sdf_rows(lines, smiles_column, labels, where)
            return
        blank = sum(1 for _ in itertools.takewhile(_is_blank, opening))
        if blank == len(opening):
            opening, blank = [""], 0
        delimiter = _delimiter(opening[blank], suffix, smiles_column)
        if delimiter is None:
            if smiles_column is not None or labels.names:
                wanted = smiles_column or labels.names[0]
                raise InputError(
                    f'{where} has no header line, so no column "{wanted}"; add one (for example '
                    '"smiles name logP"), or leave the column out'
                )
            yield from _bare_rows(lines)
        else:
            yield from _table_rows(lines, delimiter, smiles_column, labels, where)


def _is_blank(line: str) -> bool:
    return not line.strip()


def _looks_like_sdf(opening: Sequence[str]) -> bool:
    return len(opening) == 4 and re.search(r"V[23]000\s*$", opening[3]) is not None


def _delimiter(header: str, suffix: str, smiles_column: str | None) -> str | None:
    """What separates the cells, told by the header; None if the first line is no header."""

    def known(cells: Sequence[str]) -> bool:
        if smiles_column is not None:
            return any(plain(cell.strip(' "')) == plain(smiles_column) for cell in cells)
        return any(is_smiles_name(cell.strip(' "')) for cell in cells)

    for delimiter in _DELIMITERS:
        if known(header.split(delimiter)) and (delimiter in header or suffix in (".csv", ".tsv")):
            return "," if delimiter not in header and suffix == ".csv" else delimiter
    if suffix == ".csv":
        return max(",;\t", key=header.count)
    if suffix in (".tsv", ".tab"):
        return "\t"
    return _SPACE if known(header.split()) else None


def _bare_rows(lines: Iterator[str]) -> Iterator[Row]:
    """Lines of SMILES with or without a name after a space, tab, comma or semicolon."""
    separator = re.compile(r"[\s,;]+")
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text:
            smiles, _, name = separator.sub("\t", text, count=1).partition("\t")
            yield Row(number, smiles, name or None, {}, smiles_problem(smiles))


def _table_rows(
    lines: Iterator[str], delimiter: str, smiles_column: str | None, labels: Labels, where: str
) -> Iterator[Row]:
    """Rows under a header."""
    records = _space_records(lines) if delimiter == _SPACE else _csv_records(lines, delimiter)
    first = next(records, None)
    if first is None:
        return
    _, header, fault = first
    if fault is not None:
        raise InputError(f"{where}: its header line cannot be read: {fault}")
    columns = locate(header, smiles_column, labels.names, where)
    for number, cells, fault in records:
        yield _table_row(number, cells, fault, columns, len(header), labels)


def _table_row(
    number: int,
    cells: Sequence[str],
    fault: str | None,
    columns: Columns,
    width: int,
    labels: Labels,
) -> Row:
    smiles = cells[columns.smiles].strip() if len(cells) > columns.smiles else ""
    if fault is None and len(cells) < width:
        fault = f"too few cells ({len(cells)} of {width})"
    elif fault is None and any(map(str.strip, cells[width:])):
        fault = f"too many cells ({len(cells)} of {width})"
    if fault is not None:
        return Row(number, smiles, None, {}, fault)
    name = None if columns.name is None else cells[columns.name].strip() or None
    values, problem = labels.read([cells[place] for place in columns.labels])
    return Row(number, smiles, name, values, smiles_problem(smiles) or problem)


def _csv_records(
    lines: Iterator[str], delimiter: str
) -> Iterator[tuple[int, list[str], str | None]]:
    """``(first line, cells, fault)`` of each record; cells may be quoted and span lines."""
    reader = csv.reader((line + "\n" for line in lines), delimiter=delimiter)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, [], f"malformed CSV ({error})"
            continue
        if any(map(str.strip, cells)):
            yield number, cells, None


def _space_records(lines: Iterator[str]) -> Iterator[tuple[int, list[str], str | None]]:
    """Records of cells between spaces; the last cell, usually a name, may hold spaces."""
    width = -1
    for number, line in enumerate(lines, start=1):
        if not _is_blank(line):
            cells = line.split(None, width)
            width = len(cells) - 1 if width < 0 else width
            yield number, cells, None
