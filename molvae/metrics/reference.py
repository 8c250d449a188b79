"""The sets that samples are judged against: MOSES, or any file, corpus or public data set.

Their statistics are computed once and kept in the data cache, under the checksum of the molecules
and the versions that decide on the values.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from molvae.base.errors import InputError
from molvae.base.files import atomic_file, sha256_file
from molvae.datasets.corpus import Corpus
from molvae.datasets.download import cache_directory, fetch
from molvae.datasets.readers import read_molecules
from molvae.datasets.registry import DATASETS, card
from molvae.metrics.guacamol import nearest_others
from molvae.metrics.statistics import (
    Statistics,
    Training,
    build_statistics,
    build_training,
    saved_array,
    versions,
)

BASELINE = 10_000
"""Training molecules that GuacaMol compares with."""
LARGEST = 200_000
"""Molecules of a set whose distribution is measured; of a larger one, a random part."""


@dataclass(frozen=True)
class Molecules:
    """A list of SMILES that is only read when it must be; ``key`` tells its content."""

    title: str
    key: str
    read: Callable[[], Sequence[str]]


@dataclass(frozen=True)
class Reference:
    """What samples are compared with; make one with :func:`open_reference`.

    ``sets`` are those whose distribution counts, by name ("Test", "TestSF"), the first one
    in figures; ``learnt`` is the training set, for novelty and copying.
    """

    name: str
    sets: dict[str, Molecules]
    learnt: Molecules
    cache: Path
    device: str = "cpu"
    workers: int | None = None
    progress: bool | None = None

    @cached_property
    def statistics(self) -> dict[str, Statistics]:
        """The distribution of each set, computed on first use."""
        return {name: self._statistics(name) for name in self.sets}

    @cached_property
    def training(self) -> Training:
        """The training set, read on first use."""
        path = self._place("training", self.learnt)
        if path.is_dir():
            return Training.open(path)
        return build_training(
            self.learnt.read(),
            path,
            title=f"reading {self.learnt.title}",
            workers=self.workers,
            progress=self.progress,
        )

    @cached_property
    def baseline(self) -> Statistics:
        """The distribution of 10,000 training molecules, which is what GuacaMol compares with."""
        path = self._place("baseline", self.learnt)
        if path.is_dir():
            return Statistics.open(path)
        return build_statistics(
            self.training.sample[:BASELINE],
            path,
            title=f"measuring {BASELINE:,} training molecules",
            device=self.device,
            workers=self.workers,
            progress=self.progress,
        )

    @cached_property
    def nearest_others(self) -> np.ndarray:
        """How alike the nearest others are of those 10,000: what GuacaMol's KL score compares."""
        path = Path(f"{self._place('nearest', self.learnt)}.npy")
        if not path.exists():
            found = nearest_others(self.training.sample[:BASELINE])
            with atomic_file(path, "wb") as out:
                np.save(out, found, allow_pickle=False)
        return saved_array(path.parent, path.stem)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the content of all sets and of the versions that decide on the values."""
        keys = [[name, part.key] for name, part in self.sets.items()]
        facts = json.dumps([keys, self.learnt.key, versions()], sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()

    @property
    def trained_on_itself(self) -> bool:
        """Whether the training set is also the set whose distribution is compared."""
        return any(part.key == self.learnt.key for part in self.sets.values())

    def missing(self) -> list[str]:
        """The titles of what has yet to be computed."""
        parts = [(self._kind(name), part) for name, part in self.sets.items()]
        return [
            part.title
            for kind, part in [*parts, ("training", self.learnt)]
            if not self._place(kind, part).is_dir()
        ]

    def _kind(self, name: str) -> str:
        """Properties are compared with those of the first set only, as in MOSES."""
        return "statistics" if name == next(iter(self.sets)) else "structure"

    def _statistics(self, name: str) -> Statistics:
        part = self.sets[name]
        path = self._place(self._kind(name), part)
        if path.is_dir():
            return Statistics.open(path)
        smiles = part.read()
        if len(smiles) > LARGEST:
            rows = np.random.default_rng(0).permutation(len(smiles))[:LARGEST]
            smiles = [smiles[i] for i in np.sort(rows)]
        return build_statistics(
            smiles,
            path,
            title=f"measuring {part.title}",
            properties=self._kind(name) == "statistics",
            device=self.device,
            workers=self.workers,
            progress=self.progress,
        )

    def _place(self, kind: str, part: Molecules) -> Path:
        facts = json.dumps([kind, part.key, versions()], sort_keys=True)
        return self.cache / f"{kind}-{hashlib.sha256(facts.encode()).hexdigest()[:20]}"


def open_reference(
    source: str | os.PathLike[str] | Sequence[str],
    *,
    smiles_column: str | None = None,
    cache: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    workers: int | None = None,
    progress: bool | None = None,
) -> Reference:
    """A reference by name (``moses``, any public data set), file, corpus, or list of SMILES.

    ``moses`` has two sets, its test part and the one with scaffolds of its own, and its training
    part for novelty. A corpus that was split is compared with its test part. Everything else is
    both: compared with, and what novelty is counted against. Nothing is computed yet. Raises
    :class:`InputError` for what is none of these, besides what reading and fetching raise.
    """
    title, sets, learnt = _sets(source, smiles_column, cache, progress)
    return Reference(
        name=title,
        sets=sets,
        learnt=learnt,
        cache=cache_directory(cache) / "references",
        device=device,
        workers=workers,
        progress=progress,
    )


def _sets(
    source: str | os.PathLike[str] | Sequence[str],
    smiles_column: str | None,
    cache: str | os.PathLike[str] | None,
    progress: bool | None,
) -> tuple[str, dict[str, Molecules], Molecules]:
    if not isinstance(source, str | os.PathLike):
        held = list(source)
        key = hashlib.sha256("\n".join(held).encode()).hexdigest()
        part = Molecules("the given molecules", key, lambda: held)
        return part.title, {"Test": part}, part
    path = Path(source)
    if (path / "tokens.npy").is_file():
        return _corpus(path)
    if path.is_file():
        part = Molecules(
            path.name,
            f"{sha256_file(path)} {smiles_column}",
            lambda: _read([path], smiles_column),
        )
        return path.name, {"Test": part}, part
    name = os.fspath(source)
    if name not in DATASETS and (path.suffix or path.name != name):
        raise InputError(
            f"there is no reference {name}: name a file of molecules, a corpus, or a public data "
            "set such as moses (molvae data list)"
        )
    return _dataset(name, cache, progress)


def _dataset(
    name: str, cache: str | os.PathLike[str] | None, progress: bool | None
) -> tuple[str, dict[str, Molecules], Molecules]:
    entry = card(name)
    files = fetch(name, cache=cache, progress=progress)
    parts = {
        member.file.partition(".")[0]: Molecules(
            f"{name} {member.file.partition('.')[0]}" if len(files) > 1 else name,
            member.sha256,
            lambda path=file: _read([path], entry.smiles_column),  # type: ignore[misc]
        )
        for file, member in zip(files, entry.members, strict=True)
    }
    if name == "moses":
        sets = {"Test": parts["test"], "TestSF": parts["test_scaffolds"]}
        return name, sets, parts["train"]
    whole = Molecules(
        name,
        " ".join(member.sha256 for member in entry.members),
        lambda: _read(files, entry.smiles_column),
    )
    return name, {"Test": whole}, whole


def _corpus(path: Path) -> tuple[str, dict[str, Molecules], Molecules]:
    corpus = Corpus.open(path)

    def part(name: str) -> Molecules:
        rows = corpus.indices(name)
        title = f"the {name} part of {path.name}"
        return Molecules(title, f"{corpus.sha256} {name}", lambda: corpus.smiles(rows))

    learnt = part("train")
    compared = part("test") if len(corpus.indices("test")) >= 2 else learnt
    return path.name, {"Test": compared}, learnt


def _read(paths: Sequence[Path], smiles_column: str | None) -> list[str]:
    return [
        row.smiles
        for path in paths
        for row in read_molecules(path, smiles_column=smiles_column)
        if row.problem is None
    ]


def facts(reference: Reference) -> dict[str, Any]:
    """What a report says of a reference: its name and the molecules of each of its sets."""
    return {
        "name": reference.name,
        **{name: found.count for name, found in reference.statistics.items()},
        "training": reference.training.count,
    }
