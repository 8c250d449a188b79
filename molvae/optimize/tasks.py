"""One Gaussian process for several assays: what they have in common is learnt of them together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import Kernel
from gpytorch.priors import LogNormalPrior, NormalPrior
from torch import Tensor

from molvae.optimize.conditioned import JITTER, Conditioned, Targets
from molvae.optimize.described import Described
from molvae.optimize.kernel import MoleculeKernel, Scales
from molvae.optimize.observed import Observed
from molvae.optimize.parts import Part
from molvae.optimize.posterior import Posterior
from molvae.optimize.surrogates import Hyperparameters, fit_hyperparameters, fit_process

RANK = 2
"""Latent factors that assays share at most."""
LEVEL = 1.0
"""Variance of an assay's mean, in units: that of a few values tells little of it."""
DOUBT = 5
"""Molecules without correlation that count beside those that two assays were both told of."""


class TaskKernel(Kernel):
    r"""The kernel of molecules times that of assays, ``B = W W' + diag(v)``, both to be fitted.

    Intrinsic coregionalisation (Bonilla et al., NeurIPS 2007). Inputs ``(n, 2)`` are the number of
    a molecule and that of an assay. The fit begins with the assays' ``correlation (t, t)``.
    Besides, each assay has a level of its own, of variance ``LEVEL``, and a noise.
    """

    def __init__(self, molecules: MoleculeKernel, correlation: np.ndarray) -> None:
        super().__init__()
        self.molecules = molecules
        rank = min(RANK, len(correlation) - 1)
        values, vectors = np.linalg.eigh(correlation)
        mixing = vectors[:, -rank:] * np.sqrt(np.maximum(values[-rank:], 0.0))
        own = np.maximum(1.0 - (mixing**2).sum(1), 0.1)
        self.register_parameter("mixing", torch.nn.Parameter(torch.as_tensor(mixing)))
        self.register_prior("mixing_prior", NormalPrior(0.0, 1.0), "mixing")
        self._positive("own", own, 0.3)
        self._positive("noise", np.full(len(own), 0.02), 0.02)

    def _positive(self, name: str, begin: np.ndarray, median: float) -> None:
        self.register_parameter(name, torch.nn.Parameter(torch.as_tensor(begin)))
        self.register_constraint(name, GreaterThan(1e-4, transform=None))
        self.register_prior(f"{name}_prior", LogNormalPrior(math.log(median), 1.0), name)

    @property
    def tasks(self) -> Tensor:
        """``B (t, t)``, positive definite."""
        return self.mixing @ self.mixing.T + torch.diag(self.own)

    def of(self, alike: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """The matrix, without noise, of the molecules' and the numbers of the assays."""
        return alike * self.tasks[rows, columns] + LEVEL * (rows == columns)

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: Any) -> Tensor:
        """The matrix between the pairs ``x1 (n, 2)`` and ``x2 (m, 2)``."""
        rows, columns = x1[..., 1].long(), x2[..., 1].long()
        alike = self.molecules.forward(x1[..., :1], x2[..., :1], diag=diag)
        if diag:
            same = (x1 == x2).all(-1)
            return self.of(alike, rows, columns) + self.noise[rows] * same
        same = (x1.unsqueeze(-2) == x2.unsqueeze(-3)).all(-1)
        rows, columns = rows.unsqueeze(-1), columns.unsqueeze(-2)
        return self.of(alike, rows, columns) + self.noise[rows] * same


@dataclass(frozen=True)
class Table:
    """What ``t`` assays tell of ``known`` molecules: ``n`` values, each of a molecule and an assay.

    ``molecules (n,)`` and ``assays (n,)`` are their numbers; ``values (n,)`` and the variances
    ``noise (n,)`` are in units of the ``targets`` of each assay.
    """

    known: Described
    molecules: Tensor
    assays: Tensor
    values: Tensor
    noise: Tensor
    targets: tuple[Targets, ...]

    @classmethod
    def of(cls, observed: Sequence[Observed]) -> Table:
        """Of what each assay tells, of some molecules or of all, none of it NaN."""
        places: dict[str, int] = {}
        z: list[np.ndarray] = []
        for one in observed:
            for smiles, latent in zip(one.smiles, one.z, strict=True):
                if smiles not in places:
                    places[smiles] = len(places)
                    z.append(latent)
        targets = tuple(Targets.of(one.utility) for one in observed)
        noise = [
            torch.as_tensor(t.noise(one.noise()), dtype=torch.float64).expand(len(one.smiles))
            for t, one in zip(targets, observed, strict=True)
        ]
        return cls(
            Described.of(list(places), np.stack(z)),
            torch.tensor([places[smiles] for one in observed for smiles in one.smiles]),
            torch.tensor([i for i, one in enumerate(observed) for _ in one.smiles]),
            torch.cat([t.values for t in targets]),
            torch.cat(noise),
            targets,
        )

    def correlation(self) -> np.ndarray:
        """How alike the assays are ``(t, t)`` in molecules that two were told of; doubted, where
        these are few."""
        t = len(self.targets)
        table = np.full((len(self.known), t), np.nan)
        table[self.molecules.numpy(), self.assays.numpy()] = self.values.numpy()
        found = np.eye(t)
        for i in range(t):
            for j in range(i):
                both = ~np.isnan(table[:, [i, j]]).any(axis=1)
                if both.sum() < 2 or not (table[both][:, [i, j]].std(0) > 0).all():
                    continue
                alike = float(np.corrcoef(table[both, i], table[both, j])[0, 1])
                found[i, j] = found[j, i] = alike * both.sum() / (both.sum() + DOUBT)
        return found


@dataclass(frozen=True)
class FittedTasks:
    """Fitted hyperparameters of molecules, and the kernel of these and of assays."""

    molecules: Hyperparameters
    kernel: TaskKernel


def fit_tasks(observed: Sequence[Observed], parts: Sequence[Part], seed: int) -> FittedTasks:
    """Those that maximise the posterior density of what is ``observed`` of two assays or more.

    First how alike molecules are, by the assay that tells most of them; then, with that, how alike
    the assays are. All at once, the assay that tells most decides on both.

    Args:
        observed: what each assay tells, of some molecules or of all, none of it NaN.
        parts: what is seen of molecules.
        seed: of where the optimiser starts anew should it fail.

    Raises:
        ValueError: there are fewer than two assays.
    """
    if len(observed) < 2:
        raise ValueError("what assays have in common is learnt of two or more; give another")
    fullest = max(observed, key=lambda one: len(one.smiles))
    fitted = fit_hyperparameters(fullest, parts, seed)
    table = Table.of(observed)
    molecules = Scales.of(table.known).kernel(table.known, parts)
    molecules.load_state_dict(fitted.kernel.state_dict())
    kernel = TaskKernel(molecules.requires_grad_(False), table.correlation())
    inputs = torch.stack([table.molecules, table.assays], dim=1).double()
    noise = table.noise if bool((table.noise > 0).any()) else None
    return FittedTasks(
        Hyperparameters(molecules, *fit_process(kernel, inputs, table.values, noise, seed)), kernel
    )


@dataclass(frozen=True)
class MoleculeTasks:
    """A Gaussian process of several assays conditioned on molecules; made by :meth:`of`.

    >>> smiles = ["C" * n for n in range(1, 13)]
    >>> long = Observed.once(smiles, np.zeros((12, 1)), np.arange(12.0))
    >>> few = long.rows(np.arange(0, 12, 3))
    >>> learnt = MoleculeTasks.of([long, few], fit_tasks([long, few], ("descriptors",), seed=0))
    >>> learnt.joint(Described.of(["CCO"], np.zeros((1, 1))), 1).covariance.shape
    torch.Size([1, 1])
    """

    fitted: FittedTasks
    scales: Scales
    table: Table
    process: Conditioned

    @classmethod
    @torch.no_grad()
    def of(cls, observed: Sequence[Observed], fitted: FittedTasks) -> MoleculeTasks:
        """Conditioned on all that is ``observed``, of the assays of the fit in their order."""
        table, molecules, kernel = Table.of(observed), fitted.molecules, fitted.kernel
        scales = Scales.of(table.known)
        alike = molecules.between(scales, table.known, table.known)
        alike = alike[table.molecules][:, table.molecules]
        covariance = kernel.of(alike, table.assays[:, None], table.assays)
        noise = table.noise + kernel.noise[table.assays] + molecules.noise + JITTER
        return cls(
            fitted, scales, table, Conditioned.of(covariance, table.values, noise, molecules.mean)
        )

    @torch.no_grad()
    def joint(self, molecules: Described, assay: int) -> Posterior:
        """The joint distribution of molecules' true values of an ``assay``, in its unit."""
        fitted, kernel, table = self.fitted.molecules, self.fitted.kernel, self.table
        across = fitted.between(self.scales, molecules, table.known)[:, table.molecules]
        within = fitted.between(self.scales, molecules, molecules)
        here = torch.full((1, 1), assay)
        return self.process.joint(
            kernel.of(across, here, table.assays),
            kernel.of(within, here, here),
            table.targets[assay],
        )
