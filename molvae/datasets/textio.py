"""Text lines out of any file: gzip, byte-order marks, mixed line ends, and what is not text."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, cast

from molvae.base.errors import InputError
from molvae.base.files import file_errors

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

STDIN = "-"
"""The path that means standard input (or output)."""

_HEAD = 1 << 16
_LONGEST_LINE = 1_000_000
_BOMS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_FOREIGN = (
    (b"PK\x03\x04", "a zip archive or a spreadsheet; save the table as .csv"),
    (b"\xd0\xcf\x11\xe0", "an old Excel spreadsheet; save the table as .csv"),
    (b"PAR1", "a Parquet table; give the file a name that ends in .parquet"),
    (b"%PDF", "a PDF; save the table as .csv"),
    (b"BZh", "compressed by bzip2; decompress it, or use gzip"),
    (b"\xfd7zXZ", "compressed by xz; decompress it, or use gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd; decompress it, or use gzip"),
)
_CONTROL = bytes(set(range(32)) - set(b"\t\n\v\f\r"))


def display_name(path: str | os.PathLike[str]) -> str:
    """How messages name ``path``.

    >>> display_name("-")
    'standard input'
    """
    return "standard input" if os.fspath(path) == STDIN else os.fspath(path)


@contextlib.contextmanager
def open_binary(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open ``path`` (or standard input for ``"-"``), decompressing gzip whatever its name.

    Raises :class:`FileError` for what the file system refuses and :class:`InputError` for an
    empty file and for gzip data that is damaged or cut short, also while reading in the block.
    """
    where = display_name(path)
    with contextlib.ExitStack() as stack:
        stack.enter_context(file_errors(where))
        if os.fspath(path) == STDIN:
            raw: IO[bytes] = sys.stdin.buffer
        else:
            raw = stack.enter_context(open(path, "rb"))
        stream = _prepend(raw)
        if not stream.peek(1):
            raise InputError(f"{where} is empty; give a file of molecules")
        try:
            if stream.peek(2)[:2] == b"\x1f\x8b":
                stream = _prepend(cast(IO[bytes], gzip.GzipFile(fileobj=stream)))
                if not stream.peek(1):
                    raise InputError(f"{where} is empty once decompressed")
            yield stream
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(
                f"{where} is damaged: its gzip data ends early or is corrupt; copy it again"
            ) from error


def text_lines(stream: IO[bytes], where: str) -> Iterator[str]:
    """The lines of ``stream`` without their ends, whatever these are (``\\n``, ``\\r``, mixed).

    UTF-8 with or without a byte-order mark, UTF-16 and UTF-32 with one; bytes that are no UTF-8
    become U+FFFD, for the reader to refuse where it matters. A line longer than a million
    characters is cut there, so that memory stays bounded. Raises :class:`InputError`, naming
    ``where``, for what is not text.
    """
    head = stream.peek(_HEAD)  # type: ignore[attr-defined]
    encoding = _encoding(head, where)
    text = io.TextIOWrapper(stream, encoding, errors="replace", newline=None)
    try:
        while line := text.readline(_LONGEST_LINE):
            if not line.endswith("\n") and len(line) == _LONGEST_LINE:
                while (rest := text.readline(_LONGEST_LINE)) and not rest.endswith("\n"):
                    pass
            yield line.rstrip("\n")
    finally:
        text.detach()


def _encoding(head: bytes, where: str) -> str:
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            raise InputError(f"{where} is not text but {what}")
    zeros = head.count(0)
    if zeros > 0.2 * len(head) and zeros in (head[::2].count(0), head[1::2].count(0)):
        raise InputError(
            f"{where} looks like UTF-16 without a byte-order mark; save it as UTF-8 text"
        )
    text = head.decode("utf-8", errors="replace")
    odd = text.count("\ufffd") + sum(head.count(byte) for byte in _CONTROL)
    if odd > 0.1 * len(text):
        raise InputError(
            f"{where} is not text: {odd:,} of its first {len(text):,} characters are "
            "binary; give .smi, .csv, .tsv, .sdf or .parquet, or gzip of these"
        )
    return "utf-8"


class _Prepended(io.RawIOBase):
    """A head that was read already, then the rest of the stream; never closes the stream."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer)
        data = self._head[: len(view)] or self._rest.read(len(view))
        self._head = self._head[len(view) :]
        view[: len(data)] = data
        return len(data)


def _prepend(stream: IO[bytes]) -> io.BufferedReader:
    """``stream`` with a whole head to peek at, even where a pipe delivers byte by byte."""
    return io.BufferedReader(_Prepended(stream.read(_HEAD), stream), _HEAD)
