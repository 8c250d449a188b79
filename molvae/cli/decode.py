"""``molvae decode``: latent vectors to molecules."""

from __future__ import annotations

from typing import Annotated

import typer

from molvae.cli.common import (
    Assignments,
    ConfigFile,
    Device,
    Output,
    Quiet,
    Seed,
    Verbose,
    settings,
)
from molvae.cli.flags import (
    BeamWidth,
    Given,
    Guidance,
    ModelArgument,
    ModelOption,
    Sane,
    Strategy,
    Temperature,
    TopK,
    TopP,
    given_conditions,
    model_and_file,
)


def decode(
    model: ModelArgument = None,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE",
            help="Latents: .npy, or .csv .tsv .parquet with columns z0, z1, ...; - reads CSV.",
        ),
    ] = None,
    named: ModelOption = None,
    output: Output = None,
    strategy: Strategy = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    beam_width: BeamWidth = None,
    conditions: Given = None,
    guidance: Guidance = None,
    sane: Sane = None,
    seed: Seed = None,
    device: Device = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write the molecule of each latent vector as canonical SMILES, greedily by default.

    One row for each row read; what cannot be decoded is blank, with the reason on standard error.
    """
    from molvae.cli.molecules import tell_reasons
    from molvae.cli.settings import DecodeSettings
    from molvae.datasets.writers import check_output, write_table
    from molvae.generator import load
    from molvae.latent.decoding import strategy_of
    from molvae.latent.files import read_latents

    model, file = model_and_file(model, file, named)
    chosen = settings(
        DecodeSettings,
        config,
        assignments,
        strategy=strategy,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        beam_width=beam_width,
        guidance=guidance,
        conditions=given_conditions(conditions),
        sane=sane,
        seed=seed,
        device=device,
    )
    check_output(output or "-", reads=file)
    z = read_latents(file)
    smiles, reasons = load(model, chosen.device).decode_with_reasons(
        z,
        seed=chosen.seed,
        sane=chosen.sane,
        conditions=chosen.conditions,
        **strategy_of(chosen),
    )
    write_table(output or "-", {"smiles": smiles})
    tell_reasons(reasons, "decoded", range(1, len(z) + 1), quiet=quiet)
