"""``molvae health``: is the latent space of a model healthy?"""

from __future__ import annotations

import math
from dataclasses import asdict
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
from molvae.cli.flags import ModelArgument, ModelOption, SmilesColumn, one_model

if TYPE_CHECKING:
    from molvae.metrics.health import Health


def health(
    model: ModelArgument = None,
    named: ModelOption = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="Molecules that the model has not seen, with its labels if there are any.  "
            "[default: the held-out part of its own corpus]",
        ),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option("--label", help="Column of --data with a target; may be repeated."),
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Figure: .png, .svg or .pdf.")
    ] = None,
    held_out: Annotated[
        int | None, typer.Option("--held-out", help="Held-out molecules.  [default: 1000]")
    ] = None,
    samples: Annotated[
        int | None, typer.Option("--samples", help="Prior samples.  [default: 1000]")
    ] = None,
    parents: Annotated[
        int | None, typer.Option("--parents", help="Molecules to step from.  [default: 250]")
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
    """Measure reconstruction, latent use, prior samples, heritability and the property head.

    Prints tables and a verdict in words: healthy, collapsing or not yet trained, and what to
    change.
    """
    from molvae.cli.settings import HealthSettings
    from molvae.generator import load
    from molvae.metrics.health import assess
    from molvae.metrics.held_out import held_out_of

    model = one_model(model, named)
    chosen = settings(
        HealthSettings,
        config,
        assignments,
        data=data,
        labels=labels,
        held_out=held_out,
        samples=samples,
        parents=parents,
        smiles_column=smiles_column,
        seed=seed,
        device=device,
    )
    if output:
        from molvae.plots import check_figure_output

        check_figure_output(output)
    generator = load(model, chosen.device)
    known = held_out_of(
        generator, chosen.data, labels=chosen.labels, smiles_column=chosen.smiles_column
    )
    say(f"{len(known.smiles):,} held-out molecules: {known.source}", quiet)
    found = assess(
        generator,
        known.smiles,
        known.labels,
        known.training,
        options=chosen.options(),
        progress=show(quiet),
    )
    if output:
        from molvae.plots import health_figure, save_figure

        save_figure(health_figure(found), output)
    if as_json:
        print_json(found.to_dict())
    else:
        _print(found)


def _print(found: Health) -> None:
    back, latent, samples = found.reconstruction, found.latent, found.samples
    mid, inherited = found.midpoints, found.heritability
    for title, rows in (
        (
            "Held-out molecules",
            {
                "molecules": back.molecules,
                "of which unreadable to the model": back.unreadable,
                "back exactly, from the mean": _share(back.exact),
                "back exactly, from a sample": _share(back.exact_sampled),
                "symbols right": _share(back.token_accuracy),
                "symbols right with another's latent": _share(back.token_accuracy_misplaced),
                "reconstruction, nats per molecule": back.nats,
                "log-likelihood bound, nats per molecule": back.elbo,
            },
        ),
        (
            "Latent space",
            {
                "KL, nats per molecule": latent.kl,
                "active units": f"{latent.active_units} of {latent.dimensions}",
                f"mutual information, nats (of {math.log(latent.molecules):.1f} that so many "
                "molecules can show)": latent.mutual_information,
                "aggregate posterior to prior, nats": latent.marginal_kl,
                "spread of the means": latent.mean_spread,
                "width of the posteriors": latent.mean_width,
            },
        ),
        (
            "Prior samples",
            {
                "drawn": samples.drawn,
                "valid": _share(samples.validity),
                "distinct": _share(samples.uniqueness),
                "new": _share(samples.novelty),
                "sane": _share(samples.sane),
            },
        ),
        (
            "Neighbourhood",
            {
                "parents, and how many come back": f"{inherited.parents}, {inherited.reproduced}",
                "step at which half have changed": inherited.half_step,
                "similarity of the changed there": inherited.half_similarity,
                "midpoints, similarity to the nearer end": mid.similarity,
                "unrelated molecules, the same": mid.unrelated,
            },
        ),
    ):
        print_table([{"": name, "value": _number(value)} for name, value in rows.items()], title)
    print_table(
        [
            {
                "step": step.size,
                "unchanged": step.unchanged,
                "similarity of the changed": step.similarity,
                "sane": step.sane,
            }
            for step in inherited.steps
        ],
        "Heritability",
    )
    print_table(
        [
            {
                "points": region.name,
                "valid": region.valid,
                "sane": region.sane,
                "distinct": region.distinct,
                "one of the ends": region.ends,
                "others' similarity to the nearer end": region.similarity,
            }
            for region in found.regions
        ],
        "Completeness",
    )
    print_table(
        [
            {
                "property": p.name,
                "samples": p.sample_mean,
                "held out": p.reference_mean,
                "Wasserstein distance": p.distance,
                "in standard deviations": p.relative,
            }
            for p in found.properties
        ],
        "Properties",
    )
    for kind in ("regression", "classification"):
        head = [
            {k: v for k, v in asdict(quality).items() if k != "kind" and not isinstance(v, tuple)}
            for quality in found.head
            if quality.kind == kind
        ]
        if head:
            print_table(head, f"Property head, {kind}")
    print(f"\nVerdict: {found.verdict}")
    for advice in found.verdict.advice:
        print(f"  - {advice}")


def _share(value: float) -> str:
    return "" if value != value else f"{value:.1%}"


def _number(value: Any) -> str:
    return value if isinstance(value, str) else "" if value != value else f"{value:.4g}"
