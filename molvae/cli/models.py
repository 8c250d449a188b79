"""``molvae models``: the models that come with molvae, and models made ready to hand on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from molvae.cli.common import AsJson, Quiet, Verbose, print_json, print_table, say, show

app = typer.Typer(help="List, describe and export models.", no_args_is_help=True)

Model = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="Name of a shipped model, or directory of any model."),
]


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the models that came with this installation; each works offline, by its name."""
    from molvae.training.shipped import model_card, shipped_models

    cards = [model_card(name) for name in shipped_models()]
    rows: list[dict[str, Any]] = [
        {
            "name": card.name,
            "about": card.about,
            "trained on": "; ".join(str(data.get("title", data["name"])) for data in card.data),
            "molecules": card.molecules,
            "parameters": card.parameters,
            "MB": round(card.bytes / 1e6, 1),
            "figures": dict(card.figures),
        }
        for card in cards
    ]
    if as_json:
        print_json(rows)
    elif rows:
        print_table([{**row, "figures": _lines(row["figures"])} for row in rows])
    else:
        say("this installation ships no models")


@app.command()
def info(
    model: Model, as_json: AsJson = False, quiet: Quiet = False, verbose: Verbose = False
) -> None:
    """Say what a model is, whose data it learnt, how it was made, and how good it is."""
    from molvae.cli.info import model_facts, print_facts
    from molvae.training.shipped import model_card

    card, facts = model_card(model), model_facts(model)
    provenance = card.provenance
    if as_json:
        print_json({**facts, "MB": round(card.bytes / 1e6, 1), "provenance": provenance})
        return
    corpus, training = provenance.get("corpus"), _training(provenance)
    settings = facts.pop("settings")
    versions = facts.pop("written by")
    print_facts({"about": card.about, **facts, "MB": card.bytes / 1e6})
    print_facts(card.figures, "\nFigures")
    for data in card.data:
        files = {f"SHA-256 of {f['name']}": f["sha256"] for f in data.get("files", ())}
        about = {k: v for k, v in data.items() if k not in ("name", "files")}
        print_facts({**about, **files}, f"\nData: {data['name']}")
    if isinstance(corpus, Mapping):
        plain = {k: v for k, v in corpus.items() if k not in ("path", "meta")}
        print_facts({**plain, **_cleaning(corpus.get("meta", {}))}, "\nCorpus")
    print_facts({**training, "versions": versions}, "\nTraining")
    print_facts(provenance.get("metrics") or {}, "\nMetrics at its end, on the validation part")
    print_facts(provenance.get("exported", {}), "\nExport")
    head_only = ", which fitted the head to a space learnt before" * bool(training["head_only"])
    print_facts(settings, f"\nSettings of the last run{head_only}")


@app.command()
def export(
    model: Model,
    output: Annotated[Path, typer.Option("--output", "-o", help="Directory of the export.")],
    half: Annotated[
        bool,
        typer.Option("--half", help="Store matrices as float16: half the bytes."),
    ] = False,
    facts: Annotated[
        list[Path] | None,
        typer.Option(
            "--facts",
            metavar="FILE",
            help="JSON whose keys are added to the provenance (about, recipe, hardware, figures "
            "...); may be repeated.",
        ),
    ] = None,
    history: Annotated[
        bool, typer.Option("--history/--no-history", help="Keep the lines of its training.")
    ] = True,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a model as others should have it: no state of the run, no paths of this machine.

    Its provenance says whose data it learnt, and with which licence, where that is a public set.
    """
    from molvae.base.errors import InputError
    from molvae.base.files import read_json
    from molvae.training.export import export_model
    from molvae.training.shipped import model_card

    added: dict[str, Any] = {}
    for file in facts or ():
        values = read_json(file)
        if not isinstance(values, dict):
            raise InputError(f'{file} is no JSON object; write facts as {{"name": value}}')
        added |= values
    out = export_model(model, output, half=half, facts=added, history=history)
    say(f"{out}: {model_card(out.absolute()).bytes / 1e6:.1f} MB", quiet)


_TRAINING = (
    "recipe",
    "commands",
    "started",
    "finished",
    "seconds",
    "steps",
    "processes",
    "device",
    "hardware",
    "seed",
    "head_only",
)


def _training(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """How the model was made; ``started from`` is the model that was fine-tuned, if any."""
    start = provenance.get("started_from")
    named = start.get("about") or start.get("finished") if isinstance(start, Mapping) else None
    return {**{key: provenance.get(key) for key in _TRAINING}, "started from": named}


def _cleaning(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Rows read and dropped, and the symbols that are left."""
    names = {"rows": "rows read", "dropped": "rows dropped", "alphabet": "alphabet"}
    return {label: meta[key] for key, label in names.items() if meta.get(key)}


def _lines(figures: Mapping[str, Any]) -> str:
    return "\n".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in figures.items()
    )


@app.command()
def prior(
    model: Model,
    output: Annotated[Path, typer.Option("--output", "-o", help="Directory of the new model.")],
    kind: Annotated[
        str,
        typer.Option(
            help="normal, blank (the decoder alone), exemplars, mixture, vamp, flow, or codes (of "
            "a VQ-VAE)."
        ),
    ] = "exemplars",
    corpus: Annotated[
        Path | None,
        typer.Option("--corpus", help="Whose training molecules become exemplars, or are fitted."),
    ] = None,
    exemplars: Annotated[int, typer.Option(min=1, help="How many to store.")] = 100_000,
    width: Annotated[
        float, typer.Option(min=0, help="How far from them, in widths of their posteriors.")
    ] = 1.0,
    rewrite: Annotated[
        float,
        typer.Option(min=0, max=1, help="The most of each to write anew; the share is drawn."),
    ] = 0.0,
    components: Annotated[
        int | None,
        typer.Option(min=1, help="Of a mixture (else 10) or vamp (else 500) prior."),
    ] = None,
    hidden: Annotated[
        int | None, typer.Option(min=1, help="Units of a flow (else 128) or codes (else 256).")
    ] = None,
    molecules: Annotated[
        int, typer.Option(min=1, help="Molecules of the corpus to fit such a prior to.")
    ] = 50_000,
    steps: Annotated[
        int, typer.Option(min=1, help="Steps that a flow or codes prior learns.")
    ] = 2000,
    seed: Annotated[int, typer.Option(help="Determines which molecules are taken.")] = 0,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Choose where a model's sampling starts, or fit that to a corpus. An exemplar prior stores
    molecules of the corpus in the model's files, where anyone can read them."""
    from molvae.datasets.corpus import Corpus
    from molvae.models.config import PriorConfig
    from molvae.training.prior import fit_prior

    fields: dict[str, Any] = {"kind": kind}
    if kind == "exemplars":
        fields |= {"width": width, "rewrite": rewrite, "exemplars": exemplars, "symbols": exemplars}
    if kind in ("mixture", "vamp"):
        fields["components"] = components or {"mixture": 10, "vamp": 500}[kind]
    if kind in ("flow", "codes"):
        fields["hidden"] = hidden or {"flow": 128, "codes": 256}[kind]
    config = PriorConfig.parse(fields, where="prior")
    opened = None if corpus is None else Corpus.open(corpus)
    fit_prior(
        model,
        output,
        config,
        opened,
        exemplars=exemplars,
        molecules=molecules,
        steps=steps,
        seed=seed,
        progress=show(quiet),
    )
    say(f"{output}: sampling starts from the {kind} prior", quiet)


@app.command()
def critic(
    model: Model,
    output: Annotated[Path, typer.Option("--output", "-o", help="Directory of the new model.")],
    corpus: Annotated[Path, typer.Option("--corpus", help="What the samples should be like.")],
    draws: Annotated[
        int, typer.Option(min=100, help="Samples, and molecules of the corpus, to learn from.")
    ] = 200_000,
    candidates: Annotated[
        int, typer.Option(min=1, help="How many each draw is to be chosen from.")
    ] = 4,
    bits: Annotated[int, typer.Option(min=64, help="Columns for the parts of molecules.")] = 4096,
    most: Annotated[
        float,
        typer.Option(
            min=0.001,
            max=1,
            help="No scaffold counts for more than this share of the corpus; 1: all as they come.",
        ),
    ] = 1.0,
    discount: Annotated[
        float,
        typer.Option(
            min=0,
            max=0.99,
            help="How much less what the decoder is surest of counts: the share of log q(x), what "
            "it cost to write, that is taken off.",
        ),
    ] = 0.0,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes.  [default: all cores]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Determines the samples.")] = 0,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Teach a critic what a model writes too often and too seldom; sampling then corrects it.

    Each draw becomes one of several candidates, chosen to make it as frequent as in the data.
    """
    from molvae.datasets.corpus import Corpus
    from molvae.latent.critic import fit_critic
    from molvae.models.config import CriticConfig

    sizes = {"bits": bits, "candidates": candidates, "discount": discount}
    config = CriticConfig.parse(sizes, where="critic")
    quality = fit_critic(
        model,
        output,
        Corpus.open(corpus),
        config,
        draws=draws,
        most=most,
        seed=seed,
        workers=workers,
        progress=show(quiet),
    )
    say(
        f"{output}: the critic tells {quality.samples:,} samples from {quality.molecules:,} "
        f"molecules with ROC-AUC {quality.roc_auc:.3f} (0.5: not at all); each draw is now chosen "
        f"from {candidates} candidates",
        quiet,
    )
