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
from molvae.plots import optimisation_curve
from molvae.report.campaign_figures import latent_map, predicted_against_measured
from molvae.report.page import Page

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
    noise = (
        ""
        if np.isnan(status.repeat_sd)
        else f" One measurement has a standard deviation of {status.repeat_sd:.2g}."
    )
    page = Page(
        f"To {campaign.direction} {campaign.assay}",
        f"{status.tested:,} molecules were tested ({status.measurements:,} measurements), "
        f"{status.failed:,} of them without a value; {status.pending:,} are out for testing."
        + noise,
    )
    valued = [o for o in observations if o.outcome.ok]
    if valued:
        page.heading("Progress")
        curve = optimisation_curve(
            [o.outcome.value for o in valued],
            maximize=campaign.direction == "maximize",
            name=campaign.assay,
            start=sum(o.suggestion.step == 0 for o in valued),
        )
        page.figure(curve, _PROGRESS)
    best = campaign.best(DRAWN)
    _draw(page, f"The {len(best)} best molecules", [_tested(o, campaign.assay) for o in best])
    _draw(page, "Out for testing", [_untested(s) for s in pending[:DRAWN]])
    _predictions(page, valued, campaign.assay)
    _map(page, observations, pending, campaign)
    _without_value(page, [o for o in observations if not o.outcome.ok])
    return page


def _draw(page: Page, title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Draw the molecules that can be drawn, and list the others."""
    if not rows:
        return
    page.heading(title)
    mols = parse_many([row["smiles"] for row in rows])
    page.molecules([row for row, mol in zip(rows, mols, strict=True) if mol is not None])
    page.table([row for row, mol in zip(rows, mols, strict=True) if mol is None])


def _tested(observation: Observation, assay: str) -> dict[str, Any]:
    suggestion = observation.suggestion
    return {
        "smiles": suggestion.smiles,
        assay: observation.outcome.value,
        "measurements": len(observation.values),
        **_why(suggestion),
        **({} if suggestion.usable else {"not for the search": unusable_reason(suggestion)}),
    }


def _untested(suggestion: Suggestion) -> dict[str, Any]:
    gain = {"expected improvement": suggestion.reason.acquisition}
    return {"smiles": suggestion.smiles, **_why(suggestion), **gain}


def _why(suggestion: Suggestion) -> dict[str, Any]:
    reason = suggestion.reason
    facts: dict[str, Any] = {"id": id_of(suggestion), "route": suggestion.origin}
    if np.isfinite(reason.predicted):
        facts["predicted"] = f"{reason.predicted:.3g} ± {reason.uncertainty:.2g}"
    if reason.nearest is not None:
        facts["nearest tested"] = f"{reason.nearest} ({reason.similarity:.2f})"
    return facts


def _predictions(page: Page, valued: Sequence[Observation], assay: str) -> None:
    found = [o for o in valued if np.isfinite(o.suggestion.reason.predicted)]
    if len(found) < 2:
        return
    predicted = np.array([o.suggestion.reason.predicted for o in found])
    uncertainty = np.array([o.suggestion.reason.uncertainty for o in found])
    measured = np.array([o.outcome.value for o in found])
    page.heading("Predicted against measured")
    error = float(np.sqrt(np.mean((predicted - measured) ** 2)))
    inside = float(np.mean(np.abs(predicted - measured) <= 2 * uncertainty))
    page.figure(predicted_against_measured(predicted, uncertainty, measured, assay), _PREDICTED)
    page.text(
        f"Of {len(found):,} molecules {inside:.0%} are within two standard deviations; the "
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


def _without_value(page: Page, failed: Sequence[Observation]) -> None:
    if failed:
        page.heading("Without a value")
        page.table(
            [
                {
                    "id": id_of(o.suggestion),
                    "smiles": o.suggestion.smiles,
                    "failure": o.outcome.failure,
                }
                for o in failed
            ]
        )
