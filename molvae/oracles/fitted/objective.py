"""A fitted oracle as an objective."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from molvae.base.errors import ConfigError
from molvae.oracles.fitted.model import FittedOracle
from molvae.oracles.fitted.store import load_oracle
from molvae.oracles.objective import Direction, Objective


@dataclass(frozen=True)
class Predicted:
    """The function of :func:`model_objective`: ``mean + deviations * std`` of each molecule."""

    oracle: FittedOracle
    deviations: float

    def __call__(self, smiles: Sequence[str]) -> list[float]:
        mean, std = self.oracle.predict(smiles)
        values: list[float] = (mean + self.deviations * std).tolist()
        return values


def model_objective(
    path: str | os.PathLike[str], direction: Direction, *, pessimism: float = 0.0
) -> Objective:
    """What the oracle that ``molvae fit-oracle`` has written at ``path`` predicts.

    ``pessimism`` k takes k standard deviations off what is maximised, and adds them to what is
    minimised: a search then keeps away from where the model only guesses.

    Raises:
        ConfigError: ``pessimism`` is no number from 0 on.
        ModelError: the directory holds no oracle, or a damaged one.
    """
    if not (math.isfinite(pessimism) and pessimism >= 0):
        raise ConfigError(f"pessimism is {pessimism}; give a number of standard deviations from 0")
    oracle, digest = load_oracle(path)
    deviations = -pessimism if direction == "maximize" else pessimism
    subject = "" if oracle.task == "regression" else "probability of "
    careful = f" {'-' if deviations < 0 else '+'} {pessimism:g} std" if pessimism else ""
    name = f"{subject}{oracle.label}{careful} by {Path(path).name}"
    # The digest tells the oracle from another one that may later stand at the same place.
    definition = {"oracle": digest, "pessimism": pessimism}
    predicted = Predicted(oracle, deviations)
    return Objective(name, predicted, direction, batch=True, definition=definition)
