"""Several objectives as many single ones: each direction through the front is one of them.

Hypervolume is the mean, over directions, of what the best point reaches along each: so what a
candidate adds to the hypervolume is what it adds to a maximum, in any number of dimensions.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

Kind = Literal["weighted", "chebyshev"]

DIRECTIONS = 64
"""Directions for each objective beyond the first."""
AUGMENTED = 0.05
"""Share of the weighted sum in the augmented Chebyshev scalarisation (Knowles 2006)."""


@dataclass(frozen=True)
class Scalarisation:
    """What points are worth along ``directions (k, m)``.

    Utilities are counted from ``reference (m,)`` in units of ``scale (m,)``. ``kind`` None is
    hypervolume: ``constant * mean over directions of max over points of values`` is the volume
    that the points dominate above the reference, in the product of the objectives' units.

    >>> points = torch.tensor([[1.0, 2.0], [2.0, 1.0]], dtype=torch.float64)
    >>> volume = hypervolume_scalarisation(torch.zeros(2), torch.ones(2))
    >>> round(volume.constant * float(volume.values(points).amax(dim=0).mean()), 1)
    3.0
    """

    kind: Kind | None
    directions: Tensor
    reference: Tensor
    scale: Tensor
    constant: float = 1.0

    def values(self, utility: Tensor) -> Tensor:
        """The worth ``(..., k)`` of points ``utility (..., m)`` along each direction.

        The reference point is worth 0, what does not exceed it in everything less, or with a sum
        more.
        """
        above = (utility - self.reference) / self.scale
        factors = 1 / self.directions if self.kind is None else self.directions
        # One objective at a time: all of them at once do not fit in a laptop's memory.
        parts = [y.unsqueeze(-1) * f for y, f in zip(above.unbind(-1), factors.T, strict=True)]
        least = functools.reduce(torch.minimum, parts)
        if self.kind is None:
            return least.sign() * least.abs() ** len(parts)
        total = functools.reduce(torch.add, parts)
        return total if self.kind == "weighted" else least + AUGMENTED * total


def hypervolume_scalarisation(reference: Tensor, scale: Tensor) -> Scalarisation:
    """Hypervolume above ``reference (m,)``, by directions that cover the positive orthant evenly.

    Golovin and Zhang, ICML 2020, arXiv:2006.04655 (random hypervolume scalarisations): the volume
    is ``pi^(m/2) / (2^m Gamma(m/2 + 1))`` times the mean over directions ``d`` of
    ``max over points of min over i of max(0, y_i / d_i)^m``.
    """
    m = len(reference)
    unit = math.pi ** (m / 2) / (2**m * math.gamma(m / 2 + 1))
    return Scalarisation(
        None,
        _directions(m),
        reference.double(),
        scale.double(),
        unit * float(scale.double().prod()),
    )


def weighted_scalarisation(
    kind: Kind,
    reference: Tensor,
    scale: Tensor,
    weights: Sequence[float] | None,
    seed: int,
) -> Scalarisation:
    """One direction: ``weights``, which are scaled to a sum of 1, or weights drawn with ``seed``.

    Drawn anew at every step they lead along the whole front (ParEGO; Knowles, IEEE Trans. Evol.
    Comput. 2006).
    """
    m = len(reference)
    if weights is None:
        generator = torch.Generator().manual_seed(seed)
        drawn = -torch.rand(m, generator=generator, dtype=torch.float64).clamp_min(1e-12).log()
    else:
        drawn = torch.tensor(weights, dtype=torch.float64)
    direction = (drawn / drawn.sum())[None]
    return Scalarisation(kind, direction, reference.double(), scale.double())


def _directions(m: int) -> Tensor:
    """Unit vectors ``(k, m)`` spread evenly over the positive orthant."""
    if m == 1:
        return torch.ones(1, 1, dtype=torch.float64)
    k = DIRECTIONS * (m - 1)
    if m == 2:
        angle = (torch.arange(k, dtype=torch.float64) + 0.5) * (math.pi / 2 / k)
        return torch.stack([angle.cos(), angle.sin()], dim=1)
    uniform = SobolEngine(m, scramble=True, seed=0).draw(k, dtype=torch.float64)
    normal = torch.special.ndtri(0.5 + 0.5 * uniform.clamp(1e-6, 1 - 1e-6))
    return normal / normal.norm(dim=1, keepdim=True)
