"""``molvae optimize``: the molecules that score best, in few evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from molvae.cli.flags import (
    Constraint,
    KeepScaffold,
    KeepSmarts,
    ModelArgument,
    ModelOption,
    Sane,
    Scalarisation,
    SimilarityRange,
    SimilarTo,
    SmilesColumn,
    Typical,
    Weights,
    one_model,
)

if TYPE_CHECKING:
    from molvae.cli.optimize_settings import OptimizeSettings
    from molvae.datasets.corpus import Corpus
    from molvae.optimize.measurements import Measurement
    from molvae.optimize.result import Result

_SHOWN = 10
_DRAWN = 50


def optimize(
    model: ModelArgument = None,
    named: ModelOption = None,
    maximize: Annotated[
        list[str] | None,
        typer.Option(metavar="PROPERTY", help="Property to maximise, such as qed; repeat it."),
    ] = None,
    minimize: Annotated[
        list[str] | None,
        typer.Option(metavar="PROPERTY", help="Property to minimise, such as sa; repeat it."),
    ] = None,
    target: Annotated[
        float | None, typer.Option(help="Maximise the property's closeness to this value.")
    ] = None,
    width: Annotated[
        float | None, typer.Option(help="Distance from the target where closeness is 0.61.")
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(metavar="MODULE:FUNCTION", help="Your own function of a SMILES."),
    ] = None,
    direction: Annotated[
        str | None,
        typer.Option(metavar="maximize|minimize", help="Which way is better, for what you bring."),
    ] = None,
    takes_list: Annotated[
        bool | None,
        typer.Option("--takes-list", help="The function takes a list of SMILES, returns a list."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="A task such as osimertinib_mpo, or a TOML file: see `molvae oracle list`.",
        ),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(metavar="COMMAND", help="Your own program: molecules in, values out."),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(metavar="jsonl|csv", help="How the command is spoken to.  [default: jsonl]"),
    ] = None,
    oracle: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A model made by `molvae fit-oracle`.")
    ] = None,
    pessimism: Annotated[
        float | None,
        typer.Option(help="Standard deviations that the oracle's doubt costs.  [default: 0]"),
    ] = None,
    dock: Annotated[
        str | None, typer.Option(metavar="RECEPTOR", help="Docking score in it, such as DRD2.")
    ] = None,
    exhaustiveness: Annotated[
        int | None, typer.Option(help="Searches for each docked molecule.  [default: 8]")
    ] = None,
    constraint: Constraint = None,
    keep_scaffold: KeepScaffold = None,
    keep_smarts: KeepSmarts = None,
    similar_to: SimilarTo = None,
    similarity: SimilarityRange = None,
    scalarisation: Scalarisation = None,
    weight: Weights = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes that evaluate.  [default: 0, in this one]"),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds that the evaluation of a molecule may take.")
    ] = None,
    memory_mb: Annotated[
        int | None, typer.Option("--memory-mb", help="MiB that an evaluating process may hold.")
    ] = None,
    retries: Annotated[
        int | None, typer.Option(help="Further tries of what failed in passing.  [default: 2]")
    ] = None,
    budget: Annotated[
        int | None, typer.Option(help="Unique molecules to evaluate.  [default: 300]")
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help="Molecules evaluated in each step.  [default: 10; from a budget of 1,000 on, 40 "
            "and growing]"
        ),
    ] = None,
    initial: Annotated[
        int | None,
        typer.Option(
            help="Prior samples evaluated first.  [default: 3 steps, or 0 with --start; from a "
            "budget of 1,000 on, 200]"
        ),
    ] = None,
    candidates: Annotated[
        int | None, typer.Option(help="Candidates of each step.  [default: 600]")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Molecules to begin with; all are evaluated."),
    ] = None,
    known: Annotated[
        str | None,
        typer.Option(
            metavar="TABLE", help="Values known already: learnt from, at no cost to the budget."
        ),
    ] = None,
    known_column: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Their column, if not named like the objective."),
    ] = None,
    smiles_column: SmilesColumn = None,
    sane: Sane = None,
    typical: Typical = None,
    store: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Record of the campaign.  [default: the output, as .sqlite]"
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the recorded campaign, if there is one.")
    ] = False,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Table of all molecules, best first (.csv .tsv .smi .sdf .parquet .jsonl, with "
            "or without .gz); may be repeated; - is standard output.",
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Page (.html) with the run and drawings.")
    ] = None,
    corpus: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Training corpus, to name each one's nearest molecule."),
    ] = None,
    seed: Seed = None,
    device: Device = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Search a model's latent space for the molecules that score best, in few evaluations.

    The objective is a property by name, or several, a function of your own, also from the current
    directory, a program, or a model of measurements:
    molvae optimize MODEL --objective assay:potency --direction maximize -o best.csv
    """
    from molvae.base.files import require_file
    from molvae.cli.optimize_settings import OptimizeSettings
    from molvae.datasets.corpus import Corpus
    from molvae.datasets.writers import check_output

    model = one_model(model, named)
    chosen = settings(
        OptimizeSettings,
        config,
        assignments,
        maximize=maximize or None,
        minimize=minimize or None,
        target=target,
        width=width,
        objective=objective,
        direction=direction,
        takes_list=takes_list,
        task=task,
        command=command,
        protocol=protocol,
        oracle=oracle,
        pessimism=pessimism,
        dock=dock,
        exhaustiveness=exhaustiveness,
        constraint=constraint or None,
        keep_scaffold=keep_scaffold,
        keep_smarts=keep_smarts,
        similar_to=similar_to,
        similarity=similarity,
        scalarisation=scalarisation,
        weights=weight or None,
        workers=workers,
        timeout=timeout,
        memory_mb=memory_mb,
        retries=retries,
        budget=budget,
        batch_size=batch_size,
        initial=initial,
        candidates=candidates,
        start=start,
        known=known,
        known_column=known_column,
        smiles_column=smiles_column,
        sane=sane,
        typical=typical,
        store=store,
        corpus=corpus,
        seed=seed,
        device=device,
    )
    outputs = output or ([] if as_json or report else ["-"])
    for place in outputs:
        for given in (start, known):
            check_output(place, reads=given)
    if report is not None:
        require_file(report)
    files = [Path(place) for place in outputs if place != "-"]
    if chosen.store is None and files:
        chosen = chosen.replace(store=files[0].with_suffix(".sqlite"))
    training = Corpus.open(chosen.corpus) if chosen.corpus is not None else None
    result = _search(model, chosen, resume=resume, quiet=quiet)
    _say_what_was_found(result, quiet)
    _write(result, training, outputs, report, model, quiet)
    if as_json:
        print_json(_summary(result))


def _search(model: str, chosen: OptimizeSettings, *, resume: bool, quiet: bool) -> Result:
    from molvae.cli.objectives import chosen_constraints, chosen_evaluation, chosen_objectives
    from molvae.generator import load
    from molvae.optimize.filtered import filtered, only
    from molvae.optimize.run import optimize as search

    aims = chosen_objectives(chosen, quiet)
    constraints, restriction = chosen_constraints(chosen, aims), chosen.restriction()
    start, known = _start(chosen, quiet), _known(chosen, [aim.name for aim in aims])
    generator = filtered(
        load(model, chosen.device), sane=chosen.sane, typical=chosen.typical, progress=show(quiet)
    )
    demands = ", ".join([*map(str, constraints), *restriction.labels])
    kept = f", with {demands}" if demands else ""
    what = " and ".join(map(str, aims)) + kept
    say(f"to {what}, and nothing else{only(generator)}, in {chosen.budget:,} evaluations", quiet)
    if known:
        say(f"{len(known):,} known values, of {chosen.known}, cost no evaluation", quiet)
    if chosen.store is not None:
        say(f"recorded in {chosen.store}; with --resume it goes on from there", quiet)
    return search(
        generator,
        aims,
        budget=chosen.budget,
        constraints=constraints,
        restriction=restriction,
        start=start,
        known=known,
        store=chosen.store,
        resume=resume,
        progress=show(quiet),
        evaluation=chosen_evaluation(chosen),
        **chosen.given(),
    )


def _start(chosen: OptimizeSettings, quiet: bool) -> list[str]:
    from molvae.datasets.readers import read_molecules

    if chosen.start is None:
        return []
    smiles = []
    for row in read_molecules(chosen.start, smiles_column=chosen.smiles_column):
        if row.problem is None:
            smiles.append(row.smiles)
        else:
            say(f"row {row.number} of {chosen.start} is left out: {row.problem}", quiet)
    return smiles


def _known(chosen: OptimizeSettings, names: list[str]) -> list[Measurement]:
    from molvae.optimize.sheets import read_results

    if chosen.known is None:
        return []
    return read_results(
        chosen.known, names, column=chosen.known_column, smiles_column=chosen.smiles_column
    )


def _say_what_was_found(result: Result, quiet: bool) -> None:
    for text, reason in result.left_out:
        say(f"start molecule {text} is left out: {reason}", quiet)
    for smiles, reason in result.unlearnt:
        say(f"known molecule {smiles} is not learnt from: {reason}", quiet)
    columns = result.columns()
    failures = [
        (s, why) for s, why in zip(columns["smiles"], columns["failure"], strict=True) if why
    ]
    say(
        f"{len(result.observations):,} molecules evaluated, {len(failures):,} without a value; "
        f"{result.stopped}",
        quiet,
    )
    for smiles, why in failures[:_SHOWN]:
        say(f"  {smiles}: {why}", quiet)
    if len(failures) > _SHOWN:
        say(f"  and {len(failures) - _SHOWN:,} more, see --json", quiet)
    _say_what_is_constant(result, quiet)
    if result.several:
        say(
            f"{len(result.pareto()):,} molecules of the Pareto set, hypervolume "
            f"{result.hypervolume:.4g} above {result.reference.tolist()}",
            quiet,
        )
    if not quiet:
        named = result.standing.goals.names if result.several else ("value",)
        shown = [
            {**{n: columns[n][i] for n in named}, "smiles": columns["smiles"][i]}
            for i in range(min(_SHOWN, len(result.complete())))
        ]
        print_table(shown, f"the best, to {result.title}", stderr=True)


def _say_what_is_constant(result: Result, quiet: bool) -> None:
    for number, name in enumerate(result.standing.goals.names):
        outcomes = [o.of(number).outcome for o in result.observations]
        values = [outcome.value for outcome in outcomes if outcome.ok]
        if len(values) > 1 and len(set(values)) == 1:
            say(
                f"all {len(values):,} values are equal: {name} is {values[0]:.4g} of every "
                "molecule, which gives a search nothing to go by",
                quiet,
            )


def _write(
    result: Result,
    corpus: Corpus | None,
    outputs: list[str],
    report: Path | None,
    model: str | Path,
    quiet: bool,
) -> None:
    from molvae.datasets.writers import write_table
    from molvae.report.optimisation import optimisation_page, proposals

    if not outputs and report is None:
        return
    training = [] if corpus is None else corpus.smiles(corpus.indices("train"))
    rows = proposals(result, training, top=len(result.observations), progress=show(quiet))
    if report is not None:
        optimisation_page(result, rows[:_DRAWN], model=model).write(report)
    orders = [o.order for o in result.complete()]
    columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else {})}
    for place in outputs:
        write_table(place, {**columns, "order": orders})


def _summary(result: Result) -> dict[str, Any]:
    several: dict[str, Any] = {}
    if result.goals is not None:
        several["goals"] = result.goals.to_dict()
    if result.several:
        several |= {
            "pareto": [o.suggestion.smiles for o in result.pareto()],
            "hypervolume": result.hypervolume,
            "reference": result.reference,
        }
    return {
        "objective": result.objective.describe(),
        **several,
        "evaluated": len(result.observations),
        "stopped": result.stopped,
        "left_out": result.left_out,
        "curve": result.curve,
        "molecules": result.table().to_dict("records"),
    }
