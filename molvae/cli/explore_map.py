"""``molvae explore map``: a map of latents on one page."""

from __future__ import annotations

from typing import Annotated

import typer

from molvae.cli.common import (
    Assignments,
    ConfigFile,
    Device,
    Quiet,
    Seed,
    Verbose,
    say,
    settings,
)
from molvae.cli.flags import Model, Molecules, Properties, SmilesColumn


def latent_map(
    model: Model,
    file: Molecules,
    output: Annotated[
        str, typer.Option("--output", "-o", help="The page: a file that ends in .html.")
    ],
    properties: Properties = None,
    labels: Annotated[
        list[str] | None,
        typer.Option("--label", help="Column of FILE to colour by; may be repeated."),
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option("--method", metavar="pca|tsne", help="Maps to draw.  [default: both]"),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", help="Molecules at most, drawn at random.  [default: 1000]"),
    ] = None,
    smiles_column: SmilesColumn = None,
    seed: Seed = None,
    device: Device = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Draw where the molecules of FILE lie, coloured by properties, structures on hover.

    One page of HTML that needs no network.
    """
    import numpy as np

    from molvae.base.errors import InputError
    from molvae.base.files import require_file
    from molvae.chem.properties import compute
    from molvae.cli.explore_settings import MapSettings
    from molvae.cli.molecules import tell_reasons
    from molvae.datasets.readers import read_molecules
    from molvae.generator import load
    from molvae.latent.atlas import atlas
    from molvae.report.latent_map import map_page

    chosen = settings(
        MapSettings,
        config,
        assignments,
        properties=properties,
        labels=labels,
        methods=methods,
        limit=limit,
        smiles_column=smiles_column,
        seed=seed,
        device=device,
    )
    if not output.lower().endswith((".html", ".htm")):
        raise InputError(f"cannot draw {output}: the name of a map ends in .html")
    require_file(output)
    names = chosen.labels
    rows = list(read_molecules(file or "-", smiles_column=chosen.smiles_column, labels=names))
    smiles = [None if row.problem else row.smiles for row in rows]
    found = atlas(
        load(model, chosen.device), smiles, chosen.methods, limit=chosen.limit, seed=chosen.seed
    )
    given = {n: np.array([rows[i].labels.get(n, np.nan) for i in found.rows]) for n in names}
    computed = compute(found.smiles, chosen.properties, progress=False).T
    colours = {**given, **dict(zip(chosen.properties, computed, strict=True))}
    map_page(found, colours, f"{file or 'molecules'} in the latent space of {model}").write(output)
    reasons = [row.problem or r for row, r in zip(rows, found.reasons, strict=True)]
    texts, numbers = [row.smiles for row in rows], [row.number for row in rows]
    tell_reasons(reasons, "encoded", numbers, texts, quiet)
    part = "" if len(found.smiles) == found.readable else f", a random part of {found.readable:,}"
    say(f"{len(found.smiles):,} molecules{part}: {output}", quiet)
