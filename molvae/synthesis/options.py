"""The settings of a synthesis."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt

from molvae.base.records import Record

MOST = 50
"""The largest ``oversample``."""
Share = Annotated[float, Field(gt=0, lt=1)]


class SynthesisOptions(Record):
    """How a synthetic set is made.

    Attributes:
        labels: numeric columns of the table to imitate.
        properties: descriptors that are computed and added.
        molecules: how many are made; None for as many as the table has.
        max_similarity: leave out what is more similar than this (Tanimoto) to any molecule of the
            table; 1 leaves out the molecules themselves, stereoisomers included, and nothing else.
        held_out: share of the table that is learnt from by nothing and only judges the result.
        epochs: passes of the fine-tuning over the table; 0 takes the model as it is.
        oversample: molecules that are drawn for each one that is wanted; a third of them, less
            copies, is left to choose from, so that below 3 there are fewer than wanted.
        trees: trees of the forests that give labels and that judge them.
        fcd: measure the Fréchet ChemNet distance as well.
        seed: of everything random.
        device: where the model computes.
    """

    labels: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()
    molecules: PositiveInt | None = None
    max_similarity: Annotated[float, Field(gt=0, le=1)] = 1.0
    held_out: Share = 0.2
    epochs: NonNegativeInt = 4
    oversample: Annotated[float, Field(ge=1, le=MOST)] = 6.0
    trees: PositiveInt = 60
    fcd: bool = True
    smiles_column: str | None = None
    seed: NonNegativeInt = 0
    device: str = "auto"
