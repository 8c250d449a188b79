"""Molecules as rows of numbers, for what learns with networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import eigh
from torch import Tensor

from molvae.optimize.described import Described
from molvae.optimize.kernel import Scales
from molvae.optimize.parts import Part

AXES = 32
"""Principal axes of the counted environments, at most."""
FURTHEST = 6.0
"""Standard deviations beyond which a number says no more than that it is far away."""


@dataclass(frozen=True)
class Features:
    """``k`` numbers of a molecule, by the ``parts`` that are seen; made by :meth:`of`.

    Descriptors are standardised one by one; latents, and the principal axes of counts, all by one
    number, so that what hardly varies stays small.
    """

    scales: Scales
    parts: tuple[Part, ...]
    latent: np.ndarray
    axes: np.ndarray
    centre: np.ndarray

    @classmethod
    def of(cls, known: Described, parts: Sequence[Part]) -> Features:
        """Those that tell ``known`` molecules apart, at least one.

        >>> few = Described.of(["CCO", "CCN", "CCCC"], np.eye(3, 2))
        >>> Features.of(few, ("structure", "descriptors"))(few).shape
        torch.Size([3, 24])
        """
        axes = _principal_axes(known) if "structure" in parts else np.empty((0, 0))
        centre = (known.counts.rows @ axes).mean(0) if axes.size else np.empty(0)
        return cls(Scales.of(known), tuple(parts), known.z.mean(0), axes, centre)

    def __call__(self, molecules: Described) -> Tensor:
        """The numbers ``(n, k)`` of molecules, double precision."""
        blocks = []
        if "structure" in self.parts:
            blocks.append(molecules.counts.rows @ self.axes - self.centre)
        if "descriptors" in self.parts:
            blocks.append(self.scales.descriptors(molecules))
        if {"latent", "latent_ard"} & set(self.parts):
            blocks.append((molecules.z - self.latent) / self.scales.latent)
        blocks = [block.clip(-FURTHEST, FURTHEST) for block in blocks]
        return torch.as_tensor(np.concatenate(blocks, axis=1))


def _principal_axes(known: Described) -> np.ndarray:
    """Directions ``(columns, q)`` in which counts differ most, their mean square being 1."""
    rows = known.counts.rows
    alike = np.asarray((rows @ rows.T).toarray(), float)
    n = len(alike)
    centred = alike - alike.mean(0) - alike.mean(1)[:, None] + alike.mean()
    values, vectors = eigh(centred, subset_by_index=(max(0, n - AXES), n - 1))
    there = values > 1e-6 * max(1.0, float(values[-1]))
    values, vectors = values[there], vectors[:, there]
    if not values.size:
        return np.zeros((rows.shape[1], 1))
    # A direction of the molecules is one of the columns, divided by its length; the coordinates
    # of the molecules along it have the eigenvalue for their sum of squares.
    axes = rows.T @ (vectors / np.sqrt(values))
    return np.asarray(axes / np.sqrt(values.mean() / n))
