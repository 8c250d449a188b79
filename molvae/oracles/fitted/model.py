"""A fitted oracle: molecules in, value and uncertainty out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from molvae.chem.smiles import MoleculeError
from molvae.oracles.fitted.features import FeatureSpace
from molvae.oracles.fitted.forest import Forest
from molvae.oracles.fitted.labels import standard_form
from molvae.oracles.fitted.linear import Linear
from molvae.oracles.fitted.options import FitOptions, Kind, Task
from molvae.oracles.fitted.tanimoto import TanimotoProcess


class Predictor(Protocol):
    """What all kinds of model can do."""

    def predict(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation ``(n,)`` from features ``(n, p)``."""

    def arrays(self) -> dict[str, np.ndarray]:
        """What to store."""


PREDICTORS: dict[Kind, Any] = {"forest": Forest, "gp": TanimotoProcess, "ridge": Linear}


@dataclass(frozen=True)
class FittedOracle:
    """A model of one label. ``std_scale`` is the factor that calibrates its uncertainty."""

    label: str
    task: Task
    options: FitOptions
    space: FeatureSpace
    predictor: Predictor
    std_scale: float
    report: dict[str, Any]

    def predict(self, smiles: Sequence[str | None]) -> tuple[np.ndarray, np.ndarray]:
        """Value and standard deviation ``(n,)`` float64 in the label's unit, or probability of
        class 1 and its standard deviation; NaN for what is no molecule."""
        forms = [_form(text) for text in smiles]
        known = [i for i, form in enumerate(forms) if isinstance(form, str)]
        mean, std = np.full(len(smiles), math.nan), np.full(len(smiles), math.nan)
        if known:
            matrix = self.space.matrix([str(forms[i]) for i in known])
            mean[known], std[known] = self.predictor.predict(matrix)
        return mean, std * self.std_scale


def _form(smiles: str | None) -> str | None:
    try:
        return None if smiles is None else standard_form(smiles)
    except MoleculeError:
        return None
