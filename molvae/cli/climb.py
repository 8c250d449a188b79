"""``molvae climb``: molecules changed along the gradient of the property head."""

from __future__ import annotations

from collections.abc import Sequence
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
from molvae.cli.flags import ModelArgument, ModelOption, Picture, SmilesColumn, one_model


def climb(
    model: ModelArgument = None,
    named: ModelOption = None,
    target: Annotated[
        str | None, typer.Option("--target", help="The property, as the model's head names it.")
    ] = None,
    direction: Annotated[
        str | None, typer.Option("--direction", metavar="maximize|minimize", help="Which way.")
    ] = None,
    value: Annotated[
        float | None, typer.Option("--value", help="The value wanted, instead of a direction.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--start",
            metavar="FILE",
            help="Molecules to set out from; - is standard input.  [default: samples of the prior]",
        ),
    ] = None,
    molecules: Annotated[
        int | None,
        typer.Option("--molecules", "-n", help="How many samples to set out from.  [default: 100]"),
    ] = None,
    output: Output = None,
    picture: Picture = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="Steps of the ascent.  [default: 50]")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", help="Length of a step in a dimension.  [default: 0.05]"),
    ] = None,
    penalty: Annotated[
        float | None,
        typer.Option(
            "--penalty",
            help="Weight of what keeps z where the decoder is reliable; 0 for none.  "
            "[default: 0.01]",
        ),
    ] = None,
    paths: Annotated[
        bool | None,
        typer.Option("--paths/--best", help="All kept steps, or the best.  [default: best]"),
    ] = None,
    smiles_column: SmilesColumn = None,
    seed: Seed = None,
    device: Device = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Change molecules along the gradient of the model's property head; no objective is called.

    One row for each start: the molecule on its path that the head likes best, and what it predicts
    for the start, for the latent that was asked, and for the molecule itself. Step 0 is the start
    itself, unchanged. A start that cannot be encoded is blank, with the reason on standard error;
    one that does not come back from the latent space is named there, and start_decoded says what
    it decodes to. With --paths a row for every kept step.
    With --picture the first ten paths are drawn, each from its start to the molecule liked best.
    """  # fmt: skip
    from molvae.cli.molecules import read_table, tell_reasons, tell_rows
    from molvae.cli.settings import ClimbSettings
    from molvae.datasets.writers import check_output, write_table
    from molvae.generator import load
    from molvae.latent.ascent import climb as climb_paths
    from molvae.latent.paths import columns_of

    model = one_model(model, named)
    chosen = settings(
        ClimbSettings,
        config,
        assignments,
        target=target,
        direction=direction,
        value=value,
        start=start,
        molecules=molecules,
        steps=steps,
        rate=rate,
        penalty=penalty,
        paths=paths,
        smiles_column=smiles_column,
        seed=seed,
        device=device,
    )
    check_output(output or "-", reads=start)
    if picture:
        from molvae.report.strips import check_strips_output

        check_strips_output(picture)
    table = None if chosen.start is None else read_table(chosen.start, chosen.smiles_column)
    found = climb_paths(
        load(model, chosen.device),
        None if table is None else table.smiles,
        chosen.target,
        chosen.way,
        n=chosen.samples,
        steps=chosen.steps,
        rate=chosen.rate,
        penalty=chosen.penalty,
        seed=chosen.seed,
        progress=show(quiet),
    )
    columns = columns_of(found, chosen.target, whole=chosen.paths)
    if picture:
        from molvae.report.climbs import write_climbs

        write_climbs(picture, found, chosen.target)
    if output or not as_json:
        write_table(output or "-", columns)
    if as_json:
        print_json(columns)
    reasons = [path.reason for path in found]
    numbers: Sequence[int] = range(1, len(found) + 1)
    if table is None:
        tell_reasons(reasons, "encoded", numbers, quiet=quiet)
    else:
        table.tell(reasons, "encoded", quiet, some=True)
        numbers = table.numbers
    lost = [f"it decodes to {p.back or 'no molecule'}" if p.lost else None for p in found]
    if any(lost):
        say(
            f"{sum(path.lost for path in found):,} of {len(found):,} starts did not come back from "
            "this model's latent space; what they decode to is no gain:",
            quiet,
        )
        tell_rows(lost, numbers, [str(path.start) for path in found], quiet)
    best = [path.best for path in found if path.best is not None]
    climbed = sum(step > 0 for step in best)
    say(
        f"{climbed:,} of {len(found):,} climbed to another molecule, {len(best) - climbed:,} "
        "stayed unchanged",
        quiet,
    )
