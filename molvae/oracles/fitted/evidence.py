"""Signal and noise of a Gaussian model, by the evidence of the labels, from eigenvalues alone."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize


def signal_and_noise(
    eigenvalues: np.ndarray, squares: np.ndarray, rest: int = 0, rest_square: float = 0.0
) -> tuple[float, float]:
    """The variances ``(signal, noise)`` that make the centred labels y likeliest under
    ``y ~ N(0, signal K + noise I)``.

    ``eigenvalues (k,)`` are K's, ``squares (k,)`` the squared projections of y on its
    eigenvectors; ``rest`` further eigenvalues are 0, with ``rest_square`` of y's square in their
    space. Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), eq. 5.8.

    >>> signal, noise = signal_and_noise(np.array([2.0, 0.0]), np.array([9.0, 1.0]))
    >>> round(signal, 2), round(noise, 2)
    (4.0, 1.0)
    """
    total = float(squares.sum()) + rest_square
    variance = max(total / (len(squares) + rest), 1e-12)
    scale = max(float(eigenvalues.mean()), 1e-12)

    def minus_log_evidence(logs: np.ndarray) -> tuple[float, np.ndarray]:
        signal, noise = np.exp(logs)
        v = signal * eigenvalues + noise
        value = np.log(v).sum() + (squares / v).sum() + rest * logs[1] + rest_square / noise
        slope = (1 - squares / v) / v
        d_signal = (slope * eigenvalues).sum() * signal
        d_noise = slope.sum() * noise + rest - rest_square / noise
        return 0.5 * float(value), 0.5 * np.array([d_signal, d_noise])

    top, middle = np.log(variance / scale), np.log(variance)
    best = min(
        (
            minimize(
                minus_log_evidence,
                np.array([top + np.log(1 - share), middle + np.log(share)]),
                jac=True,
                method="L-BFGS-B",
                bounds=[(top - 14, top + 7), (middle - 10, middle + 1)],
            )
            for share in (0.1, 0.5, 0.9)
        ),
        key=lambda found: float(found.fun),
    )
    signal, noise = np.exp(best.x)
    return float(signal), float(noise)
