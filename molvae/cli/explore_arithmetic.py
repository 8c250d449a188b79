"""``molvae explore arithmetic``: an attribute added to molecules, and how often that succeeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

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
    print_table,
    say,
    settings,
    show,
)
from molvae.cli.flags import Model, Molecules, Picture, Properties, SmilesColumn

if TYPE_CHECKING:
    from molvae.cli.explore_settings import ArithmeticSettings
    from molvae.latent.arithmetic import Change
    from molvae.latent.attributes import Attribute

_DRAWN = 10


def arithmetic(
    model: Model,
    examples: Molecules,
    output: Output = None,
    picture: Picture = None,
    smarts: Annotated[
        str | None, typer.Option("--smarts", help="The attribute: a match of this pattern.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", help="Or a property, --above or --below a value.")
    ] = None,
    above: Annotated[float | None, typer.Option("--above", help="Of --target.")] = None,
    below: Annotated[float | None, typer.Option("--below", help="Of --target.")] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Or a column of FILE that is 1 or 0.")
    ] = None,
    lose: Annotated[
        bool | None, typer.Option("--lose", help="Take the attribute away instead.")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="FILE",
            help="Molecules to give it to.  [default: the held-out examples]",
        ),
    ] = None,
    strengths: Annotated[
        list[float] | None,
        typer.Option(
            "--strength", help="Length of what is added; may be repeated.  [default: 2 3 4 6 8]"
        ),
    ] = None,
    similarity: Annotated[
        float | None,
        typer.Option("--similarity", help="To keep to the start, at least.  [default: 0.4]"),
    ] = None,
    sane: Annotated[
        bool | None,
        typer.Option("--sane/--any", help="Only sane molecules, or any.  [default: sane]"),
    ] = None,
    held_out: Annotated[
        int | None, typer.Option("--held-out", help="Molecules to measure on.  [default: 50]")
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
    """Learn the direction of an attribute from examples in FILE, and add it to molecules.

    A fifth of the examples is held out: on those that lack the attribute its success is measured,
    beside random directions. One row for each molecule; where nothing gave it the attribute the row
    is blank, with the reason on standard error.
    """
    from molvae.cli.explore_settings import ArithmeticSettings
    from molvae.cli.molecules import read_table, tell_reasons, with_properties
    from molvae.datasets.writers import check_output, write_table
    from molvae.generator import load
    from molvae.latent import arithmetic as search

    chosen = settings(
        ArithmeticSettings,
        config,
        assignments,
        smarts=smarts,
        target=target,
        above=above,
        below=below,
        label=label,
        lose=lose,
        to=to,
        strengths=strengths,
        similarity=similarity,
        sane=sane,
        held_out=held_out,
        properties=properties,
        smiles_column=smiles_column,
        seed=seed,
        device=device,
    )
    for given in (examples, to):
        check_output(output or "-", reads=given)
    if picture:
        from molvae.report.strips import check_strips_output

        check_strips_output(picture)
    smiles, attribute = _examples(examples or "-", chosen)
    others = None if chosen.to is None else read_table(chosen.to, chosen.smiles_column)
    generator, limits = load(model, chosen.device), chosen.search()
    direction, success, changes = search.learn_and_measure(
        generator,
        smiles,
        attribute,
        held_out=chosen.held_out,
        search=limits,
        seed=chosen.seed,
        progress=show(quiet),
    )
    if others is not None:
        changes = search.add(
            generator, direction, others.smiles, search=limits, progress=show(quiet)
        )
    columns = with_properties(search.columns_of(changes), chosen.properties)
    if output:
        write_table(output, columns)
    if picture:
        _draw(picture, changes, attribute.name)
    if as_json:
        print_json({"success": asdict(success), "changes": columns})
    else:
        print_table([asdict(success)], f"Towards {attribute.name}")
    reasons = [change.reason for change in changes]
    if others is None:
        numbers, texts = list(range(1, len(changes) + 1)), [str(c.start) for c in changes]
        tell_reasons(reasons, "changed", numbers, texts, quiet)
    else:
        others.tell(reasons, "changed", quiet)
    if attribute.roc_auc == attribute.roc_auc:
        say(
            f"whether a new molecule has {attribute.name} is a guess by its fingerprint, whose "
            f"ROC-AUC on held-out examples is {attribute.roc_auc:.3f}",
            quiet,
        )


def _examples(path: str, chosen: ArithmeticSettings) -> tuple[list[str | None], Attribute]:
    """The examples as SMILES, and the attribute that some of them have."""
    import numpy as np

    from molvae.datasets.readers import read_molecules
    from molvae.latent.attributes import beyond, labelled, pattern

    names = [] if chosen.label is None else [chosen.label]
    rows = [
        row
        for row in read_molecules(path, smiles_column=chosen.smiles_column, labels=names)
        if row.problem is None
    ]
    smiles: list[str | None] = [row.smiles for row in rows]
    if chosen.smarts is not None:
        found = pattern(chosen.smarts)
    elif chosen.target is not None:
        found = beyond(chosen.target, above=chosen.above, below=chosen.below)
    else:
        assert chosen.label is not None
        labels = np.array([row.labels[chosen.label] for row in rows])
        found = labelled(chosen.label, smiles, labels, seed=chosen.seed)
    return smiles, found.lacked() if chosen.lose else found


def _draw(picture: str, changes: Sequence[Change], name: str) -> None:
    from molvae.report.strips import Strip, write_strips

    drawn = [change for change in changes if change.smiles is not None][:_DRAWN]
    strips = [
        Strip(
            str(change.start),
            [change.start, change.smiles],
            ["before", f"strength {change.strength:g}, similarity {change.similarity:.2f}"],
        )
        for change in drawn
    ]
    write_strips(picture, strips, f"Towards {name}", f"The first {len(drawn)} that were changed.")
