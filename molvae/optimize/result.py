"""What an optimisation found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from molvae.optimize.goals import Goals
from molvae.optimize.records import Observation
from molvae.optimize.standing import Standing
from molvae.oracles.objective import Objective

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Result:
    """Every evaluation of a campaign, in order, and why it stopped.

    ``left_out`` are start molecules that could not be used, as they were written, each with the
    reason. ``objective`` is the first one; ``goals`` has all of them and the
    constraints, None where it is the only one and there are none. ``unlearnt`` are molecules
    known before of which the search could not learn, with the reasons.
    """

    objective: Objective
    observations: tuple[Observation, ...]
    stopped: str
    left_out: tuple[tuple[str, str], ...] = ()
    goals: Goals | None = None
    unlearnt: tuple[tuple[str, str], ...] = ()

    @cached_property
    def standing(self) -> Standing:
        """The evaluations as the goals judge them."""
        goals = self.goals or Goals.of({self.objective.name: self.objective.direction})
        return Standing.of(goals, self.observations)

    @property
    def several(self) -> bool:
        """Whether there are several objectives."""
        return len(self.standing.goals.objectives) > 1

    @property
    def title(self) -> str:
        """What was wanted, in words."""
        return str(self.objective) if self.goals is None else str(self.goals)

    @property
    def values(self) -> np.ndarray:
        """The objective's values ``(n,)`` in the order of evaluation, NaN where it failed.

        With several objectives ``(n, m)``.
        """
        m = len(self.standing.goals.objectives)
        return self.standing.values[:, :m] if self.several else self.standing.values[:, 0]

    @property
    def curve(self) -> np.ndarray:
        """Best feasible value so far ``(n,)`` after each evaluation, NaN before the first.

        With several objectives, the hypervolume so far.
        """
        return self.standing.curve()

    def pareto(self) -> list[Observation]:
        """The feasible molecules that no other one dominates, best first objective first."""
        return self.standing.pareto()

    @property
    def hypervolume(self) -> float:
        """What they dominate above :attr:`reference`, in the product of the objectives' units."""
        return self.standing.hypervolume

    @property
    def reference(self) -> np.ndarray:
        """The point ``(m,)`` from which hypervolume is measured, in the objectives' units."""
        return self.standing.reference

    def ranked(self) -> list[Observation]:
        """Observations, best first; equal ones in their order, failures at the end."""
        return self.standing.ranked()

    def complete(self) -> list[Observation]:
        """Those that have a value of every objective, best first."""
        return self.ranked()[: int(self.standing.complete.sum())]

    def top(self, n: int = 10) -> list[tuple[str, float]]:
        """SMILES and value of the first objective of the ``n`` best feasible molecules."""
        found = self.ranked()[: min(n, int(self.standing.feasible.sum()))]
        return [(o.suggestion.smiles, o.outcome.value) for o in found]

    def columns(self) -> dict[str, list[Any]]:
        """The table of all evaluations by column, best first.

        ``rank`` and ``order`` count from 1; ``step`` 0 is the initial design; ``origin`` is where
        the molecule comes from; ``failure`` is empty where there is a value. Several objectives
        have columns of their names in place of ``value``; with constraints or several objectives,
        ``feasible`` and ``pareto`` are yes or no.
        """
        ranked, goals = self.ranked(), self.standing.goals
        values = {
            name if self.several else "value": [o.of(i).outcome.value for o in ranked]
            for i, name in enumerate(goals.names)
        }
        failures = [
            [o.of(i).outcome.failure or "" for i in range(len(goals.objectives))] for o in ranked
        ]
        return {
            "rank": list(range(1, len(ranked) + 1)),
            "smiles": [o.suggestion.smiles for o in ranked],
            **values,
            "order": [o.order for o in ranked],
            "step": [o.suggestion.step for o in ranked],
            "origin": [o.suggestion.origin for o in ranked],
            "failure": ["; ".join(filter(None, reasons)) for reasons in failures],
            **self.standing.marks(ranked),
        }

    def table(self) -> pd.DataFrame:
        """:meth:`columns` as a data frame."""
        import pandas as pd

        return pd.DataFrame(self.columns())
