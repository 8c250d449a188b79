"""The documentation is made without warnings, and what it shows runs.

README.md has tests of its own (test_readme.py).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import lines
import pytest
import stand_ins
from blocks import FILE, ROOT, RUNS, STAND_INS, TINY, Block, blocks, read_command, smaller_code

from molvae.cli.app import app

DOCS = sorted((ROOT / "docs").glob("*.md"))
WITH_BLOCKS = [page for page in DOCS if any(block.runs for block in blocks(page))]
MEASUREMENTS = ("scripts/bench/", "scripts/make_shipped.py")
"""What takes hours or a GPU, and has tests of its own: of these commands the flags are read."""
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
def test_every_block_of_commands_or_code_runs_or_is_a_file_of_one_that_does(page: Path) -> None:
    found = blocks(page)
    assert {block.language for block in found} <= {"", "bash", "python", "toml"}
    unmarked = [
        block.text
        for block in found
        if block.language in ("bash", "python") and not (block.runs or block.file)
    ]
    marks = f"<!-- {RUNS} -->, <!-- {TINY} --> or <!-- {FILE}NAME -->"
    assert unmarked == [], f"put {marks} on the line before"
    run = "".join(block.text for block in found if block.runs)
    unused = [block.file for block in found if block.file and Path(block.file).stem not in run]
    assert unused == [], "no block that runs uses this file"
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
    return calls(program, [*blocks(page), *indented(page)])


def indented(page: Path) -> list[Block]:
    return [Block("", "", text) for text in re.findall(r"(?:^ {4}\S.*\n)+", page.read_text(), re.M)]


def calls(program: str, found: list[Block]) -> list[list[str]]:
    texts = [c for block in found if block.language in ("", "bash") for c in block.commands()]
    stages = [stage for line in texts for stage in line.split(" | ")]
    return [shlex.split(stage) for stage in stages if stage.startswith(f"{program} ")]


@each_page
def test_nothing_but_measurements_is_not_run(page: Path) -> None:
    left = [block for block in [*blocks(page), *indented(page)] if not block.runs]
    not_run = [words for program in lines.RUNNERS for words in calls(program, left)]
    others = [words for words in not_run if not " ".join(words[1:2]).startswith(MEASUREMENTS)]
    assert others == []


@each_page
def test_code_is_python(page: Path) -> None:
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
) -> Iterator[Path]:
    """The current directory, with models and corpora of the reader's own, where the page does not
    make them, and files as the pages name them; small stand-ins for what comes from elsewhere."""
    here, cache = tmp_path / "here", tmp_path / "cache"
    for name, own in (
        *((name, tiny_model) for name in ("tiny-model", "my-model", "models/moses")),
        *((name, tiny_corpus) for name in ("my-corpus", "corpora/zinc250k")),
        ("molvae/shipped/druglike", tiny_model),
    ):
        if name in f"tiny-model {page.read_text()}" and name not in made_by(page):
            shutil.copytree(own, here / name)
    (here / "scripts").symlink_to(ROOT / "scripts")
    for name, labels, count in (
        ("my-molecules", ["logP"], 120),
        ("labels", ["pIC50"], 60),
        ("measured", ["pIC50"], 40),
        ("molecules", ["activity"], 60),
        ("MY", ["VALUE"], 120),
        ("private", ["pIC50", "logD"], 120),
    ):
        rows = [[text] + [f"{len(text) / 20:.2f}"] * len(labels) for text in zinc[:count]]
        table = "\n".join(map(",".join, [["SMILES", *labels], *rows]))
        (here / f"{name}.csv").write_text(table + "\n")
    (here / "known.csv").write_text("SMILES,pIC50\nCCOc1ccccc1,5.5\nCCNc1ccccc1,6.1\n")
    for name, part in (("samples", zinc[100:150]), ("hits", zinc[300:320])):
        (here / f"{name}.csv").write_text("\n".join(["SMILES", *part]) + "\n")
    for name, count in (
        *(("series", 5), ("leads", 3), ("samples", 60), ("mine", 100), ("usual", 300)),
        *(("molecules", 120), ("examples", 120)),
    ):
        (here / f"{name}.smi").write_text("\n".join(zinc[:count]) + "\n")
    monkeypatch.chdir(here)
    stand_ins.public_sets(cache, zinc, monkeypatch)
    shutil.copy(cache / "lipophilicity" / "lipophilicity.csv", here)
    stand_ins.docking(tmp_path / "docking", cache, monkeypatch)
    known = set(sys.modules)
    with cluster_of(page, monkeypatch):
        yield here
    own = {Path(block.file).stem for block in blocks(page)}  # a cluster's worker has copies
    for name in set(sys.modules) - known:  # files of the page, which another has as well
        if name in own or str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@contextmanager
def cluster_of(page: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cluster in the place of the one that a page names, if it does."""
    name = "scheduler.example.org:8786"
    if name not in page.read_text():
        yield
        return
    with stand_ins.cluster() as address:
        monkeypatch.setitem(STAND_INS, name, address)
        yield


def made_by(page: Path) -> set[str]:
    """What the commands of a page write."""
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
        if block.file:
            (place / block.file).write_text(block.text)
        elif block.runs and block.language == "python":
            exec(compile(smaller_code(block.text, block.mark), page.name, "exec"), names)
        elif block.runs:
            for line in block.commands():
                lines.run(line, block.mark)
