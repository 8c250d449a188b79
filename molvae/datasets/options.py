"""The settings of a corpus."""

from __future__ import annotations

from pydantic import Field

from molvae.base.records import Record
from molvae.datasets.clean import CleanOptions
from molvae.datasets.splits import SplitOptions


class CorpusOptions(Record):
    """What is read from a source and what becomes of its molecules.

    ``labels`` names numeric columns (None: those of a named public set, none of a file);
    ``split_column`` a column of train, validation and test words; ``limit`` reads so many rows.
    ``properties`` are descriptors computed as further labels. ``constraints`` are those of the
    SELFIES language when the alphabet is learnt. Molecules of more than ``max_symbols`` symbols
    are dropped, and so are those with a symbol that occurs fewer than ``min_count`` times in the
    training part (1 keeps all).

    >>> CorpusOptions(properties=("qed",)).min_count
    1
    """

    labels: tuple[str, ...] | None = None
    smiles_column: str | None = None
    split_column: str | None = None
    limit: int | None = Field(default=None, ge=1)
    properties: tuple[str, ...] = ()
    constraints: str = "default"
    max_symbols: int | None = Field(default=None, ge=1)
    min_count: int = Field(default=1, ge=1)
    clean: CleanOptions = CleanOptions()
    split: SplitOptions = SplitOptions()
