"""The keywords with which molecules are decoded and sampled."""

from __future__ import annotations

from typing import Literal, TypedDict, cast

from molvae.chem.alerts import SanityOptions
from molvae.latent.conditions import Conditions
from molvae.models.sampling import SamplingOptions

Sane = SanityOptions | bool | None
"""Which molecules are turned down: True for the usual limits, None or False for none."""


class Strategy(TypedDict, total=False):
    """How symbols are chosen: the keys of :class:`~molvae.models.sampling.SamplingOptions`."""

    strategy: Literal["greedy", "sample", "beam"]
    temperature: float
    top_k: int | None
    top_p: float | None
    beam_width: int
    max_length: int | None
    guidance: float


def strategy_of(options: SamplingOptions) -> Strategy:
    """The keywords that stand for ``options``, or for a record that extends them.

    >>> strategy_of(SamplingOptions(strategy="greedy"))["strategy"]
    'greedy'
    """
    chosen = {name: getattr(options, name) for name in SamplingOptions.model_fields}
    return cast(Strategy, chosen)


class Decoding(Strategy, total=False):
    """The keywords of :meth:`Generator.decode`."""

    seed: int
    sane: Sane
    conditions: Conditions | None
