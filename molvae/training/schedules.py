"""KL weight and learning rate as pure functions of how far the run is.

``fraction`` is the part of the run that is behind, ``step / steps`` in ``[0, 1]`` (or the part of
the allowed time, where that is further on). Nothing is remembered from step to step, so a resumed
run continues exactly where it stood.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from molvae.base.records import Record


class KLSchedule(Record):
    """How the weight of the KL term rises to its target.

    ``weight`` is the target, beta of the beta-VAE. ``delay`` is the fraction of the run for which
    it stays at the start of its rise. ``rise`` is the fraction of the run that the rise takes; of
    each cycle for ``cyclical``, which runs through ``cycles`` of them.
    """

    kind: Literal["constant", "linear", "sigmoid", "cyclical"] = "linear"
    weight: float = Field(default=1.0, ge=0)
    rise: float = Field(default=0.25, gt=0, le=1)
    delay: float = Field(default=0.0, ge=0, lt=1)
    cycles: int = Field(default=4, ge=1)


class LearningRate(Record):
    """Peak learning rate, linear warm-up in optimiser steps, and the decay after it."""

    peak: float = Field(default=1e-3, gt=0)
    warmup_steps: int = Field(default=100, ge=0)
    decay: Literal["constant", "cosine"] = "cosine"
    final: float = Field(default=0.02, ge=0, le=1, description="last rate over peak")


def kl_weight(schedule: KLSchedule, fraction: float) -> float:
    r"""The weight of the KL term at ``fraction`` of the run, between 0 and ``schedule.weight``.

    With :math:`u = \mathrm{clip}((t - \mathrm{delay}) / \mathrm{rise}, 0, 1)`, the weight is
    :math:`\beta` times

    * constant: :math:`1`
    * linear: :math:`u` (Bowman et al. 2016)
    * sigmoid: :math:`(\sigma(12 u - 6) - \sigma(-6)) / (\sigma(6) - \sigma(-6))`
    * cyclical: :math:`\min(1, \tau / \mathrm{rise})`, :math:`\tau = t' M \bmod 1`, with :math:`M`
      cycles over the part :math:`t' = (t - \mathrm{delay}) / (1 - \mathrm{delay})` that follows
      the delay, and 1 at the end of the run (Fu et al. 2019, arXiv:1903.10145)

    >>> kl_weight(KLSchedule(kind="linear", weight=0.5, rise=0.2), 0.1)
    0.25
    >>> kl_weight(KLSchedule(kind="cyclical", cycles=4, rise=0.5), 0.3125)
    0.5
    """
    if schedule.kind == "constant":
        return schedule.weight
    if schedule.kind == "cyclical":
        behind = max(0.0, (fraction - schedule.delay) / (1 - schedule.delay))
        place = behind * schedule.cycles % 1.0 if behind < 1 else 1.0
        return schedule.weight * min(1.0, place / schedule.rise)
    part = min(1.0, max(0.0, (fraction - schedule.delay) / schedule.rise))
    if schedule.kind == "sigmoid":
        low, high = _sigmoid(-6.0), _sigmoid(6.0)
        part = (_sigmoid(12 * part - 6) - low) / (high - low)
    return schedule.weight * part


def learning_rate(schedule: LearningRate, step: int, fraction: float) -> float:
    r"""The learning rate of optimiser step ``step`` (from 0) at ``fraction`` of the run.

    .. math:: \eta = \eta_{peak} \min(1, (s + 1) / W) \, (f + (1 - f) (1 + \cos \pi t) / 2)

    with :math:`W` warm-up steps and :math:`f` the final fraction; without decay :math:`f = 1`
    (Loshchilov & Hutter 2017, arXiv:1608.03983, without restarts).

    >>> learning_rate(LearningRate(peak=0.01, warmup_steps=10), step=4, fraction=0.0)
    0.005
    """
    warm = min(1.0, (step + 1) / schedule.warmup_steps) if schedule.warmup_steps else 1.0
    if schedule.decay == "constant":
        return schedule.peak * warm
    cosine = (1 + math.cos(math.pi * min(1.0, fraction))) / 2
    return schedule.peak * warm * (schedule.final + (1 - schedule.final) * cosine)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
