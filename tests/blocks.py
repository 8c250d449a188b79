"""The code blocks of pages: found, cut down to a test's size, and read.

Before each block of ``bash`` or ``python`` stands a comment: ``<!-- runs in the tests -->``,
``<!-- runs in the tests, on a tiny model -->`` where what it names would take minutes or is not to
be had (:data:`STAND_INS`), or ``<!-- file: NAME -->`` for what the reader keeps in a file of that
name, which other blocks then use. How lines are run is in ``lines.py``.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import typer

from molvae.cli.app import app
from molvae.models.presets import preset

ROOT = Path(__file__).parents[1]
RUNS, FILE = "runs in the tests", "file: "
TINY = f"{RUNS}, on a tiny model"
STAND_INS = {"druglike": "tiny-model", "known.csv": "usual.smi"}
"""What is taken instead in blocks that run on a tiny model: that model, and 300 molecules. Public
sets, the receptors of docking and Vina are small ones under their own names, for every block
(``stand_ins.py``); a cluster's address is that of one on this machine."""
_BLOCK = re.compile(r"^(?:<!-- ([^\n]*?) -->\n)?```(\w*)\n(.*?)^```$", re.S | re.M)
# What pages leave at its full size is cut down: these flags are added.
SMALLER = {
    "train": "--steps 20 --batch-size 16",
    "models prior": "--steps 20",
    "models critic": "--draws 100 --bits 64 --workers 1",
    "evaluate": "-n 60 --workers 1",
    "fit-oracle": "--trees 20",
    "explore analogues": "-n 5",
    "explore arithmetic": "--held-out 4",
    "explore map": "--limit 20",
    "synthesize": "--model tiny-model -n 40 --epochs 1 --no-fcd --set trees=10 --workers 1",
    "generate": "-n 60",
    "optimize": "--budget 10 --candidates 32 --initial 4",
    "climb": "--steps 4",
    "health": "--held-out 40 --samples 40 --parents 10",
    "scripts/generate_batch.py": "-n 40 --workers 1",
    "torchrun": "--standalone --nproc-per-node 2",
}
_LONGER = {r"\bbudget=\d+": "budget=8, candidates=32, initial=1", r"\bepochs=\d+": "epochs=1"}


class Block(NamedTuple):
    """A fenced block: the comment before it ("" without one), its language, its text."""

    mark: str
    language: str
    text: str

    @property
    def runs(self) -> bool:
        """Whether the tests run it."""
        return self.mark in (RUNS, TINY)

    @property
    def file(self) -> str:
        """The name of the file that it is, or ""."""
        return self.mark.removeprefix(FILE) if self.mark.startswith(FILE) else ""

    def commands(self) -> list[str]:
        """Its lines as a shell takes them: continued ones joined, without comments of a line."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line for line in (re.sub(r"\s+# .*", "", line).strip() for line in lines) if line]


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    return [Block(mark or "", *rest) for mark, *rest in _BLOCK.findall(page.read_text())]


def smaller(command: str, mark: str = RUNS) -> list[str]:
    """The arguments of a ``molvae`` command, cut down to the size of a test."""
    program, verb, *rest = shlex.split(command)
    assert program == "molvae"
    if mark == TINY:
        rest = [STAND_INS.get(word, word) for word in rest]
    while "--where" in rest:  # so few molecules may hold none
        del rest[rest.index("--where") : rest.index("--where") + 2]
    less = shlex.split(SMALLER.get(verb, SMALLER.get(" ".join([verb, *rest[:1]]), "")))
    if verb == "train" and "--from" not in rest:  # else the sizes are those of the other model
        sizes = preset("tiny").model_dump(exclude_unset=True)
        less += [word for name, size in sizes.items() for word in ("--set", f"model.{name}={size}")]
    if "--head-only" in rest:
        less += ["--epochs", "3"]
    if verb == "optimize" and "--workers" in rest:
        less += ["--workers", "1", "--budget", "5"]
    return [verb, *rest, *less]


def smaller_code(text: str, mark: str = RUNS) -> str:
    """Python cut down to the size of a test."""
    if mark == TINY:
        for name, instead in STAND_INS.items():
            text = text.replace(f'"{name}"', f'"{instead}"')
    for found, instead in _LONGER.items():
        text = re.sub(found, instead, text)
    return text


def read_command(arguments: list[str]) -> None:
    """Read the arguments of ``molvae`` as it would, and do nothing; fails where it would."""
    command: Any = typer.main.get_command(app)
    name = "molvae"
    while hasattr(command, "commands"):
        name, *arguments = arguments
        command = command.commands[name]
    command.make_context(name, arguments)
