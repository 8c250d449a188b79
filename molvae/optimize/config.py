"""Settings of the search."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from molvae.base.errors import ConfigError
from molvae.base.records import Record


class SearchConfig(Record):
    """What makes two campaigns with the same model and objective different.

    ``initial`` is the number of molecules sampled from the prior before anything is learnt; None
    means three batches (a third of the budget at most), and none where start molecules are given.
    ``candidates`` is the number of latents decoded in each step, of which a batch is evaluated.

    With several objectives the search is for hypervolume, unless ``scalarisation`` makes one number
    of them: ``weighted``, their sum, or ``chebyshev``, the least of them and a little of their sum.
    ``weights``, one for each objective, are applied to objectives in widths of what was observed;
    without them they are drawn anew at every step, which leads along the whole front.
    """

    batch_size: PositiveInt = 10
    initial: NonNegativeInt | None = None
    candidates: int = Field(default=512, ge=16)
    seed: int = 0
    # None for what files of before do not say, so that they can be gone on with.
    scalarisation: Literal["weighted", "chebyshev"] | None = None
    weights: tuple[PositiveFloat, ...] | None = None

    @model_validator(mode="after")
    def _weights_of_something(self) -> Self:
        if self.weights is not None and self.scalarisation is None:
            raise ValueError("weights are for a scalarisation; hypervolume has none")
        return self

    def check(self, objectives: int) -> None:
        """Refuse weights of another number than there are ``objectives``."""
        if self.weights is not None and len(self.weights) != objectives:
            raise ConfigError(
                f"there are {len(self.weights)} weights for {objectives} objectives; give one for "
                "each, in the order of the objectives"
            )
