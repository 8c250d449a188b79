"""A table of measurements, one row for each molecule: read, standardised, duplicates joined."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from rdkit import Chem
from rdkit.rdBase import BlockLogs

from molvae.base.errors import InputError
from molvae.chem.smiles import MoleculeError, parse
from molvae.chem.standardise import StandardiseOptions, needs_standardising, standardise
from molvae.datasets.readers import read_molecules
from molvae.oracles.fitted.options import Task

_OPTIONS = StandardiseOptions()


class Refused(NamedTuple):
    """A row that is not used: its number in the file, its SMILES and why."""

    row: int
    smiles: str
    reason: str


class LabelTable(NamedTuple):
    """Molecules (n), each once, and their labels (n,) in the column's own unit.

    ``joined`` counts rows that were averaged into others. ``spread`` is the standard deviation of
    repeated measurements of one molecule, pooled over them: no model can do better. NaN where
    nothing is repeated.
    """

    name: str
    smiles: list[str]
    labels: np.ndarray
    task: Task
    rows: int
    joined: int
    spread: float
    refused: list[Refused]


def standard_form(smiles: str) -> str:
    """Canonical SMILES of the molecule without salts, solvents and isotopes.

    Raises :class:`MoleculeError`.

    >>> standard_form("C[NH3+].[Cl-]")
    'CN'
    """
    with BlockLogs():
        mol = parse(smiles)
        try:
            if needs_standardising(smiles, _OPTIONS):
                mol = standardise(mol, _OPTIONS)
        except (RuntimeError, ValueError) as error:  # RDKit's own invariants
            raise MoleculeError(smiles, "RDKit cannot standardise it") from error
        return str(Chem.MolToSmiles(mol))


def read_labels(
    path: str | os.PathLike[str],
    label: str,
    *,
    task: str = "auto",
    smiles_column: str | None = None,
) -> LabelTable:
    """Read molecules and the column ``label`` from a file of any format that molvae reads.

    A row without a number or without a molecule is refused with its reason and the rest is kept.
    Rows of one molecule are averaged; classes by majority, and refused where that is a tie.

    Raises:
        InputError: no such column, no usable rows, labels that are all equal, or classes that are
            not 0 and 1.
        FileError: the file cannot be read.
    """
    places: dict[str, list[tuple[int, float]]] = {}
    refused: list[Refused] = []
    count = 0
    for row in read_molecules(path, smiles_column=smiles_column, labels=[label]):
        count += 1
        value = row.labels.get(label, math.nan)
        reason = row.problem or (f"no {label}" if math.isnan(value) else None)
        if reason is None:
            try:
                places.setdefault(standard_form(row.smiles), []).append((row.number, value))
                continue
            except MoleculeError as error:
                reason = error.reason
        refused.append(Refused(row.number, row.smiles, reason))
    values = [value for found in places.values() for _, value in found]
    where = f"{os.fspath(path)}, column {label!r}"
    chosen = _task(values, task, where)
    smiles, labels = _join(places, chosen, refused)
    joined = sum(map(len, places.values())) - len(places)
    _check(labels, count, refused, where)
    return LabelTable(
        label, smiles, labels, chosen, count, joined, _pooled_spread(places), sorted(refused)
    )


def _task(values: Sequence[float], task: str, where: str) -> Task:
    classes = set(values) <= {0.0, 1.0}
    if task == "classification" and not classes:
        odd = next(value for value in values if value not in (0.0, 1.0))
        raise InputError(f"{where}: the label {odd:g} is no class; classes are written 0 and 1")
    if task == "regression" or (task == "auto" and not classes):
        return "regression"
    return "classification"


def _join(
    places: dict[str, list[tuple[int, float]]], task: Task, refused: list[Refused]
) -> tuple[list[str], np.ndarray]:
    smiles, labels = [], []
    for text, found in places.items():
        mean = math.fsum(value for _, value in found) / len(found)
        if task == "classification" and mean == 0.5:
            refused += [Refused(row, text, "its rows say 0 and 1 as often") for row, _ in found]
            continue
        smiles.append(text)
        labels.append(float(round(mean)) if task == "classification" else mean)
    return smiles, np.array(labels, dtype=np.float64)


def _pooled_spread(places: dict[str, list[tuple[int, float]]]) -> float:
    squares, freedom = 0.0, 0
    for found in places.values():
        if len(found) > 1:
            values = np.array([value for _, value in found])
            squares += float(np.square(values - values.mean()).sum())
            freedom += len(found) - 1
    return math.sqrt(squares / freedom) if freedom else math.nan


def _check(labels: np.ndarray, rows: int, refused: Sequence[Refused], where: str) -> None:
    if len(labels) < 10:
        reasons = (
            f"; the first reason: row {refused[0].row}, {refused[0].reason}" if refused else ""
        )
        raise InputError(
            f"{where}: {len(labels)} of {rows} rows can be used, and a model needs at least "
            f"10 different molecules{reasons}"
        )
    if labels.min() == labels.max():
        raise InputError(f"{where}: all labels are {labels[0]:g}; there is nothing to learn")
