"""Deep kernel learning: a Gaussian process on what a small network makes of molecules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from molvae.base.seeds import derive_seed
from molvae.optimize.conditioned import JITTER, Conditioned, Targets
from molvae.optimize.described import Described
from molvae.optimize.features import Features
from molvae.optimize.kernel import matern
from molvae.optimize.networks import Networks
from molvae.optimize.observed import Observed
from molvae.optimize.parts import Part
from molvae.optimize.posterior import Posterior, Surrogate

FIT_ROWS = 400
"""The network is fitted on so many molecules at most; the process is conditioned on all."""
HIDDEN, WIDTH = 64, 8
"""Units of the hidden layer, and numbers that the network makes of a molecule."""
STEPS, LOOK, PATIENCE = 200, 10, 4
"""Steps of the fit at most; how often what is held out is looked at; for how many looks in vain."""
RATE, DECAY = 0.01, 1e-2
"""Learning rate and weight decay (AdamW; Loshchilov and Hutter, ICLR 2019)."""
HELD_OUT = 5
"""One molecule of so many is held out."""
THOUGHT_OF = 5
"""Molecules of errors as expected that count beside those held out, which may be few."""


class DeepKernel(torch.nn.Module):
    """The Matérn kernel of what a network makes of features ``(n, k)``, and the noise.

    To the network's outputs the features' own projection is added, so that it begins as a plain
    kernel, and what is far from everything known stays far.
    """

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        double = torch.float64
        self.network = Networks([width, HIDDEN, WIDTH], 1, generator, double)
        self.projection = Networks([width, WIDTH], 1, generator, double)
        self.logarithms = torch.nn.Parameter(torch.tensor([0.0, -3.0], dtype=double))

    def places(self, features: Tensor) -> Tensor:
        """What the network makes of features: ``(n, WIDTH)``, distances in lengths."""
        found: Tensor = self.network(features)[0] + self.projection(features)[0]
        return found / WIDTH**0.5

    def between(self, a: Tensor, b: Tensor) -> Tensor:
        """The covariance ``(n, m)`` of places ``a (n, WIDTH)`` and ``b (m, WIDTH)``."""
        squares = a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T
        # The root of a distance of 0 has no gradient.
        return self.scale * matern(squares.clamp_min(1e-12).sqrt())

    @property
    def scale(self) -> Tensor:
        """The variance of any molecule."""
        return self.logarithms[0].exp()

    @property
    def noise(self) -> Tensor:
        """The variance common to all measurements, beside what is known of each."""
        return self.logarithms[1].exp() + 1e-4


@dataclass(frozen=True)
class FittedNetwork:
    """What :func:`fit_network` has found: features of molecules, and a kernel of these."""

    features: Features
    kernel: DeepKernel

    def places(self, molecules: Described) -> Tensor:
        """Where the network puts molecules, ``(n, WIDTH)``."""
        return self.kernel.places(self.features(molecules))


def fit_network(observed: Observed, parts: Sequence[Part], seed: int) -> FittedNetwork:
    """A network and a kernel fitted together, by the marginal likelihood of what is ``observed``.

    Deep kernel learning (Wilson et al., AISTATS 2016, arXiv:1511.02222). So flexible a kernel can
    overfit even the marginal likelihood (Ober et al., UAI 2021, arXiv:2102.12108), so weights
    decay, and the state is kept that makes a fifth of the molecules, held out, most likely. Their
    errors then say how much wider all uncertainty has to be.

    Args:
        observed: molecules with utilities, at least one, none of them NaN.
        parts: what is seen of them.
        seed: of the network's first weights, and of which molecules are held out.
    """
    known = Described.of(observed.smiles, observed.z)
    features = Features.of(known, parts)
    inputs, targets = features(known), Targets.of(observed.utility)
    noise = torch.as_tensor(targets.noise(observed.noise()), dtype=torch.float64)
    noise = noise.expand(len(inputs))
    generator = torch.Generator().manual_seed(derive_seed(seed, "deep"))
    kernel = DeepKernel(inputs.shape[1], generator)
    order = torch.randperm(len(inputs), generator=generator)
    held, rest = order[: len(order) // HELD_OUT], order[len(order) // HELD_OUT :]
    optimizer = torch.optim.AdamW(kernel.parameters(), lr=RATE, weight_decay=DECAY)
    best, kept, wider, vain = -torch.inf, _copied(kernel), 1.0, 0
    for step in range(STEPS + 1):
        places = kernel.places(inputs)
        process, loss = _conditioned(kernel, places[rest], targets.values[rest], noise[rest])
        if step % LOOK == 0:
            with torch.no_grad():
                mean, half = process.given(kernel.between(places[held], places[rest]))
                variance = kernel.scale - half.square().sum(0) + noise[held] + kernel.noise
                squares = (targets.values[held] - mean).square() / variance.clamp_min(JITTER)
                likelihood = -float((variance.clamp_min(JITTER).log() + squares).sum())
            if likelihood > best:
                best, kept, vain = likelihood, _copied(kernel), 0
                wider = float(squares.sum() + THOUGHT_OF) / (len(held) + THOUGHT_OF)
            elif (vain := vain + 1) == PATIENCE:
                break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    kernel.load_state_dict(kept)
    kernel.requires_grad_(False)
    kernel.logarithms.add_(max(0.0, math.log(wider)))
    return FittedNetwork(features, kernel)


def _conditioned(
    kernel: DeepKernel, places: Tensor, values: Tensor, noise: Tensor
) -> tuple[Conditioned, Tensor]:
    """The process given ``values (n,)``, and how unlikely these are, for each."""
    covariance = kernel.between(places, places) + torch.diag(noise + kernel.noise)
    root = torch.linalg.cholesky(covariance)
    weights = torch.cholesky_solve(values.unsqueeze(1), root).squeeze(1)
    unlikely = 0.5 * values @ weights + root.diagonal().log().sum()
    return Conditioned(root, weights, 0.0), unlikely / len(values)


def _copied(kernel: DeepKernel) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in kernel.state_dict().items()}


@dataclass(frozen=True)
class DeepGP(Surrogate):
    """A Gaussian process with a network in its kernel, conditioned on molecules; see :meth:`of`.

    >>> smiles = ["C" * n for n in range(1, 21)]
    >>> observed = Observed.once(smiles, np.zeros((20, 1)), np.arange(20.0))
    >>> learnt = DeepGP.of(observed, fit_network(observed, ("descriptors",), seed=0))
    >>> mean, _ = learnt.expected(Described.of(["CC", "C" * 18], np.zeros((2, 1))))
    >>> bool(mean[0] < 5 < 13 < mean[1])
    True
    """

    fitted: FittedNetwork
    places: Tensor
    targets: Targets
    process: Conditioned

    @classmethod
    @torch.no_grad()
    def of(cls, observed: Observed, fitted: FittedNetwork) -> DeepGP:
        """Conditioned on everything ``observed``, none of which is NaN."""
        targets, kernel = Targets.of(observed.utility), fitted.kernel
        places = fitted.places(Described.of(observed.smiles, observed.z))
        noise = targets.noise(observed.noise()) + kernel.noise
        process = Conditioned.of(kernel.between(places, places), targets.values, noise, 0.0)
        return cls(fitted, places, targets, process)

    def expected(self, molecules: Described) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation ``(m,)`` of each molecule's true utility."""
        across = self.fitted.kernel.between(self.fitted.places(molecules), self.places)
        return self.process.margins(across, self.fitted.kernel.scale, self.targets)

    def joint(self, molecules: Described) -> Posterior:
        """The joint distribution of molecules' true utilities."""
        places, kernel = self.fitted.places(molecules), self.fitted.kernel
        across, within = kernel.between(places, self.places), kernel.between(places, places)
        return self.process.joint(across, within, self.targets)
