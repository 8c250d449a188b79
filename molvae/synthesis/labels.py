"""Properties for synthetic molecules: a forest of the private ones, and its own errors as noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from molvae.base.seeds import derive_seed
from molvae.oracles.fitted.forest import Forest
from molvae.oracles.fitted.options import FitOptions, Task
from molvae.oracles.fitted.validation import out_of_fold
from molvae.synthesis.table import decimals_of, is_class

FOLDS = 3


@dataclass(frozen=True, eq=False)
class LabelModel:
    """A forest of one column, and how it errs on molecules that it has not seen.

    ``out_of_fold (n,)`` are the predictions for its own molecules by forests that do not know them,
    NaN without a label; ``errors (m,)`` these molecules' true values less those, in predicted
    standard deviations. ``missing`` is the share of molecules without a value.
    """

    forest: Forest
    task: Task
    out_of_fold: np.ndarray
    errors: np.ndarray
    missing: float
    decimals: int

    @classmethod
    def fit(
        cls, matrix: np.ndarray, values: np.ndarray, trees: int, seed: int, workers: int
    ) -> LabelModel:
        """Fit to features ``(n, p)`` and ``values (n,)``, NaN where there is none."""
        rows = np.flatnonzero(np.isfinite(values))
        known, labels = matrix[rows], values[rows]
        task: Task = "classification" if is_class(values) else "regression"
        options = FitOptions(trees=trees, seed=derive_seed(seed, "forest") % 2**31)
        folds = np.random.default_rng(derive_seed(seed, "folds")).permutation(len(rows)) % FOLDS

        def fit(part: np.ndarray) -> Forest:
            return Forest.fit(known[part], labels[part], task, options, workers)

        mean, std = out_of_fold(fit, known, folds)
        predicted = np.full(len(values), np.nan)
        predicted[rows] = mean
        errors = (labels - mean) / np.maximum(std, _least(std))
        missing = 1 - len(rows) / len(values)
        return cls(fit(np.arange(len(rows))), task, predicted, errors, missing, decimals_of(values))

    def predict(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation between the trees, ``(n,)``."""
        return self.forest.predict(matrix)

    def draw(self, mean: np.ndarray, std: np.ndarray, seed: int) -> np.ndarray:
        """Values ``(n,)`` from the predictive distribution: the mean and an error that the forest
        has made elsewhere, scaled to how sure it is here; a class by its probability. As many are
        missing as in the table, and as many decimals are written."""
        rng = np.random.default_rng(derive_seed(seed, "labels"))
        if self.task == "classification":
            values = (rng.random(len(mean)) < mean).astype(np.float64)
        else:
            values = mean + np.maximum(std, _least(std)) * rng.choice(self.errors, len(mean))
            values = np.round(values, self.decimals)
        return np.where(rng.random(len(mean)) < self.missing, np.nan, values)


def _least(std: np.ndarray) -> float:
    """A floor, so that the errors of a molecule on which all trees agree do not run away."""
    return max(float(np.quantile(std, 0.1)), 1e-9)
