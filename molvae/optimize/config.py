"""Settings of the search."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from molvae.base.errors import ConfigError
from molvae.base.records import Record
from molvae.optimize.parts import PARTS, Part


class Routes(Record):
    """Of which route how large a share of the candidates comes; 0 leaves it out.

    :mod:`molvae.optimize.routes` says what they are.
    """

    prior: NonNegativeFloat = 0.0
    gradient: NonNegativeFloat = 0.0
    perturbation: NonNegativeFloat = 1.0
    crossover: NonNegativeFloat = 1.0
    rewriting: NonNegativeFloat = 2.0
    edit: NonNegativeFloat = 2.0
    recombination: NonNegativeFloat = 4.0

    @property
    def names(self) -> tuple[str, ...]:
        """All routes."""
        return tuple(type(self).model_fields)

    @model_validator(mode="after")
    def _some(self) -> Routes:
        if not any(getattr(self, name) for name in self.names if name != "rewriting"):
            raise ValueError("give at least one route besides rewriting a share above 0")
        return self


class SearchConfig(Record):
    """What makes two campaigns with the same model and objective different.

    Attributes:
        batch_size: molecules evaluated in each step.
        growth: as the search goes on, a step of :func:`~molvae.optimize.run.optimize` grows to this
            share of the molecules evaluated, and to five batches at most.
        initial: molecules sampled from the prior before anything is learnt; None means three
            batches (a third of the budget at most), and none where start molecules are given.
        candidates: molecules proposed in each step, of which a batch is evaluated.
        rounds: generations in which they are bred: the children of the first are parents of the
            next where the surrogate expects much of them.
        routes: where the candidates come from.
        refresh: evaluations after which the decoder learns the best molecules; 0 for never.
        surrogate: what of a molecule the surrogate sees.
        acquisition: how a batch is chosen among the candidates.
        seed: of everything random.
        regions: trust regions at once, around good molecules that are unlike each other; None is
            one. See :mod:`molvae.optimize.regions`.
        scalarisation: with several objectives the search is for hypervolume, unless this makes
            one number of them: ``weighted``, their sum, or ``chebyshev``, the least of them and a
            little of their sum.
        weights: one for each objective, applied to objectives in widths of what was observed;
            without them they are drawn anew at every step, which leads along the whole front.
    """

    batch_size: PositiveInt = 10
    growth: NonNegativeFloat = 0.0
    initial: NonNegativeInt | None = None
    candidates: int = Field(default=512, ge=16)
    rounds: PositiveInt = 2
    routes: Routes = Routes()
    refresh: NonNegativeInt = 0
    surrogate: tuple[Part, ...] = PARTS
    acquisition: Literal["thompson", "logei", "ucb"] = "thompson"
    seed: int = 0
    # None for what files of before do not say, so that they can be gone on with.
    regions: PositiveInt | None = None
    scalarisation: Literal["weighted", "chebyshev"] | None = None
    weights: tuple[PositiveFloat, ...] | None = None

    @model_validator(mode="after")
    def _weights_of_something(self) -> Self:
        if self.weights is not None and self.scalarisation is None:
            raise ValueError("weights are for a scalarisation; hypervolume has none")
        return self

    def batch_after(self, evaluated: int) -> int:
        """Molecules in a step of :func:`~molvae.optimize.run.optimize` after so many.

        >>> [SearchConfig(batch_size=20, growth=0.04).batch_after(n) for n in (0, 1000, 9000)]
        [20, 40, 100]
        """
        return min(max(self.batch_size, int(self.growth * evaluated)), 5 * self.batch_size)

    def check(self, objectives: int) -> None:
        """Refuse weights of another number than there are ``objectives``."""
        if self.weights is not None and len(self.weights) != objectives:
            raise ConfigError(
                f"there are {len(self.weights)} weights for {objectives} objectives; give one for "
                "each, in the order of the objectives"
            )
