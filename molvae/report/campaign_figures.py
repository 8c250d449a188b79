"""Figures of a campaign: what was predicted against what came, and where in latent space."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from molvae.plots import BLUE, GREY, RED


def predicted_against_measured(
    predicted: np.ndarray, uncertainty: np.ndarray, measured: np.ndarray, name: str
) -> Figure:
    """Values ``(n,)`` measured over those predicted, with two standard deviations, same unit."""
    figure = Figure(figsize=(5, 4.6), layout="constrained")
    ax = figure.subplots()
    ends = [min(predicted.min(), measured.min()), max(predicted.max(), measured.max())]
    ax.plot(ends, ends, color=GREY, linestyle="--", linewidth=1, label="as predicted")
    ax.errorbar(
        predicted, measured, xerr=2 * uncertainty, fmt="o", ms=4, color=BLUE, ecolor=GREY, lw=0.6
    )
    ax.set(xlabel=f"{name}, predicted", ylabel=f"{name}, measured")
    ax.legend(frameon=False)
    return figure


def latent_map(
    tested: np.ndarray, values: np.ndarray, pending: np.ndarray, name: str, *, maximize: bool
) -> Figure:
    """Latents ``tested (n, d)`` by ``values (n,)`` (NaN: failed) and ``pending (m, d)`` on a plane.

    The plane is that of the first two principal components of what was tested.
    """
    flat, share = plane(np.asarray(tested, float), np.asarray(pending, float))
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    ax = figure.subplots()
    failed = np.isnan(values)
    here, out = flat[: len(tested)], flat[len(tested) :]
    x, y = here.T
    ax.scatter(x[failed], y[failed], marker="x", s=22, color=GREY, linewidths=1, label="failed")
    colours = "viridis" if maximize else "viridis_r"
    shown = ax.scatter(x[~failed], y[~failed], c=values[~failed], s=22, cmap=colours)
    ax.scatter(
        out[:, 0], out[:, 1], s=30, facecolors="none", edgecolors=RED, label="out for testing"
    )
    figure.colorbar(shown, label=name)
    ax.set(
        xlabel=f"component 1 ({share[0]:.0%} of the variance)",
        ylabel=f"component 2 ({share[1]:.0%})",
    )
    ax.legend(frameon=False)
    return figure


def plane(tested: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All of ``tested (n, d)`` then ``others (m, d)`` on two principal components of ``tested``.

    Returns their places ``(n + m, 2)`` and the components' shares of the variance ``(2,)``. Signs
    are such that each component's largest weight is positive.

    >>> tested = np.array([[0.0, 0, 1], [4, 0, 1], [8, 2, 1]])
    >>> places, share = plane(tested, tested[1:2])
    >>> places.shape, bool(np.allclose(places[1], places[3])), round(float(share.sum()), 6)
    ((4, 2), True, 1.0)
    """
    centre = tested.mean(axis=0)
    _, singular, axes = np.linalg.svd(tested - centre, full_matrices=False)
    variances = np.zeros(2)
    basis = np.zeros((2, tested.shape[1]))
    kept = min(2, len(singular))
    variances[:kept], basis[:kept] = singular[:kept] ** 2, axes[:kept]
    largest = np.abs(basis).argmax(axis=1)
    basis *= np.where(basis[[0, 1], largest] < 0, -1.0, 1.0)[:, None]
    share = variances / max(float((singular**2).sum()), 1e-300)
    everything = np.concatenate([tested, others.reshape(-1, tested.shape[1])])
    return (everything - centre) @ basis.T, share
