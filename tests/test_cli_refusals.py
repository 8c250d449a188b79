"""What commands refuse, and how: one sentence, at once, and nothing left behind."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import molvae.generator
from molvae.base.errors import ConfigError, FileError, InputError, ModelError, MolvaeError
from molvae.base.files import require_file
from molvae.cli.app import app
from molvae.cli.common import errors_to_exit_codes
from molvae.datasets.corpus import Corpus, build_corpus
from molvae.datasets.sources import Source
from molvae.training.job import TrainJob, run_job


def refusal(*arguments: object) -> MolvaeError:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert isinstance(result.exception, MolvaeError), result.output
    assert result.stdout == ""
    return result.exception


@pytest.mark.parametrize(
    ("place", "error", "reason"),
    [
        ("best.xyz", ConfigError, "the format 'xyz' is not one of"),
        ("folder.csv", FileError, "it is a directory"),
        ("file.csv/best.csv", FileError, "part of the path is a file"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ("generate", "MODEL"),
        ("encode", "MODEL", "file.csv"),
        ("decode", "MODEL", "file.csv"),
        ("predict", "MODEL", "file.csv"),
        ("climb", "MODEL", "--target", "logp", "--value", "1"),
        ("optimize", "MODEL", "--maximize", "qed"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_the_model_is_opened(
    command: tuple[str, ...],
    place: str,
    error: type[MolvaeError],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(molvae.generator, "load", lambda *_: pytest.fail("work has begun"))
    Path("folder.csv").mkdir()
    Path("file.csv").write_text("smiles\nCCO\n")
    found = refusal(*command, "-o", place)
    assert isinstance(found, error)
    assert place in str(found)
    assert reason in str(found)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file.csv", "folder.csv"]


def test_a_figure_or_page_that_cannot_be_written_is_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(molvae.generator, "load", lambda *_: pytest.fail("work has begun"))
    found = refusal("health", "MODEL", "-o", tmp_path / "health.xyz")
    assert isinstance(found, InputError)
    assert ".svg" in str(found)
    assert "directory" in str(refusal("health", "MODEL", "-o", _folder(tmp_path / "a.png")))
    page = _folder(tmp_path / "page.html")
    found = refusal("optimize", "MODEL", "--maximize", "qed", "--report", page)
    assert isinstance(found, FileError)
    assert "it is a directory" in str(found)


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def test_a_folder_without_permission_is_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("molvae.base.files.os.access", lambda *_: False)
    with pytest.raises(FileError, match=r"new\.csv: permission denied"):
        require_file(tmp_path / "new.csv")


def test_a_missing_model_is_one_line_of_optimize(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["optimize", str(tmp_path / "none"), "--maximize", "qed"])
    assert isinstance(result.exception, ModelError)
    assert result.stderr == ""  # what is optimised is said when there is something to search


@pytest.mark.parametrize("flags", [("info",), ("info", "--json"), ("data", "list", "--json")])
def test_a_full_disk_behind_a_printed_result_is_one_sentence(flags: tuple[str, ...]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "molvae", *flags]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == FileError.exit_code
    assert done.stderr.splitlines() == [
        "molvae: cannot write standard output: the disk is full; free some space and run again"
    ]


def test_a_reader_that_leaves_is_not_an_error_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    from molvae.datasets import writers

    def gone(data: bytes) -> None:
        raise BrokenPipeError(errno.EPIPE, "broken pipe")

    monkeypatch.setattr(writers, "_to_stdout", gone)
    with pytest.raises(BrokenPipeError):
        writers.write_table("-", {"smiles": ["CCO"]})


def test_a_corpus_with_a_flipped_bit_is_not_trained_on(tmp_path: Path) -> None:
    corpus = build_corpus(Source.molecules(["CCO", "CCN", "c1ccccc1O"]), tmp_path / "c", workers=1)
    assert isinstance(corpus, Corpus)
    tokens = np.load(tmp_path / "c" / "tokens.npy")
    tokens[3] ^= 64
    np.save(tmp_path / "c" / "tokens.npy", tokens)
    job = TrainJob(corpus=tmp_path / "c", output=tmp_path / "m", preset="tiny")
    with pytest.raises(ModelError, match=r"content of tokens\.npy has changed; prepare it again"):
        run_job(job)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("code", [130, 143])
def test_an_interrupted_command_says_so(code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=str(code)), errors_to_exit_codes():
        raise SystemExit(code)
    assert capsys.readouterr().err == "molvae: interrupted\n"


def test_one_molecule_as_bare_text_is_not_taken_for_its_letters(tiny_model: Path) -> None:
    generator = molvae.generator.load(tiny_model, "cpu")
    with pytest.raises(InputError, match="a list of SMILES"):
        generator.encode("CCO")
