"""Histograms of a sample beside a reference, with the bins that figures share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from molvae.metrics.distribution import wasserstein
from molvae.metrics.profile import Profile
from molvae.metrics.statistics import Statistics

SHOWN = {
    "logp": "logP",
    "sa": "synthetic accessibility (SA)",
    "qed": "drug-likeness (QED)",
    "mw": "weight, g/mol",
    "heavy_atoms": "heavy atoms",
    "rings": "rings",
    "largest_ring": "atoms in the largest ring",
}
"""The properties whose distributions are shown, and their titles."""

NEAREST = "nearest training molecule"
_BINS = 40
_WHOLE = ("heavy_atoms", "rings", "largest_ring")


@dataclass(frozen=True)
class Distribution:
    """One quantity: shares of the sample and of the reference in each bin (k bins, k + 1 edges).

    ``reference`` is empty where there is nothing to compare with. ``distance`` is the first
    Wasserstein distance, in the unit of the quantity.
    """

    name: str
    title: str
    edges: tuple[float, ...]
    sample: tuple[float, ...]
    reference: tuple[float, ...]
    distance: float


def distributions(
    found: Profile, target: Statistics, nearest: np.ndarray, nearest_held_out: np.ndarray
) -> tuple[Distribution, ...]:
    """Of the properties, against the reference, and of the similarity to the nearest training
    molecule, against that of held-out molecules (``nearest_held_out`` may be empty)."""
    made = [
        distribution(name, title, found.column(name), target.column(name), name in _WHOLE)
        for name, title in SHOWN.items()
    ]
    if len(nearest):
        title = "similarity to the nearest training molecule"
        edges = np.linspace(0, 1, _BINS + 1)
        made.append(_counted(NEAREST, title, nearest, nearest_held_out, edges))
    return tuple(made)


def distribution(
    name: str, title: str, sample: np.ndarray, reference: np.ndarray, whole: bool = False
) -> Distribution:
    """Bins that hold all of the reference but its outermost thousandths; the rest is in the end
    bins. ``whole`` makes a bin for each whole number.

    >>> distribution("rings", "rings", np.array([1.0, 2.0]), np.array([1.0, 1.0]), True).sample
    (0.5, 0.5)
    """
    both = np.concatenate([values[np.isfinite(values)] for values in (sample, reference)])
    low, high = np.quantile(both, [0.001, 0.999])
    if whole:
        edges = np.arange(math.floor(low), math.ceil(high) + 2) - 0.5
    else:
        edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    return _counted(name, title, sample, reference, edges)


def _counted(
    name: str, title: str, sample: np.ndarray, reference: np.ndarray, edges: np.ndarray
) -> Distribution:
    return Distribution(
        name=name,
        title=title,
        edges=tuple(edges.tolist()),
        sample=_shares(sample, edges),
        reference=_shares(reference, edges),
        distance=wasserstein(sample, reference),
    )


def _shares(values: np.ndarray, edges: np.ndarray) -> tuple[float, ...]:
    known = values[np.isfinite(values)]
    if not len(known):
        return ()
    counts = np.histogram(np.clip(known, edges[0], edges[-1]), bins=edges)[0]
    return tuple((counts / len(known)).tolist())
