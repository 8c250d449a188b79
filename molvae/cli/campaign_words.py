"""What ``molvae campaign`` says to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from molvae.cli.common import say

if TYPE_CHECKING:
    from molvae.optimize.campaign import Campaign, Told
    from molvae.optimize.status import Status

SHOWN = 10


def say_told(told: Told, quiet: bool) -> None:
    """Say what became of results, and which of them the search cannot learn from."""
    parts = [
        f"{told.measured:,} values and {told.failed:,} failures recorded",
        f"{told.known:,} were told before" if told.known else "",
        f"{told.blank:,} not measured yet" if told.blank else "",
        f"{told.own:,} molecules of your own" if told.own else "",
    ]
    say("; ".join(part for part in parts if part), quiet)
    for smiles, reason in told.unusable[:SHOWN]:
        say(f"  {smiles} is kept, but the search cannot learn from it: {reason}", quiet)
    if len(told.unusable) > SHOWN:
        say(f"  and {len(told.unusable) - SHOWN:,} more, see `molvae campaign export`", quiet)
    for smiles, assay, values in told.at_odds[:SHOWN]:
        listed = ", ".join(f"{value:.4g}" for value in values)
        say(
            f"  {smiles}: {assay} of {listed} differs more than molecules do; their mean counts: "
            "see that all are of this molecule and in one unit",
            quiet,
        )
    if len(told.at_odds) > SHOWN:
        say(f"  and {len(told.at_odds) - SHOWN:,} more whose values differ so much", quiet)


def status_lines(found: Status) -> dict[str, object]:
    """A campaign's status by what people call it."""
    lines: dict[str, object] = {
        "assay": f"{found.assay}, to {found.direction}",
        "goals": found.goals,
        "molecules tested": found.tested,
        "of them with some assays only": found.partial,
        "of them feasible": found.feasible,
        "measurements": found.measurements,
        "without a value": found.failed,
        "out for testing": found.pending,
        "not for the search": found.unusable,
        "batches of the search": found.batches,
        "standard deviation of a measurement": found.repeat_sd,
    }
    if found.pareto or found.reference:
        lines |= {
            "molecules of the Pareto set": len(found.pareto),
            "hypervolume": found.hypervolume,
            "above the reference point": ", ".join(f"{value:.4g}" for value in found.reference),
        }
    return lines


def best_rows(campaign: Campaign) -> list[dict[str, object]]:
    """The best molecules of a campaign, a row each: their values, and what speaks for them."""
    best = campaign.best(SHOWN)
    marks = campaign.standing().marks(best)
    return [
        {
            **{assay: o.of(i).outcome.value for i, assay in enumerate(campaign.assays)},
            **{name: column[place] for name, column in marks.items()},
            "n": sum(len(o.of(i).values) for i in range(len(campaign.assays))),
            "smiles": o.suggestion.smiles,
        }
        for place, o in enumerate(best)
    ]
