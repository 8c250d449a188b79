"""Named variants: a model with the objective and the schedule that make it what it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from molvae.base.records import Record
from molvae.models.objective import ObjectiveConfig
from molvae.models.presets import preset
from molvae.training.config import TrainConfig
from molvae.training.schedules import ScheduleConfig

_OBJECTIVES = {
    # A decoder that can write alone would leave all of z to the prior at a beta above 1.
    "aae": ObjectiveConfig(latent_adversarial_weight=5.0),
    "wae": ObjectiveConfig(mmd_weight=100.0),
    "vae-gan": ObjectiveConfig(kl_weight=0.1, decoder_adversarial_weight=1.0),
    "beta-vae": ObjectiveConfig(kl_weight=2.0, free_bits=10.0, free_bits_per="molecule"),
}
_SCHEDULES = {
    "beta-vae": ScheduleConfig(kl="linear", kl_rise=0.5),
}

R = TypeVar("R", bound=Record)


def preset_settings(name: str) -> TrainConfig:
    """The model called ``name`` with its objective and its schedule, else those of any run.

    Raises :class:`ConfigError` for an unknown name.

    >>> preset_settings("beta-vae").objective.kl_weight
    2.0
    """
    return TrainConfig(
        model=preset(name),
        objective=_OBJECTIVES.get(name, ObjectiveConfig()),
        schedule=_SCHEDULES.get(name, ScheduleConfig()),
    )


def changed(base: R, given: R) -> R:
    """``base`` with every value that ``given`` sets explicitly, also within its parts.

    >>> changed(ScheduleConfig(kl_rise=0.5), ScheduleConfig(kl="sigmoid")).kl_rise
    0.5
    """
    values = (record.model_dump(exclude_unset=True) for record in (base, given))
    return type(base)(**_merged(*values))


def _merged(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(base)
    for name, value in given.items():
        part = base.get(name)
        if isinstance(part, Mapping) and isinstance(value, Mapping):
            value = _merged(part, value)
        both[name] = value
    return both
