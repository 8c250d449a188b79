"""Which of many candidates to evaluate together: greedy batches of noisy expected improvement."""

from __future__ import annotations

import torch
from torch import Tensor

from molvae.optimize.posterior import Posterior

SAMPLES = 512
SMOOTHING = 1e-3
"""Width, in standard deviations of the candidates, over which improvement is smoothed."""


def choose(acquisition: str, joint: Posterior, baseline: int, size: int, seed: int) -> list[int]:
    """The numbers of ``size`` candidates behind the first ``baseline`` molecules of ``joint``.

    By ``acquisition``: ``"logei"`` (:func:`greedy_batch`), ``"thompson"`` (:func:`thompson_batch`),
    or ``"ucb"``, the largest sums of mean and standard deviation.
    """
    if acquisition == "logei":
        return greedy_batch(joint, baseline, size, seed)
    candidates = joint.of(range(baseline, len(joint.mean)))
    if acquisition == "thompson":
        return thompson_batch(candidates, size, seed)
    hopes = candidates.mean + candidates.covariance.diagonal().clamp_min(0.0).sqrt()
    found: list[int] = hopes.argsort(descending=True, stable=True)[:size].tolist()
    return found


def thompson_batch(candidates: Posterior, size: int, seed: int) -> list[int]:
    """For each of ``size`` joint samples the best candidate that is not chosen yet.

    Thompson sampling (Kandasamy et al., AISTATS 2018): a candidate is chosen about as often as it
    is the best.

    >>> sure = Posterior(torch.tensor([1.0, 3.0, 2.0]), torch.zeros(3, 3))
    >>> thompson_batch(sure, 2, seed=0)
    [1, 2]
    """
    samples = draw(candidates, size, seed)
    chosen: list[int] = []
    for sample in samples:
        if len(chosen) == samples.shape[1]:
            break
        sample[chosen] = -torch.inf
        chosen.append(int(sample.argmax()))
    return chosen


def greedy_batch(joint: Posterior, baseline: int, size: int, seed: int) -> list[int]:
    """Choose ``size`` candidates that together promise the largest improvement.

    ``joint`` holds the ``baseline`` best molecules so far first, then the candidates. Improvement
    is over the best of the baseline, whose true values are uncertain too (noisy EI; Letham et al.,
    Bayesian Analysis 2019); it is smoothed so that candidates are told apart even where hardly any
    sample improves (LogEI; Ament et al., NeurIPS 2023, arXiv:2310.20708). Each choice is made
    knowing the earlier ones, over the same joint samples.

    Returns:
        Numbers of the chosen candidates, counted from the first candidate, best first.
    """
    samples = draw(joint, SAMPLES, seed)
    values, best = samples[:, baseline:], samples[:, :baseline].amax(dim=1, keepdim=True)
    width = SMOOTHING * values.std().clamp_min(1e-12)
    chosen: list[int] = []
    for _ in range(min(size, values.shape[1])):
        gain = torch.logsumexp(_log_softplus((values - best) / width), dim=0)
        gain[chosen] = -torch.inf
        chosen.append(int(gain.argmax()))
        best = torch.maximum(best, values[:, chosen[-1:]])
    return chosen


def expected_improvements(joint: Posterior, baseline: int, seed: int) -> list[float]:
    """What each candidate in turn is expected to add to the best of the baseline and of the
    candidates before it, in the unit of the values.

    >>> sure = Posterior(torch.tensor([1.0, 3.0, 2.5, 4.0]), torch.zeros(4, 4))
    >>> expected_improvements(sure, 1, seed=0)
    [2.0, 0.0, 1.0]
    """
    samples = draw(joint, SAMPLES, seed)
    best = samples.cummax(dim=1).values[:, baseline - 1 : -1]
    gains: list[float] = (samples[:, baseline:] - best).clamp_min(0.0).mean(dim=0).tolist()
    return gains


def draw(joint: Posterior, n: int, seed: int) -> Tensor:
    """``(n, m)`` joint samples of ``m`` molecules, antithetic, from a generator of their own."""
    m = len(joint.mean)
    values, vectors = torch.linalg.eigh(joint.covariance)
    root = vectors * values.clamp_min(0.0).sqrt()
    generator = torch.Generator().manual_seed(seed)
    half = torch.randn((n + 1) // 2, m, generator=generator, dtype=joint.mean.dtype)
    return joint.mean + torch.cat([half, -half])[:n] @ root.T


def _log_softplus(x: Tensor) -> Tensor:
    """``log(log(1 + exp(x)))``, exact far below 0 too, where it is ``x``."""
    return torch.where(x > -30.0, torch.nn.functional.softplus(x.clamp_min(-30.0)).log(), x)
