"""The molecules that a model has not seen: of its own corpus, or of a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from molvae.base.errors import ConfigError, InputError
from molvae.datasets.corpus import Corpus
from molvae.datasets.readers import read_molecules
from molvae.datasets.store import META
from molvae.generator import Generator

_CHUNK = 100_000


@dataclass(frozen=True)
class HeldOut:
    """Molecules ``(n,)``, their labels ``(n,)`` by target name, and what the model was trained on.

    ``training`` is None where the model's corpus is not at hand; ``source`` says where the
    molecules come from.
    """

    smiles: list[str]
    labels: dict[str, np.ndarray]
    training: Iterable[str] | None
    source: str


def held_out_of(
    generator: Generator,
    data: str | None = None,
    *,
    labels: Sequence[str] = (),
    smiles_column: str | None = None,
    flag: str = "--data",
) -> HeldOut:
    """The test part of the model's corpus (else its validation part), or all of the file ``data``.

    ``labels`` are the columns of ``data`` that hold targets of the model; a corpus has its own.
    ``flag`` is what gives ``data`` on the command line, for messages.

    The corpus is where the model's provenance says. Raises :class:`InputError` where it is not
    there, or has no held-out part, and no ``data`` is given.
    """
    corpus, problem = _own_corpus(generator)
    if corpus is None and data is None:
        raise InputError(f"{problem}; give molecules that it has not seen with {flag} FILE")
    training = None if corpus is None else _Training(corpus)
    if data is not None:
        return _of_file(generator, data, labels, smiles_column, training)
    assert corpus is not None
    for part in ("test", "validation"):
        rows = corpus.indices(part)
        if len(rows):
            break
    else:
        raise InputError(
            f"the corpus {corpus.path} has no test or validation part; give held-out molecules "
            f"with {flag}"
        )
    place = {name: i for i, name in enumerate(corpus.label_names)}
    values = {n: np.asarray(corpus.labels[rows, place[n]]) for n in generator.targets if n in place}
    return HeldOut(corpus.smiles(rows), values, training, f"the {part} part of {corpus.path}")


class _Training:
    """The SMILES of a corpus' training part, read anew and in pieces each time."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus

    def __iter__(self) -> Iterator[str]:
        rows = self._corpus.indices("train")
        for start in range(0, len(rows), _CHUNK):
            yield from self._corpus.smiles(rows[start : start + _CHUNK])


def _own_corpus(generator: Generator) -> tuple[Corpus | None, str]:
    """The corpus that the model was trained on, or None and why it is not to be had."""
    facts = generator.provenance.get("corpus", {})
    path = facts.get("path")
    if path is None:
        return None, "the corpus of this model is not named in its provenance"
    if not (Path(path) / META).is_file():  # nothing there, or something else of that name
        return None, f"the corpus of this model is not at {path}"
    corpus = Corpus.open(path)
    if corpus.sha256 != facts.get("sha256"):
        return None, f"the corpus at {path} is no longer the one that this model was trained on"
    return corpus, ""


def _of_file(
    generator: Generator,
    data: str,
    labels: Sequence[str],
    smiles_column: str | None,
    training: Iterable[str] | None,
) -> HeldOut:
    for name in labels:
        if name not in generator.targets:
            known = ", ".join(generator.targets) or "nothing"
            raise ConfigError(f"the model predicts no {name!r}; it predicts {known}")
    rows = [
        row
        for row in read_molecules(data, smiles_column=smiles_column, labels=labels)
        if row.problem is None
    ]
    values = {name: np.array([row.labels[name] for row in rows]) for name in labels}
    return HeldOut([row.smiles for row in rows], values, training, data)
