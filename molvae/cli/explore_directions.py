"""``molvae explore directions``: which latent dimensions carry which property."""

from __future__ import annotations

from collections.abc import Mapping
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
    settings,
)
from molvae.cli.flags import Model, Molecules, Picture, Properties, SmilesColumn

if TYPE_CHECKING:
    import numpy as np

    from molvae.cli.explore_settings import DirectionsSettings
    from molvae.generator import Generator
    from molvae.latent.traversal import Carried

_STOPS = 7


def directions(
    model: Model,
    file: Molecules,
    output: Output = None,
    picture: Picture = None,
    properties: Properties = None,
    along: Annotated[
        str | None,
        typer.Option(
            "--along", metavar="SMILES", help="Molecule to draw.  [default: the first of FILE]"
        ),
    ] = None,
    width: Annotated[
        float | None,
        typer.Option(
            "--width",
            help="How far to draw on either side, in standard deviations of the dimension.  "
            "[default: 3]",
        ),
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
    """Say for each property which latent dimension tells most of it, and if it is the only one.

    The mutual information gap is 1 where a property lies in one dimension alone and 0 where two
    tell as much. With --picture a molecule is drawn along that dimension, and along the direction
    in which all of them vary with the property.
    """
    from molvae.cli.explore_settings import DirectionsSettings
    from molvae.cli.molecules import read_table
    from molvae.datasets.writers import check_output, write_table
    from molvae.generator import load
    from molvae.latent import traversal

    chosen = settings(
        DirectionsSettings,
        config,
        assignments,
        properties=properties,
        along=along,
        width=width,
        smiles_column=smiles_column,
        seed=seed,
        device=device,
    )
    check_output(output or "-", reads=file)
    if picture:
        from molvae.report.strips import check_strips_output

        check_strips_output(picture)
    from molvae.chem.properties import compute

    table = read_table(file or "-", chosen.smiles_column)
    generator = load(model, chosen.device)
    posterior = generator.posterior(table.smiles)
    values = compute(table.smiles, chosen.properties, progress=False).T
    named = dict(zip(chosen.properties, values, strict=True))
    found = traversal.carried(posterior.mean, named, seed=chosen.seed)
    columns = traversal.columns_of(found)
    if output:
        write_table(output, columns)
    if picture:
        start = chosen.along or next(
            s for s, r in zip(table.smiles, posterior.reasons, strict=True) if s and r is None
        )
        _draw(picture, generator, found, posterior.mean, named, start, chosen)
    if as_json:
        print_json(columns)
    else:
        rows = [{k: v[i] for k, v in columns.items()} for i in range(len(found))]
        print_table(rows)
    table.tell(posterior.reasons, "encoded", quiet)


def _draw(
    picture: str,
    generator: Generator,
    found: list[Carried],
    latents: np.ndarray,
    values: Mapping[str, np.ndarray],
    start: str,
    chosen: DirectionsSettings,
) -> None:
    import numpy as np

    from molvae.base.errors import InputError
    from molvae.chem.properties import compute
    from molvae.latent.traversal import FAR, steepest, traverse
    from molvae.report.strips import Strip, write_strips

    place = generator.posterior([start])
    if place.reasons[0] is not None:
        raise InputError(f"the model cannot encode {start!r}: {place.reasons[0]}")
    strips = []
    for one in found:
        alone = np.eye(generator.latent_dim)[one.dimension]
        reach = chosen.width * float(np.nanstd(latents[:, one.dimension]))
        ways = [
            (f"dimension {one.dimension} alone, gap {one.gap:.3f}", alone, reach),
            ("all dimensions, as they vary with it", steepest(latents, values[one.property]), FAR),
        ]
        for name, vector, far in ways:
            steps = np.linspace(-far, far, _STOPS).tolist()
            (row,) = traverse(generator, place.mean, vector, steps)
            there = compute(row, [one.property], progress=False)[:, 0]
            legends = [
                f"{step:+.1f}: {one.property} {value:.3g}"
                for step, value in zip(steps, there, strict=True)
            ]
            strips.append(Strip(f"{one.property}: {name}", row, legends))
    lead = (
        f"{start}, and what a step in its latent makes of it: in the dimension that tells most of "
        "a property, and in the direction in which all dimensions vary with it."
    )
    write_strips(picture, strips, "Along properties", lead)
