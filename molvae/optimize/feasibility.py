"""Which molecules meet what can be said of them without measuring: properties, alerts, a lead."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from molvae.chem.alerts import alerts
from molvae.chem.properties import describe
from molvae.chem.smiles import parse_many
from molvae.optimize.constraints import ALERTS
from molvae.optimize.goals import Goals


def demands(goals: Goals) -> list[str]:
    """What molecules must meet, in words, in the order of the columns of :func:`shortfalls`."""
    return [*(f"meet {c}" for c in goals.computed), *goals.restriction.labels]


def shortfalls(goals: Goals, smiles: Sequence[str | None]) -> np.ndarray:
    """By how much each molecule misses each demand ``(n, k)``: 0 where it meets it.

    What is no molecule, or what cannot be computed of one, misses by infinity. Units are those of
    :meth:`~molvae.optimize.constraints.Constraint.shortfall`.

    >>> goals = Goals.of({"activity": "maximize"}, ["mw <= 50 and no alerts"])
    >>> shortfalls(goals, ["CCO", "c1ccccc1", "C("]).round(2)
    array([[0.  , 0.  ],
           [0.56, 0.  ],
           [ inf,  inf]])
    """
    rows = [_shortfalls(goals, text, whole=True) for text in smiles]
    return np.array(rows, float).reshape(len(rows), len(demands(goals)))


def misses(goals: Goals, smiles: Sequence[str | None]) -> np.ndarray:
    """By how much each molecule misses the demands in total ``(n,)``: 0 where it meets them all.

    Alerts, which take ten times as long as all else, are counted only where nothing else is missed.

    >>> misses(Goals.of({"activity": "maximize"}, ["mw <= 50 and no alerts"]), ["CCO", "CCCCCCCC"])
    array([0.     , 1.28464])
    """
    return np.array([sum(_shortfalls(goals, text, whole=False)) for text in smiles], float)


# The molecules of a campaign are judged again at every step.
@functools.lru_cache(maxsize=100_000)
def _shortfalls(goals: Goals, smiles: str | None, *, whole: bool) -> tuple[float, ...]:
    (mol,) = parse_many([smiles])
    if mol is None:
        return (math.inf,) * len(demands(goals))
    others = goals.restriction.shortfalls(mol)
    found = {c: c.shortfall(describe(mol, [c.name])[0]) for c in goals.computed if c.name != ALERTS}
    missed = sum(others) + sum(found.values())
    for constraint in goals.computed:
        if constraint.name == ALERTS:
            count = whole or missed == 0
            found[constraint] = constraint.shortfall(len(alerts(mol))) if count else 0.0
    return (*(found[constraint] for constraint in goals.computed), *others)
