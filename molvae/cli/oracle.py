"""``molvae oracle``: the objectives that can be described, and what they say of molecules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from molvae.cli.common import AsJson, Output, Quiet, Verbose, print_json, print_table, say
from molvae.cli.flags import SmilesColumn

if TYPE_CHECKING:
    from molvae.cli.molecules import Table
    from molvae.oracles.compose import Composed, Scores
    from molvae.oracles.description import Composition

app = typer.Typer(help="Describe objectives, and score molecules with them.", no_args_is_help=True)

_SHOWN = 20


@app.command("list")
def list_objectives(as_json: AsJson = False) -> None:
    """List the tasks, and what a description can be made of: parts, modifiers, properties."""
    from molvae.chem.fingerprints import FINGERPRINTS
    from molvae.chem.properties import PROPERTIES
    from molvae.oracles.description import PARTS
    from molvae.oracles.modifiers import MODIFIERS
    from molvae.oracles.tasks import TASKS, task_description

    tasks = {name: task_description(name).about for name in TASKS}
    parts = {kind: _first_line(part.__doc__) for kind, part in PARTS.items()}
    modifiers = {kind: _first_line(made.__doc__) for kind, made in MODIFIERS.items()}
    properties = {
        name: f"{entry.description}{f', {entry.unit}' if entry.unit else ''}"
        for name, entry in PROPERTIES.items()
    }
    tables = {
        "task": tasks,
        "part": parts,
        "modifier": modifiers,
        "property": properties,
        "fingerprint": FINGERPRINTS,
    }
    if as_json:
        print_json(tables)
        return
    for title, lines in tables.items():
        print_table([{title: name, "about": about} for name, about in lines.items()])
        print()


@app.command()
def check(
    objective: Annotated[
        str, typer.Argument(metavar="FILE_OR_TASK", help="TOML description, or name of a task.")
    ],
    molecules: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MOLECULES",
            help="SMILES, or files of them: .smi .csv .tsv .sdf .parquet, also gzipped; - is "
            "standard input.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="MODEL", help="For parts that ask the model's head."),
    ] = None,
    output: Output = None,
    smiles_column: SmilesColumn = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Check a described objective, and score molecules with it, each part by itself.

    A part NAME has the columns NAME (its score) and NAME raw (its value before the modifier). What
    cannot be scored is blank, with the reason on standard error. Without molecules, the parts are
    listed.
    """
    from molvae.cli.objectives import described
    from molvae.datasets.writers import check_output, write_table

    if output:
        for given in molecules or [""]:
            check_output(output, reads=given, computed=True)
    composed = described(objective, model)
    if not molecules:
        _describe(composed, as_json)
        return
    table = _read(molecules, smiles_column)
    scores = composed.score(table.smiles)
    columns = _columns(table, scores)
    if output:
        write_table(output, columns)
    if as_json:
        print_json(columns)
    elif not output:
        _show(table, scores, quiet)
    table.tell(scores.reasons, "scored", quiet)


def _read(molecules: list[str], smiles_column: str | None) -> Table:
    """Files and bare SMILES, in the order given."""
    from molvae.base.errors import InputError
    from molvae.chem.smiles import MoleculeError, parse
    from molvae.cli.molecules import Table, read_table

    whole = Table([], [], [], [], [])
    for text in molecules:
        if text == "-" or (text and Path(text).exists()):
            whole.add(read_table(text, smiles_column))
            continue
        try:
            parse(text)
        except MoleculeError as error:
            raise InputError(
                f"{text!r} is no file, and no molecule either: {error.reason}"
            ) from error
        whole.add(Table([len(whole.texts) + 1], [text], [text], [None], [None]))
    return whole


def _columns(table: Table, scores: Scores) -> dict[str, Any]:
    from molvae.base.errors import ConfigError

    columns: dict[str, Any] = {**table.columns, "total": scores.total}
    for part in scores.parts:
        for name, values in ((part.name, part.score), (f"{part.name} raw", part.raw)):
            if name in columns:
                raise ConfigError(
                    f"part {part.name!r}: the table has a column {name!r} already; give the part "
                    "another name"
                )
            columns[name] = values
    return columns


def _show(table: Table, scores: Scores, quiet: bool) -> None:
    """One row for each molecule; of a part its score, and before it what the modifier took."""
    rows = []
    for row, text in enumerate(table.texts[:_SHOWN]):
        cells: dict[str, Any] = {"molecule": table.names[row] or text}
        cells["total"] = float(scores.total[row])
        for part in scores.parts:
            raw, score = float(part.raw[row]), float(part.score[row])
            modified = part.score is not part.raw and score == score
            cells[part.name] = f"{raw:.4g} -> {score:.4g}" if modified else score
        rows.append(cells)
    print_table(rows)
    if len(table.texts) > _SHOWN:
        rest = len(table.texts) - _SHOWN
        say(f"and {rest:,} more molecules; -o FILE writes all of them", quiet)


def _describe(composed: Composed, as_json: bool) -> None:
    description = composed.description
    if as_json:
        print_json(description.model_dump(mode="json", exclude_none=True))
        return
    mean = f", {description.mean} of {len(description.parts)}" if description.mean else ""
    print_table(list(_lines(description)), f"{composed.objective()}{mean}")
    print("\n".join(["", *filter(None, (description.about, description.source))]))


def _lines(composition: Composition, depth: int = 0) -> list[dict[str, Any]]:
    from molvae.oracles.description import Composition

    found = []
    for part in composition.parts:
        modifier = part.modifier
        given = modifier.model_dump(exclude_none=True, exclude={"kind"}) if modifier else {}
        settings = ", ".join(f"{key} {value}" for key, value in given.items())
        found.append(
            {
                "part": "  " * depth + part.label(),
                "kind": part.kind,
                "weight": part.weight,
                "modifier": f"{modifier.kind}: {settings}" if modifier else "",
            }
        )
        if isinstance(part, Composition):
            found += _lines(part, depth + 1)
    return found


def _first_line(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].replace("``", "").split())
