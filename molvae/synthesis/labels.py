"""Properties for synthetic molecules: a forest of the private ones, and its own errors as noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from molvae.base.seeds import derive_seed
from molvae.oracles.fitted.forest import Forest
from molvae.oracles.fitted.options import FitOptions, Task
from molvae.oracles.fitted.validation import out_of_fold
from molvae.synthesis.table import is_class

FOLDS = 3
_TRIES = 20


@dataclass(frozen=True, eq=False)
class LabelModel:
    """A forest of one column, and how it errs on molecules that it has not seen.

    ``out_of_fold (n,)`` are the predictions for its own molecules by forests that do not know them,
    NaN without a label; ``errors (m,)`` these molecules' true values less those, in predicted
    standard deviations. ``missing`` is the share of molecules without a value. What is drawn has
    ``decimals`` and lies between ``low`` and ``high``, as do the values that were learnt from.
    """

    forest: Forest
    task: Task
    out_of_fold: np.ndarray
    errors: np.ndarray
    missing: float
    decimals: int
    low: float
    high: float

    @classmethod
    def fit(
        cls,
        matrix: np.ndarray,
        values: np.ndarray,
        decimals: int,
        *,
        trees: int,
        seed: int,
        workers: int,
    ) -> LabelModel:
        """Fit to features ``(n, p)`` and ``values (n,)``, NaN where there is none, that are written
        with so many ``decimals``."""
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
        low, high = _range(labels, decimals)
        forest = fit(np.arange(len(rows)))
        return cls(forest, task, predicted, errors, missing, decimals, low, high)

    def predict(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation between the trees, ``(n,)``."""
        return self.forest.predict(matrix)

    def draw(self, mean: np.ndarray, std: np.ndarray, seed: int) -> np.ndarray:
        """Values ``(n,)`` from the predictive distribution: the mean and an error that the forest
        has made elsewhere, scaled to how sure it is here, and another one where that leads out of
        the range; a class by its probability. As many are missing as in the table, and as many
        decimals are written."""
        rng = np.random.default_rng(derive_seed(seed, "labels"))
        if self.task == "classification":
            values = (rng.random(len(mean)) < mean).astype(np.float64)
        else:
            width, values = np.maximum(std, _least(std)), np.full(len(mean), np.inf)
            for _ in range(_TRIES):
                rows = np.flatnonzero((values < self.low) | (values > self.high))
                errors = rng.choice(self.errors, len(rows))
                values[rows] = np.round(mean[rows] + width[rows] * errors, self.decimals)
            values = np.clip(values, self.low, self.high)
        return np.where(rng.random(len(mean)) < self.missing, np.nan, values)


def _range(values: np.ndarray, decimals: int) -> tuple[float, float]:
    """The least and the largest number of so many decimals within the range of ``values (n,)``,
    which may be averages of what is written with these.

    >>> _range(np.array([0.5, 3.0, 5.5]), 0), _range(np.array([0.07, 0.29]), 2)
    ((1.0, 5.0), (0.07, 0.29))
    """
    scale = 10.0**decimals
    low = np.ceil(values.min() * scale - 1e-6)  # 0.07 * 100 is more than 7
    high = np.floor(values.max() * scale + 1e-6)
    return float(np.round(low / scale, decimals)), float(np.round(high / scale, decimals))


def _least(std: np.ndarray) -> float:
    """A floor, so that the errors of a molecule on which all trees agree do not run away."""
    return max(float(np.quantile(std, 0.1)), 1e-9)
