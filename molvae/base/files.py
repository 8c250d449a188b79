"""Atomic writes, checksums, and the file system's refusals in plain words."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from molvae.base.errors import FileError

_REASONS = {
    errno.ENOENT: "it does not exist; check the path",
    errno.EISDIR: "it is a directory; name a file",
    errno.ENOTDIR: "part of the path is a file, not a directory; check the path",
    errno.EACCES: "permission denied; check its owner and mode",
    errno.EPERM: "the operation is not permitted; check its owner and mode",
    errno.EROFS: "the file system is read-only; choose another place",
    errno.ENOSPC: "the disk is full; free some space and run again",
    errno.EDQUOT: "the disk quota is used up; free some space and run again",
    errno.ENAMETOOLONG: "the name is too long; shorten it",
    errno.EEXIST: "it exists already; choose another name",
}


@contextlib.contextmanager
def file_errors(path: str | os.PathLike[str], action: str = "read") -> Iterator[None]:
    """Turn an ``OSError`` inside the block into a :class:`FileError` that names ``path``.

    ``action`` is the verb of the sentence: ``cannot {action} {path}: ...``.
    """
    try:
        yield
    except BrokenPipeError:  # the reader of a pipe has left: no fault of the file's
        raise
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
        raise FileError(f"cannot {action} {os.fspath(path)}: {reason}") from error


def require_file(path: str | os.PathLike[str]) -> None:
    """Raise :class:`FileError` where ``path`` cannot become a file, for it is a directory or below
    a file: to be asked before long work, as only writing tells for sure."""
    with file_errors(path, "write"):
        if Path(path).is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a directory")
        nearest = next(folder for folder in Path(path).absolute().parents if folder.exists())
        if not nearest.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "is a file")
        if not os.access(nearest, os.W_OK) and not Path(path).exists():
            raise PermissionError(errno.EACCES, "permission denied")


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str], mode: str = "w", **options: Any) -> Iterator[IO[Any]]:
    """Open a temporary file beside ``path`` that replaces it when the block ends well.

    On any error the temporary file is removed and ``path`` is left as it was. ``options`` go to
    :func:`open`; text is UTF-8 unless an encoding is given.

    >>> with atomic_file("/tmp/molvae-doc.txt") as out:
    ...     _ = out.write("CCO")
    >>> Path("/tmp/molvae-doc.txt").read_text()
    'CCO'
    """
    target = Path(path)
    if "b" not in mode:
        options.setdefault("encoding", "utf-8")
    with file_errors(target, "write"):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a directory")
        if target.exists() and not target.is_file():  # a device or a pipe cannot be replaced
            with open(target, mode, **options) as stream:
                yield stream
            return
        target = Path(os.path.realpath(target))  # a link stays a link
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, mode, **options) as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(target)
            _sync_directory(target.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_directory(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a new directory beside ``path`` that takes its place when the block ends well.

    An existing ``path`` is replaced as a whole; on any error it is left as it was.
    """
    target = Path(path)
    with file_errors(target, "write"):
        if target.exists() and not target.is_dir():
            raise FileExistsError(errno.EEXIST, "is a file")
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            temporary.chmod(0o777 & ~_umask())
            yield temporary
            for file in temporary.rglob("*"):
                if file.is_file():
                    with file.open("rb") as stream:
                        os.fsync(stream.fileno())
            if target.exists():
                old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
                target.replace(old / "content")
                temporary.replace(target)
                shutil.rmtree(old)
            else:
                temporary.replace(target)
            _sync_directory(target.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write ``value`` as indented JSON, atomically; NaN and infinities are refused."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_file(path) as out:
        out.write(text + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read JSON, raising :class:`FileError` where it is missing, truncated or not JSON."""
    with file_errors(path):
        data = Path(path).read_bytes()
    try:
        return json.loads(data.decode("utf-8"))
    except ValueError as error:
        raise FileError(
            f"cannot read {os.fspath(path)}: it is not complete JSON ({error}); "
            "the file is damaged, restore it from a copy"
        ) from error


def sha256_file(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file's content, as 64 hexadecimal digits."""
    with file_errors(path), open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
