"""The ground that every layer stands on: files, records, seeds, maps, progress."""

import errno
import json
import os
import signal
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from molvae.base.errors import ConfigError, FileError, InterruptedRun, MolvaeError
from molvae.base.files import atomic_directory, atomic_file, file_errors, read_json, write_json
from molvae.base.parallel import chunked, ordered_map
from molvae.base.progress import Progress, track
from molvae.base.records import Record, override, read_toml
from molvae.base.seeds import derive_seed


def fail_with(code: int):
    def refuse(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    return refuse


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(ValueError, match="half way"), atomic_file(path) as out:
        out.write("new, half")
        raise ValueError("half way")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(tmp_path, monkeypatch) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", fail_with(errno.ENOSPC))
    with pytest.raises(FileError, match=r"cannot write .*table\.csv: the disk is full"):
        write_json(path, {"a": 1})
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["table.csv"]


def test_writing_onto_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="it is a directory; name a file"):
        write_json(tmp_path, {})


def test_a_new_directory_replaces_the_old_one_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "model"
    for content in ("one", "two"):
        with atomic_directory(target) as new:
            (new / f"{content}.txt").write_text(content)
    assert [p.name for p in target.iterdir()] == ["two.txt"]
    assert os.listdir(tmp_path) == ["model"]


def test_a_directory_that_fails_half_way_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "model"
    target.mkdir()
    (target / "kept").write_text("x")
    with pytest.raises(RuntimeError), atomic_directory(target) as new:
        (new / "half").write_text("x")
        raise RuntimeError
    assert [p.name for p in target.iterdir()] == ["kept"]
    assert os.listdir(tmp_path) == ["model"]


def test_written_files_obey_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_json(tmp_path / "x.json", 1)
    finally:
        os.umask(old)
    assert (tmp_path / "x.json").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOENT, "does not exist"), (errno.EACCES, "permission denied"),
     (errno.EROFS, "read-only")],
)  # fmt: skip
def test_each_refusal_of_the_file_system_says_what_to_do(code: int, words: str) -> None:
    with pytest.raises(FileError, match=words), file_errors("a.csv"):
        fail_with(code)()


def test_truncated_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"a": [1, 2, 3]})[:-3])
    with pytest.raises(FileError, match=r"config\.json: it is not complete JSON"):
        read_json(path)


class Inner(Record):
    latent_dim: int = 4
    rate: float = 0.1


class Outer(Record):
    model: Inner = Inner()
    name: str = "x"
    sizes: tuple[int, ...] = ()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"model": {"latent_dimm": 3}},
            "unknown key 'model.latent_dimm'; did you mean 'latent_dim'",
        ),
        ({"modle": {}}, "did you mean 'model'"),
        ({"zzzzzz": 1}, "known keys: model, name, sizes"),
        ({"model": {"latent_dim": "three"}}, "key 'model.latent_dim' is 'three'"),
        ({"model": {"latent_dim": "3"}}, "key 'model.latent_dim' is '3'"),
        ({"model": {"rate": float("nan")}}, "rate"),
        ({"name": {1, 2}}, "cannot be read"),
    ],
)
def test_a_wrong_setting_is_named_with_the_nearest_valid_one(values, message) -> None:
    with pytest.raises(ConfigError, match=message):
        Outer.parse(values, where="run.toml")


def test_a_record_survives_the_way_through_plain_values() -> None:
    record = Outer.parse({"model": {"latent_dim": 9, "rate": 1}, "sizes": [1, 2]})
    assert record.model.rate == 1.0
    assert record.sizes == (1, 2)
    assert Outer.parse(json.loads(json.dumps(record.to_dict()))) == record
    assert record.replace(name="y").name == "y"


def test_records_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Outer().name = "y"  # type: ignore[misc]


def test_assignments_override_nested_keys_without_touching_the_original() -> None:
    values = {"model": {"latent_dim": 3}}
    assert override(values, ["model.latent_dim=64", "name=plain words", "sizes=[1, 2]"]) == {
        "model": {"latent_dim": 64},
        "name": "plain words",
        "sizes": [1, 2],
    }
    assert values == {"model": {"latent_dim": 3}}


@pytest.mark.parametrize("bad", ["latent_dim", "=3", "name.deeper=1"])
def test_a_malformed_assignment_says_how_to_write_it(bad: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        override({"name": "x"}, [bad])


def test_malformed_toml_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("a = 1\nb = = 2\n")
    with pytest.raises(ConfigError, match=r"run\.toml: not valid TOML: .*line 2"):
        read_toml(path)


@given(st.integers(0, 2**63), st.lists(st.one_of(st.integers(), st.text()), max_size=3))
def test_derived_seeds_are_fixed_and_fit_every_generator(seed: int, stream: list) -> None:
    assert 0 <= derive_seed(seed, *stream) < 2**63
    assert derive_seed(seed, *stream) == derive_seed(seed, *stream)


def test_derived_seeds_differ_by_name_and_by_type() -> None:
    seeds = {derive_seed(0), derive_seed(1), derive_seed(0, 1), derive_seed(0, "1")}
    assert len(seeds) == 4
    assert derive_seed(0, "noise", 7) == 7203364320779951112


def square(x: int) -> int:
    return x * x


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def kill_on_three(x: int) -> int:
    if x == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


@pytest.mark.parametrize("workers", [1, 2])
def test_a_parallel_map_keeps_the_order(workers: int) -> None:
    assert list(ordered_map(square, range(20), workers)) == [x * x for x in range(20)]


def test_a_parallel_map_reads_only_a_few_items_ahead() -> None:
    taken = []

    def source():
        for x in range(1000):
            taken.append(x)
            yield x

    results = ordered_map(square, source(), workers=2)
    assert next(results) == 0
    assert len(taken) < 20
    results.close()


def test_a_parallel_map_left_early_does_not_wait_for_what_was_read_ahead() -> None:
    results = ordered_map(nap, [0, 600, 600, 600, 600, 600], workers=2)
    assert next(results) == 0
    start = time.monotonic()
    results.close()
    assert time.monotonic() - start < 300


def test_a_killed_worker_is_an_error_not_a_hang() -> None:
    with pytest.raises(MolvaeError, match="a worker process died"):
        list(ordered_map(kill_on_three, range(8), workers=2))


@given(st.lists(st.integers()), st.integers(1, 7))
def test_chunks_hold_everything_in_order(items: list[int], size: int) -> None:
    chunks = list(chunked(items, size))
    assert [x for chunk in chunks for x in chunk] == items
    assert all(len(chunk) == size for chunk in chunks[:-1])


def test_progress_is_silent_when_nobody_watches(capsys) -> None:
    with Progress("work", total=2) as bar:
        bar.advance()
        bar.note("x")
    assert list(track([1, 2], "work")) == [1, 2]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_progress_goes_to_standard_error(capsys) -> None:
    with Progress("training", total=2, show=True) as bar:
        bar.advance(2)
        bar.note("kl 3.1")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "training" in captured.err
    assert "kl 3.1" in captured.err


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)])
def test_an_interruption_leaves_with_the_shells_code(number: int, code: int) -> None:
    assert InterruptedRun("saved", number).exit_code == code
