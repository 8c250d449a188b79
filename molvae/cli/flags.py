"""Flags that several commands share beyond the usual ones of ``common``."""

from __future__ import annotations

from typing import Annotated

import typer

_MODEL = "Directory of a trained model, or the name of a shipped one; see `molvae models list`."

Model = Annotated[str, typer.Argument(metavar="MODEL", help=_MODEL)]
# Commands that also take it as --model have both of these, and ask `one_model` which was given.
ModelArgument = Annotated[str | None, typer.Argument(metavar="MODEL", help=_MODEL)]
ModelOption = Annotated[
    str | None, typer.Option("--model", "-m", metavar="MODEL", help="The same, as an option.")
]
Molecules = Annotated[
    str | None,
    typer.Argument(
        metavar="FILE",
        help="Molecules: .smi .csv .tsv .sdf .parquet, also gzipped; - is standard input.",
    ),
]
SmilesColumn = Annotated[
    str | None, typer.Option("--smiles-column", help="Column of SMILES, if it has another name.")
]
Strategy = Annotated[
    str | None, typer.Option("--strategy", help="How symbols are chosen: sample, greedy or beam.")
]
Temperature = Annotated[
    float | None, typer.Option("--temperature", help="Below 1 safer, above 1 more varied.")
]
TopK = Annotated[
    int | None, typer.Option("--top-k", help="Draw from the K likeliest symbols only.")
]
TopP = Annotated[
    float | None,
    typer.Option("--top-p", help="Draw from the likeliest symbols that hold this probability."),
]
BeamWidth = Annotated[
    int | None, typer.Option("--beam-width", help="Beginnings that a beam search keeps.")
]
Prior = Annotated[
    str | None,
    typer.Option(
        "--prior", help="Where to start instead of from the model's own prior: normal or blank."
    ),
]
Candidates = Annotated[
    int | None,
    typer.Option(
        "--candidates",
        help="Each draw is one of so many that the model's critic chooses from; 1 is without it.",
    ),
]
Given = Annotated[
    list[str] | None,
    typer.Option(
        "--condition",
        metavar="NAME=VALUE",
        help="What a conditional model is asked for, as in logP=2.5; may be repeated.",
    ),
]
Guidance = Annotated[
    float | None,
    typer.Option(
        "--guidance",
        metavar="W",
        help="Weight of the conditions: above 1 nearer to them, less varied.  [default: 1]",
    ),
]
Constraint = Annotated[
    list[str] | None,
    typer.Option(
        "--constraint",
        metavar="TEXT",
        help="What must hold, such as 'SA < 4 and no alerts and logP in 1 to 3'; may be repeated.",
    ),
]
KeepScaffold = Annotated[
    str | None,
    typer.Option("--keep-scaffold", metavar="SMILES", help="Keep this lead's Murcko scaffold."),
]
KeepSmarts = Annotated[
    str | None,
    typer.Option("--keep-smarts", metavar="SMARTS", help="Keep to molecules with this pattern."),
]
SimilarTo = Annotated[
    str | None,
    typer.Option("--similar-to", metavar="SMILES", help="Keep to molecules similar to this lead."),
]
SimilarityRange = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--similarity",
        metavar="LOW HIGH",
        help="Tanimoto similarities to it (Morgan, radius 2).  [default: 0.4 1]",
    ),
]
Scalarisation = Annotated[
    str | None,
    typer.Option(
        "--scalarisation",
        metavar="weighted|chebyshev",
        help="One number of several objectives.  [default: their hypervolume]",
    ),
]
Weights = Annotated[
    list[float] | None,
    typer.Option(
        "--weight",
        help="Of each objective in turn, those to maximize first.  [default: drawn at every step]",
    ),
]
Sane = Annotated[
    bool | None,
    typer.Option("--sane", help="Turn down molecules that no chemist would make."),
]
Typical = Annotated[
    float | None,
    typer.Option(
        "--typical",
        metavar="SHARE",
        help="Keep to molecules as likely to the model as the likeliest such share of its own "
        "samples: 0.5, or 0.9 for a looser rein.",
    ),
]

Properties = Annotated[
    list[str] | None,
    typer.Option("--property", help="Property to compute; may be repeated."),
]
Picture = Annotated[
    str | None,
    typer.Option(
        "--picture", metavar="FILE", help="Draw the molecules: .svg, .png, or a page of .html."
    ),
]


def one_model(argument: str | None, option: str | None) -> str:
    """The model, given either way; a usage error where it is given twice or not at all."""
    if argument is not None and option is not None:
        raise typer.BadParameter(
            f"the model is given twice, as {argument!r} and as --model {option!r}; give one",
            param_hint="MODEL",
        )
    model = argument or option
    if not model:
        raise typer.BadParameter("give a model, as MODEL or as --model MODEL", param_hint="MODEL")
    return model


def model_and_file(argument: str | None, file: str | None, option: str | None) -> tuple[str, str]:
    """The model and the FILE after it; with --model the one argument that is left is the file."""
    if option is not None and file is None:
        argument, file = None, argument
    model = one_model(argument, option)
    if not file:
        raise typer.BadParameter("give the file to read; - is standard input", param_hint="FILE")
    return model, file


def given_conditions(texts: list[str] | None) -> dict[str, object] | None:
    """The conditions of ``--condition`` by name; None where there are none, and
    :class:`ConfigError` where one is given twice, in whatever case."""
    from molvae.base.errors import ConfigError
    from molvae.latent.conditions import read_condition

    found: dict[str, object] = {}
    given: dict[str, str] = {}
    for text in texts or ():
        name, value = read_condition(text)
        first = given.get(name.casefold())
        if first is not None:
            raise ConfigError(
                f"the condition {name} is given twice, as {first!r} and as {text!r}; give it once"
            )
        given[name.casefold()], found[name] = text, value
    return found or None
