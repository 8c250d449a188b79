"""The README's commands and code run as they stand there, on a tiny model."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from blocks import ROOT, RUNS, blocks
from lines import run

from molvae.base.errors import MolvaeError

README = [block for block in blocks(ROOT / "README.md") if block.mark == RUNS]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a chemist's file in it; the blocks run there one after the other."""
    path = tmp_path_factory.mktemp("readme")
    smiles = (ROOT / "data" / "samples" / "zinc250k_2000.smi").read_text().split()[:300]
    rows = [f"{text},{len(text) / 20:.2f}" for text in smiles]
    (path / "my-molecules.csv").write_text("\n".join(["SMILES,logP", *rows]) + "\n")
    return path


@pytest.mark.slow
def test_every_command_of_the_readme_runs_in_order(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    commands = [c for block in README if block.language == "bash" for c in block.commands()]
    assert len(commands) >= 10
    for command in commands:
        run(command)
    for name in ("health.png", "new.csv", "best.csv", "best.sdf", "best.html", "back.csv"):
        assert (place / name).stat().st_size > 0, name


@pytest.mark.slow
def test_the_python_of_the_readme_runs(tiny_model: Path, tmp_path: Path, monkeypatch) -> None:
    examples = [block.text for block in README if block.language == "python"]
    assert examples
    shutil.copytree(tiny_model, tmp_path / "my-model")
    monkeypatch.chdir(tmp_path)
    for text in examples:
        names: dict = {}
        exec(compile(text, "README.md", "exec"), names)
        assert len(names["new"]) == 100
        assert names["z"].shape[0] == 2
        assert names["molecules"][0] is not None
        assert names["molecules"][1] is None


def test_every_file_that_the_readme_links_to_is_there() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / "README.md").read_text())
    assert links
    missing = [link for link in links if not (ROOT / link).exists()]
    assert missing == []


def test_the_batch_script_of_the_readme_takes_the_flags_shown(monkeypatch) -> None:
    readme = (ROOT / "README.md").read_text()
    line = re.search(r"^python (scripts/generate_batch\.py) (.*)$", readme, re.M)
    assert line is not None
    spec = importlib.util.spec_from_file_location("generate_batch", ROOT / line[1])
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    flags = shlex.split(line[2].replace("my-model", "none/here"))
    monkeypatch.setattr(sys, "argv", [line[1], *flags])
    with pytest.raises(MolvaeError, match="none/here"):  # the flags are right, the model is not
        script.main()
