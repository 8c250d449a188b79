"""``molvae generate``: molecules from the prior, by the thousand or by the million."""

from __future__ import annotations

from typing import Annotated, Any

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
from molvae.cli.flags import (
    BeamWidth,
    Candidates,
    Given,
    Guidance,
    ModelArgument,
    ModelOption,
    Prior,
    Sane,
    Strategy,
    Temperature,
    TopK,
    TopP,
    given_conditions,
    one_model,
)


def generate(
    model: ModelArgument = None,
    named: ModelOption = None,
    molecules: Annotated[
        int | None, typer.Option("--molecules", "-n", help="How many.  [default: 1000]")
    ] = None,
    output: Output = None,
    shards: Annotated[
        str | None,
        typer.Option(
            "--shards",
            metavar="DIR",
            help="Write Parquet shards to a directory instead; the same command completes "
            "a job that was interrupted.",
        ),
    ] = None,
    prior: Prior = None,
    candidates: Candidates = None,
    strategy: Strategy = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    beam_width: BeamWidth = None,
    unique: Annotated[
        bool | None,
        typer.Option("--unique/--repeats", help="Each molecule once.  [default: unique]"),
    ] = None,
    conditions: Given = None,
    guidance: Guidance = None,
    sane: Sane = None,
    properties: Annotated[
        list[str] | None,
        typer.Option("--property", help="Property to compute and write; may be repeated."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", help="Keep only these, as in 'qed>=0.6'; may be repeated."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", help="Processes; the molecules are the same.  [default: all cores]"
        ),
    ] = None,
    seed: Seed = None,
    device: Device = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Draw molecules from a model's prior, with properties and filters.

    A conditional model writes what is asked for: --condition logP=2.5 --condition QED=0.9

    All that leaves is a molecule that RDKit reads and the model can encode again. With a shipped
    model nothing needs training: molvae generate --model moses -n 10000 -o out.csv
    """
    from molvae.base.errors import ConfigError
    from molvae.bulk import Exhausted, collect, generate_shards
    from molvae.cli.settings import GenerateSettings
    from molvae.datasets.writers import check_output, write_table
    from molvae.generator import load
    from molvae.latent.conditions import outside

    model = one_model(model, named)
    chosen = settings(
        GenerateSettings,
        config,
        assignments,
        molecules=molecules,
        prior=prior,
        candidates=candidates,
        strategy=strategy,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        beam_width=beam_width,
        guidance=guidance,
        conditions=given_conditions(conditions),
        unique=unique,
        sane=sane,
        properties=properties,
        where=where,
        workers=workers,
        seed=seed,
        device=device,
    )
    if shards is not None and output is not None:
        raise ConfigError("--shards writes to its directory, and --output to a file: give one")
    check_output(output or "-", computed=bool(chosen.properties))
    generator = load(model, chosen.device, prior=chosen.prior)
    options, progress = chosen.options(), show(quiet)
    for warning in outside(generator.model.conditions, options.conditions):
        say(f"note: {warning}", quiet)
    report: dict[str, Any] = {}
    exhausted: Exhausted | None = None
    if shards is not None:
        summary = generate_shards(
            generator, shards, options, workers=chosen.workers, progress=progress
        )
        place = f"{summary.shards:,} shards in {shards}"
    else:
        try:
            block = collect(generator, options, workers=chosen.workers, progress=progress)
        except Exhausted as error:
            if not error.block or not error.block.smiles:
                raise
            block, exhausted = error.block, error  # what has come is written all the same
        summary = block.summary()
        columns = block.columns(options)
        place = output if output not in (None, "-") else "standard output"
        if place == output or not as_json:
            write_table(output or "-", columns)
        else:
            report["columns"] = columns
    report |= summary.to_dict()
    if as_json:
        print_json(report)
    say(f"{summary.molecules:,} molecules of {summary.drawn:,} draws: {place}", quiet)
    for reason, count in list(summary.rejected.items())[:10]:
        say(f"  {count:,} x {reason}", quiet)
    if exhausted is not None:
        raise exhausted
