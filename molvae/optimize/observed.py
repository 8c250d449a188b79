"""What was observed, as arrays for the surrogates: latents, utilities, and how sure these are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from molvae.base.seeds import derive_seed
from molvae.optimize.store import Observation, Suggestion
from molvae.optimize.trust_region import TrustRegion, replay


def repeat_variance(observations: Sequence[Observation], assay: int = 0) -> float:
    """The variance of one measurement, pooled over all that were repeated; NaN if none was."""
    told = [o.of(assay).values for o in observations]
    repeated = [values for values in told if len(values) > 1]
    freedom = sum(len(values) - 1 for values in repeated)
    squares = sum(float(np.var(values)) * len(values) for values in repeated)
    return squares / freedom if freedom else float("nan")


def best_and_others(merit: np.ndarray, limit: int, share: float, seed: int) -> np.ndarray:
    """The numbers of at most ``limit`` of ``n`` molecules of ``merit (n,)``, none of it NaN, in
    order: a ``share`` of them the best, the others at random.

    >>> best_and_others(np.array([0.0, 9.0, 1.0, 8.0]), 2, 1.0, seed=0)
    array([1, 3])
    """
    if len(merit) <= limit:
        return np.arange(len(merit))
    order = np.argsort(-merit, kind="stable")
    best, others = order[: int(limit * share)], order[int(limit * share) :]
    rng = np.random.default_rng(derive_seed(seed, "memory"))
    return np.sort(np.concatenate([best, rng.choice(others, limit - len(best), replace=False)]))


@dataclass(frozen=True)
class Observed:
    """Molecules ``smiles (n,)``, their latents ``z (n, d)``, ``steps (n,)`` and ``utility (n,)``.

    More utility is better; it is the mean of ``counts (n,)`` measurements of the ``variance``
    each (NaN where it is unknown), NaN where the molecule failed. ``progress (n,)`` is what a step
    must raise to count as a success: the utility, where there is one objective.
    """

    smiles: tuple[str, ...]
    z: np.ndarray
    steps: np.ndarray
    utility: np.ndarray
    counts: np.ndarray
    variance: float
    progress: np.ndarray

    @classmethod
    def of(cls, observations: Sequence[Observation], sign: float) -> Observed:
        """Of observations, at least one, all usable; ``sign`` is -1 where less is better."""
        utility = sign * np.array([o.outcome.value for o in observations])
        return cls(
            tuple(o.suggestion.smiles for o in observations),
            np.stack([o.suggestion.z for o in observations]),
            np.array([o.suggestion.step for o in observations]),
            utility,
            np.array([max(1, len(o.values)) for o in observations]),
            repeat_variance(observations),
            utility,
        )

    @classmethod
    def once(cls, smiles: Sequence[str], z: np.ndarray, utility: np.ndarray) -> Observed:
        """Of molecules measured once each, and all in one step."""
        n = len(smiles)
        steps, counts = np.zeros(n, int), np.ones(n, int)
        return cls(tuple(smiles), z, steps, utility, counts, float("nan"), utility)

    def rows(self, rows: np.ndarray) -> Observed:
        """The same of the molecules ``rows`` alone."""
        return replace(
            self,
            smiles=tuple(self.smiles[i] for i in rows),
            z=self.z[rows],
            steps=self.steps[rows],
            utility=self.utility[rows],
            counts=self.counts[rows],
            progress=self.progress[rows],
        )

    def without_gaps(self) -> Observed:
        """The same, what failed being as bad as the worst (0 where nothing has a value)."""
        failed = np.isnan(self.utility)
        worst = 0.0 if failed.all() else np.nanmin(self.utility)
        return replace(self, utility=np.where(failed, worst, self.utility))

    def noise(self) -> Tensor | None:
        """The variance ``(n,)`` of each utility, None where no repeats tell of any."""
        if not self.variance > 0:
            return None
        return torch.as_tensor(self.variance / self.counts)

    def region(self, pending: Sequence[Suggestion]) -> TrustRegion:
        """The trust region; a step of which most is still ``pending`` is no failure yet."""
        return replay(self.steps, self.progress, self.unfinished(pending))

    def unfinished(self, pending: Sequence[Suggestion]) -> set[int]:
        """The steps of which most is still ``pending``."""
        told = Counter(self.steps.tolist())
        out = Counter(s.step for s in pending)
        return {step for step in out if out[step] > told[step]}
