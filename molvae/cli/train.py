"""``molvae train``: a model from a corpus."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from molvae.cli.common import (
    Assignments,
    Device,
    Quiet,
    Seed,
    Verbose,
    say,
    settings,
    show,
)

Count = Annotated[int | None, typer.Option(min=1)]


def train(
    config: Annotated[
        Path | None,
        typer.Argument(help="TOML file of settings, or the config.json of another model."),
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option("--corpus", "-c", help="Corpus made by `molvae data prepare`.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Directory of the new model.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Model to fine-tune, instead of a new one: its directory or shipped name.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in OUTPUT if there is one.")
    ] = False,
    head_only: Annotated[
        bool,
        typer.Option("--head-only", help="Learn the labels on the frozen latents of --from."),
    ] = False,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Named model: small, default, local, conditional, moses; autoencoder, beta-vae, "
            "vq-vae, ...: see docs/variants.md."
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", "-l", help="Label that the head learns; repeatable."),
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option("--condition", help="Label that the model is conditioned on; repeatable."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the data.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps, instead of epochs.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after this time at most.")] = None,
    latent_dim: Annotated[int | None, typer.Option(min=1, help="Latent dimensions.")] = None,
    beta: Annotated[float | None, typer.Option(help="Weight of the KL term.")] = None,
    free_bits: Annotated[float | None, typer.Option(help="KL that costs nothing, nats.")] = None,
    learning_rate: Annotated[float | None, typer.Option("--learning-rate", "--lr")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Molecules per step.")] = None,
    assignments: Assignments = None,
    seed: Seed = None,
    device: Device = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train a model on a corpus, fine-tune one, or go on with a run that was interrupted.

    Every flag is also a key of the TOML file, most of them in a section: --latent-dim is
    model.latent_dim. Under torchrun all its processes train together:
    torchrun --nproc-per-node 4 -m molvae train run.toml
    """
    from molvae.training.devices import advice_on_precision
    from molvae.training.job import TrainJob, run_job

    job = settings(
        TrainJob,
        config,
        assignments,
        corpus=corpus,
        output=output,
        resume=resume or None,
        head_only=head_only or None,
        preset=preset,
        **{"from": start},
        data__labels=label or None,
        data__conditions=condition or None,
        run__epochs=epochs,
        run__steps=steps,
        run__minutes=minutes,
        run__seed=seed,
        run__device=device,
        model__latent_dim=latent_dim,
        objective__kl_weight=beta,
        objective__free_bits=free_bits,
        optimiser__learning_rate=learning_rate,
        optimiser__batch_size=batch_size,
    )
    first = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun started
    if advice := advice_on_precision(job.run.device, job.run.precision):
        say(advice, quiet or not first)
    out = run_job(job, progress=show(quiet))
    say(f"The model is in {out}. Next: molvae health {out}", quiet or not first)
