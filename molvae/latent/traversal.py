"""What each latent dimension says of the molecule, and the molecules along it.

The mutual information gap (Chen, Li, Grosse & Duvenaud, NeurIPS 2018, arXiv:1802.04942) asks of
each property whether one dimension alone carries it: the mutual information of the property and the
dimension that tells most of it, less that of the next one, as a share of the property's entropy. A
space may well hold a property that no dimension of it carries alone; how much of it a straight
direction through all dimensions holds is measured beside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from molvae.base.errors import InputError
from molvae.base.seeds import derive_seed
from molvae.generator import Generator

BINS = 20
"""Quantile bins in which dimensions and properties are counted."""
FAR = 8.0
"""Length of the longest step along a direction that goes through all dimensions."""
LEAST = 100
"""Molecules that it takes."""
_FOLDS = 5


@dataclass(frozen=True)
class Carried:
    """How one property lies in a latent space; informations in nats."""

    property: str
    molecules: int
    dimension: int
    """The one that tells most of it."""
    information: float
    """Mutual information of the property and this dimension."""
    second: int
    """The dimension that tells most of it but for that one."""
    second_information: float
    entropy: float
    """Of the property, as binned."""
    gap: float
    """The mutual information gap, 0 to 1."""
    r2_dimension: float
    """Share of the variance that the best single dimension explains, linearly, on other molecules
    than it was fitted to; below 0 it is worse than the mean."""
    r2_all: float
    """The same of a ridge regression on all dimensions."""


def carried(
    z: np.ndarray, properties: Mapping[str, np.ndarray], *, bins: int = BINS, seed: int = 0
) -> list[Carried]:
    """How each of ``properties`` (name to ``(n,)``, NaN where unknown) lies in ``z (n, d)``.

    Raises :class:`InputError` for fewer than 100 known values of a property, or equal ones.

    >>> rng = np.random.default_rng(0)
    >>> z = rng.standard_normal((1000, 3))
    >>> one, two = carried(z, {"alone": z[:, 1], "shared": z[:, 0] + z[:, 2]})
    >>> one.dimension, round(one.gap, 2), round(two.gap, 1), round(two.r2_all, 2)
    (1, 0.93, 0.0, 1.0)
    """
    found = []
    for name, values in properties.items():
        known = np.isfinite(values) & np.isfinite(z).all(1)
        if known.sum() < LEAST:
            raise InputError(
                f"{name} is known of {known.sum()} molecules that can be encoded: give at least "
                f"{LEAST}"
            )
        y, latents = np.asarray(values, float)[known], z[known].astype(float)
        if (y == y[0]).all():
            raise InputError(f"{name} is {y[0]:g} for all molecules: there is nothing to carry")
        found.append(_carried(name, latents, y, bins, seed))
    return found


def _carried(name: str, z: np.ndarray, y: np.ndarray, bins: int, seed: int) -> Carried:
    told = mutual_information(z, y, bins)
    first, second = np.argsort(-told)[:2].tolist() if len(told) > 1 else [0, 0]
    counts = np.bincount(_binned(y, bins))
    share = counts[counts > 0] / len(y)
    entropy = float(-(share * np.log(share)).sum())
    rest = float(told[second]) if len(told) > 1 else 0.0
    return Carried(
        name,
        len(y),
        first,
        float(told[first]),
        second,
        rest,
        entropy,
        (float(told[first]) - rest) / entropy,
        _explained(z[:, [first]], y, seed),
        _explained(z, y, seed),
    )


def mutual_information(z: np.ndarray, y: np.ndarray, bins: int = BINS) -> np.ndarray:
    r"""Mutual information ``(d,)``, in nats, of each column of ``z (n, d)`` and ``y (n,)``.

    Counted in quantile bins, and less by what as many molecules show by chance, about
    :math:`(r - 1)(c - 1) / 2n` for *r* by *c* bins (Miller 1955); 0 at least.
    """
    n = len(y)
    place = _binned(y, bins)
    columns = place.max() + 1
    told = np.zeros(z.shape[1])
    for j in range(z.shape[1]):
        row = _binned(z[:, j], bins)
        pairs = np.bincount(row * columns + place, minlength=(row.max() + 1) * columns)
        joint = pairs.reshape(-1, columns) / n
        expected = joint.sum(1, keepdims=True) * joint.sum(0)
        there = joint > 0
        chance = ((joint.sum(1) > 0).sum() - 1) * ((joint.sum(0) > 0).sum() - 1) / (2 * n)
        told[j] = (joint[there] * np.log(joint[there] / expected[there])).sum() - chance
    return np.maximum(told, 0)


def _binned(values: np.ndarray, bins: int) -> np.ndarray:
    """The bin of each value ``(n,)``: quantiles, equal values together."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, values, side="right")


def _explained(z: np.ndarray, y: np.ndarray, seed: int) -> float:
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import KFold, cross_val_predict

    folds = KFold(_FOLDS, shuffle=True, random_state=derive_seed(seed, "folds") % 2**32)
    ridge = RidgeCV(np.logspace(-1, 4, 11))
    found = cross_val_predict(ridge, z, y, cv=folds)
    return float(1 - np.square(y - found).sum() / np.square(y - y.mean()).sum())


def columns_of(found: Sequence[Carried]) -> dict[str, list[Any]]:
    """Columns of a table, a row for each property."""
    names = list(Carried.__dataclass_fields__)
    return {name: [getattr(one, name) for one in found] for name in names}


def steepest(z: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The unit vector ``(d,)`` along which ``values (n,)`` and latents ``z (n, d)`` vary together:
    their covariance. Rows with anything unknown are left out.

    >>> steepest(np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]), np.array([1.0, 2.0, 3.0]))
    array([1., 0.])
    """
    known = np.isfinite(values) & np.isfinite(z).all(1)
    y, latents = values[known].astype(float), z[known].astype(float)
    found = (y - y.mean()) @ (latents - latents.mean(0))
    length = float(np.linalg.norm(found))
    return np.asarray(found / length if length else found)


def traverse(
    generator: Generator, z: np.ndarray, vector: np.ndarray, steps: Sequence[float]
) -> list[list[str | None]]:
    """The molecules at each of ``steps`` along ``vector (d,)`` from each of ``z (n, d)``.

    A row of ``len(steps)`` molecules for each latent, decoded greedily; a single dimension is a
    vector with one 1.

    >>> from molvae.generator import load
    >>> druglike = load("druglike", "cpu")
    >>> z = druglike.encode(["CC(=O)Nc1ccc(O)cc1"])
    >>> rows = traverse(druglike, z, np.eye(254)[230], [-2.0, 0.0, 2.0])
    >>> len(rows), len(rows[0])
    (1, 3)
    """
    moved = np.repeat(z, len(steps), 0) + np.tile(steps, len(z))[:, None] * vector
    found = generator.decode(moved.astype(np.float32))
    return [found[i : i + len(steps)] for i in range(0, len(found), len(steps))]
