"""Candidates ranked by several objectives and constraints, with surrogates of the assays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from molvae.base.seeds import derive_seed
from molvae.optimize.acquisition import draw
from molvae.optimize.config import SearchConfig
from molvae.optimize.described import Described
from molvae.optimize.goals import Goals
from molvae.optimize.improvement import greedy, log_within
from molvae.optimize.learners import fit, fit_rows
from molvae.optimize.observed import Observed, best_and_others, repeat_variance
from molvae.optimize.posterior import Posterior
from molvae.optimize.proposals import Candidates
from molvae.optimize.records import Reason, Suggestion
from molvae.optimize.scalarisation import (
    Scalarisation,
    hypervolume_scalarisation,
    weighted_scalarisation,
)
from molvae.optimize.standing import Standing
from molvae.optimize.tasks import MoleculeTasks, fit_tasks

BASELINE = 40
"""Best molecules so far over which improvement is counted, at most."""
SAMPLES = 128
"""Joint samples of the assays; half as many with more than two objectives."""
FEWEST = 2
"""Values of an assay from which anything is learnt of it."""
TOGETHER = 200
"""Molecules of all assays by which one surrogate of them all is fitted."""
MOST = 3000
"""Values of all assays that it sees at most."""


@dataclass(frozen=True)
class Several:
    """What a step of the search does where molecules are worth more than one number.

    ``standing`` is that of all observations of which the search can learn, at least one.
    """

    standing: Standing
    config: SearchConfig

    @property
    def goals(self) -> Goals:
        """What the search is after."""
        return self.standing.goals

    def observed(self) -> Observed:
        """The observations, by their place among each other."""
        return self.standing.observed()

    def rank(
        self,
        observed: Observed,
        pending: Sequence[Suggestion],
        pool: Candidates,
        size: int,
        seed: int,
    ) -> tuple[list[int], list[Reason]]:
        """The ``size`` candidates of ``pool`` that together add most, and what is expected of each.

        ``observed`` are rows of :meth:`observed`, of which the surrogates learn; those ``pending``
        are out for testing, with values as unknown as the candidates'.
        """
        best = np.argsort(-observed.utility, kind="stable")[:BASELINE]
        names = [*(observed.smiles[i] for i in best), *(s.smiles for s in pending), *pool.smiles]
        z = np.concatenate([observed.z[best], *(s.z[None] for s in pending), pool.z])
        looked = Described.of(names, z)
        expected = self._expect(observed, looked, seed)
        baseline = len(best) + len(pending)
        return self._choose(expected, len(looked), baseline, size, seed)

    def _expect(self, observed: Observed, looked: Described, seed: int) -> list[Posterior | None]:
        """What is expected of each assay, in its unit; None where too little is told of it."""
        told = [self._told(assay, observed) for assay in range(len(self.goals.assays))]
        there = [pair for pair in told if pair is not None]
        if self.config.tasks == "together" and len(there) > 1:
            return self._together(told, looked, seed)
        return [None if pair is None else self._alone(*pair, looked, seed) for pair in told]

    def _told(self, assay: int, observed: Observed) -> tuple[Observed, np.ndarray] | None:
        """What is told of an assay, and how good these molecules are; None if too little."""
        place = {o.suggestion.smiles: i for i, o in enumerate(self.standing.observations)}
        rows = np.array([place[smiles] for smiles in observed.smiles])
        values, failed = self.standing.values[rows, assay], self.standing.failed[rows, assay]
        there = ~np.isnan(values)
        if there.sum() < FEWEST:
            return None
        values = np.where(failed, self._worst(assay, values[there]), values)
        told = np.flatnonzero(there | failed)
        made = [len(self.standing.observations[i].of(assay).values) for i in rows[told]]
        measured = replace(
            observed.rows(told),
            utility=values[told],
            counts=np.maximum(made, 1),
            variance=repeat_variance(self.standing.observations, assay),
        )
        return measured, observed.utility[told]

    def _alone(
        self, measured: Observed, merit: np.ndarray, looked: Described, seed: int
    ) -> Posterior:
        learner = self.config.learner
        chosen = measured.rows(best_and_others(merit, fit_rows(learner), 1 / 2, seed))
        return fit(learner, chosen, self.config.surrogate, seed)(measured).joint(looked)

    def _together(
        self, told: Sequence[tuple[Observed, np.ndarray] | None], looked: Described, seed: int
    ) -> list[Posterior | None]:
        """By one surrogate of all assays of which enough is told."""
        there = [pair for pair in told if pair is not None]
        few = [
            one.rows(best_and_others(merit, TOGETHER // len(there), 1 / 2, seed))
            for one, merit in there
        ]
        # What is known of the same molecules tells how alike assays are.
        shared = {smiles for one in few for smiles in one.smiles}
        chosen = [
            one.rows(np.array([i for i, smiles in enumerate(one.smiles) if smiles in shared]))
            for one, _ in there
        ]
        many = [
            one.rows(best_and_others(merit, MOST // len(there), 1 / 2, seed))
            for one, merit in there
        ]
        model = MoleculeTasks.of(many, fit_tasks(chosen, self.config.surrogate, seed))
        order = iter(range(len(there)))
        return [None if pair is None else model.joint(looked, next(order)) for pair in told]

    def _worst(self, assay: int, values: np.ndarray) -> float:
        """The value that stands for a failure: the worst that was measured."""
        if assay < len(self.goals.objectives):
            sign = self.goals.signs[assay]
            return float(sign * (sign * values).min())
        low, high = self._bounds(assay)
        return float(values[np.maximum(low - values, values - high).argmax()])

    def _bounds(self, assay: int) -> tuple[float, float]:
        """The range in which an assay has to be."""
        name = self.goals.assays[assay]
        bounds = [(-math.inf, math.inf), *(c.bounds for c in self.goals.measured if c.name == name)]
        return max(low for low, _ in bounds), min(high for _, high in bounds)

    def _choose(
        self, expected: Sequence[Posterior | None], n: int, baseline: int, size: int, seed: int
    ) -> tuple[list[int], list[Reason]]:
        """The best of ``n`` molecules behind the first ``baseline``, by what is ``expected``."""
        m = len(self.goals.objectives)
        scale = self._scalarisation(seed)
        samples = SAMPLES if m <= 2 else SAMPLES // 2
        # An objective of which nothing is known tells no candidates apart.
        utility = (scale.reference + scale.scale).repeat(samples, n, 1)
        inside = torch.ones(samples, n, dtype=torch.bool)
        chance = torch.zeros(n, dtype=torch.float64)
        for assay, joint in enumerate(expected):
            if joint is None:
                continue
            drawn = draw(joint, samples, derive_seed(seed, "batch", assay))
            if assay < m:
                utility[..., assay] = self.goals.signs[assay] * drawn
            low, high = self._bounds(assay)
            if math.isfinite(low) or math.isfinite(high):
                inside &= (drawn >= low) & (drawn <= high)
                chance += log_within(joint, low, high)
        values = scale.values(utility).float() * inside.unsqueeze(-1)
        picks, gains = greedy(values, chance, baseline, size)
        chances = chance.exp().tolist() if self.goals.measured else [math.nan] * n
        reasons = []
        for pick, gain in zip(picks, gains, strict=True):
            first, *others = (_about(joint, baseline + pick) for joint in expected)
            feasible = chances[baseline + pick]
            reason = Reason(*first, acquisition=gain * scale.constant, feasible=feasible)
            reasons.append(replace(reason, others=dict(enumerate(others, start=1))))
        return picks, reasons

    def _scalarisation(self, seed: int) -> Scalarisation:
        """How several utilities become worth along directions; 0 is that of the reference point."""
        standing, kind = self.standing, self.config.scalarisation
        reference = standing.reference * self.goals.signs
        complete = standing.utility[standing.complete]
        width = (complete.max(axis=0) if len(complete) else reference) - reference
        scale = torch.as_tensor(np.where(width > 0, width, 1.0))
        if kind is None:
            return hypervolume_scalarisation(torch.as_tensor(reference), scale)
        weights = self.config.weights
        return weighted_scalarisation(
            kind, torch.as_tensor(reference), scale, weights, derive_seed(seed, "weights")
        )


def _about(joint: Posterior | None, row: int) -> tuple[float, float]:
    """The mean and the standard deviation of one molecule, NaN where nothing is expected."""
    if joint is None:
        return math.nan, math.nan
    return float(joint.mean[row]), float(joint.covariance[row, row].clamp_min(0.0).sqrt())
