"""``molvae campaign``: molecules to test, what came of them, and again, with a laboratory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from molvae.cli.campaign_words import best_rows, say_told, status_lines
from molvae.cli.common import (
    AsJson,
    Assignments,
    ConfigFile,
    Device,
    Output,
    Quiet,
    Seed,
    Verbose,
    print_json,
    print_table,
    say,
    settings,
)
from molvae.cli.flags import (
    Constraint,
    KeepScaffold,
    KeepSmarts,
    Sane,
    Scalarisation,
    SimilarityRange,
    SimilarTo,
    SmilesColumn,
    Typical,
    Weights,
)

if TYPE_CHECKING:
    from molvae.optimize.campaign import Campaign
    from molvae.optimize.proposals import MoleculeGenerator

app = typer.Typer(
    help="Find better molecules with a laboratory: ask for some, tell what was measured, repeat.",
    no_args_is_help=True,
)

CampaignFile = Annotated[
    Path, typer.Argument(metavar="CAMPAIGN", help="The campaign's file, such as pic50.sqlite.")
]
Moved = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="MODEL", help="The model, if it is elsewhere now."),
]


@app.command()
def new(
    campaign: CampaignFile,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="MODEL", help="Directory or name of the model."),
    ] = None,
    assay: Annotated[
        str | None, typer.Option(metavar="NAME", help="What is measured: its column in tables.")
    ] = None,
    direction: Annotated[
        str | None, typer.Option(metavar="maximize|minimize", help="Which way is better.")
    ] = None,
    maximize: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="An assay to maximise, in place of --assay; repeat it."),
    ] = None,
    minimize: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="An assay to minimise; several are weighed together."),
    ] = None,
    constraint: Constraint = None,
    measured: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="What must hold of an assay that is no objective: 'solubility >= 50'.",
        ),
    ] = None,
    keep_scaffold: KeepScaffold = None,
    keep_smarts: KeepSmarts = None,
    similar_to: SimilarTo = None,
    similarity: SimilarityRange = None,
    scalarisation: Scalarisation = None,
    weight: Weights = None,
    start: Annotated[
        str | None, typer.Option(metavar="FILE", help="Molecules to test first, such as a series.")
    ] = None,
    smiles_column: SmilesColumn = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Molecules in a batch.  [default: 10]")
    ] = None,
    initial: Annotated[
        int | None,
        typer.Option(
            help="Prior samples tested first.  [default: 3 batches; 0 with molecules of your own]"
        ),
    ] = None,
    candidates: Annotated[
        int | None, typer.Option(help="Candidates for a batch.  [default: 600]")
    ] = None,
    sane: Sane = None,
    typical: Typical = None,
    seed: Seed = None,
    device: Device = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Begin a campaign. Then `tell` it the molecules you know already, and `ask`."""
    from molvae.cli.campaign_settings import CampaignSettings
    from molvae.cli.molecules import read_table
    from molvae.optimize.campaign import Campaign

    chosen = settings(
        CampaignSettings,
        config,
        assignments,
        model=model,
        assay=assay,
        direction=direction,
        maximize=maximize or None,
        minimize=minimize or None,
        constraint=constraint or None,
        measured=measured or None,
        keep_scaffold=keep_scaffold,
        keep_smarts=keep_smarts,
        similar_to=similar_to,
        similarity=similarity,
        scalarisation=scalarisation,
        weights=weight or None,
        start=start,
        smiles_column=smiles_column,
        batch_size=batch_size,
        initial=initial,
        candidates=candidates,
        sane=sane,
        typical=typical,
        seed=seed,
        device=device,
    )
    first = []
    if chosen.start is not None:
        table = read_table(chosen.start, chosen.smiles_column)
        table.tell(table.problems, "read", quiet)
        first = [text for text in table.smiles if text is not None]
    place = str(Path(chosen.model).resolve()) if Path(chosen.model).exists() else chosen.model
    begun = Campaign.new(
        campaign,
        _generator(place, chosen.sane, chosen.typical, chosen.device),
        goals=chosen.goals(),
        config=chosen.search(),
        start=first,
        notes={"model": place, "sane": chosen.sane, "typical": chosen.typical},
    )
    with begun:
        for text, reason in begun.left_out():
            say(f"start molecule {text} is left out: {reason}", quiet)
        say(f"{campaign}: to {begun.goals}; now tell or ask", quiet)


@app.command()
def ask(
    campaign: CampaignFile,
    n: Annotated[
        int | None, typer.Option("-n", help="How many molecules.  [default: a batch]")
    ] = None,
    output: Output = None,
    again: Annotated[
        bool,
        typer.Option("--pending", help="Write what is out for testing again; ask for nothing new."),
    ] = False,
    model: Moved = None,
    device: Device = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Ask for the molecules to test next: a table with the reason for each, and an empty column
    for each assay.

    Fill in that column and `tell` the table: a number; nothing where it is not measured yet;
    'failed', with the reason if you like, for what could not be made or measured.
    """
    from molvae.datasets.writers import check_output, write_table
    from molvae.optimize.campaign import Campaign
    from molvae.optimize.sheets import batch_columns

    place = output or "-"
    check_output(place)
    if again:
        with Campaign.open(campaign) as opened:
            _keep_untold(opened, place)
            write_table(place, batch_columns(opened.pending(), opened.assays))
        return
    with _open(campaign, model, device) as opened:
        _keep_untold(opened, place)
        batch = opened.propose(n)
        # The table first: whoever is killed here asks again, and gets the same molecules.
        write_table(place, batch_columns(batch, opened.assays))
        opened.record(batch)
        size = opened.config.batch_size if n is None else n
    few = "" if len(batch) == size else "; the model has no more new molecules"
    say(f"{len(batch):,} molecules to test{few}", quiet)


@app.command()
def tell(
    campaign: CampaignFile,
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="Molecules with what was measured.")
    ],
    column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its column, if not named like the assay.")
    ] = None,
    smiles_column: SmilesColumn = None,
    repeats: Annotated[
        bool,
        typer.Option("--repeats", help="Values told before are new measurements that are equal."),
    ] = False,
    model: Moved = None,
    device: Device = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Tell what was measured, of molecules asked for or of your own, as often as you like.

    A table may be told again when more of it is filled in: what was told before counts once.
    Several values of a molecule are averaged.
    """
    from molvae.optimize.sheets import read_results

    with _open(campaign, model, device) as opened:
        results = read_results(table, opened.assays, column=column, smiles_column=smiles_column)
        told = opened.tell(results, skip_known=not repeats)
        there = {measurement.assay for measurement in results}
        missing = [assay for assay in opened.assays if assay not in there]
    if missing:
        say(f"{table} has no column {' and no column '.join(missing)}", quiet)
    say_told(told, quiet)


@app.command()
def status(campaign: CampaignFile, as_json: AsJson = False, verbose: Verbose = False) -> None:
    """Say where a campaign stands."""
    from dataclasses import asdict

    from molvae.optimize.campaign import Campaign

    with Campaign.open(campaign) as opened:
        found = opened.status()
        rows = best_rows(opened)
    if as_json:
        print_json(asdict(found))
        return
    print_table([{"campaign": key, "": value} for key, value in status_lines(found).items()])
    if rows:
        print()
        print_table(rows, f"the best, to {found.goals}")


@app.command()
def export(
    campaign: CampaignFile, output: Output = None, quiet: Quiet = False, verbose: Verbose = False
) -> None:
    """Write everything told as a table, best first."""
    from molvae.datasets.writers import check_output, write_table
    from molvae.optimize.campaign import Campaign
    from molvae.optimize.sheets import export_columns

    place = output or "-"
    check_output(place)
    with Campaign.open(campaign) as opened:
        observations = opened.observations()
        write_table(place, export_columns(observations, opened.goals))
    say(f"{len(observations):,} molecules", quiet or place == "-")


@app.command()
def report(
    campaign: CampaignFile,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Page (.html).")],
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write one page: progress, Pareto front, molecules, predicted against measured, latent map."""
    from molvae.base.files import require_file
    from molvae.optimize.campaign import Campaign
    from molvae.report.campaign import campaign_page

    require_file(output)
    with Campaign.open(campaign) as opened:
        page = campaign_page(opened)
    page.write(output)
    say(f"written to {output}", quiet)


@contextmanager
def _open(campaign: Path, model: str | None, device: str | None) -> Iterator[Campaign]:
    """The campaign with the model that it was begun with."""
    from molvae.base.errors import ConfigError
    from molvae.optimize.campaign import Campaign
    from molvae.optimize.database import shown

    with Campaign.open(campaign) as opened:
        notes, begun_with = opened.notes, opened.fingerprint
    place = model or notes.get("model")
    if place is None:
        raise ConfigError(f"campaign {campaign} does not say which model it is of; give --model")
    kept = notes.get("sane", False), notes.get("typical")
    generator = _generator(place, *kept, device or "auto")
    if generator.fingerprint != begun_with:
        was = notes.get("model", "another one")
        raise ConfigError(
            f"campaign {campaign} is one of the model {was}, not of {place} (their fingerprints: "
            f"{shown(begun_with)} and {shown(generator.fingerprint)}); name a place where that "
            "model is, or begin another campaign"
        )
    with Campaign.open(campaign, generator) as opened:
        yield opened


def _generator(model: str, sane: bool, typical: float | None, device: str) -> MoleculeGenerator:
    from molvae.generator import load
    from molvae.optimize.filtered import filtered

    return filtered(load(model, device), sane=sane, typical=typical)


def _keep_untold(campaign: Campaign, place: str) -> None:
    """Refuse to write over a table with values that the campaign has not been told."""
    from molvae.base.errors import FileError, InputError
    from molvae.optimize.sheets import read_results

    if place == "-" or not Path(place).is_file():
        return
    try:
        results = read_results(place, campaign.assays)
    except InputError:  # it has no molecules, or no such column: nothing of this campaign
        return
    try:
        kept = campaign.untold(results) == 0
    except InputError:  # values that cannot be told as they are
        kept = False
    if not kept:
        raise FileError(
            f"{place} has values in column {' or '.join(map(repr, campaign.assays))} that were not "
            "told; tell them, or choose another name"
        )
