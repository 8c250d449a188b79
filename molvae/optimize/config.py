"""Settings of the search."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from molvae.base.errors import ConfigError
from molvae.base.records import Record
from molvae.optimize.parts import PARTS, Learner, Part

LARGE = 1000
"""Evaluations from which on a budget is a large one."""


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
        # Not every model can rewrite, and before anything is learnt there is no gradient.
        if not any(getattr(self, n) for n in self.names if n not in ("rewriting", "gradient")):
            raise ValueError(
                "give at least one route besides rewriting and gradient a share above 0"
            )
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
        refresh_space: whether the whole model learns them, so that the latent space moves as well.
        surrogate: what of a molecule the surrogate sees: its ``structure`` (counted environments),
            its ``descriptors``, its place in the latent space with the same length for all
            dimensions (``latent``) or one for each (``latent_ard``).
        learner: which surrogate it is: a Gaussian process (``gp``), one with a network in its
            kernel (``deep``), or an ``ensemble`` of networks; see :mod:`molvae.optimize.learners`.
        memory: observations that the surrogate sees at most, two thirds of them the best and the
            others at random, so that a step takes as long after 100,000 as after these.
        tasks: with several assays, whether each has a surrogate of its own (``apart``), or all have
            one that learns what they have in common (``together``).
        acquisition: how a batch is chosen among the candidates, where there is one objective and
            nothing else; else by what is added to the hypervolume, or to the scalarisation.
        seed: of everything random.
        regions: trust regions at once, around good molecules that are unlike each other; see
            :mod:`molvae.optimize.regions`.
        fixed_length: no trust region: latent steps keep their length, and nothing begins anew.
        scalarisation: with several objectives the search is for hypervolume, unless this makes
            one number of them: ``weighted``, their sum, or ``chebyshev``, the least of them and a
            little of their sum.
        weights: one for each objective, applied to objectives in widths of what was observed;
            without them they are drawn anew at every step, which leads along the whole front.
    """

    batch_size: PositiveInt = 10
    growth: NonNegativeFloat = 0.0
    initial: NonNegativeInt | None = None
    candidates: int = Field(default=600, ge=16)
    rounds: PositiveInt = 2
    routes: Routes = Routes()
    refresh: NonNegativeInt = 0
    surrogate: tuple[Part, ...] = PARTS
    acquisition: Literal["thompson", "logei", "ucb"] = "thompson"
    seed: int = 0
    # None for what files of before do not say, so that they can be gone on with.
    refresh_space: bool | None = None
    regions: PositiveInt = 1
    fixed_length: bool | None = None
    scalarisation: Literal["weighted", "chebyshev"] | None = None
    weights: tuple[PositiveFloat, ...] | None = None
    learner: Learner = "gp"
    memory: PositiveInt = 1200
    tasks: Literal["apart", "together"] = "apart"

    @field_validator("refresh_space", "fixed_length")
    @classmethod
    def _as_in_files_of_before(cls, value: bool | None) -> bool | None:
        return value or None

    @model_validator(mode="after")
    def _refreshed(self) -> Self:
        if self.refresh_space and not self.refresh:
            raise ValueError(
                "refresh_space says what is refreshed, but refresh is 0; give the number of "
                "evaluations after which it is"
            )
        return self

    @model_validator(mode="after")
    def _learnable(self) -> Self:
        if not self.surrogate:
            raise ValueError("the surrogate sees nothing; name at least one part of molecules")
        if self.tasks == "together" and self.learner != "gp":
            raise ValueError(f"tasks 'together' needs the learner 'gp', not {self.learner!r}")
        return self

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

    @classmethod
    def usual(cls, budget: int) -> dict[str, int | float]:
        """What :func:`~molvae.optimize.run.optimize` takes for a budget unless told otherwise.

        From a thousand evaluations on, steps grow: small ones while every value teaches much,
        large ones where thousands are known.

        >>> SearchConfig.usual(300), SearchConfig.usual(10_000)["growth"]
        ({'batch_size': 10}, 0.03)
        """
        if budget < LARGE:
            return {"batch_size": 10}
        return {"batch_size": 40, "growth": 0.03, "initial": 200}

    def check(self, objectives: int, plain: bool) -> None:
        """Refuse what would not be read where there are so many ``objectives``.

        ``plain`` says that there is one, without constraints or restrictions. Raises
        :class:`ConfigError`.
        """
        if objectives == 1 and self.scalarisation is not None:
            raise ConfigError(
                "scalarisation and weights make one number of several objectives, but there is "
                "one; leave them out"
            )
        if not plain and self.acquisition != "thompson":
            raise ConfigError(
                f"acquisition {self.acquisition!r} is for one objective without constraints or "
                "restrictions; leave it out: with these, hypervolume improvement chooses"
            )
        if self.weights is not None and len(self.weights) != objectives:
            raise ConfigError(
                f"there are {len(self.weights)} weights for {objectives} objectives; give one for "
                "each, in the order of the objectives"
            )
