"""What an optimisation found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from molvae.optimize.store import Observation
from molvae.oracles.objective import Direction, Objective

if TYPE_CHECKING:
    import pandas as pd


def ranked(observations: Sequence[Observation], direction: Direction) -> list[Observation]:
    """Observations, best first; equal ones in their order, failures at the end."""
    sign = -1.0 if direction == "maximize" else 1.0
    return sorted(observations, key=lambda o: sign * o.outcome.value if o.outcome.ok else np.inf)


@dataclass(frozen=True)
class Result:
    """Every evaluation of a campaign, in order, and why it stopped.

    ``left_out`` are start molecules that were not evaluated because they are no molecules or the
    model cannot encode them.
    """

    objective: Objective
    observations: tuple[Observation, ...]
    stopped: str
    left_out: tuple[str, ...] = ()

    @property
    def values(self) -> np.ndarray:
        """The objective's values ``(n,)`` in the order of evaluation, NaN where it failed."""
        return np.array([o.outcome.value for o in self.observations], float)

    @property
    def curve(self) -> np.ndarray:
        """Best value so far ``(n,)`` after each evaluation, NaN before the first value."""
        best = np.fmax if self.objective.direction == "maximize" else np.fmin
        return best.accumulate(self.values) if len(self.observations) else np.empty(0)

    def ranked(self) -> list[Observation]:
        """Observations, best first; equal ones in their order, failures at the end."""
        return ranked(self.observations, self.objective.direction)

    def top(self, n: int = 10) -> list[tuple[str, float]]:
        """SMILES and value of the ``n`` best molecules."""
        return [(o.suggestion.smiles, o.outcome.value) for o in self.ranked()[:n] if o.outcome.ok]

    def columns(self) -> dict[str, list[Any]]:
        """The table of all evaluations by column, best first.

        ``rank`` and ``order`` count from 1; ``step`` 0 is the initial design; ``origin`` is where
        the molecule comes from; ``failure`` is empty where there is a value.
        """
        ranked = self.ranked()
        return {
            "rank": list(range(1, len(ranked) + 1)),
            "smiles": [o.suggestion.smiles for o in ranked],
            "value": [o.outcome.value for o in ranked],
            "order": [o.order for o in ranked],
            "step": [o.suggestion.step for o in ranked],
            "origin": [o.suggestion.origin for o in ranked],
            "failure": [o.outcome.failure or "" for o in ranked],
        }

    def table(self) -> pd.DataFrame:
        """:meth:`columns` as a data frame."""
        import pandas as pd

        return pd.DataFrame(self.columns())
