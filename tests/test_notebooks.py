"""The notebooks run from top to bottom, are the same in both their forms, and hold no results.

A new pair of files in notebooks/ is found by itself. ``MOLVAE_SMOKE`` makes a notebook's numbers
small.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from nbclient import NotebookClient

nbformat = pytest.importorskip("nbformat", reason="needs molvae[notebooks], which [dev] brings")
nbclient = pytest.importorskip("nbclient", reason="needs molvae[notebooks], which [dev] brings")
pytest.importorskip("jupytext", reason="needs molvae[notebooks], which [dev] brings")

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "notebooks").glob("*.py"))
each_script = pytest.mark.parametrize("script", SCRIPTS, ids=[path.stem for path in SCRIPTS])


@pytest.fixture(scope="module")
def client() -> Iterator[NotebookClient]:
    """With a kernel that all notebooks use in turn: what they import takes longest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOLVAE_SMOKE", "1")
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
        nothing = nbformat.v4.new_notebook()
        client = nbclient.NotebookClient(nothing, timeout=300, kernel_name="python3")
        with client.setup_kernel():
            yield client


@pytest.mark.slow
@each_script
def test_it_runs(script: Path, client: NotebookClient, tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(ROOT / "data")
    place = tmp_path / "notebooks"  # what it writes stays here
    place.mkdir()
    notebook = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    anew = nbformat.v4.new_code_cell(f"%reset -f\n%cd -q {place}")  # no names of the one before
    notebook.cells.insert(0, anew)
    client.nb = notebook
    client.reset_execution_trackers()
    for index, cell in enumerate(notebook.cells):
        client.execute_cell(cell, index)
    assert drawings(notebook) >= 1
    assert figures(notebook) >= 1


def drawings(notebook: nbformat.NotebookNode) -> int:
    """How many grids of molecules it shows."""
    return sum("<svg" in data.get("text/html", "") for data in shown(notebook))


def figures(notebook: nbformat.NotebookNode) -> int:
    """How many figures it shows."""
    return sum("image/png" in data for data in shown(notebook))


def shown(notebook: nbformat.NotebookNode) -> list[dict[str, str]]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output["data"] for output in outputs if "data" in output]


@each_script
def test_the_ipynb_is_that_of_the_py_without_results(script: Path) -> None:
    there = script.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert there == converter().as_notebook(script), "run: make notebooks"
    assert all(not cell.get("outputs") for cell in nbformat.reads(there, as_version=4).cells)


@each_script
def test_every_figure_is_followed_by_a_sentence_that_says_what_to_see(script: Path) -> None:
    cells = nbformat.read(script.with_suffix(".ipynb"), as_version=4).cells
    silent = [
        cell.source
        for cell, following in zip(cells, [*cells[1:], None], strict=True)
        if cell.cell_type == "code"
        and re.search(r"plt\.subplots|_figure\(|_curves?\(|^MoleculeGrid\(", cell.source, re.M)
        and not (following and following.source.startswith("**What to see:**"))
    ]
    assert silent == []


def test_no_notebook_is_left_without_its_script() -> None:
    pairs = {path.stem for path in SCRIPTS}
    assert pairs
    assert {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")} == pairs


def converter():
    spec = importlib.util.spec_from_file_location("notebooks", ROOT / "scripts" / "notebooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
