"""``molvae evaluate``: how good are these molecules, or those that a model draws?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

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
from molvae.cli.flags import Candidates, Prior, SmilesColumn, Temperature

if TYPE_CHECKING:
    from molvae.metrics.evaluation import Evaluation

DECIMALS = 4


def evaluate(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]",
            help="Molecules to judge: .smi .csv .tsv .sdf .parquet, also gzipped; - is standard "
            "input. Without it --model draws them.",
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            "-r",
            help="moses, another public data set, a file of molecules or a corpus.  "
            "[default: moses]",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="Directory of a trained model, or name of a shipped one: its latent space is "
            "measured too.",
        ),
    ] = None,
    molecules: Annotated[
        int | None,
        typer.Option(
            "--molecules",
            "-n",
            help="How many are judged: the first of FILE, or drawn from the model.  "
            "[default: all of FILE; 30000 drawn]",
        ),
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="10,000 molecules and fewer comparisons.")
    ] = False,
    held_out: Annotated[
        str | None,
        typer.Option(
            "--held-out",
            metavar="FILE",
            help="Molecules that the model has not seen.  [default: of its corpus, else of the "
            "reference]",
        ),
    ] = None,
    yardstick: Annotated[
        bool | None,
        typer.Option(
            "--yardstick/--no-yardstick",
            help="Judge training molecules beside them (once, then kept).  [default: yardstick]",
        ),
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Write everything as JSON to this file.")
    ] = None,
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Write a page with figures.")
    ] = None,
    smiles_column: SmilesColumn = None,
    prior: Prior = None,
    candidates: Candidates = None,
    temperature: Temperature = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes.  [default: all cores]")
    ] = None,
    seed: Seed = None,
    device: Device = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Judge molecules by the measures of MOSES and GuacaMol, and by what those leave out.

    The statistics of the reference are computed once and kept in the data cache.
    """
    from molvae.base.files import require_file, write_json
    from molvae.cli.evaluate_settings import EvaluateSettings, judge

    chosen = settings(
        EvaluateSettings,
        config,
        assignments,
        molecules=molecules,
        fast=fast or None,
        reference=reference,
        held_out=held_out,
        yardstick=yardstick,
        smiles_column=smiles_column,
        prior=prior,
        candidates=candidates,
        temperature=temperature,
        workers=workers,
        seed=seed,
        device=device,
    )
    for place in filter(None, (output, html)):
        require_file(place)
    found = judge(
        chosen, file, model, progress=show(quiet), tell=lambda message: say(message, quiet)
    )
    if output:
        write_json(output, found.to_dict())
    if html:
        from molvae.report.evaluation import evaluation_page

        evaluation_page(found, file or model or "").write(html)
    if as_json:
        print_json(found.to_dict())
    else:
        _print(found)


def _print(found: Evaluation) -> None:
    beside = f"reference ({found.yardstick:,})" if found.yardstick else "reference"
    for group in dict.fromkeys(measure.group for measure in found.measures):
        rows = [measure for measure in found.measures if measure.group == group]
        if group == "model":
            print_table([{"": m.name, "value": _number(m.value)} for m in rows], "The model")
            continue
        print_table(
            [
                {
                    "": m.name,
                    "better": m.better,
                    beside: _number(m.reference),
                    f"ours ({found.valid:,})": _number(m.value),
                }
                for m in rows
            ],
            {"beyond": "What those leave out"}.get(group, group),
        )
    for note in found.notes:
        print(f"  {note}")


def _number(value: float) -> str:
    return "" if value != value else f"{value:.{DECIMALS}f}"
