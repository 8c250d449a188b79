"""KL weight and learning rate as pure functions of how far the run is.

``fraction`` is the part of the run that is behind, ``step / steps`` in ``[0, 1]`` (or the part of
the allowed time, where that is further on). Nothing is remembered from step to step, so a resumed
run continues exactly where it stood.
"""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from molvae.base.records import Record


class ScheduleConfig(Record):
    """How the KL weight and the learning rate change over a run.

    ``kl`` is the way in which the KL weight rises to its target. ``kl_delay`` is the fraction of
    the run for which it stays at the start of its rise; ``kl_rise`` the fraction of the run that
    the rise takes, or the fraction of each of the ``kl_cycles`` cycles. The learning rate rises
    over ``warmup_steps`` steps and decays to ``final_rate`` times its peak. The encoder learns for
    the fraction ``encoder`` of the run and then rests: the latent space stays as it is, and the
    rest of the run goes into writing from it. The decoder learns for the fraction ``decoder``: at 0
    it writes as before, and what is learnt is where in its space each molecule belongs.
    """

    kl: Literal["constant", "linear", "sigmoid", "cyclical"] = "linear"
    kl_rise: float = Field(default=0.25, gt=0, le=1)
    kl_delay: float = Field(default=0.0, ge=0, lt=1)
    kl_cycles: int = Field(default=4, ge=1)
    warmup_steps: int = Field(default=100, ge=0)
    decay: Literal["constant", "cosine"] = "cosine"
    final_rate: float = Field(default=0.02, ge=0, le=1)
    encoder: float = Field(default=1.0, ge=0, le=1)
    decoder: float = Field(default=1.0, ge=0, le=1)

    @model_validator(mode="after")
    def _someone_learns(self) -> Self:
        if max(self.encoder, self.decoder) < 1:
            raise ValueError(
                f"encoder ({self.encoder}) and decoder ({self.decoder}) would both rest before the "
                "end of the run; let one of them learn to the end (1)"
            )
        return self


def kl_weight(schedule: ScheduleConfig, target: float, fraction: float) -> float:
    r"""The weight of the KL term at ``fraction`` of the run, between 0 and ``target``.

    With :math:`u = \mathrm{clip}((t - \mathrm{delay}) / \mathrm{rise}, 0, 1)`, the weight is
    the target (the beta of a beta-VAE) times

    * constant: :math:`1`
    * linear: :math:`u` (Bowman et al. 2016)
    * sigmoid: :math:`(\sigma(12 u - 6) - \sigma(-6)) / (\sigma(6) - \sigma(-6))`
    * cyclical: :math:`\min(1, \tau / \mathrm{rise})`, :math:`\tau = t' M \bmod 1`, with :math:`M`
      cycles over the part :math:`t' = (t - \mathrm{delay}) / (1 - \mathrm{delay})` that follows
      the delay, and 1 at the end of the run (Fu et al. 2019, arXiv:1903.10145)

    >>> kl_weight(ScheduleConfig(kl="linear", kl_rise=0.2), target=0.5, fraction=0.1)
    0.25
    >>> kl_weight(ScheduleConfig(kl="cyclical", kl_rise=0.5), target=1.0, fraction=0.3125)
    0.5
    """
    if schedule.kl == "constant":
        return target
    if schedule.kl == "cyclical":
        behind = max(0.0, (fraction - schedule.kl_delay) / (1 - schedule.kl_delay))
        place = behind * schedule.kl_cycles % 1.0 if behind < 1 else 1.0
        return target * min(1.0, place / schedule.kl_rise)
    part = min(1.0, max(0.0, (fraction - schedule.kl_delay) / schedule.kl_rise))
    if schedule.kl == "sigmoid":
        low, high = _sigmoid(-6.0), _sigmoid(6.0)
        part = (_sigmoid(12 * part - 6) - low) / (high - low)
    return target * part


def learning_rate(schedule: ScheduleConfig, peak: float, step: int, fraction: float) -> float:
    r"""The learning rate of optimiser step ``step`` (from 0) at ``fraction`` of the run.

    .. math:: \eta = \eta_{peak} \min(1, (s + 1) / W) \, (f + (1 - f) (1 + \cos \pi t) / 2)

    with :math:`W` warm-up steps and :math:`f` the final rate; without decay :math:`f = 1`
    (Loshchilov & Hutter 2017, arXiv:1608.03983, without restarts).

    >>> learning_rate(ScheduleConfig(warmup_steps=10), peak=0.01, step=4, fraction=0.0)
    0.005
    """
    warm = min(1.0, (step + 1) / schedule.warmup_steps) if schedule.warmup_steps else 1.0
    if schedule.decay == "constant":
        return peak * warm
    cosine = (1 + math.cos(math.pi * min(1.0, fraction))) / 2
    return peak * warm * (schedule.final_rate + (1 - schedule.final_rate) * cosine)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
