"""The trust region: how far from the best molecules the search may step, learnt from success.

After TuRBO (Eriksson et al., NeurIPS 2019, arXiv:1910.01741). Its state is not kept anywhere: it
follows from the outcomes of the steps so far, so a resumed campaign has the same one.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace

import numpy as np

LENGTH = 0.5
"""Step length of a new region, in standard deviations of the prior."""
LONGEST = 2.0
SHORTEST = 0.03
SUCCESSES = 2
"""Steps in a row that bring a better molecule before the length doubles."""
FAILURES = 3
"""Steps in a row that bring none before it halves."""


@dataclass(frozen=True)
class TrustRegion:
    """A step ``length`` with its counters; only steps from ``begun`` on belong to the region.

    >>> region = TrustRegion()
    >>> region.after(step=1, improved=True).after(step=2, improved=True).length
    1.0
    """

    length: float = LENGTH
    begun: int = 0
    successes: int = 0
    failures: int = 0

    def after(self, step: int, improved: bool) -> TrustRegion:
        """The region after a step that did or did not bring a better molecule.

        A region that has become too short has found its optimum: a new one begins with the next
        step.
        """
        if improved:
            if self.successes + 1 < SUCCESSES:
                return replace(self, successes=self.successes + 1, failures=0)
            longer = min(2 * self.length, LONGEST)
            return replace(self, length=longer, successes=0, failures=0)
        if self.failures + 1 < FAILURES:
            return replace(self, failures=self.failures + 1, successes=0)
        shorter = self.length / 2
        if shorter < SHORTEST:
            return TrustRegion(begun=step + 1)
        return replace(self, length=shorter, successes=0, failures=0)


def replay(
    steps: Iterable[int], utilities: Iterable[float], unfinished: Container[int] = ()
) -> TrustRegion:
    """The region that follows from all observations, in order.

    Args:
        steps: the step ``(n,)`` of each observation, not decreasing.
        utilities: its value ``(n,)`` so that more is better; NaN where it failed.
        unfinished: steps of which too little is known to count as failures yet.
    """
    region = TrustRegion()
    best = -np.inf
    step_of, utility = np.asarray(list(steps)), np.asarray(list(utilities))
    for step in np.unique(step_of):
        found = utility[step_of == step]
        top = np.max(found[~np.isnan(found)], initial=-np.inf)
        if step > region.begun:
            begun = region.begun
            if top > best or int(step) not in unfinished:
                region = region.after(int(step), bool(top > best))
            best = max(best, top) if region.begun == begun else -np.inf
        else:
            best = max(best, top)  # the first step of a region is its sample, no test of it
    return region
