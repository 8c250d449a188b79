"""What an optimisation proposes: a table of its best molecules, and a page that shows them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molvae.chem.alerts import alerts
from molvae.chem.properties import compute
from molvae.chem.similarity import nearest_molecules
from molvae.chem.smiles import parse
from molvae.plots import training_curves
from molvae.report.page import Page
from molvae.report.standing import draw_progress

if TYPE_CHECKING:
    from molvae.optimize.result import Result

PROPERTIES = ("qed", "logp", "sa", "mw")
"""The descriptors that stand beside every proposal unless others are named."""

_EVERY_EVALUATION = (
    "Every evaluation in the order it was made (grey), the best so far, and the mean of the ten "
    "best so far; left of the dotted line the initial design."
)
_TRAINING = "Losses in nats per molecule, weights and speed over the steps of the training."


def proposals(
    result: Result,
    training: Sequence[str] = (),
    *,
    top: int = 50,
    properties: Sequence[str] = PROPERTIES,
    workers: int | None = None,
    progress: bool | None = None,
) -> list[dict[str, Any]]:
    """The ``top`` best molecules of an optimisation, best first, a row each.

    Columns: ``rank``, ``smiles``, ``value`` of the objective (of several, columns of their names),
    ``feasible`` and ``pareto`` where there are constraints or several, ``properties``, ``alerts``
    (medicinal-chemistry alerts, separated by semicolons), ``origin`` (the route by which the
    molecule was proposed), ``step``, and with ``training`` molecules ``nearest_training`` and
    ``similarity`` to it (Tanimoto, Morgan fingerprints); a similarity of 1 is a known molecule.
    """
    best = result.complete()[:top]
    marks = result.standing.marks(best)
    names = result.standing.goals.names
    smiles = [o.suggestion.smiles for o in best]
    descriptors = compute(smiles, properties, workers=1)
    neighbours, similarity = nearest_molecules(smiles, training, workers=workers, progress=progress)
    rows = []
    for i, found in enumerate(best):
        row: dict[str, Any] = {
            "rank": i + 1,
            "smiles": smiles[i],
            **{
                name if result.several else "value": found.of(j).outcome.value
                for j, name in enumerate(names)
            },
            **{name: column[i] for name, column in marks.items()},
            **{
                name: float(descriptors[i, j])
                for j, name in enumerate(properties)
                if not (result.several and name in names)
            },
            "alerts": "; ".join(alerts(parse(smiles[i]))),
            "origin": found.suggestion.origin,
            "step": found.suggestion.step,
        }
        if training:
            row |= {"nearest_training": neighbours[i], "similarity": float(similarity[i])}
        rows.append(row)
    return rows


def optimisation_page(
    result: Result,
    rows: Sequence[Mapping[str, Any]],
    *,
    model: str | os.PathLike[str] | None = None,
) -> Page:
    """One page on an optimisation: what was optimised, the run's curve, the molecules drawn.

    ``rows`` are :func:`proposals`. With the directory of the ``model``, its training curves close
    the page, if it kept its history.
    """
    standing = result.standing
    failures = len(result.observations) - int(standing.complete.sum())
    page = Page(
        f"To {result.title}",
        f"{len(result.observations):,} molecules were evaluated ({result.stopped}), {failures:,} "
        "of them failed. Nothing but the stated objective was optimised; the other columns are "
        "there to judge the molecules by.",
    )
    page.heading("The run")
    initial = sum(o.suggestion.step == 0 for o in result.observations)
    draw_progress(page, standing, initial, _EVERY_EVALUATION)
    page.heading(f"The {len(rows)} best molecules")
    page.molecules([_card(row) for row in rows])
    history = None if model is None else Path(model) / "history.csv"
    if history is not None and history.is_file():
        page.heading("How the model was trained")
        page.figure(training_curves(history), _TRAINING)
    return page


def _card(row: Mapping[str, Any]) -> dict[str, Any]:
    hidden = {"rank", "nearest_training", "similarity", "step", "alerts"}
    card = {key: value for key, value in row.items() if key not in hidden}
    card["alerts"] = row["alerts"] or "none"
    if "similarity" in row:
        known = row["similarity"] == 1.0 and row["nearest_training"] == row["smiles"]
        card["nearest training molecule"] = (
            "itself" if known else f"{row['nearest_training']} ({row['similarity']:.2f})"
        )
    return card
