"""How good, and how honest about its errors, a predictor is on known labels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

LEVELS = np.linspace(0.1, 0.9, 9)
"""The nominal levels of the central intervals at which coverage is counted."""


@dataclass(frozen=True)
class RegressionQuality:
    """Errors in the label's unit, and calibration of the predicted standard deviations."""

    name: str
    molecules: int
    r2: float
    rmse: float
    mae: float
    calibration_error: float
    """Mean distance of observed from nominal coverage over :data:`LEVELS`; 0 is perfect, 0.5 the
    worst."""
    coverage: tuple[float, ...]
    """Share of labels inside the central interval of each nominal level in :data:`LEVELS`."""
    kind: str = "regression"


@dataclass(frozen=True)
class ClassificationQuality:
    """Ranking and calibration of predicted probabilities."""

    name: str
    molecules: int
    auroc: float
    accuracy: float
    brier: float
    calibration_error: float
    """Expected calibration error over ten bins of equal width (Naeini et al. 2015)."""
    kind: str = "classification"


def regression_quality(
    name: str, labels: np.ndarray, mean: np.ndarray, std: np.ndarray
) -> RegressionQuality:
    r"""Judge Gaussian predictions ``mean (n,)``, ``std (n,)`` of ``labels (n,)``.

    Rows with a missing label or prediction are left out. Calibration is the coverage of central
    intervals (Kuleshov et al. 2018, arXiv:1807.00263): of the labels, a share :math:`p` should
    lie within :math:`\Phi^{-1}((1+p)/2)` standard deviations of the mean. R² is
    :math:`1 - \sum (y-\mu)^2 / \sum (y-\bar y)^2`, NaN for fewer than two labels or equal ones.

    >>> y = np.array([0.0, 1.0, 2.0])
    >>> q = regression_quality("logp", y, y + 0.5, np.ones(3))
    >>> q.r2, q.rmse
    (0.625, 0.5)
    """
    known = np.isfinite(labels) & np.isfinite(mean)
    y, error = labels[known].astype(np.float64), (mean - labels)[known].astype(np.float64)
    if not len(y):
        nothing = (math.nan,) * len(LEVELS)
        return RegressionQuality(name, 0, math.nan, math.nan, math.nan, math.nan, nothing)
    total = float(np.square(y - y.mean()).sum())
    coverage = interval_coverage(labels, mean, std)
    return RegressionQuality(
        name=name,
        molecules=len(y),
        r2=1 - float(np.square(error).sum()) / total if total > 0 else math.nan,
        rmse=float(np.sqrt(np.square(error).mean())),
        mae=float(np.abs(error).mean()),
        calibration_error=float(np.abs(coverage - LEVELS).mean()),
        coverage=tuple(coverage.tolist()),
    )


def interval_coverage(
    labels: np.ndarray, mean: np.ndarray, std: np.ndarray, levels: np.ndarray = LEVELS
) -> np.ndarray:
    """The share of ``labels (n,)`` inside the central interval of each nominal level, ``(k,)``.

    The intervals are those of Gaussians ``mean (n,)``, ``std (n,)``; missing values are left out.

    >>> y = np.array([0.0, 1.0, -2.0, 3.0])
    >>> interval_coverage(y, np.zeros(4), np.ones(4), np.array([0.5, 0.9])).tolist()
    [0.25, 0.5]
    """
    known = np.isfinite(labels) & np.isfinite(mean)
    # |z| of a unit Gaussian lies below z_p with probability erf(z_p / sqrt 2), so the level of
    # the interval that just holds a label needs no table of quantiles.
    scaled = np.abs((mean - labels)[known].astype(np.float64)) / np.maximum(std[known], 1e-12)
    inside = np.array([math.erf(value / math.sqrt(2)) for value in scaled])
    return np.asarray((inside[:, None] <= levels).mean(0))


def classification_quality(
    name: str, labels: np.ndarray, probability: np.ndarray
) -> ClassificationQuality:
    """Judge predicted ``probability (n,)`` of ``labels (n,)`` that are 0 or 1; NaN left out.

    >>> q = classification_quality("active", np.array([0.0, 1.0, 1.0]), np.array([0.1, 0.9, 0.4]))
    >>> q.auroc, round(q.accuracy, 3)
    (1.0, 0.667)
    """
    known = np.isfinite(labels) & np.isfinite(probability)
    y, p = labels[known] > 0.5, probability[known].astype(np.float64)
    if not len(y):
        return ClassificationQuality(name, 0, math.nan, math.nan, math.nan, math.nan)
    return ClassificationQuality(
        name=name,
        molecules=len(y),
        auroc=auroc(y, p),
        accuracy=float(((p > 0.5) == y).mean()),
        brier=float(np.square(p - y).mean()),
        calibration_error=_expected_calibration_error(y, p),
    )


def auroc(y: np.ndarray, p: np.ndarray) -> float:
    """The share of (positive, negative) pairs that scores ``p (n,)`` put in the right order, ties
    half (Mann-Whitney U), for ``y (n,)`` bool; NaN without a pair.

    >>> auroc(np.array([True, False, False]), np.array([2.0, 2.0, -1.0]))
    0.75
    """
    positives, negatives = np.sort(p[y]), np.sort(p[~y])
    if not len(positives) or not len(negatives):
        return math.nan
    below = np.searchsorted(negatives, positives, side="left")
    ties = np.searchsorted(negatives, positives, side="right") - below
    return float((below + 0.5 * ties).sum() / (len(positives) * len(negatives)))


def _expected_calibration_error(y: np.ndarray, p: np.ndarray, bins: int = 10) -> float:
    which = np.minimum((p * bins).astype(int), bins - 1)
    counts = np.bincount(which, minlength=bins)
    gaps = np.bincount(which, weights=p, minlength=bins) - np.bincount(
        which, weights=y.astype(np.float64), minlength=bins
    )
    return float(np.abs(gaps).sum() / counts.sum())
