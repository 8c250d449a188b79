"""One page on a campaign: how far it is, its molecules, and whether its predictions hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from molvae.chem.smiles import parse_many
from molvae.optimize.campaign import Campaign
from molvae.optimize.measurements import unusable_reason
from molvae.optimize.sheets import id_of
from molvae.optimize.store import Observation, Suggestion
from molvae.report.campaign_figures import latent_map, predicted_against_measured
from molvae.report.page import Page
from molvae.report.standing import draw_progress

DRAWN = 50
"""Molecules that are drawn of each kind at most."""

_PROGRESS = (
    "Every molecule with a value, in the order in which it came up (grey), the best so far, and "
    "the mean of the ten best so far; left of the dotted line what was tested before the search "
    "began: molecules of your own and samples."
)
_PREDICTED = (
    "Each molecule that the search proposed, with what it predicted before the measurement. The "
    "bars are two standard deviations: but for the noise of the measurements, they should reach "
    "the dashed line for 19 of 20."
)
_MAP = (
    "The latent space, seen along the two directions in which the tested molecules differ most. "
    "Neighbours on this map need not be neighbours in all dimensions."
)


def campaign_page(campaign: Campaign) -> Page:
    """The page; sections of which there is nothing to show are left out."""
    status = campaign.status()
    observations, pending = campaign.observations(), campaign.pending()
    of = f" of {status.assay}" if len(campaign.assays) > 1 else ""
    noise = (
        ""
        if np.isnan(status.repeat_sd)
        else f" One measurement{of} has a standard deviation of {status.repeat_sd:.2g}."
    )
    page = Page(
        f"To {campaign.goals}",
        f"{status.tested:,} molecules were tested ({status.measurements:,} measurements), "
        f"{status.failed:,} of them without a value; {status.pending:,} are out for testing."
        + noise,
    )
    standing = campaign.standing()
    if standing.complete.any():
        page.heading("Progress")
        draw_progress(page, standing, sum(o.suggestion.step == 0 for o in observations), _PROGRESS)
    best = campaign.best(DRAWN)
    marks = standing.marks(best)
    rows = [_tested(o, campaign.assays) for o in best]
    for name, column in marks.items():
        rows = [{**row, name: mark} for row, mark in zip(rows, column, strict=True)]
    _draw(page, f"The {len(best)} best molecules", rows)
    _draw(page, "Out for testing", [_untested(s, campaign.assays) for s in pending[:DRAWN]])
    for number, assay in enumerate(campaign.assays):
        _predictions(page, observations, number, assay)
    _map(page, observations, pending, campaign)
    _without_value(page, observations, campaign.assays)
    return page


def _draw(page: Page, title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Draw the molecules that can be drawn, and list the others."""
    if not rows:
        return
    page.heading(title)
    mols = parse_many([row["smiles"] for row in rows])
    page.molecules([row for row, mol in zip(rows, mols, strict=True) if mol is not None])
    page.table([row for row, mol in zip(rows, mols, strict=True) if mol is None])


def _tested(observation: Observation, assays: Sequence[str]) -> dict[str, Any]:
    suggestion = observation.suggestion
    told = [observation.of(number) for number in range(len(assays))]
    return {
        "smiles": suggestion.smiles,
        **{assay: m.outcome.value for assay, m in zip(assays, told, strict=True)},
        "measurements": sum(len(m.values) for m in told),
        **_why(suggestion, assays),
        **({} if suggestion.usable else {"not for the search": unusable_reason(suggestion)}),
    }


def _untested(suggestion: Suggestion, assays: Sequence[str]) -> dict[str, Any]:
    gain = {"expected improvement": suggestion.reason.acquisition}
    return {"smiles": suggestion.smiles, **_why(suggestion, assays), **gain}


def _why(suggestion: Suggestion, assays: Sequence[str]) -> dict[str, Any]:
    reason = suggestion.reason
    facts: dict[str, Any] = {"id": id_of(suggestion), "route": suggestion.origin}
    for number, assay in enumerate(assays):
        value, spread = reason.expected(number)
        if np.isfinite(value):
            name = f"predicted {assay}" if len(assays) > 1 else "predicted"
            facts[name] = f"{value:.3g} ± {spread:.2g}"
    if np.isfinite(reason.feasible):
        facts["probably feasible"] = f"{reason.feasible:.0%}"
    if reason.nearest is not None:
        facts["nearest tested"] = f"{reason.nearest} ({reason.similarity:.2f})"
    return facts


def _predictions(page: Page, observations: Sequence[Observation], number: int, assay: str) -> None:
    """What was predicted of an assay against what was measured, where both are there."""
    pairs = [(o.suggestion.reason.expected(number), o.of(number).outcome) for o in observations]
    found = [(*expected, told.value) for expected, told in pairs if told.ok]
    predicted, uncertainty, measured = np.array(found, float).reshape(-1, 3).T
    there = np.isfinite(predicted)
    if there.sum() < 2:
        return
    predicted, uncertainty, measured = predicted[there], uncertainty[there], measured[there]
    page.heading("Predicted against measured" if number == 0 else f"The same of {assay}")
    error = float(np.sqrt(np.mean((predicted - measured) ** 2)))
    inside = float(np.mean(np.abs(predicted - measured) <= 2 * uncertainty))
    page.figure(predicted_against_measured(predicted, uncertainty, measured, assay), _PREDICTED)
    page.text(
        f"Of {len(predicted):,} molecules {inside:.0%} are within two standard deviations; the "
        f"root-mean-square error is {error:.3g}."
    )


def _map(
    page: Page,
    observations: Sequence[Observation],
    pending: Sequence[Suggestion],
    campaign: Campaign,
) -> None:
    usable = [o for o in observations if o.suggestion.usable]
    if len(usable) < 3:
        return
    page.heading("Where they are in latent space")
    figure = latent_map(
        np.stack([o.suggestion.z for o in usable]),
        np.array([o.outcome.value for o in usable]),
        np.array([s.z for s in pending]),
        campaign.assay,
        maximize=campaign.direction == "maximize",
    )
    page.figure(figure, _MAP)


def _without_value(page: Page, observations: Sequence[Observation], assays: Sequence[str]) -> None:
    """The failures, each with its reason."""
    rows = [
        {
            "id": id_of(o.suggestion),
            "smiles": o.suggestion.smiles,
            "assay": assay,
            "failure": o.of(number).outcome.failure,
        }
        for o in observations
        for number, assay in enumerate(assays)
        if o.of(number).told and not o.of(number).outcome.ok
    ]
    if rows:
        page.heading("Without a value")
        page.table(rows)
