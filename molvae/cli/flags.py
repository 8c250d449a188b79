"""Flags that several commands share beyond the usual ones of ``common``."""

from __future__ import annotations

from typing import Annotated

import typer

Model = Annotated[str, typer.Argument(metavar="MODEL", help="Directory of a trained model.")]
Molecules = Annotated[
    str,
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
Sane = Annotated[
    bool | None,
    typer.Option("--sane", help="Turn down molecules that no chemist would make."),
]
