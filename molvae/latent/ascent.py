r"""A climb along the gradient of the property head, kept where the decoder is reliable.

No objective is called: the head says which way is up (Gómez-Bombarelli et al., ACS Cent. Sci.
4:268, 2018, train it for this). Followed blindly, its gradient leads z to where neither the head
nor the decoder has seen data, and what is decoded there is not what the head predicts (Notin,
Hernández-Lobato & Gal, NeurIPS 2021, arXiv:2107.00096). So each path maximises

.. math::

    g(\hat y(z)) - \lambda s \Bigl[ \tfrac12 \sum_j \Bigl(\frac{z_j - a_j}{\sigma_j}\Bigr)^2
    + \tfrac{\kappa}{2} \sum_j z_j^2 \Bigr]

where *g* is the prediction in standard deviations of the labels, to be maximised or minimised, or
how near it is to a wanted value (Huber's loss, negative); the value is wanted of the molecule, so
what the head says of z beyond what it says of the molecule there is taken off. The penalty's first
part is -log q(z|x) up to a constant, for the molecule x that z decodes to, with mean *a* and widths
*sigma*: it is small where decoding and encoding agree. It is taken anew every few steps, as trust
regions are centred anew on what they decode to (Maus et al., NeurIPS 2022, arXiv:2201.11872). The
second is -log p(z), the KL's pull to the prior. The slope :math:`s = \|\sigma \nabla g(a)\|` makes
lambda mean the same for every property: on an even slope z comes to rest about 1 / lambda widths
from *a*, over all dimensions together.

A dimension whose posterior is as wide as the prior says nothing of x, so the decoder has learnt not
to listen to it, while the head's gradient there is an accident. A step is therefore multiplied by
1 - sigma_j^2, the share of z_j that the molecule explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from molvae.base.errors import ConfigError
from molvae.base.progress import Progress
from molvae.base.seeds import derive_seed
from molvae.chem.smiles import canonicalise_many
from molvae.generator import Generator
from molvae.latent.headgoal import Direction, HeadGoal
from molvae.latent.paths import Path

STEPS = 50
RATE = 0.05
PENALTY = 0.01
PRIOR = 0.3
"""Weight of the pull to the prior, as a share of the penalty's (kappa)."""
EVERY = 5
"""Steps between two looks at what z decodes to."""
FOLLOW = 0.75
"""How much of what a look finds z to be ahead of its molecule is believed: 1 makes paths swing."""
FADE = (0.9, 0.999)
"""How fast Adam's two averages forget (Kingma & Ba 2015, arXiv:1412.6980)."""


def climb(
    generator: Generator,
    start: Sequence[str | None] | None,
    target: str,
    direction: Direction,
    *,
    n: int = 100,
    steps: int = STEPS,
    rate: float = RATE,
    penalty: float = PENALTY,
    seed: int = 0,
    progress: bool | None = False,
) -> list[Path]:
    """Climb from each molecule of ``start``, or from ``n`` samples of the prior, all at once.

    Args:
        generator: a model with a property head.
        start: molecules to set out from; None to sample them.
        target: the name of a property that the head predicts.
        direction: ``maximize``, ``minimize``, or the value that is wanted.
        n: how many samples, where no ``start`` is given.
        steps: steps of Adam.
        rate: the length of a step in each dimension, in standard deviations of the prior.
        penalty: the weight lambda of what keeps z where the decoder is reliable; 0 for nothing.
        seed: of the samples; nothing else is random.
        progress: show a bar; None means only on a terminal.

    Returns:
        A path for each start, in their order; one that cannot be encoded has the reason, and one
        that does not come back from the latent space is :attr:`~molvae.latent.paths.Path.lost`.

    Raises:
        ModelError: the model has no property head.
        ConfigError: it does not predict ``target``, its posteriors have no widths (an
            autoencoder's, a VQ-VAE's), or a number is out of range.

    >>> from molvae.generator import load
    >>> path = climb(load("druglike", "cpu"), ["CCOC(=O)c1ccccc1"], "logp", "minimize", steps=5)[0]
    >>> path.steps, path.z.shape, len(path.smiles)
    (array([0, 5]), (2, 254), 2)
    >>> bool(path.asked_value[1] < path.asked_value[0])
    True
    """
    goal = HeadGoal.of(generator, target, direction)
    _check(n, steps, rate, penalty)
    if start is None:
        start = generator.sample(n, seed=derive_seed(seed, "starts"))
    found = generator.posterior(start)
    if not found.wide:
        raise ConfigError(
            "this model encodes to points, and a climb needs the widths of posteriors, to stay "
            "where the decoder is reliable: take a model with a gaussian bottleneck, or use molvae "
            "optimize"
        )
    good = [row for row, reason in enumerate(found.reasons) if reason is None]
    looks: list[_Look] = []
    if good:
        ascent = _Ascent(goal, found.mean[good], found.std[good], rate, penalty)
        looks += [ascent.seen(0, canonicalise_many([start[row] for row in good]), found.mean[good])]
        back = ascent.look(0)
        with Progress(f"climbing {target}", steps, progress) as bar:
            for step in range(1, steps + 1):
                ascent.step(step)
                if step % EVERY == 0 or step == steps:
                    looks.append(ascent.look(step))
                bar.advance()
    place = {row: i for i, row in enumerate(good)}
    return [
        Path.none(text, reason, generator.latent_dim)
        if reason is not None
        else _path(text, looks, back, place[row])
        for row, (text, reason) in enumerate(zip(start, found.reasons, strict=True))
    ]


def _check(n: int, steps: int, rate: float, penalty: float) -> None:
    if n < 1 or steps < 1:
        raise ConfigError(f"n is {n} and steps is {steps}: take at least 1")
    if not (np.isfinite(rate) and rate > 0):
        raise ConfigError(f"rate is {rate}: give a length above 0")
    if not (np.isfinite(penalty) and penalty >= 0):
        raise ConfigError(f"penalty is {penalty}: give a weight of 0 or more")


@dataclass(frozen=True)
class _Look:
    """All paths at one step: see :class:`~molvae.latent.paths.Path`."""

    step: int
    z: np.ndarray
    smiles: list[str | None]
    own: np.ndarray
    asked_value: np.ndarray
    own_value: np.ndarray
    gain: np.ndarray


class _Ascent:
    """Latents ``(n, d)`` on their way; ``mean`` and ``std`` are those of the start molecules.

    ``ahead (n,)`` is how far what the head says of z was from what it says of the molecule there.
    """

    def __init__(
        self, goal: HeadGoal, mean: np.ndarray, std: np.ndarray, rate: float, penalty: float
    ) -> None:
        self.goal, self.rate, self.penalty = goal, rate, penalty
        device = goal.generator.device
        self.anchor = torch.from_numpy(mean.copy()).to(device)
        self.width = torch.from_numpy(std.copy()).to(device)
        self.z = self.anchor.clone()
        self.hold = torch.zeros(len(self.z), device=device)
        self.ahead = torch.zeros(len(self.z), device=device)
        self.first, self.second = torch.zeros_like(self.z), torch.zeros_like(self.z)

    def step(self, number: int) -> None:
        """One step of Adam, in each dimension as far as the molecule explains it."""
        z = self.z.requires_grad_()
        (gradient,) = torch.autograd.grad(self._merit(z).sum(), z)
        self.first.lerp_(gradient, 1 - FADE[0])
        self.second.lerp_(gradient.square(), 1 - FADE[1])
        slope = self.first / (1 - FADE[0] ** number)
        spread = (self.second / (1 - FADE[1] ** number)).sqrt()
        explained = (1 - self.width.square()).clamp(0, 1)
        self.z = z.detach() + self.rate * explained * slope / (spread + 1e-8)

    def _slope(self, z: Tensor) -> Tensor:
        """The gradient of the goal ``(n, d)`` at ``z (n, d)``."""
        z = z.detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.goal.gain(self.goal.value(z)).sum(), z)
        return slope

    def _merit(self, z: Tensor) -> Tensor:
        away = ((z - self.anchor) / self.width).square() + PRIOR * z.square()
        return self.goal.gain(self.goal.value(z) - self.ahead) - 0.5 * self.hold * away.sum(1)

    def look(self, step: int) -> _Look:
        """Decode, encode again, and hold on to what was found."""
        generator = self.goal.generator
        smiles = generator.decode(self.z.cpu().numpy())
        own = generator.posterior(smiles)
        there = torch.from_numpy(np.isfinite(own.mean).all(1)).to(self.z.device)[:, None]
        mean, std = (torch.from_numpy(part).to(self.z.device) for part in (own.mean, own.std))
        self.anchor = torch.where(there, mean, self.anchor)
        self.width = torch.where(there, std, self.width)
        self.hold = self.penalty * (self._slope(self.anchor) * self.width).norm(dim=1)
        seen = self.seen(step, smiles, own.mean)
        ahead = torch.from_numpy(seen.asked_value - seen.own_value).to(self.ahead)
        self.ahead = torch.where(there[:, 0], self.ahead.lerp(ahead, FOLLOW), self.ahead)
        return seen

    def seen(self, step: int, smiles: list[str | None], own: np.ndarray) -> _Look:
        """What the head says of z and of ``smiles``, whose latents are ``own (n, d)``."""
        with torch.inference_mode():
            mean = torch.from_numpy(own).to(self.z.device)
            asked_value, own_value = self.goal.value(self.z), self.goal.value(mean)
            found = [asked_value, own_value, self.goal.gain(own_value)]
        values = [part.double().cpu().numpy() for part in found]
        return _Look(step, self.z.cpu().numpy(), smiles, own, *values)


def _path(start: str | None, looks: Sequence[_Look], back: _Look, i: int) -> Path:
    """What the looks saw of the climb ``i``, the first of them at the start itself."""
    names = ("z", "own", "asked_value", "own_value", "gain")
    columns: dict[str, Any] = {n: np.stack([getattr(look, n)[i] for look in looks]) for n in names}
    return Path(
        start=start,
        reason=None,
        steps=np.array([look.step for look in looks]),
        smiles=tuple(look.smiles[i] for look in looks),
        back=back.smiles[i],
        back_gain=float(back.gain[i]),
        **columns,
    )
