"""Settings of the search."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt, PositiveInt

from molvae.base.records import Record


class SearchConfig(Record):
    """What makes two campaigns with the same model and objective different.

    ``initial`` is the number of molecules sampled from the prior before anything is learnt; None
    means three batches (a third of the budget at most), and none where start molecules are given.
    ``candidates`` is the number of latents decoded in each step, of which a batch is evaluated.
    """

    batch_size: PositiveInt = 10
    initial: NonNegativeInt | None = None
    candidates: int = Field(default=512, ge=16)
    seed: int = 0
