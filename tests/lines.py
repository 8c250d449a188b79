"""Lines of a page's blocks of ``bash``, run as the reader would, cut down to a test's size.

Those of ``molvae`` and of ``scripts/`` run in this process. Nothing is installed: of a line of
``pip`` the extras are looked up.
"""

from __future__ import annotations

import csv
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from unittest import mock

from blocks import ROOT, RUNS, SMALLER, smaller
from typer.testing import CliRunner

from molvae.cli.app import app

WRITTEN_BY = ("-o", "--html", "--report", "--picture", "--save-calibration")
"""Flags whose value is what a command writes."""


def run(line: str, mark: str = RUNS) -> None:
    """Run a line; fails where it fails, or where it has not written what it names."""
    if line.startswith("#"):
        fill_in(line)
        return
    text: str | None = None
    for stage in line.split(" | "):
        run_stage = RUNNERS[shlex.split(stage)[0]]
        text = run_stage(stage, mark, text)
    for flag, path in pairwise(shlex.split(line)):
        if flag in WRITTEN_BY and path not in ("-", "|"):
            assert Path(path).stat().st_size > 0, f"{line}\nwrote nothing to {path}"


def _molvae(stage: str, mark: str, text: str | None) -> str:
    answer = CliRunner().invoke(app, smaller(stage, mark), input=text)
    assert answer.exit_code == 0, f"{stage}\n{answer.output}\n{answer.exception!r}"
    return answer.stdout


def _script(stage: str, mark: str, text: str | None) -> None:
    _, script, *flags = shlex.split(stage)
    arguments = [script, *flags, *shlex.split(SMALLER[script])]
    with mock.patch.object(sys, "argv", arguments):
        runpy.run_path(str(ROOT / script), run_name="__main__")


def _torchrun(stage: str, mark: str, text: str | None) -> None:
    start, _, command = stage.partition(" -m molvae ")
    before = [*shlex.split(start)[1:], *shlex.split(SMALLER["torchrun"])]
    words = [*before, "-m", "molvae", *smaller(f"molvae {command}", mark)]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *words], capture_output=True, text=True
    )
    assert done.returncode == 0, f"{stage}\n{done.stdout}\n{done.stderr}"


def _pip(stage: str, mark: str, text: str | None) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (extras,) = re.findall(r"^pip install '?molvae\[([\w,]+)\]'?$", stage)
    unknown = set(extras.split(",")) - set(project["optional-dependencies"])
    assert not unknown, f"{stage}\nthere are no extras {unknown}"


def _shell(stage: str, mark: str, text: str | None) -> None:
    subprocess.run(shlex.split(stage), check=True)


RUNNERS = {
    "molvae": _molvae,
    "python": _script,
    "torchrun": _torchrun,
    "pip": _pip,
    "chmod": _shell,
}


def fill_in(comment: str) -> None:
    """Do what a comment says that a person does: measure what is in a table."""
    assert comment.startswith("# fill in the column pIC50")
    table, assay = Path("batch-1.csv"), "pIC50"
    with open(table, newline="") as stream:
        rows = list(csv.DictReader(stream))
    for number, row in enumerate(rows):
        row[assay] = str(5 + number / 10)
    with open(table, "w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
