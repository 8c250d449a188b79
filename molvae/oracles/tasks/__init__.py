"""The twenty tasks of PMO and GuacaMol that need RDKit alone, each a TOML file beside this one.

GuacaMol: Brown et al., J. Chem. Inf. Model. 59:1096 (2019), doi:10.1021/acs.jcim.8b00839; PMO: Gao
et al., NeurIPS 2022, arXiv:2206.12411. The definitions are the present ones, in which sitagliptin,
zaleplon and the isomers count the atoms of the molecule (PyTDC's earlier ones, ``*_prev``, take its
SMILES for a formula): ``scripts/bench/oracles_equal.py`` compares all of them with PyTDC 0.4.0.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from molvae.base.errors import ConfigError
from molvae.oracles.compose import Composed, read_objective
from molvae.oracles.description import Description, read_description
from molvae.oracles.objective import Objective

TASKS: tuple[str, ...] = tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.toml")))
"""The names of all tasks; every one is to be maximised, and its best value is at most 1."""


def task(name: str) -> Objective:
    """A task as an objective of a batch of SMILES.

    >>> str(task("median1"))
    'maximise median1'
    >>> task("isomers_c7h8n2o2").function(["Cc1ccc([N+](=O)[O-])cc1N", "CCO"]).round(4)
    array([1.    , 0.0027])

    Raises :class:`ConfigError` with the nearest name for a task that there is not.
    """
    return composed_task(name).objective()


def composed_task(name: str) -> Composed:
    """A task with its parts; raises like :func:`task`."""
    return read_objective(task_file(name))


def task_description(name: str) -> Description:
    """What a task says of itself; raises like :func:`task`."""
    return read_description(task_file(name))


def task_file(name: str) -> Path:
    """The TOML file of a task, also to copy and change; raises like :func:`task`."""
    if name not in TASKS:
        near = difflib.get_close_matches(name.lower(), TASKS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(TASKS)}"
        raise ConfigError(f"unknown task {name!r}; {hint}")
    return Path(__file__).parent / f"{name}.toml"
