"""How good a kind of model is on molecules that it was not fitted to, and how sure it may be."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from molvae.metrics.prediction import (
    classification_quality,
    interval_coverage,
    regression_quality,
)
from molvae.oracles.fitted.options import Task

LEVELS = np.array([0.5, 0.8, 0.95])
"""Nominal levels of the intervals whose coverage is reported."""

Fit = Callable[[np.ndarray], Any]


def out_of_fold(fit: Fit, matrix: np.ndarray, folds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (n,) of each molecule from a model fitted without its fold.

    ``fit`` takes the rows (m,) of the molecules to fit to and returns a model.
    """
    mean, std = np.full(len(matrix), math.nan), np.full(len(matrix), math.nan)
    for fold in range(int(folds.max()) + 1):
        inside = folds == fold
        mean[inside], std[inside] = fit(np.flatnonzero(~inside)).predict(matrix[inside])
    return mean, std


def calibration(labels: np.ndarray, mean: np.ndarray, std: np.ndarray) -> float:
    """The factor on the standard deviations that makes the errors as large as they say.

    >>> calibration(np.zeros(2), np.array([1.0, -1.0]), np.array([0.5, 0.5]))
    2.0
    """
    ratio = (mean - labels) / np.maximum(std, 1e-12)
    return float(np.clip(np.sqrt(np.mean(np.square(ratio))), 1e-3, 1e3))


def quality(
    task: Task, name: str, labels: np.ndarray, mean: np.ndarray, std: np.ndarray
) -> dict[str, Any]:
    """The measures of one cross-validation by name; ``baseline`` is what no model at all has:
    the RMSE of the mean label, or the accuracy of the commoner class."""
    if task == "classification":
        c = classification_quality(name, labels, mean)
        common = max(labels.mean(), 1 - labels.mean())
        return _plain(auroc=c.auroc, accuracy=c.accuracy, brier=c.brier, baseline=common)
    r = regression_quality(name, labels, mean, std)
    covered = interval_coverage(labels, mean, std, LEVELS)
    inside = {f"inside_{level:.0%}": share for level, share in zip(LEVELS, covered, strict=True)}
    return _plain(rmse=r.rmse, r2=r.r2, mae=r.mae, **inside, baseline=labels.std())


def _plain(**measures: float) -> dict[str, Any]:
    """Plain numbers; None for what has no value."""
    return {k: float(v) if math.isfinite(v) else None for k, v in measures.items()}
