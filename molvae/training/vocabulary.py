"""A corpus read with the symbols of a model: the same, some missing, or the model extended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from molvae.base.errors import InputError
from molvae.chem.tokenizer import Tokenizer
from molvae.datasets.corpus import Corpus
from molvae.training.weights import get_weights

_CHUNK = 100_000


@dataclass(frozen=True)
class Vocabulary:
    """How a model reads a corpus.

    ``ids (corpus vocabulary,)`` is the model's id of each symbol of the corpus; ``usable (n,)``
    says which molecules the model can read; ``tokenizer`` is the model's, extended if asked.
    """

    tokenizer: Tokenizer
    ids: np.ndarray
    usable: np.ndarray


def own_vocabulary(corpus: Corpus) -> Vocabulary:
    """The corpus as its own tokenizer reads it: for a new model."""
    ids = np.arange(corpus.tokenizer.vocab_size)
    return Vocabulary(corpus.tokenizer, ids, np.ones(len(corpus), bool))


def match_vocabulary(
    corpus: Corpus, tokenizer: Tokenizer, policy: Literal["error", "drop", "extend"]
) -> Vocabulary:
    """The corpus as the model of ``tokenizer`` reads it.

    Where molecules have symbols that the model has never seen, ``policy`` "error" raises
    :class:`InputError` listing them, "drop" leaves the molecules out, and "extend" adds the
    symbols to the model's alphabet.
    """
    theirs = corpus.tokenizer
    if theirs.constraints != tokenizer.constraints:
        raise InputError(
            "the corpus was made with other SELFIES constraints than the model's, so its symbols "
            "mean other molecules; prepare it again with the model's tokenizer"
        )
    known = {symbol: i for i, symbol in enumerate(tokenizer.alphabet, tokenizer.first_id)}
    foreign = [i for i, symbol in enumerate(theirs.alphabet) if symbol not in known]
    usable = _rows_without(corpus, np.array(foreign, np.int64) + theirs.first_id)
    missing = [theirs.alphabet[i] for i in foreign] if not usable.all() else []
    if missing and policy == "error":
        raise InputError(
            f"{(~usable).sum():,} of {len(usable):,} molecules of the corpus have symbols that the "
            f"model has never seen: {', '.join(missing)}; set data.new_symbols to 'drop' to leave "
            "these molecules out, or to 'extend' to teach the model the symbols"
        )
    if missing and policy == "extend":
        tokenizer = Tokenizer.from_symbols(
            [*tokenizer.alphabet, *missing],
            constraints=tokenizer.constraints,
            max_length=max(tokenizer.max_length, theirs.max_length),
        )
        known = {symbol: i for i, symbol in enumerate(tokenizer.alphabet, tokenizer.first_id)}
        usable = np.ones(len(corpus), bool)
    special = [tokenizer.pad_id, tokenizer.start_id, tokenizer.end_id]
    ids = [known.get(symbol, tokenizer.pad_id) for symbol in theirs.alphabet]
    return Vocabulary(tokenizer, np.array(special + ids, np.int64), usable)


def extend_rows(
    weights: Mapping[str, Tensor], model: nn.Module, old: Tokenizer, new: Tokenizer
) -> dict[str, Tensor]:
    """The ``weights`` of a model of ``old`` for ``model``, which reads the longer alphabet ``new``.

    Rows of embeddings, output weights and biases follow their symbols; those of a new symbol are
    the mean over the symbols known before.
    """
    places = {symbol: i for i, symbol in enumerate(old.alphabet, old.first_id)}
    sources = [*range(new.first_id), *(places.get(symbol, -1) for symbol in new.alphabet)]
    source = torch.tensor(sources)
    extended = dict(weights)
    for name, wanted in get_weights(model).items():
        value = weights[name]
        if value.shape != wanted.shape:
            mean = value[old.first_id :].mean(0, keepdim=True)
            extended[name] = torch.cat([value, mean])[source]  # -1 is the mean
    return extended


def _rows_without(corpus: Corpus, ids: np.ndarray) -> np.ndarray:
    """Which molecules have none of the corpus's symbols ``ids``, ``(n,)``; reads in chunks."""
    usable = np.ones(len(corpus), bool)
    if len(ids) == 0:
        return usable
    wrong = np.zeros(corpus.tokenizer.vocab_size, bool)
    wrong[ids] = True
    for first in range(0, len(corpus), _CHUNK):
        offsets = np.asarray(corpus.offsets[first : first + _CHUNK + 1])
        hits = wrong[corpus.tokens[offsets[0] : offsets[-1]]]
        counted = np.concatenate([[0], np.cumsum(hits)])
        usable[first : first + _CHUNK] = np.diff(counted[offsets - offsets[0]]) == 0
    return usable
