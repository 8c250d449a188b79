"""A corpus: molecules as tokens, labels and parts in flat files that open in a millisecond.

A corpus is a directory that is built once and then only read::

    tokens.npy     all symbol ids in one row, uint8 or uint16, without start and end symbols
    offsets.npy    (n + 1,) int64: molecule i is tokens[offsets[i]:offsets[i + 1]]
    labels.npy     (n, p) float32, NaN where a label is missing
    split.npy      (n,) uint8: 0 train, 1 validation, 2 test
    table.parquet  file, row, SMILES, name, labels and part, for people and for drawings
    tokenizer.json what the ids mean
    dropped.csv    every row that did not enter, with its reason
    meta.json      format, sources and their SHA-256, options, counts, versions, checksums

Opening needs numpy alone and maps the arrays into memory, so a corpus may be larger than it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from molvae.chem.tokenizer import Tokenizer
from molvae.datasets.store import Corpus

if TYPE_CHECKING:
    from molvae.datasets.options import CorpusOptions
    from molvae.datasets.sources import Source

__all__ = ["Corpus", "build_corpus"]


def build_corpus(
    source: Source | str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    options: CorpusOptions | None = None,
    tokenizer: Tokenizer | None = None,
    workers: int | None = None,
    progress: bool | None = None,
) -> Corpus:
    """Clean, tokenise and store molecules; on all cores, in memory that hardly grows with them.

    ``source`` is a file or several, the name of a public data set, or a
    :class:`~molvae.datasets.sources.Source`. The alphabet is learnt unless a ``tokenizer`` is
    given; then molecules that it cannot write are dropped with the reason. ``out`` is replaced as
    a whole when all is done, and left as it was on any error. Where it already is the corpus of
    the same sources, options and versions, it is opened and nothing is done. The result does not
    depend on ``workers``.

    Raises :class:`InputError` where no molecule is left, besides what reading and fetching raise.

    >>> import tempfile
    >>> from molvae.datasets.sources import Source
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     corpus = build_corpus(Source.molecules(["CCO", "OCC", "c1ccccc1"]), folder, workers=1)
    ...     len(corpus), corpus.smiles([1]), corpus.tokenizer.decode([corpus[0]])
    (2, ['c1ccccc1'], ['CCO'])
    """
    from molvae.datasets.building import build  # rdkit and pyarrow: for building only

    build(source, Path(out), options, tokenizer, workers, progress)
    return Corpus.open(out)
