"""``molvae encode``: molecules to latent vectors."""

from __future__ import annotations

from molvae.cli.common import Assignments, ConfigFile, Device, Output, Quiet, Verbose, settings
from molvae.cli.flags import (
    ModelArgument,
    ModelOption,
    Molecules,
    SmilesColumn,
    model_and_file,
)


def encode(
    model: ModelArgument = None,
    file: Molecules = None,
    named: ModelOption = None,
    output: Output = None,
    smiles_column: SmilesColumn = None,
    device: Device = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write the latent vector of each molecule: a table with columns z0, z1, ..., or .npy.

    One row for each row read; what cannot be encoded is blank, with the reason on standard error.
    """
    from molvae.cli.molecules import read_table
    from molvae.cli.settings import ReadSettings
    from molvae.generator import load
    from molvae.latent.files import check_latents_output, write_latents

    model, file = model_and_file(model, file, named)
    chosen = settings(ReadSettings, config, assignments, smiles_column=smiles_column, device=device)
    check_latents_output(output or "-", reads=file)
    table = read_table(file, chosen.smiles_column)
    found = load(model, chosen.device).posterior(table.smiles)
    write_latents(output or "-", found.mean, table.columns)
    table.tell(found.reasons, "encoded", quiet, some=True)
