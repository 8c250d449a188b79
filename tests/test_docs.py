"""The documentation is made without warnings, and what it shows runs.

README.md has tests of its own (test_readme.py), and docs/objectives.md (test_oracle_tasks.py).
"""

from __future__ import annotations

import csv
import os
import re
import shlex
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from blocks import LONG, ROOT, RUNS, TINY, Block, blocks, read_command, smaller
from typer.testing import CliRunner

from molvae.cli.app import app

DOCS = sorted((ROOT / "docs").glob("*.md"))
HERE = [page for page in DOCS if page.stem != "objectives"]
WITH_BLOCKS = [page for page in HERE if any(block.runs for block in blocks(page))]
each_page = pytest.mark.parametrize("page", DOCS, ids=[page.stem for page in DOCS])


@pytest.mark.slow
def test_the_documentation_is_made_without_warnings(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="needs molvae[docs], which [dev] brings")
    pytest.importorskip("myst_nb", reason="needs molvae[docs], which [dev] brings")
    made = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "docs", tmp_path / "html"],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k != "MOLVAE_DOCS_EXECUTE"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert made.returncode == 0, made.stderr
    commands = (tmp_path / "html" / "reference" / "commands.html").read_text()
    assert "--free-bits" in commands
    assert "molvae campaign ask" in commands


@each_page
def test_every_block_of_commands_or_code_runs_or_says_why_not(page: Path) -> None:
    found = blocks(page)
    unmarked = [
        block.text
        for block in found
        if block.language in ("bash", "python") and not (block.runs or block.mark.startswith(LONG))
    ]
    marks = f"<!-- {RUNS} -->, <!-- {TINY} --> or <!-- {LONG}why -->"
    assert unmarked == [], f"put {marks} on the line before"
    fenced = "".join(block.text for block in found if block.language == "bash")
    elsewhere = [line for line in command_lines(page) if line.split("\n")[0] not in fenced]
    assert elsewhere == [], "commands of molvae stand in a block of bash"


def command_lines(page: Path) -> list[str]:
    """The lines of a page that call ``molvae``, indented or not, inside a block or not."""
    words = "|".join(command_names())
    return re.findall(rf"^ *(molvae (?:{words})\b.*)$", page.read_text(), re.M)


def command_names() -> list[str]:
    import typer

    return list(typer.main.get_command(app).commands)


@each_page
def test_every_command_shown_has_the_flags_that_it_is_shown_with(page: Path) -> None:
    for command in shown_commands(page, "molvae"):
        read_command(command[1:])
    for _, script, *arguments in shown_commands(page, "python"):
        path = ROOT / script
        assert path.exists(), script
        text = "".join(near.read_text() for near in path.parent.glob("*.py"))
        unknown = [flag for flag in arguments if flag.startswith("--") and flag not in text]
        assert unknown == [], f"{script} has no {unknown}"


def shown_commands(page: Path, program: str) -> list[list[str]]:
    """The calls of ``program`` in the fenced and indented blocks of a page, as words."""
    fenced = [
        c for block in blocks(page) if block.language in ("", "bash") for c in block.commands()
    ]
    indented = re.findall(r"(?:^ {4}\S.*\n)+", page.read_text(), re.M)
    also = [c for text in indented for c in Block("", "bash", text).commands()]
    stages = [stage for line in [*fenced, *also] for stage in line.split(" | ")]
    return [shlex.split(stage) for stage in stages if stage.startswith(f"{program} ")]


@each_page
def test_code_that_is_not_run_is_python_all_the_same(page: Path) -> None:
    for block in blocks(page):
        if block.language == "python":
            compile(block.text, page.name, "exec")


@pytest.fixture
def place(
    page: Path,
    tiny_model: Path,
    tiny_corpus: Path,
    zinc: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The current directory, with a model and a corpus of the reader's own, where the page does not
    make them, and files as the pages name them."""
    for name, own in (("my-model", tiny_model), ("my-corpus", tiny_corpus)):
        if name not in made_by(page):
            shutil.copytree(own, tmp_path / name)
    for name, labels, count in (
        ("my-molecules", ["logP"], 120),
        ("labels", ["pIC50"], 60),
        ("molecules", ["activity"], 60),
        ("private", ["pIC50", "logD"], 120),
    ):
        rows = [[text] + [f"{len(text) / 20:.2f}"] * len(labels) for text in zinc[:count]]
        table = "\n".join(map(",".join, [["SMILES", *labels], *rows]))
        (tmp_path / f"{name}.csv").write_text(table + "\n")
    (tmp_path / "known.csv").write_text("SMILES,pIC50\nCCOc1ccccc1,5.5\nCCNc1ccccc1,6.1\n")
    for name, part in (("samples", zinc[100:150]), ("hits", zinc[300:320])):
        (tmp_path / f"{name}.csv").write_text("\n".join(["SMILES", *part]) + "\n")
    for name, count in (
        *(("series", 5), ("leads", 3), ("mine", 300)),
        *(("molecules", 120), ("examples", 120)),
    ):
        (tmp_path / f"{name}.smi").write_text("\n".join(zinc[:count]) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made_by(page: Path) -> set[str]:
    """What the commands of a page write that run in the tests."""
    commands = [
        shlex.split(line)
        for block in blocks(page)
        if block.runs and block.language == "bash"
        for line in block.commands()
    ]
    return {after for words in commands for word, after in pairwise(words) if word == "-o"}


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_BLOCKS, ids=[page.stem for page in WITH_BLOCKS])
def test_the_blocks_of_a_page_run_in_order(page: Path, place: Path) -> None:
    names: dict = {}
    for block in blocks(page):
        if block.runs and block.language == "python":
            exec(compile(block.text, page.name, "exec"), names)
        elif block.runs:
            for command in block.commands():
                run(command, block.mark)


def run(command: str, mark: str) -> None:
    """A command of a page in this process, or, of a comment, what it says a person does."""
    if command.startswith("#"):
        assert command.startswith("# fill in the column pIC50")
        fill_in(Path("batch-1.csv"), "pIC50")
        return
    answer = CliRunner().invoke(app, smaller(command, mark))
    assert answer.exit_code == 0, f"{command}\n{answer.output}\n{answer.exception!r}"


def fill_in(table: Path, assay: str) -> None:
    with open(table, newline="") as stream:
        rows = list(csv.DictReader(stream))
    for number, row in enumerate(rows):
        row[assay] = str(5 + number / 10)
    with open(table, "w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
