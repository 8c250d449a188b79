"""``molvae fit-oracle``: an objective from a table of measurements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from molvae.cli.common import (
    AsJson,
    Assignments,
    ConfigFile,
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

if TYPE_CHECKING:
    from molvae.oracles.fitted.model import FittedOracle

_SHOWN = 5


def fit_oracle(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="Molecules and measurements: .csv .tsv .sdf .parquet."),
    ],
    label: Annotated[
        str, typer.Option("--label", "-l", help="Column to learn: a quantity, or classes 0 and 1.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Directory of the new oracle.")],
    kind: Annotated[str | None, typer.Option(help="forest, gp or ridge  [default: forest]")] = None,
    features: Annotated[
        str | None,
        typer.Option(help="morgan, descriptors or both  [default: both; morgan for a gp]"),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="regression or classification  [default: as the labels are]"),
    ] = None,
    trees: Annotated[
        int | None, typer.Option(min=1, help="Trees of a forest.  [default: 200]")
    ] = None,
    folds: Annotated[
        int | None, typer.Option(min=2, help="Parts of the cross-validations.  [default: 5]")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads of a forest.  [default: every core]")
    ] = None,
    smiles_column: SmilesColumn = None,
    seed: Seed = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Fit a model to measured labels, to be used as an objective.

    Prints how good it is on molecules that it has not seen, at random and of other scaffolds, and
    writes the oracle as a directory of JSON and plain arrays:
    molvae fit-oracle labels.csv --label pIC50 -o oracle
    """
    from molvae.oracles.fitted.fit import fit_oracle as fit
    from molvae.oracles.fitted.options import FitOptions

    options = settings(
        FitOptions,
        config,
        assignments,
        kind=kind,
        features=features,
        task=task,
        trees=trees,
        folds=folds,
        seed=seed,
    )
    oracle = fit(
        file,
        label,
        output,
        options,
        smiles_column=smiles_column,
        workers=workers,
        progress=show(quiet),
    )
    _say_what_was_read(oracle, quiet)
    if as_json:
        print_json(oracle.report)
    else:
        print_table(_rows(oracle), f"{label} by {oracle.options.kind}, cross-validated")
    say(f"The oracle is in {output}", quiet)


def _say_what_was_read(oracle: FittedOracle, quiet: bool) -> None:
    report = oracle.report
    spread = report["repeated_measurement_std"]
    repeats = f", repeats differ by {spread:.3g} (standard deviation)" if spread else ""
    joined = (
        f", {report['joined']:,} rows averaged into others{repeats}" if report["joined"] else ""
    )
    say(
        f"{report['molecules']:,} molecules from {report['rows']:,} rows{joined}; "
        f"{report['task']} on {report['features']}",
        quiet,
    )
    refused = report["refused"]
    for row in refused[:_SHOWN]:
        say(f"  row {row['row']} is left out: {row['reason']} {row['smiles'][:60]!r}", quiet)
    if len(refused) > _SHOWN:
        say(f"  and {len(refused) - _SHOWN:,} more, see report.json", quiet)


def _rows(oracle: FittedOracle) -> list[dict[str, Any]]:
    rows = []
    for name, measures in oracle.report["cross_validation"].items():
        if measures is not None:
            rows.append({"folds": name, **measures})
    return rows
