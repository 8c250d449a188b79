"""Which of many candidates to evaluate together, given what is known and what is out already."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from molvae.optimize.posterior import Posterior

SAMPLES = 512
SMOOTHING = 1e-3
"""Width, in standard deviations of the candidates, over which improvement is smoothed."""
SURE = 1e-6
"""A molecule is known with others from which so small a share of its variance is left."""


def choose(
    acquisition: str, joint: Posterior, baseline: int, size: int, seed: int, pending: int = 0
) -> list[int]:
    """The numbers of ``size`` candidates behind the first ``baseline`` molecules of ``joint``.

    By ``acquisition``: ``"logei"`` (:func:`greedy_batch`), ``"thompson"`` (:func:`thompson_batch`),
    or ``"ucb"`` (:func:`confident_batch`). The last ``pending`` of the baseline are out for
    testing: what will be known with them is not looked for again.
    """
    if acquisition == "logei":
        return greedy_batch(joint, baseline, size, seed)
    rivals = joint.of(range(baseline - pending, len(joint.mean)))
    if acquisition == "thompson":
        return thompson_batch(rivals, size, seed, pending)
    return confident_batch(rivals, size, pending)


def thompson_batch(joint: Posterior, size: int, seed: int, pending: int = 0) -> list[int]:
    """For each of ``size`` joint samples the best candidate that is not chosen yet.

    Thompson sampling (Kandasamy et al., AISTATS 2018): a candidate is chosen about as often as it
    is the best. The first ``pending`` molecules of ``joint`` are no candidates, but take part:
    a sample of which one of them is the best says nothing, and another is drawn. What is known
    with them is chosen last.

    >>> sure = Posterior(torch.tensor([1.0, 3.0, 2.0]), torch.zeros(3, 3))
    >>> thompson_batch(sure, 2, seed=0)
    [1, 2]
    """
    samples = draw(joint, max(SAMPLES, 2 * size) if pending else size, seed)
    wanted = min(size, samples.shape[1] - pending)
    out = list(range(pending))
    twins = [i for i in _sure(_known(joint, out, joint), joint) if i >= pending] if out else []
    chosen: list[int] = []
    # Where what is out is better than all candidates for certain, the best of them are taken.
    for barred in (twins, [*out, *twins], out):
        for sample in samples:
            if len(chosen) == wanted:
                break
            worth = sample.clone()
            worth[barred] = worth[[pending + i for i in chosen]] = -torch.inf
            best = int(worth.argmax())
            if best >= pending:
                chosen.append(best - pending)
    return chosen


def confident_batch(joint: Posterior, size: int, pending: int = 0) -> list[int]:
    """One by one the candidate with the largest sum of mean and standard deviation.

    Each deviation is the one that will be left when the first ``pending`` molecules of ``joint``,
    which are no candidates, and the choices before are known (GP-BUCB; Desautels et al., JMLR
    2014). What is known with them is chosen last.

    >>> joint = Posterior(torch.tensor([3.0, 3.0, 2.5]), torch.tensor([[1.0, 1, 0], [1, 1, 0],
    ...     [0, 0, 1]]))
    >>> confident_batch(joint, 2), confident_batch(joint, 2, pending=1)
    ([0, 2], [1, 0])
    """
    left = _known(joint, range(pending), joint)
    rest = list(range(pending, len(joint.mean)))
    chosen: list[int] = []
    while rest and len(chosen) < size:
        hopes = joint.mean + left.covariance.diagonal().clamp_min(0.0).sqrt()
        sure = _sure(left, joint)
        telling = [i for i in rest if i not in sure] or rest
        best = telling[int(hopes[telling].argmax())]
        rest.remove(best)
        chosen.append(best - pending)
        left = _known(left, [best], joint)
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


def _known(left: Posterior, rows: Iterable[int], joint: Posterior) -> Posterior:
    """What is ``left`` of the covariance of ``joint`` once the values of ``rows`` are known too."""
    covariance = left.covariance
    for row in rows:
        variance = covariance[row, row]
        if variance > SURE * joint.covariance[row, row]:  # else it is known already
            covariance = covariance - covariance[:, [row]] * covariance[row] / variance
    return Posterior(left.mean, covariance)


def _sure(left: Posterior, joint: Posterior) -> list[int]:
    """The molecules of which hardly any variance of ``joint`` is ``left``."""
    known = left.covariance.diagonal() < SURE * joint.covariance.diagonal()
    return known.nonzero()[:, 0].tolist()


def _log_softplus(x: Tensor) -> Tensor:
    """``log(log(1 + exp(x)))``, exact far below 0 too, where it is ``x``."""
    return torch.where(x > -30.0, torch.nn.functional.softplus(x.clamp_min(-30.0)).log(), x)
