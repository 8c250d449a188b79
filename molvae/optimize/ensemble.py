"""An ensemble of small networks: what they agree on is believed, the more they differ the less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from molvae.base.seeds import derive_seed
from molvae.optimize.conditioned import Targets
from molvae.optimize.described import Described
from molvae.optimize.features import Features
from molvae.optimize.networks import Networks
from molvae.optimize.observed import Observed
from molvae.optimize.parts import Part
from molvae.optimize.posterior import Posterior, Surrogate

MEMBERS = 8
"""Networks of an ensemble."""
HIDDEN = 64
"""Units of each hidden layer, of which there are two."""
STEPS, BATCH = 300, 256
"""Steps of the fit, and molecules in each."""
RATE, DECAY = 0.01, 1e-2
"""Learning rate and weight decay (AdamW)."""
FLOOR = 0.01
"""Variance, in units, that the networks may be wrong by where values are exact."""
SHARES = np.linspace(0.1, 0.9, 9)
"""Of the error of molecules held out, how much the members' disagreement may explain."""


@dataclass(frozen=True)
class Ensemble(Surrogate):
    """Networks and their disagreement as a distribution over molecules; made by :meth:`of`.

    The covariance is that of the members, of rank ``MEMBERS - 1``, times ``stretch``, and an error
    of variance ``own`` that each molecule has to itself; both in units.

    >>> smiles = ["C" * n for n in range(1, 21)]
    >>> observed = Observed.once(smiles, np.zeros((20, 1)), np.arange(20.0))
    >>> learnt = Ensemble.of(observed, ("descriptors",), seed=0)
    >>> mean, _ = learnt.expected(Described.of(["CC", "C" * 18], np.zeros((2, 1))))
    >>> bool(mean[0] < 5 < 13 < mean[1])
    True
    """

    features: Features
    networks: Networks
    priors: Networks
    targets: Targets
    stretch: float
    own: float

    @classmethod
    def of(cls, observed: Observed, parts: Sequence[Part], seed: int) -> Ensemble:
        """Fitted to everything ``observed``, none of which is NaN, by ``parts`` of molecules.

        Each member sees its own bootstrap sample (Breiman, Machine Learning 1996) and has a network
        added to it that is never fitted, so that members differ where nothing is known (Osband et
        al., NeurIPS 2018, arXiv:1806.03335). How far the disagreement can be trusted is learnt
        from the molecules outside of the samples. ``seed`` is that of samples and weights.
        """
        known = Described.of(observed.smiles, observed.z)
        features, targets = Features.of(known, parts), Targets.of(observed.utility)
        inputs, values = features(known).float(), targets.values.float()
        noise = torch.as_tensor(targets.noise(observed.noise())).expand(len(values)).float()
        generator = torch.Generator().manual_seed(derive_seed(seed, "ensemble"))
        sizes = [inputs.shape[1], HIDDEN, HIDDEN, 1]
        networks = Networks(sizes, MEMBERS, generator)
        priors = Networks(sizes, MEMBERS, generator).requires_grad_(False)
        drawn = torch.poisson(torch.ones(MEMBERS, len(values)), generator=generator)
        # A value counts for the less the less it is known; all that is equally known, the same.
        precision = 1 / (FLOOR + noise)
        weights = drawn * precision / precision.mean()
        fixed = priors(inputs)[..., 0]
        optimizer = torch.optim.AdamW(networks.parameters(), lr=RATE, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
        for _ in range(STEPS):
            rows = torch.randperm(len(values), generator=generator)[:BATCH]
            error = networks(inputs[rows])[..., 0] + fixed[:, rows] - values[rows]
            optimizer.zero_grad()
            (weights[:, rows] * error.square()).mean(1).sum().backward()
            optimizer.step()
            schedule.step()
        networks.requires_grad_(False)
        found = (networks(inputs)[..., 0] + fixed).numpy().astype(float)
        stretch, own = _calibrated(found, drawn.numpy() == 0, targets.values.numpy(), noise.numpy())
        return cls(features, networks, priors, targets, stretch, own)

    def members(self, molecules: Described) -> Tensor:
        """What each network predicts, ``(MEMBERS, m)``, in units."""
        inputs = self.features(molecules).float()
        return (self.networks(inputs) + self.priors(inputs))[..., 0].double()

    def expected(self, molecules: Described) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation ``(m,)`` of each molecule's true utility."""
        found, targets = self.members(molecules), self.targets
        variance = self.stretch * found.var(0) + self.own
        mean = targets.offset + targets.unit * found.mean(0)
        return mean.numpy(), (targets.unit * variance.sqrt()).numpy()

    def joint(self, molecules: Described) -> Posterior:
        """The joint distribution of molecules' true utilities."""
        found, targets = self.members(molecules), self.targets
        apart = found - found.mean(0)
        covariance = self.stretch / (len(found) - 1) * apart.T @ apart
        covariance.diagonal().add_(self.own)
        mean = targets.offset + targets.unit * found.mean(0)
        return Posterior(mean, targets.unit**2 * covariance)


def _calibrated(
    found: np.ndarray, outside: np.ndarray, values: np.ndarray, noise: np.ndarray
) -> tuple[float, float]:
    """By how much to stretch the members' variance, and what to add to it.

    Of the molecules that at least two members ``(MEMBERS, n)`` have not seen, ``outside``, the
    errors are those of these members' mean. The two together explain the mean square error; which
    share is whose makes the errors most likely. One error of a unit is thought of besides, so that
    a handful of good guesses proves little.
    """
    told = outside.sum(0) >= 2
    masked = np.where(outside, found, np.nan)[:, told]
    error = np.maximum((np.nanmean(masked, axis=0) - values[told]) ** 2 - noise[told], 0.0)
    variance = np.nanvar(masked, axis=0, ddof=1)
    total = (error.sum() + 1.0) / (len(error) + 1)
    typical = (variance.sum() + 1.0) / (len(variance) + 1)
    likely = []
    for share in SHARES:
        each = share * total * variance / typical + (1 - share) * total
        likely.append(-float((np.log(each) + error / each).sum()))
    share = float(SHARES[int(np.argmax(likely))])
    return share * total / typical, (1 - share) * total
