"""Sections of pages on searches of any kind: how far one got, and its Pareto front."""

from __future__ import annotations

import numpy as np

from molvae.optimize.standing import Standing
from molvae.plots import optimisation_curve
from molvae.report.page import Page
from molvae.report.pareto_figures import hypervolume_curve, pareto_front

_VOLUME = (
    "What the feasible molecules dominate above the reference point, in the product of the "
    "objectives' units, molecule by molecule; left of the dotted line the initial design."
)
_FRONT = (
    "Every molecule that has a value of all objectives. No other feasible one is better in one "
    "objective and as good in the others than those of the Pareto set (red)."
)


def draw_progress(page: Page, standing: Standing, start: int, caption: str) -> None:
    """Add the best so far with its ``caption``, or with several objectives the hypervolume and the
    front; the first ``start`` observations are the initial design. Nothing where nothing is told.
    """
    goals = standing.goals
    if not standing.complete.any():
        return
    if len(goals.objectives) == 1:
        values = np.where(standing.shortfall == 0, standing.values[:, 0], np.nan)
        if np.isfinite(values).any():
            maximize = goals.objectives[0].direction == "maximize"
            curve = optimisation_curve(values, maximize=maximize, name=goals.names[0], start=start)
            page.figure(curve, caption)
    else:
        page.figure(hypervolume_curve(standing.curve(), start), _VOLUME)
        chosen = {o.order for o in standing.pareto()}
        best = np.array([o.order in chosen for o in standing.observations])
        page.heading("The Pareto front")
        objectives = standing.values[:, : len(goals.objectives)]
        page.figure(pareto_front(objectives, standing.feasible, best, goals.names), _FRONT)
        where = ", ".join(
            f"{name} {value:.4g}"
            for name, value in zip(goals.names, standing.reference, strict=True)
        )
        page.text(
            f"{len(chosen):,} molecules are in the Pareto set; their hypervolume is "
            f"{standing.hypervolume:.4g} above the reference point ({where})."
        )
    if goals.constraints or goals.filters:
        demands = ", ".join([*map(str, goals.constraints), *goals.restriction.labels])
        share = standing.feasible[standing.complete].mean()
        page.text(f"{share:.0%} of the molecules with a value are feasible: {demands}.")
