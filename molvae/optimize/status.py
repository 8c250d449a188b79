"""Where a campaign stands, in numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from molvae.optimize.observed import repeat_variance
from molvae.optimize.records import Suggestion
from molvae.optimize.standing import Standing
from molvae.oracles.objective import Direction


@dataclass(frozen=True)
class Status:
    """Where a campaign stands, in numbers of molecules (``measurements``: of measured values).

    ``assay``, ``direction``, ``failed`` and ``repeat_sd`` (the standard deviation of one
    measurement, NaN where none was repeated) are those of the first objective; ``partial`` counts
    molecules of which some assays are told and others not; ``batches`` how many times the search
    has proposed, the initial design not counted.

    ``best`` is the best feasible molecule by the first objective. With several objectives,
    ``pareto`` are the feasible molecules that no other one dominates, with the values of their
    assays, and ``hypervolume`` what they dominate above ``reference``, in the objectives' units.
    """

    assay: str
    direction: Direction
    tested: int
    measurements: int
    failed: int
    pending: int
    unusable: int
    batches: int
    repeat_sd: float
    best: tuple[str, float] | None
    goals: str
    partial: int
    feasible: int
    pareto: tuple[tuple[str, dict[str, float]], ...] = ()
    hypervolume: float = math.nan
    reference: tuple[float, ...] = ()

    @classmethod
    def of(cls, standing: Standing, pending: Sequence[Suggestion]) -> Status:
        """The status of a campaign with these observations and suggestions out for testing."""
        goals, observations = standing.goals, standing.observations
        told = [[o.of(i) for i in range(len(goals.assays))] for o in observations]
        steps = [*(o.suggestion.step for o in observations), *(s.step for s in pending)]
        rows = np.flatnonzero(standing.feasible)
        best = observations[rows[standing.utility[rows, 0].argmax()]] if len(rows) else None
        found = cls(
            assay=goals.objectives[0].name,
            direction=goals.objectives[0].direction,
            tested=len(observations),
            measurements=sum(len(m.values) for row in told for m in row),
            failed=sum(row[0].told and not row[0].outcome.ok for row in told),
            pending=len(pending),
            unusable=sum(not o.suggestion.usable for o in observations),
            batches=max(steps, default=0),
            repeat_sd=repeat_variance(observations) ** 0.5,
            best=None if best is None else (best.suggestion.smiles, best.outcome.value),
            goals=str(goals),
            partial=sum(not all(m.told for m in row) for row in told),
            feasible=len(rows),
        )
        if len(goals.objectives) == 1:
            return found
        return replace(
            found,
            pareto=tuple(
                (
                    o.suggestion.smiles,
                    {assay: o.of(i).outcome.value for i, assay in enumerate(goals.assays)},
                )
                for o in standing.pareto()
            ),
            hypervolume=standing.hypervolume,
            reference=tuple(standing.reference.tolist()),
        )
