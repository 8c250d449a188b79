"""``molvae synthesize``: a set that can be shared in the place of one that cannot."""

from __future__ import annotations

from typing import Annotated

import typer

from molvae.cli.common import (
    AsJson,
    Assignments,
    ConfigFile,
    Device,
    Quiet,
    Seed,
    Verbose,
    print_json,
    print_table,
    say,
    settings,
    show,
)
from molvae.cli.flags import SmilesColumn


def synthesize(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="The private table: .csv .tsv .sdf .parquet .smi"),
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", help="Where the synthetic table goes; - is stdout.")
    ],
    model: Annotated[
        str,
        typer.Option("--model", "-m", metavar="MODEL", help="What to start from."),
    ] = "druglike",
    label: Annotated[
        list[str] | None,
        typer.Option("--label", "-l", help="Numeric column to imitate; may be repeated."),
    ] = None,
    properties: Annotated[
        list[str] | None,
        typer.Option("--property", "-p", help="Descriptor to compute and add; may be repeated."),
    ] = None,
    molecules: Annotated[
        int | None,
        typer.Option("--molecules", "-n", help="How many.  [default: as many as in FILE]"),
    ] = None,
    max_similarity: Annotated[
        float | None,
        typer.Option(
            "--max-similarity",
            help="Leave out what is more similar (Tanimoto) to a molecule of FILE.  "
            "[default: 1, only the molecules themselves]",
        ),
    ] = None,
    held_out: Annotated[
        float | None,
        typer.Option("--held-out", help="Share of FILE that only judges.  [default: 0.2]"),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes of the fine-tuning over FILE.  [default: 4]")
    ] = None,
    fcd: Annotated[
        bool | None,
        typer.Option(
            "--fcd/--no-fcd", help="Measure the Fréchet ChemNet distance.  [default: fcd]"
        ),
    ] = None,
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Write the report as a page.")
    ] = None,
    report: Annotated[
        str | None, typer.Option("--report", metavar="FILE", help="Write the report as JSON.")
    ] = None,
    smiles_column: SmilesColumn = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads of a forest.  [default: every core]")
    ] = None,
    seed: Seed = None,
    device: Device = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make molecules with properties that are spread like those of a private table and hold none of
    its molecules, with a report of what is kept and what is given away:
    molvae synthesize private.csv --label pIC50 -o shareable.csv --html report.html
    """
    from molvae.base.files import require_file, write_json
    from molvae.datasets.writers import check_output, write_table
    from molvae.synthesis.options import SynthesisOptions
    from molvae.synthesis.run import synthesize as make

    chosen = settings(
        SynthesisOptions,
        config,
        assignments,
        labels=label,
        properties=properties,
        molecules=molecules,
        max_similarity=max_similarity,
        held_out=held_out,
        epochs=epochs,
        fcd=fcd,
        smiles_column=smiles_column,
        seed=seed,
        device=device,
    )
    check_output(output, reads=file)
    for place in filter(None, (html, report)):
        require_file(place)
    found = make(file, model, chosen, workers=workers, progress=show(quiet))
    from molvae.report.synthesis import synthesis_page, tables

    write_table(output, found.columns)
    if report:
        write_json(report, _without_nan(found.report))
    if html:
        synthesis_page(found).write(html)
    if as_json:
        print_json(found.report)
    elif output != "-":
        for title, rows in tables(found.report).items():
            if rows:
                print_table(rows, title)
    counts = found.report["candidates"]
    say(
        f"{found.report['molecules']:,} molecules of {counts['drawn']:,} drawn; "
        f"{counts['copies']:,} were of the table and {counts['too similar']:,} too similar",
        quiet,
    )
    if found.shortfall:
        say(f"  {found.shortfall}", quiet)
    for row in found.refused[:5]:
        say(f"  row {row.row} is left out: {row.reason} {row.smiles[:60]!r}", quiet)
    if len(found.refused) > 5:
        say(f"  and {len(found.refused) - 5:,} more rows", quiet)


def _without_nan(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and value != value else value
