"""The private table: molecules and property columns, each molecule once, in two parts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from molvae.base.errors import InputError
from molvae.base.seeds import derive_seed
from molvae.chem.properties import PROPERTIES, compute
from molvae.chem.smiles import MoleculeError
from molvae.datasets.readers import read_molecules
from molvae.oracles.fitted.labels import Refused, standard_form

LEAST = 100
"""Molecules without which there is nothing to imitate."""
_AGREE, _TOLERANCE, _DECIMALS = 0.95, 0.01, 6


@dataclass(frozen=True, eq=False)
class Table:
    """Molecules ``(n,)`` in standard form and their values ``(n, k)``, NaN where one is missing.

    ``values`` of one molecule's rows are averaged, of classes by majority; ``decimals (k,)`` are
    those with which each column is written. ``rows`` were read, of which ``refused`` cannot be
    used.
    """

    smiles: list[str]
    values: np.ndarray
    names: tuple[str, ...]
    decimals: tuple[int, ...]
    rows: int
    refused: list[Refused]

    def take(self, rows: np.ndarray) -> Table:
        """Some of the molecules."""
        return replace(self, smiles=[self.smiles[i] for i in rows], values=self.values[rows])

    def split(self, held_out: float, seed: int) -> tuple[Table, Table]:
        """What is learnt from, and the share ``held_out``, at random."""
        order = np.random.default_rng(derive_seed(seed, "held out")).permutation(len(self.smiles))
        cut = round(held_out * len(order))
        return self.take(np.sort(order[cut:])), self.take(np.sort(order[:cut]))


def read_private(
    path: str | os.PathLike[str], labels: Sequence[str], smiles_column: str | None = None
) -> Table:
    """Read the table. Raises :class:`InputError` for fewer than :data:`LEAST` molecules."""
    found: dict[str, list[list[float]]] = {}
    refused: list[Refused] = []
    count = 0
    for row in read_molecules(path, smiles_column=smiles_column, labels=list(labels)):
        count += 1
        reason = row.problem
        if reason is None:
            try:
                cells = [row.labels[name] for name in labels]
                found.setdefault(standard_form(row.smiles), []).append(cells)
                continue
            except MoleculeError as error:
                reason = error.reason
        refused.append(Refused(row.number, row.smiles, reason))
    if len(found) < LEAST:
        first = f"; the first reason: row {refused[0].row}, {refused[0].reason}" if refused else ""
        raise InputError(
            f"{os.fspath(path)}: {len(found)} of {count} rows are different molecules, and "
            f"statistics need at least {LEAST}{first}"
        )
    values = np.array([_mean(rows) for rows in found.values()]).reshape(len(found), len(labels))
    decimals = []
    for column, name in enumerate(labels):
        given = np.array([row[column] for rows in found.values() for row in rows])
        if is_class(given):
            values[:, column] = np.where(np.isnan(values[:, column]), np.nan,
                                         values[:, column] >= 0.5)  # fmt: skip
        if np.isfinite(values[:, column]).sum() < LEAST:
            raise InputError(
                f"{os.fspath(path)}, column {name!r}: fewer than {LEAST} molecules have a number"
            )
        decimals.append(decimals_of(given))
    return Table(list(found), values, tuple(labels), tuple(decimals), count, refused)


def without_text(refused: Sequence[Refused]) -> list[dict[str, Any]]:
    """Rows that are left out, as a report that is shared may name them: by number and cause.

    The rest of a reason may quote the row, or name an atom of a molecule that is private though it
    cannot be used.

    >>> without_text([Refused(7, "CN(C)(C)C", "impossible valence (N, atom 2)")])
    [{'row': 7, 'reason': 'impossible valence'}]
    >>> without_text([Refused(8, "C", 'label IC50 (nM) is not a number ("CCO")')])
    [{'row': 8, 'reason': 'label IC50 (nM) is not a number'}]
    """
    causes = []
    for row, _, reason in refused:
        cause, quotes, _ = reason.partition(' ("')  # the name of a column may have a bracket, too
        causes.append({"row": row, "reason": cause if quotes else reason.partition(" (")[0]})
    return causes


def is_class(values: np.ndarray) -> bool:
    """Whether the values ``(n,)``, some NaN, are classes 0 and 1.

    >>> is_class(np.array([0.0, 1.0, np.nan])), is_class(np.array([0.0, 0.5]))
    (True, False)
    """
    return set(values[np.isfinite(values)].tolist()) <= {0.0, 1.0}


def descriptor_of(name: str, smiles: Sequence[str], values: np.ndarray) -> str | None:
    """The descriptor that a column holds: one of its name with which its ``values (n,)`` agree.

    >>> descriptor_of("MW", ["C", "CC"], np.array([16.04, 30.07]))
    'mw'
    """
    key = name.strip().lower().replace(" ", "_")
    if key not in PROPERTIES:
        return None
    computed = compute(smiles, [key], progress=False)[:, 0]
    known = np.isfinite(values)
    near = np.abs(values - computed) <= _TOLERANCE * np.maximum(1, np.abs(computed))
    return key if known.any() and near[known].mean() >= _AGREE else None


def decimals_of(values: np.ndarray) -> int:
    """Decimals with which the values are written, 6 at most.

    >>> decimals_of(np.array([0.25, 1.5])), decimals_of(np.array([3.0, np.nan]))
    (2, 0)
    """
    known = values[np.isfinite(values)]
    for decimals in range(_DECIMALS):
        if (np.abs(known - np.round(known, decimals)) < 1e-9).mean() >= _AGREE:
            return decimals
    return _DECIMALS


def _mean(rows: list[list[float]]) -> list[float]:
    columns = zip(*rows, strict=True)
    known = [[v for v in column if v == v] for column in columns]
    return [sum(column) / len(column) if column else np.nan for column in known]
