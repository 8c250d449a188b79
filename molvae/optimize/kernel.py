"""How alike molecules are to a Gaussian process: in structure, composition and latent place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import Kernel
from gpytorch.priors import LogNormalPrior
from torch import Tensor

from molvae.optimize.described import Described
from molvae.optimize.parts import Part

CUBE = math.sqrt(12.0)
"""The width of a cube, in standard deviations of what is spread evenly over it."""


class MoleculeKernel(Kernel):
    r"""A weighted sum of likenesses, the weights and length-scales to be fitted.

    .. math:: w_s T(a, b) + w_d \exp(-\tfrac{|a - b|^2}{2 l_d^2}) + w_z M_{5/2}(|a - b| / l_z)

    ``T`` is the Tanimoto similarity of counted environments, positive definite (Ralaivola et al.,
    Neural Networks 2005); the second term sees standardised descriptors, the third latents; both
    distances are root mean squares over the dimensions, so that neither prior depends on their
    number. Inputs ``(n, 1)`` are the numbers of molecules in ``facts``, a matrix for each part.

    With ``places (n, d)`` there is another Matérn term of latents, with a length for each
    dimension. Their prior is the one of Hvarfner et al. (ICML 2024, arXiv:2402.02229), which
    expects lengths to grow with the root of ``d``: the data have to say which dimensions matter.
    """

    def __init__(self, facts: Mapping[Part, Tensor], places: Tensor | None = None) -> None:
        super().__init__()
        self.facts, self.places = dict(facts), places
        for part in self.facts:
            self._positive(f"{part}_weight", 0.5, 1.0, 1e-4)
            if part != "structure":
                self._positive(f"{part}_length", 1.0, 0.7, 1e-2)
        if places is not None:
            self._positive("latent_ard_weight", 0.5, 1.0, 1e-4)
            # In root mean squares the prior is the same in all dimensions; it is so wide that its
            # mode, where the fit begins, is far below its median.
            middle, width = math.exp(math.sqrt(2.0)), math.sqrt(3.0)
            begin = torch.full((places.shape[1],), middle * math.exp(-(width**2)))
            self._positive("latent_ard_length", middle, width, 2.5e-2, begin.double())

    @property
    def parts(self) -> tuple[Part, ...]:
        """What of a molecule the kernel sees."""
        own: tuple[Part, ...] = () if self.places is None else ("latent_ard",)
        return (*self.facts, *own)

    def _positive(
        self, name: str, median: float, width: float, least: float, begin: Tensor | None = None
    ) -> None:
        """Numbers above ``least`` with a log-normal prior; they ``begin`` at its median."""
        value = torch.tensor(median, dtype=torch.float64) if begin is None else begin
        self.register_parameter(name, torch.nn.Parameter(value))
        above = GreaterThan(least, transform=None, initial_value=value.clone())
        self.register_constraint(name, above)
        self.register_prior(f"{name}_prior", LogNormalPrior(math.log(median), width), name)

    def of(self, facts: Mapping[Part, Tensor]) -> Tensor:
        """The kernel's matrix from the matrices of the parts."""
        return torch.stack(
            [self.weight(part) * self._likeness(part, matrix) for part, matrix in facts.items()]
        ).sum(0)

    def weight(self, part: Part) -> Tensor:
        """The weight of a part: the kernel of a molecule with itself is their sum."""
        found: Tensor = getattr(self, f"{part}_weight")
        return found

    @property
    def lengths(self) -> np.ndarray | None:
        """The lengths ``(d,)`` of the latents' dimensions, where each has its own."""
        return None if self.places is None else self.latent_ard_length.detach().numpy()

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: Any) -> Tensor:
        """The matrix between the molecules numbered ``x1 (n, 1)`` and ``x2 (m, 1)``."""
        rows, columns = x1[..., 0].long(), x2[..., 0].long()
        chosen = (rows, columns) if diag else (rows.unsqueeze(-1), columns.unsqueeze(-2))
        facts = {part: matrix[chosen] for part, matrix in self.facts.items()}
        if self.places is not None:
            places = self.places / self.latent_ard_length
            squares = places.square().sum(-1)
            between = squares[chosen[0]] + squares[chosen[1]]
            if diag:
                between = between - 2 * (places[rows] * places[columns]).sum(-1)
            else:
                between = between - 2 * places[rows] @ places[columns].mT
            # The root of a distance of 0 has no gradient.
            facts["latent_ard"] = (between / places.shape[1]).clamp_min(1e-12)
        return self.of(facts)

    def _likeness(self, part: Part, matrix: Tensor) -> Tensor:
        if part == "structure":
            return matrix
        if part == "latent_ard":  # the lengths are in the distances
            return matern(matrix.sqrt())
        length = getattr(self, f"{part}_length")
        if part == "descriptors":
            return torch.exp(-0.5 * matrix / length**2)
        return matern(matrix.sqrt(), length)


@dataclass(frozen=True)
class Scales:
    """What makes descriptors and latents comparable: means and deviations of known molecules."""

    middle: np.ndarray
    spread: np.ndarray
    latent: float

    @classmethod
    def of(cls, known: Described) -> Scales:
        """Those of ``known`` molecules, at least one."""
        spread = known.descriptors.std(0)
        latent = float(np.sqrt(np.mean(np.var(known.z, axis=0)))) if known.z.size else 1.0
        return cls(known.descriptors.mean(0), np.where(spread > 0, spread, 1.0), latent or 1.0)

    def descriptors(self, molecules: Described) -> np.ndarray:
        """Standardised descriptors ``(n, k)``."""
        return (molecules.descriptors - self.middle) / self.spread

    def places(self, molecules: Described) -> np.ndarray:
        """Latents ``(n, d)`` as if known ones were spread over a cube of width 1."""
        return molecules.z / (CUBE * self.latent)

    def facts(
        self,
        a: Described,
        b: Described,
        parts: Sequence[Part],
        lengths: np.ndarray | None = None,
    ) -> dict[Part, Tensor]:
        """The matrix ``(n, m)`` of each part between two sets of molecules.

        ``lengths (d,)`` are those of the part that has one for each dimension of the latents.
        """
        found: dict[Part, Tensor] = {}
        for part in parts:
            if part == "structure":
                matrix = a.counts.similarity(b.counts)
            elif part == "descriptors":
                matrix = _distances(self.descriptors(a), self.descriptors(b))
            elif part == "latent":
                matrix = _distances(a.z / self.latent, b.z / self.latent)
            else:
                matrix = _distances(self.places(a) / lengths, self.places(b) / lengths)
            found[part] = torch.as_tensor(matrix)
        return found

    def kernel(self, known: Described, parts: Sequence[Part]) -> MoleculeKernel:
        """A kernel that sees ``parts`` of the ``known`` molecules, yet to be fitted."""
        matrices = self.facts(known, known, [part for part in parts if part != "latent_ard"])
        places = torch.as_tensor(self.places(known)) if "latent_ard" in parts else None
        return MoleculeKernel(matrices, places)


def matern(distance: Tensor, length: Tensor | float = 1.0) -> Tensor:
    """The Matérn kernel of smoothness 5/2 of distances, of any shape.

    >>> matern(torch.tensor([0.0, 1.0, 2.0])).numpy().round(3)
    array([1.   , 0.524, 0.139], dtype=float32)
    """
    scaled = math.sqrt(5) * distance / length
    return (1 + scaled + scaled**2 / 3) * torch.exp(-scaled)


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean squared differences ``(n, m)`` of rows."""
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    return np.maximum(squares, 0.0) / max(1, a.shape[1])
