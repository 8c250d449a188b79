"""Figures of several objectives: the Pareto front, and how the hypervolume grew."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from matplotlib.figure import Figure

from molvae.plots import BLUE, GREY, RED

WIDEST = 3
"""Panels beside each other."""


def pareto_front(
    values: np.ndarray, feasible: np.ndarray, best: np.ndarray, names: Sequence[str]
) -> Figure:
    """Objectives ``values (n, m)`` in their units, m >= 2, a panel for each pair of them.

    ``feasible (n,)`` are filled, the others crosses; those in the Pareto set, ``best (n,)``, are
    joined by a line where there are two objectives. Rows of NaN are left out.
    """
    pairs = list(combinations(range(len(names)), 2))
    across = min(WIDEST, len(pairs))
    down = -(-len(pairs) // across)
    size = (6, 4.6) if len(pairs) == 1 else (4 * across, 3.4 * down)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(down, across, squeeze=False).ravel().tolist()
    others = feasible & ~best
    for ax, (i, j) in zip(axes, pairs, strict=False):
        x, y = values[:, i], values[:, j]
        ax.scatter(
            x[~feasible], y[~feasible], marker="x", s=18, color=GREY, lw=0.8, label="not feasible"
        )
        ax.scatter(x[others], y[others], s=16, color=BLUE, linewidths=0, label="feasible")
        ax.scatter(x[best], y[best], s=26, color=RED, linewidths=0, label="Pareto set")
        if len(pairs) == 1:
            order = np.argsort(x[best])
            ax.plot(x[best][order], y[best][order], color=RED, lw=0.8)
        ax.set(xlabel=names[i], ylabel=names[j])
    for ax in axes[len(pairs) :]:
        ax.remove()
    axes[0].legend(frameon=False)
    return figure


def hypervolume_curve(volumes: np.ndarray, start: int) -> Figure:
    """The hypervolume ``(n,)`` after each molecule; the first ``start`` were there before the
    search."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    ax = figure.subplots()
    ax.step(np.arange(1, len(volumes) + 1), volumes, where="post", color=BLUE)
    if 0 < start < len(volumes):
        ax.axvline(start + 0.5, color=GREY, linestyle=":", linewidth=1)
    ax.set(xlabel="molecule", ylabel="hypervolume")
    return figure
