"""Which of many candidates to evaluate together, where each is worth something along directions.

Noisy expected hypervolume improvement (Daulton et al., NeurIPS 2021, arXiv:2105.08195) in its
smoothed logarithm (Ament et al., NeurIPS 2023, arXiv:2310.20708), times the probability that the
constraints are met (Gardner et al., ICML 2014), by the scalarisations that hypervolume is made of
(:mod:`molvae.optimize.scalarisation`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from molvae.optimize.acquisition import SMOOTHING
from molvae.optimize.posterior import Posterior


def greedy(
    values: Tensor, log_chance: Tensor, baseline: int, size: int
) -> tuple[list[int], list[float]]:
    """Choose ``size`` candidates that together promise the largest improvement.

    ``values (s, n, k)`` are joint samples of what molecules are worth along directions, the
    ``baseline`` known or pending ones first; 0 is what the reference point is worth, and what a
    molecule is worth that misses the constraints in that sample. ``log_chance (n,)`` is the
    logarithm of the probability that it meets them. Each choice is made knowing the earlier ones.

    Returns:
        Numbers of the chosen candidates, counted from the first candidate, best first; and what
        each adds to those before it, the mean over samples and directions, times its probability.

    >>> values = torch.tensor([[[1.0, 1.0], [3.0, 0.0], [0.0, 2.0], [2.9, 0.0]]])
    >>> greedy(values, torch.zeros(4), 1, 2)
    ([0, 1], [1.0, 0.5])
    """
    best = values[:, :baseline].amax(dim=1).clamp_min(0.0) if baseline else 0 * values[:, 0]
    candidates, log_chance = values[:, baseline:], log_chance[baseline:]
    width = SMOOTHING * candidates.std().clamp_min(1e-12)
    chosen: list[int] = []
    gains: list[float] = []
    for _ in range(min(size, candidates.shape[1])):
        over = (candidates - best.unsqueeze(1)).transpose(1, 2).flatten(0, 1)
        added = over.clamp_min(0.0).mean(dim=0)
        # The logarithm of a softplus mean, by its two ends: candidates are told apart even where
        # no sample improves, by how near the best sample comes.
        near = over.amax(dim=0).clamp_max(0.0) / width - math.log(len(over))
        gain = torch.logaddexp((added / width).log(), near) + log_chance
        gain[chosen] = -torch.inf
        pick = int(gain.argmax())
        gains.append(float(added[pick]) * math.exp(float(log_chance[pick])))
        best = torch.maximum(best, candidates[:, pick])
        chosen.append(pick)
    return chosen, gains


def log_within(expected: Posterior, low: float, high: float) -> Tensor:
    """The logarithm ``(n,)`` of the probability that each value is between ``low`` and ``high``.

    Finite however far the range is away.

    >>> expected = Posterior(torch.tensor([0.0]), torch.tensor([[1.0]]))
    >>> log_within(expected, -1.96, 1.96).exp().round(decimals=2)
    tensor([0.9500])
    """
    spread = expected.covariance.diagonal().clamp_min(1e-12).sqrt()
    below, above = (low - expected.mean) / spread, (high - expected.mean) / spread
    # From the tail where the range lies: there logarithms lose nothing.
    flip = below > 0
    start, end = torch.where(flip, -above, below), torch.where(flip, -below, above)
    upper = torch.special.log_ndtr(end)
    return upper + torch.log1p(-(torch.special.log_ndtr(start) - upper).exp().clamp_max(1 - 1e-12))
