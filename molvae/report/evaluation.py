"""A page on an evaluation: the table of measures, distributions beside the reference, molecules."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from molvae.chem.properties import compute
from molvae.metrics.distributions import Distribution
from molvae.metrics.evaluation import Evaluation, Measure
from molvae.plots import GREY, RED
from molvae.report.page import Page

GROUPS = {
    "MOSES": "The measures of MOSES",
    "GuacaMol": "The distribution benchmarks of GuacaMol",
    "beyond": "What those leave out",
    "model": "The model's latent space",
}
_CARD = ("qed", "logp", "sa", "mw")


def evaluation_page(found: Evaluation, source: str = "") -> Page:
    """One page on an evaluation; ``source`` says where the molecules come from."""
    of = f" of {source}" if source else ""
    sets = ", ".join(f"{k} {v:,}" for k, v in found.reference.items() if k != "name")
    page = Page(
        f"{found.molecules:,} molecules{of}, judged",
        f"{found.valid:,} of {found.molecules:,} texts are valid molecules. They are compared with "
        f"{found.reference['name']} ({sets} molecules).",
    )
    for group, title in GROUPS.items():
        rows = [measure for measure in found.measures if measure.group == group]
        if rows:
            page.heading(title)
            page.table([_row(measure, found.yardstick) for measure in rows])
    for note in found.notes:
        page.text(note[0].upper() + note[1:] + ".")
    page.heading("Distributions")
    page.figure(
        distributions_figure(found.distributions),
        "Shares of the molecules (red) and of the reference (grey); the number is the first "
        "Wasserstein distance, in the quantity's unit.",
    )
    page.heading(f"{len(found.examples)} of the molecules, at random")
    values = compute(found.examples, _CARD, progress=False)
    page.molecules(
        [
            {"smiles": smiles, **dict(zip(_CARD, map(float, row), strict=True))}
            for smiles, row in zip(found.examples, values, strict=True)
        ]
    )
    return page


def distributions_figure(found: tuple[Distribution, ...]) -> Figure:
    """A panel for each distribution, four in a row."""
    width = min(4, len(found))
    height = -(-len(found) // width)
    figure = Figure(figsize=(3.6 * width, 2.7 * height), layout="constrained")
    axes = figure.subplots(height, width, squeeze=False).ravel().tolist()
    for ax, one in zip(axes, found, strict=False):
        _panel(ax, one)
    for ax in axes[len(found) :]:
        ax.remove()
    return figure


def _panel(ax: Axes, one: Distribution) -> None:
    edges = np.array(one.edges)
    if one.reference:
        ax.stairs(one.reference, edges, fill=True, color=GREY, alpha=0.45)
    if one.sample:
        ax.stairs(one.sample, edges, color=RED, linewidth=1.4)
    title = one.title if one.distance != one.distance else f"{one.title}: {one.distance:.3g}"
    ax.set_title(title, fontsize=9)
    ax.set_yticks([])
    ax.set_ylim(bottom=0)
    ax.tick_params(labelsize=8)


def _row(measure: Measure, yardstick: int) -> dict[str, object]:
    row: dict[str, object] = {"measure": measure.name, "better": measure.better or "–"}
    if measure.group == "model":
        return row | {"value": measure.value}
    beside = f"reference ({yardstick:,})" if yardstick else "reference"
    return row | {beside: _four(measure.reference), "ours": _four(measure.value)}


def _four(value: float) -> str:
    return "–" if value != value else f"{value:.4f}"
