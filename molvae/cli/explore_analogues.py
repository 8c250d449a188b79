"""``molvae explore analogues``: relatives of a molecule."""

from __future__ import annotations

from typing import Annotated

import typer

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
    say,
    settings,
    show,
)
from molvae.cli.flags import Model, Picture, Properties, Sane


def analogues(
    model: Model,
    lead: Annotated[str, typer.Argument(metavar="SMILES", help="The molecule.")],
    molecules: Annotated[
        int | None, typer.Option("--molecules", "-n", help="How many, at most.  [default: 50]")
    ] = None,
    output: Output = None,
    picture: Picture = None,
    similarity: Annotated[
        tuple[float, float] | None,
        typer.Option(
            "--similarity",
            metavar="LOW HIGH",
            help="Tanimoto similarities to it (Morgan, radius 2).  [default: 0.4 1]",
        ),
    ] = None,
    keep_scaffold: Annotated[
        bool | None, typer.Option("--keep-scaffold", help="Only with its Murcko scaffold.")
    ] = None,
    sane: Sane = None,
    diverse: Annotated[
        bool | None,
        typer.Option(
            "--diverse/--nearest",
            help="The most unlike each other, or the most similar to it.  [default: nearest]",
        ),
    ] = None,
    properties: Properties = None,
    seed: Seed = None,
    device: Device = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write distinct relatives of a molecule that the model finds near it, ranked.

    Fewer than asked for where many draws find no more.
    """
    from molvae.cli.explore_settings import AnaloguesSettings
    from molvae.cli.molecules import with_properties
    from molvae.datasets.writers import check_output, write_table
    from molvae.generator import load
    from molvae.latent import analogues as search

    chosen = settings(
        AnaloguesSettings,
        config,
        assignments,
        molecules=molecules,
        similarity=similarity,
        keep_scaffold=keep_scaffold,
        sane=sane,
        diverse=diverse,
        properties=properties,
        seed=seed,
        device=device,
    )
    check_output(output or "-")
    if picture:
        from molvae.report.strips import check_strips_output

        check_strips_output(picture)
    found = search.analogues(
        load(model, chosen.device),
        lead,
        chosen.molecules,
        similarity=chosen.similarity,
        keep_scaffold=chosen.keep_scaffold,
        sane=chosen.sane,
        diverse=chosen.diverse,
        seed=chosen.seed,
        progress=show(quiet),
    )
    columns = with_properties(found.columns(), chosen.properties)
    if picture:
        from molvae.report.strips import write_molecules

        legends = ["the lead", *(f"{value:.2f}" for value in found.similarity)]
        title = f"{len(found.smiles)} analogues of {found.lead}"
        write_molecules(picture, [found.lead, *found.smiles], legends, title)
    if output or not as_json:
        write_table(output or "-", columns)
    if as_json:
        print_json(columns)
    say(
        f"{len(found.smiles):,} of {chosen.molecules:,} analogues, from {found.found:,} distinct "
        f"ones in {found.drawn:,} draws",
        quiet,
    )
