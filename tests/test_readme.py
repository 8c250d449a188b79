"""The README's commands and code run as they stand there, on a tiny model."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import stand_ins
from blocks import ROOT, RUNS, blocks, smaller_code
from lines import run

README = [block for block in blocks(ROOT / "README.md") if block.mark == RUNS]
ZINC = ROOT / "data" / "samples" / "zinc250k_2000.smi"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a chemist's file in it; the blocks run there one after the other."""
    path = tmp_path_factory.mktemp("readme")
    smiles = ZINC.read_text().split()[:300]
    rows = [f"{text},{len(text) / 20:.2f}" for text in smiles]
    (path / "my-molecules.csv").write_text("\n".join(["SMILES,logP", *rows]) + "\n")
    return path


@pytest.mark.slow
def test_every_command_of_the_readme_runs_in_order(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    stand_ins.public_sets(place / "cache", ZINC.read_text().split(), monkeypatch)
    commands = [c for block in README if block.language == "bash" for c in block.commands()]
    assert len(commands) >= 10
    for command in commands:
        run(command)
    for name in ("health.png", "new.csv", "best.csv", "best.sdf", "best.html", "back.csv"):
        assert (place / name).stat().st_size > 0, name


@pytest.mark.slow
def test_the_python_of_the_readme_runs(
    tiny_model: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_a_model, like_scikit_learn = (b for b in README if b.language == "python")
    shutil.copytree(tiny_model, tmp_path / "my-model")
    shutil.copy(place / "my-molecules.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(compile(smaller_code(with_a_model.text), "README.md", "exec"), names)
    assert len(names["new"]) == 100
    assert names["z"].shape[0] == 2
    assert names["molecules"][0] is not None
    assert names["molecules"][1] is None
    names = {}
    exec(compile(smaller_code(like_scikit_learn.text), "README.md", "exec"), names)
    assert len(names["back"]) == len(names["predicted"]) == len(names["smiles"])
    assert len(names["new"]) == 10


def test_every_file_that_the_readme_links_to_is_there() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / "README.md").read_text())
    assert links
    missing = [link for link in links if not (ROOT / link).exists()]
    assert missing == []
