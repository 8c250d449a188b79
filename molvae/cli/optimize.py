"""`molvae optimize`: Bayesian optimisation of an objective in a model's latent space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from molvae.cli import common

if TYPE_CHECKING:
    from molvae.optimize.config import OptimizeOptions
    from molvae.optimize.result import Result
    from molvae.oracles.objective import Objective

_SHOWN = 10


def optimize(
    model: Annotated[Path | None, typer.Argument(help="Directory of a trained model.")] = None,
    maximize: Annotated[
        str | None, typer.Option(metavar="PROPERTY", help="Property to maximise, as qed.")
    ] = None,
    minimize: Annotated[
        str | None, typer.Option(metavar="PROPERTY", help="Property to minimise, as sa.")
    ] = None,
    target: Annotated[
        float | None, typer.Option(help="Maximise closeness of the property to this value.")
    ] = None,
    width: Annotated[
        float | None, typer.Option(help="Distance from the target at which closeness is 0.61.")
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(metavar="MODULE:FUNCTION", help="Your own function of a SMILES."),
    ] = None,
    direction: Annotated[
        str | None,
        typer.Option(metavar="maximize|minimize", help="Which way is better for --objective."),
    ] = None,
    takes_list: Annotated[
        bool | None,
        typer.Option("--takes-list", help="The function takes a list of SMILES, returns as many."),
    ] = None,
    budget: Annotated[
        int | None, typer.Option(help="Unique molecules to evaluate. (default: 300)")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Molecules evaluated in each step. (default: 10)")
    ] = None,
    initial: Annotated[
        int | None,
        typer.Option(help="Samples evaluated first. (default: 3 batches; none with --start)"),
    ] = None,
    candidates: Annotated[
        int | None, typer.Option(help="Latents decoded in each step. (default: 512)")
    ] = None,
    start: Annotated[
        str | None, typer.Option(metavar="FILE", help="Molecules to begin with; all evaluated.")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(help="Record of the campaign. (default: the output with .sqlite)"),
    ] = None,
    resume: Annotated[
        bool | None, typer.Option("--resume", help="Go on with the recorded campaign, if any.")
    ] = None,
    output: common.Output = None,
    as_json: common.AsJson = False,
    seed: common.Seed = None,
    device: common.Device = None,
    config: common.ConfigFile = None,
    assignments: common.Assignments = None,
    quiet: common.Quiet = False,
    verbose: common.Verbose = False,
) -> None:
    """Find the molecules that score best, in few evaluations.

    Evaluates a property by name, or your own MODULE:FUNCTION, also from the current directory:

        molvae optimize model/ --maximize qed --budget 300 -o best.csv

        molvae optimize model/ --objective assay:potency --direction maximize -o best.csv
    """
    from molvae.optimize.config import OptimizeOptions

    options = common.settings(
        OptimizeOptions,
        config,
        assignments,
        model=model,
        maximize=maximize,
        minimize=minimize,
        target=target,
        width=width,
        objective=objective,
        direction=direction,
        takes_list=takes_list,
        budget=budget,
        batch_size=batch_size,
        initial=initial,
        candidates=candidates,
        start=start,
        store=store,
        resume=resume,
        output=output,
        seed=seed,
        device=device,
    )
    _run(options, as_json=as_json, quiet=quiet)


def _run(options: OptimizeOptions, *, as_json: bool, quiet: bool) -> None:
    from molvae.datasets.writers import write_table
    from molvae.generator import load
    from molvae.optimize.run import optimize as search

    goal = _objective(options)
    start = _start(options.start, quiet)
    place = options.store
    if place is None and options.output != "-":
        place = Path(options.output).with_suffix(".sqlite")
    common.say(f"to {goal}, and nothing else, in {options.budget:,} evaluations", quiet)
    if place is not None:
        common.say(f"recorded in {place}; --resume goes on from there", quiet)
    result = search(
        load(options.model, options.device),
        goal,
        budget=options.budget,
        batch_size=options.batch_size,
        initial=options.initial,
        candidates=options.candidates,
        start=start,
        seed=options.seed,
        store=place,
        resume=options.resume,
        progress=common.show(quiet),
    )
    _report(result, quiet)
    if as_json:
        common.print_json(_summary(result))
    if not (as_json and options.output == "-"):
        write_table(options.output, result.columns())


def _objective(options: OptimizeOptions) -> Objective:
    from molvae.oracles.external import function_objective
    from molvae.oracles.functions import property_objective

    if options.objective is not None and options.direction is not None:
        return function_objective(options.objective, options.direction, batch=options.takes_list)
    if options.maximize is not None:
        return property_objective(
            options.maximize, "maximize", target=options.target, width=options.width
        )
    return property_objective(
        str(options.minimize), "minimize", target=options.target, width=options.width
    )


def _start(path: Path | None, quiet: bool) -> list[str]:
    from molvae.datasets.readers import read_molecules

    smiles = []
    for row in read_molecules(path) if path is not None else ():
        if row.problem is None:
            smiles.append(row.smiles)
        else:
            common.say(f"{path}, row {row.number}, is left out: {row.problem}", quiet)
    return smiles


def _report(result: Result, quiet: bool) -> None:
    for smiles in result.left_out:
        common.say(f"start molecule {smiles} is left out: the model cannot encode it", quiet)
    failures = [o for o in result.observations if not o.outcome.ok]
    common.say(
        f"{len(result.observations):,} molecules evaluated ({result.stopped}), "
        f"{len(failures):,} of them failed",
        quiet,
    )
    for failed in failures[:_SHOWN]:
        common.say(f"  {failed.suggestion.smiles}: {failed.outcome.failure}", quiet)
    if len(failures) > _SHOWN:
        common.say(f"  and {len(failures) - _SHOWN:,} more; see the column failure", quiet)
    if not quiet:
        rows = [{"value": value, "smiles": smiles} for smiles, value in result.top(_SHOWN)]
        common.print_table(rows, f"best, to {result.objective}", stderr=True)


def _summary(result: Result) -> dict[str, Any]:
    return {
        "objective": result.objective.describe(),
        "evaluated": len(result.observations),
        "stopped": result.stopped,
        "left_out": list(result.left_out),
        "curve": result.curve,
        "molecules": result.table().to_dict("records"),
    }
