"""Figures: arrays and records in, :class:`matplotlib.figure.Figure` out.

Figures are made without pyplot: no window, no global state, and they can be drawn in any thread.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from molvae.base.errors import InputError
from molvae.base.files import atomic_file, require_file
from molvae.metrics.distribution import QUANTILES
from molvae.metrics.prediction import LEVELS, RegressionQuality
from molvae.training.history import read_history

if TYPE_CHECKING:
    from molvae.metrics.health import Health

BLUE, ORANGE, GREEN, RED, GREY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#8a8a8a"
"""Okabe and Ito's palette, told apart by all kinds of colour vision."""

CLOCKS = ("epoch", "seconds", "tokens_per_second")
"""Columns of a history that only count what the abscissa says."""

FORMATS = (".png", ".svg", ".pdf")


def save_figure(figure: Figure, path: str | os.PathLike[str], *, dpi: int = 150) -> None:
    """Write a figure, atomically; the ending of ``path`` (.png, .svg, .pdf) sets the format."""
    check_figure_output(path)
    with atomic_file(path, "wb") as out:
        figure.savefig(out, format=Path(path).suffix.lower()[1:], dpi=dpi)


def check_figure_output(path: str | os.PathLike[str]) -> None:
    """Refuse a place where :func:`save_figure` could not write, before the work for it is done."""
    if Path(path).suffix.lower() not in FORMATS:
        raise InputError(
            f"cannot draw {os.fspath(path)}: the name of a figure ends in one of "
            f"{', '.join(FORMATS)}"
        )
    require_file(path)


def health_figure(health: Health) -> Figure:
    """Six panels of one checkpoint: what comes back, what z carries, what a step in z does."""
    figure = Figure(figsize=(13, 7.6), layout="constrained")
    axes = figure.subplots(2, 3).ravel().tolist()
    _reconstruction(axes[0], health)
    _kl_per_dimension(axes[1], health)
    _heritability(axes[2], health)
    _midpoints(axes[3], health)
    _properties(axes[4], health)
    _calibration(axes[5], health)
    figure.suptitle(_wrapped(f"Latent health: {health.verdict}"), fontsize=12)
    return figure


def training_curves(history: str | os.PathLike[str] | Mapping[str, Sequence[float]]) -> Figure:
    """The losses and weights of a training run over its steps.

    ``history`` is a run's ``history.csv`` or its columns. Columns that share a name but for
    ``train_`` or ``validation_`` share a panel; ``step`` is the abscissa; clocks are left out.
    """
    found = history if isinstance(history, Mapping) else read_history(Path(history))
    columns = {name: np.asarray(values, dtype=np.float64) for name, values in found.items()}
    steps = columns.pop("step", None)
    panels: dict[str, list[tuple[str, np.ndarray]]] = {}
    for name, values in columns.items():
        if name in CLOCKS or not np.isfinite(values).any():
            continue
        part, _, rest = name.partition("_")
        known = part in ("train", "validation") and rest
        panels.setdefault(rest if known else name, []).append((part if known else "", values))
    if steps is None or not panels:
        raise InputError("this history has no column 'step' beside columns of numbers to draw")
    width = min(3, len(panels))
    height = math.ceil(len(panels) / width)
    figure = Figure(figsize=(4.2 * width, 2.7 * height), layout="constrained")
    axes = figure.subplots(height, width, squeeze=False).ravel().tolist()
    for ax, (name, curves) in zip(axes, panels.items(), strict=False):
        for (label, values), colour in zip(curves, (BLUE, ORANGE, GREEN), strict=False):
            known_here = np.isfinite(values)
            ax.plot(steps[known_here], values[known_here], color=colour, label=label or None)
        ax.set(title=name.replace("_", " "), xlabel="step")
        if any(label for label, _ in curves):
            ax.legend(frameon=False)
    for ax in axes[len(panels) :]:
        ax.remove()
    return figure


def optimisation_curve(
    values: Sequence[float] | np.ndarray,
    *,
    maximize: bool = True,
    name: str = "objective",
    start: int = 0,
    baseline: float | None = None,
) -> Figure:
    """Every evaluation of a run in order, the best so far, and the mean of the ten best so far.

    ``values (n,)`` are in the objective's unit, NaN where it failed; the first ``start`` are the
    initial design; ``baseline`` is drawn as a line (the best molecule known before).
    """
    values = np.asarray(values, dtype=np.float64)
    calls = np.arange(1, len(values) + 1)
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    ax = figure.subplots()
    ax.scatter(calls, values, s=9, color=GREY, alpha=0.6, linewidths=0, label="evaluation")
    ax.plot(calls, best_so_far(values, 1, maximize), color=RED, label="best")
    ax.plot(calls, best_so_far(values, 10, maximize), color=BLUE, label="mean of ten best")
    if start:
        ax.axvline(start + 0.5, color=GREY, linestyle=":", label="end of the initial design")
    if baseline is not None:
        ax.axhline(baseline, color=GREEN, linestyle="--", label="best known before")
    direction = "maximised" if maximize else "minimised"
    ax.set(xlabel="evaluations", ylabel=name, title=f"{name}, {direction}")
    ax.legend(frameon=False)
    return figure


def best_so_far(values: np.ndarray, count: int, maximize: bool = True) -> np.ndarray:
    """The mean of the ``count`` best of ``values[: i + 1]``, for each ``i``; NaN are left out.

    >>> best_so_far(np.array([1.0, 3.0, 2.0]), 2).tolist()
    [1.0, 2.0, 2.5]
    """
    sign = 1.0 if maximize else -1.0
    best: list[float] = []
    result = np.full(len(values), np.nan)
    for i, value in enumerate(np.asarray(values, dtype=np.float64) * sign):
        if not math.isnan(value):
            best = sorted([*best, value], reverse=True)[:count]
        if best:
            result[i] = sign * sum(best) / len(best)
    return result


def _reconstruction(ax: Axes, health: Health) -> None:
    found = health.reconstruction
    samples = health.samples
    bars = {
        "back exactly\n(from the mean)": found.exact,
        "back exactly\n(from a sample)": found.exact_sampled,
        "symbols right": found.token_accuracy,
        "… with another's z": found.token_accuracy_misplaced,
        "samples valid": samples.validity,
        "samples distinct": samples.uniqueness,
        "samples new": samples.novelty,
        "samples sane": samples.sane,
    }
    bars = {name: value for name, value in bars.items() if math.isfinite(value)}
    places = np.arange(len(bars))[::-1]
    colours = [GREEN if name.startswith("samples") else BLUE for name in bars]
    ax.barh(places, list(bars.values()), color=colours)
    ax.set_yticks(places, list(bars))
    for place, value in zip(places, bars.values(), strict=True):
        ax.text(min(value, 0.9) + 0.01, place, f"{value:.0%}", va="center", fontsize=8)
    ax.set(xlim=(0, 1.05), xlabel="share", title="Held-out molecules and prior samples")


def _kl_per_dimension(ax: Axes, health: Health) -> None:
    latent = health.latent
    values = np.sort(np.array(latent.kl_per_dimension))[::-1]
    ax.bar(np.arange(1, len(values) + 1), values, width=1.0, color=BLUE)
    ax.set(
        xlabel="dimension, by rank",
        ylabel="nats",
        title=f"KL: {latent.kl:.1f} nats, {latent.active_units} of {latent.dimensions} active",
    )


def _heritability(ax: Axes, health: Health) -> None:
    steps = health.heritability.steps
    x = [step.size for step in steps]
    for label, values, colour in (
        ("unchanged", [s.unchanged for s in steps], BLUE),
        ("similarity of the changed", [s.similarity for s in steps], RED),
        ("sane", [s.sane for s in steps], GREEN),
    ):
        ax.plot(x, values, marker="o", markersize=3.5, color=colour, label=label)
    ax.set(
        xlabel="step (standard deviations of the prior)",
        ylim=(-0.02, 1.02),
        title="Heritability",
    )
    ax.legend(frameon=False, fontsize=8)


def _midpoints(ax: Axes, health: Health) -> None:
    mid = health.midpoints
    ax.plot(QUANTILES, mid.quantiles, color=RED, label=f"midpoints (mean {mid.similarity:.2f})")
    ax.plot(
        QUANTILES,
        mid.unrelated_quantiles,
        color=GREY,
        label=f"unrelated molecules (mean {mid.unrelated:.2f})",
    )
    ax.set(
        xlabel="quantile",
        ylabel="Tanimoto similarity to the nearer end",
        ylim=(0, 1.02),
        title="Midpoints",
    )
    ax.legend(frameon=False, fontsize=8)


def _properties(ax: Axes, health: Health) -> None:
    for place, found in enumerate(health.properties):
        reference = np.array(found.reference_quantiles)
        if not len(reference) or not found.sample_quantiles:
            continue
        # On the reference's own scale, five properties of different units share one axis.
        low, high = reference[2], reference[-3]
        span = (high - low) or 1.0
        for values, colour, offset in (
            (reference, GREY, 0.17),
            (np.array(found.sample_quantiles), RED, -0.17),
        ):
            scaled = (values - low) / span
            ax.plot(scaled[[2, -3]], [place + offset] * 2, color=colour, linewidth=1.5)
            ax.plot(scaled[[10, 30]], [place + offset] * 2, color=colour, linewidth=6)
            ax.plot(scaled[20], place + offset, "o", color="white", mec=colour, markersize=5)
    names = [f"{p.name}\n{p.relative:.2f} sd" for p in health.properties]
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.set_xticks([0, 1], ["5 %", "95 %"])
    ax.set(
        xlabel="of the reference molecules",
        title="Properties: prior samples (red), reference (grey)",
    )


def _calibration(ax: Axes, health: Health) -> None:
    known = [q for q in health.head if isinstance(q, RegressionQuality) and q.molecules]
    if not known:
        ax.text(0.5, 0.5, "no held-out labels", ha="center", va="center", color=GREY)
        ax.set_axis_off()
        return
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    for quality, colour in zip(known, (BLUE, ORANGE, GREEN, RED) * len(known), strict=False):
        label = f"{quality.name}: R² {quality.r2:.2f}, RMSE {quality.rmse:.3g}"
        ax.plot(LEVELS, quality.coverage, marker="o", markersize=3.5, color=colour, label=label)
    ax.set(
        xlim=(0, 1),
        ylim=(0, 1),
        xlabel="nominal level of the interval",
        ylabel="share of labels inside",
        title="Calibration of the head",
    )
    ax.legend(frameon=False, fontsize=8)


def _wrapped(text: str, width: int = 130) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))
