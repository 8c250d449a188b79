"""``molvae explore interpolate``: molecules on the way from one to another."""

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
)
from molvae.cli.flags import Model, Picture, Properties, SmilesColumn


def interpolate(
    model: Model,
    first: Annotated[str, typer.Argument(metavar="A", help="SMILES to set out from.")],
    second: Annotated[str, typer.Argument(metavar="B", help="SMILES to reach.")],
    output: Output = None,
    picture: Picture = None,
    way: Annotated[
        str | None,
        typer.Option("--way", metavar="linear|spherical|dense", help="How.  [default: linear]"),
    ] = None,
    points: Annotated[
        int | None,
        typer.Option("--points", help="Both ends included, not for dense.  [default: 11]"),
    ] = None,
    through: Annotated[
        str | None,
        typer.Option(
            "--through", metavar="FILE", help="Known molecules over which a dense way may go."
        ),
    ] = None,
    distinct: Annotated[
        bool | None,
        typer.Option("--distinct/--all", help="Leave out repeats in a row.  [default: all]"),
    ] = None,
    properties: Properties = None,
    smiles_column: SmilesColumn = None,
    seed: Seed = None,
    device: Device = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write the molecules on the way from A to B, how similar each is to both, and if it is sane.

    The way is a straight line, a great circle, or goes over the latents of real molecules only
    (dense). An end that a line or circle does not come to is named on standard error.
    """
    from molvae.cli.explore_settings import InterpolateSettings
    from molvae.cli.molecules import read_table, with_properties
    from molvae.datasets.writers import check_output, write_table
    from molvae.generator import load
    from molvae.latent import interpolation

    chosen = settings(
        InterpolateSettings,
        config,
        assignments,
        way=way,
        points=points,
        through=through,
        distinct=distinct,
        properties=properties,
        smiles_column=smiles_column,
        seed=seed,
        device=device,
    )
    check_output(output or "-")
    if picture:
        from molvae.report.strips import check_strips_output

        check_strips_output(picture)
    known = read_table(chosen.through, chosen.smiles_column).smiles if chosen.through else []
    found = interpolation.interpolate(
        load(model, chosen.device),
        first,
        second,
        points=chosen.points,
        way=chosen.way,
        through=[s for s in known if s is not None],
        seed=chosen.seed,
    )
    found = found.distinct() if chosen.distinct else found
    columns = with_properties(found.columns(), chosen.properties)
    if picture:
        from molvae.report.strips import Strip, write_strips

        legends = [
            f"{i}: {a:.2f}, {b:.2f}"
            for i, (a, b) in enumerate(zip(found.to_first, found.to_second, strict=True))
        ]
        lead = "Below each point its similarity to the first and to the last molecule."
        strip = Strip(f"{chosen.way}: {first} to {second}", found.smiles, legends)
        write_strips(picture, [strip], "From one molecule to another", lead)
    if output or not as_json:
        write_table(output or "-", columns)
    if as_json:
        print_json(columns)
    for sentence in found.lost_ends():
        say(sentence, quiet)
    inner = found.sane[1:-1]
    say(
        f"{len(found.smiles)} points, {len(found.distinct().smiles)} after joining repeats; "
        f"{inner.sum()} of the {len(inner)} between the ends are sane",
        quiet,
    )
