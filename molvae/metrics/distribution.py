"""How far the properties of one set of molecules lie from those of another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

QUANTILES = np.linspace(0.0, 1.0, 41)
"""The probabilities at which a distribution is kept for figures."""


@dataclass(frozen=True)
class PropertyDistance:
    """One property of a sample beside a reference; ``distance`` is in the property's unit."""

    name: str
    distance: float
    """First Wasserstein distance."""
    relative: float
    """The distance in standard deviations of the reference."""
    sample_mean: float
    reference_mean: float
    sample_quantiles: tuple[float, ...]
    """Values at :data:`QUANTILES`."""
    reference_quantiles: tuple[float, ...]


def wasserstein(a: np.ndarray, b: np.ndarray) -> float:
    r"""First Wasserstein distance between samples ``(n,)`` and ``(m,)``; NaN values are left out.

    .. math:: W_1 = \int |F_a(x) - F_b(x)|\, dx

    NaN if either is empty. In the unit of the values.

    >>> wasserstein(np.array([0.0, 1.0]), np.array([2.0, 3.0, np.nan]))
    2.0
    """
    a, b = _finite_sorted(a), _finite_sorted(b)
    if not len(a) or not len(b):
        return math.nan
    points = np.sort(np.concatenate([a, b]))
    left = points[:-1]
    cdf_a = np.searchsorted(a, left, side="right") / len(a)
    cdf_b = np.searchsorted(b, left, side="right") / len(b)
    return float(np.sum(np.abs(cdf_a - cdf_b) * np.diff(points)))


def property_distances(
    sample: np.ndarray, reference: np.ndarray, names: Sequence[str]
) -> tuple[PropertyDistance, ...]:
    """Compare columns of properties, ``sample (n, k)`` and ``reference (m, k)``, by name.

    >>> found = property_distances(np.array([[1.0], [3.0]]), np.array([[0.0], [2.0]]), ["logp"])
    >>> found[0].name, found[0].distance, found[0].relative
    ('logp', 1.0, 1.0)
    """
    result = []
    for column, name in enumerate(names):
        ours, theirs = _finite_sorted(sample[:, column]), _finite_sorted(reference[:, column])
        distance = wasserstein(ours, theirs)
        spread = float(theirs.std()) if len(theirs) else math.nan
        result.append(
            PropertyDistance(
                name=name,
                distance=distance,
                relative=distance / spread if spread > 0 else math.nan,
                sample_mean=_mean(ours),
                reference_mean=_mean(theirs),
                sample_quantiles=_quantiles(ours),
                reference_quantiles=_quantiles(theirs),
            )
        )
    return tuple(result)


def _finite_sorted(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    return np.sort(values[np.isfinite(values)])


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan


def _quantiles(values: np.ndarray) -> tuple[float, ...]:
    return tuple(np.quantile(values, QUANTILES).tolist()) if len(values) else ()
