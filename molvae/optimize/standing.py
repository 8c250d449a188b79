"""Where observations stand by a campaign's goals: what each is worth, and which are the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from molvae.optimize.feasibility import shortfalls
from molvae.optimize.goals import Goals
from molvae.optimize.observed import Observed
from molvae.optimize.pareto import advances, fronts, hypervolume, in_order, reference_point
from molvae.optimize.records import Observation


@dataclass(frozen=True)
class Standing:
    """Observations ``(n,)`` judged by goals of ``m`` objectives.

    A molecule is *complete* where all objectives have a value, and *feasible* where besides all
    constraints are met and those on what is measured have been measured.
    """

    goals: Goals
    observations: tuple[Observation, ...]

    @classmethod
    def of(cls, goals: Goals, observations: Sequence[Observation]) -> Standing:
        """The standing of ``observations``."""
        return cls(goals, tuple(observations))

    @cached_property
    def values(self) -> np.ndarray:
        """What is told of every assay ``(n, k)``, in its unit: NaN where there is no value."""
        assays = range(len(self.goals.assays))
        rows = [[o.of(i).outcome.value for i in assays] for o in self.observations]
        return np.array(rows, float).reshape(len(rows), len(assays))

    @cached_property
    def failed(self) -> np.ndarray:
        """Which assays ``(n, k)`` were tried and failed."""
        assays = range(len(self.goals.assays))
        rows = [[o.of(i).told for i in assays] for o in self.observations]
        return np.isnan(self.values) & np.array(rows, bool).reshape(self.values.shape)

    @property
    def utility(self) -> np.ndarray:
        """The objectives ``(n, m)`` so that more is better, NaN where there is no value."""
        return self.values[:, : len(self.goals.objectives)] * self.goals.signs

    @property
    def complete(self) -> np.ndarray:
        """Which molecules ``(n,)`` have a value of every objective."""
        return ~np.isnan(self.utility).any(axis=1)

    @cached_property
    def shortfall(self) -> np.ndarray:
        """By how much each molecule ``(n,)`` misses the constraints as far as is known.

        A measurement that failed misses by infinity; one that is not made yet by nothing.
        """
        missed = shortfalls(self.goals, [o.suggestion.smiles for o in self.observations])
        total = missed.sum(axis=1)
        for constraint in self.goals.measured:
            place = self.goals.assays.index(constraint.name)
            told = self.failed[:, place] | ~np.isnan(self.values[:, place])
            found = [constraint.shortfall(value) for value in self.values[:, place]]
            total += np.where(told, found, 0.0)
        return total

    @cached_property
    def feasible(self) -> np.ndarray:
        """Which molecules ``(n,)`` are complete and meet every constraint for certain."""
        bounded = [self.goals.assays.index(c.name) for c in self.goals.measured]
        known = ~np.isnan(self.values[:, bounded]).any(axis=1)
        return self.complete & known & (self.shortfall == 0)

    def pareto(self) -> list[Observation]:
        """The feasible molecules that no other one dominates, best first objective first."""
        rows = np.flatnonzero(self.feasible)
        found = self.utility[rows]
        best = rows[fronts(found) == 0]
        order = np.argsort(-self.utility[best, 0], kind="stable")
        return [self.observations[i] for i in best[order]]

    @property
    def reference(self) -> np.ndarray:
        """The reference point ``(m,)`` of the hypervolume, in the objectives' own units.

        See :func:`~molvae.optimize.pareto.reference_point`; of the feasible molecules, or where
        there are none, of all.
        """
        rows = self.feasible if self.feasible.any() else self.complete
        utility = self.utility[rows] if rows.any() else self._filled()
        return reference_point(utility) * self.goals.signs

    @property
    def hypervolume(self) -> float:
        """The volume that the feasible molecules dominate above the reference point."""
        signs = self.goals.signs
        return hypervolume(self.utility[self.feasible], self.reference * signs)

    def ranked(self) -> list[Observation]:
        """All observations: the feasible ones front by front, then those complete, by how much
        they miss, then the others."""
        feasible = np.flatnonzero(self.feasible)
        others = np.flatnonzero(self.complete & ~self.feasible)
        rest = np.flatnonzero(~self.complete)
        rows = [
            *feasible[in_order(self.utility[feasible])],
            *others[np.argsort(self.shortfall[others], kind="stable")],
            *rest,
        ]
        return [self.observations[i] for i in rows]

    def curve(self) -> np.ndarray:
        """How far the search had come ``(n,)`` after each observation: the best feasible value so
        far, NaN before the first; with several objectives, the hypervolume so far."""
        signs, feasible = self.goals.signs, self.feasible
        if len(signs) == 1:
            met = np.where(feasible, self.utility[:, 0], np.nan)
            return signs[0] * np.fmax.accumulate(met) if len(met) else met
        reference, volumes, front = self.reference * signs, [], np.empty((0, len(signs)))
        volume = 0.0
        for point, counts in zip(self.utility, feasible, strict=True):
            if counts and not (front >= point).all(axis=1).any():
                front = np.vstack([front[~(point >= front).all(axis=1)], point])
                volume = hypervolume(front, reference)
            volumes.append(volume)
        return np.array(volumes)

    def marks(self, observations: Sequence[Observation]) -> dict[str, list[str]]:
        """Columns that say of each of ``observations`` whether it is feasible (yes, no, or unknown
        until all is measured that decides it) and in the Pareto set.

        None where there is one objective and nothing else.
        """
        if self.goals.plain:
            return {}
        failed = self.failed[:, : len(self.goals.objectives)].any(axis=1)
        undecided = ~self.feasible & ~failed & (self.shortfall == 0)
        words = np.where(self.feasible, "yes", np.where(undecided, "unknown", "no")).tolist()
        feasible = {o.order: word for o, word in zip(self.observations, words, strict=True)}
        best = {o.order for o in self.pareto()}
        return {
            "feasible": [feasible[o.order] for o in observations],
            "pareto": ["yes" if o.order in best else "no" for o in observations],
        }

    def observed(self) -> Observed:
        """The observations for the search: their utility is their place among them, best highest.

        Places are those of nondominated sorting, constraints first (Deb et al. 2002). What is not
        measured yet is neither for nor against a molecule; an objective that failed makes it NaN.
        A step succeeds that pushes on the front of feasible molecules.
        """
        n = len(self.observations)
        filled, met = self._filled(), self.shortfall == 0
        inside, outside = np.flatnonzero(met), np.flatnonzero(~met)
        order = [
            *inside[in_order(filled[inside])],
            *outside[np.argsort(self.shortfall[outside], kind="stable")],
        ]
        merit = np.empty(n)
        merit[order] = 1.0 - np.arange(n) / n
        merit[self.failed[:, : len(self.goals.objectives)].any(axis=1)] = np.nan
        return Observed(
            tuple(o.suggestion.smiles for o in self.observations),
            np.stack([o.suggestion.z for o in self.observations]),
            np.array([o.suggestion.step for o in self.observations]),
            merit,
            np.ones(n, int),
            float("nan"),
            advances(np.where(met[:, None], self.utility, np.nan)),
        )

    def _filled(self) -> np.ndarray:
        """The utility, with the worst for what failed and the median for what is not told yet."""
        columns = []
        for place, column in enumerate(self.utility.T):
            there = column[~np.isnan(column)]
            worst, middle = (there.min(), np.median(there)) if len(there) else (0.0, 0.0)
            gaps = np.where(self.failed[:, place], worst, middle)
            columns.append(np.where(np.isnan(column), gaps, column))
        return np.stack(columns, axis=1)
