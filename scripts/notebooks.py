"""The notebooks as .ipynb, made of their .py (jupytext, percent format), without any results.

    python scripts/notebooks.py           # after editing a .py
    python scripts/notebooks.py --back    # after editing an .ipynb in Jupyter

The .py is what is reviewed, linted and merged; the .ipynb is what people open. Cells are numbered
rather than named at random, so that a notebook changes where its text does.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import jupytext
import nbformat

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def as_notebook(script: Path) -> str:
    """The .ipynb of a .py, as text."""
    notebook = jupytext.read(script)
    notebook.metadata = nbformat.from_dict(
        {"jupytext": {"formats": "ipynb,py:percent"}, "kernelspec": KERNEL}
    )
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number}"
    notebook.nbformat_minor = 5
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--back", action="store_true", help="first the .py, of what Jupyter wrote")
    if parser.parse_args().back:
        for path in sorted(NOTEBOOKS.glob("*.ipynb")):
            script = path.with_suffix(".py")
            notebook = jupytext.read(path)
            notebook.metadata = jupytext.read(script).metadata if script.exists() else {}
            jupytext.write(notebook, script, fmt="py:percent")
    for script in sorted(NOTEBOOKS.glob("*.py")):
        script.with_suffix(".ipynb").write_text(as_notebook(script), encoding="utf-8")


if __name__ == "__main__":
    main()
