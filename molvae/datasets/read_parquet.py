"""Parquet rows, a batch at a time."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from molvae.base.errors import InputError
from molvae.base.files import file_errors
from molvae.datasets.rows import Labels, Row, locate, smiles_problem
from molvae.datasets.textio import STDIN, display_name, open_binary

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH = 4096


def parquet_rows(
    path: str | os.PathLike[str], smiles_column: str | None, labels: Labels
) -> Iterator[Row]:
    """The rows of a Parquet file, plain or gzipped, numbered from 1."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    where = display_name(path)
    with _seekable(path) as stream:
        try:
            file = pq.ParquetFile(stream)
            header = file.schema_arrow.names
            columns = locate(header, smiles_column, labels.names, where)
            wanted = [columns.smiles, *columns.labels]
            wanted += [] if columns.name is None else [columns.name]
            _check_smiles_type(file.schema_arrow, header[columns.smiles], where)
            names = [header[place] for place in dict.fromkeys(wanted)]
            number = 0
            for batch in file.iter_batches(_BATCH, columns=names):
                values = {name: batch.column(name).to_pylist() for name in names}
                smiles = values[header[columns.smiles]]
                titles = None if columns.name is None else values[header[columns.name]]
                cells = zip(*(values[header[place]] for place in columns.labels), strict=True)
                for place, text in enumerate(smiles):
                    number += 1
                    text = (text or "").strip()
                    title = None if titles is None else titles[place]
                    found, problem = labels.read(next(cells, ()))
                    yield Row(
                        number,
                        text,
                        None if title is None else str(title),
                        found,
                        smiles_problem(text) or problem,
                    )
        except pa.ArrowException as error:
            detail = str(error).splitlines()[0][:120]
            raise InputError(
                f"{where} is not a complete Parquet file ({detail}); write or copy it again"
            ) from error


def _check_smiles_type(schema: pa.Schema, name: str, where: str) -> None:
    import pyarrow.types as types

    kind = schema.field(name).type
    kind = kind.value_type if types.is_dictionary(kind) else kind
    if not (types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)):
        raise InputError(f'{where}: column "{name}" holds {kind}, not text; name another')


@contextlib.contextmanager
def _seekable(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """The file itself, or an unnamed temporary copy of what gzip or a pipe delivers."""
    with contextlib.ExitStack() as stack:
        if os.fspath(path) != STDIN and not os.fspath(path).lower().endswith(".gz"):
            with open_binary(path):  # the sentences for what is missing, refused or empty
                pass
            with file_errors(path):
                yield stack.enter_context(open(path, "rb"))
            return
        with open_binary(path) as packed:
            copy = stack.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(packed, copy)
        copy.seek(0)
        yield copy
