"""``molvae predict``: properties from the model's head."""

from __future__ import annotations

from typing import Any

from molvae.cli.common import (
    AsJson,
    Assignments,
    ConfigFile,
    Device,
    Output,
    Quiet,
    Verbose,
    print_json,
    settings,
)
from molvae.cli.flags import (
    ModelArgument,
    ModelOption,
    Molecules,
    SmilesColumn,
    model_and_file,
)


def predict(
    model: ModelArgument = None,
    file: Molecules = None,
    named: ModelOption = None,
    output: Output = None,
    smiles_column: SmilesColumn = None,
    device: Device = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write the predicted properties of each molecule, in the units of the labels.

    A measured quantity NAME has the column NAME and its standard deviation NAME_std, a class the
    probability of 1. What cannot be encoded is blank, with the reason on standard error.
    """
    from molvae.cli.molecules import read_table
    from molvae.cli.settings import ReadSettings
    from molvae.datasets.writers import check_output, write_table
    from molvae.generator import load

    model, file = model_and_file(model, file, named)
    chosen = settings(ReadSettings, config, assignments, smiles_column=smiles_column, device=device)
    check_output(output or "-", reads=file, computed=True)
    table = read_table(file, chosen.smiles_column)
    generator = load(model, chosen.device)
    found = generator.posterior(table.smiles)
    columns: dict[str, Any] = {**table.columns, **generator.predict(found.mean)}
    if output or not as_json:
        write_table(output or "-", columns)
    if as_json:
        print_json(columns)
    table.tell(found.reasons, "encoded", quiet, some=True)
