"""Where the molecules of a corpus come from: files, a public data set, a list in memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molvae.base.errors import ConfigError, InputError
from molvae.base.files import file_errors
from molvae.datasets.download import fetch
from molvae.datasets.readers import read_molecules
from molvae.datasets.registry import DATASETS, Label, card
from molvae.datasets.rows import Row
from molvae.datasets.splits import part_of_word
from molvae.datasets.textio import STDIN, display_name

if TYPE_CHECKING:
    from molvae.datasets.options import CorpusOptions

NOT_GIVEN = 255
"""The part of a row whose source does not say it."""


@dataclass(frozen=True)
class Source:
    """Molecules with labels; made by :meth:`files`, :meth:`dataset` or :meth:`molecules`.

    ``paths`` and ``parts`` (one per path) say what is read; ``labels`` which numeric columns and
    under which names; ``split_column`` holds train/validation/test words. ``expected_rows`` is
    for the progress bar, ``dataset_name`` for whom to cite. ``held`` are rows in memory.
    """

    paths: tuple[str, ...]
    parts: tuple[int, ...]
    labels: tuple[Label, ...] = ()
    smiles_column: str | None = None
    split_column: str | None = None
    limit: int | None = None
    expected_rows: int | None = None
    dataset_name: str | None = None
    held: tuple[Row, ...] = ()

    @classmethod
    def of(cls, value: Any, options: CorpusOptions, progress: bool | None = None) -> Source:
        """A source from what :func:`~molvae.datasets.corpus.build_corpus` accepts."""
        if isinstance(value, Source):
            return value
        named = isinstance(value, str) and not Path(value).exists() and value != STDIN
        if named and (value in DATASETS or Path(value).name == Path(value).stem == value):
            if options.smiles_column is not None or options.split_column is not None:
                raise ConfigError(
                    f"{value} is a public data set whose columns are known; leave smiles_column "
                    "and split_column out"
                )
            return cls.dataset(value, labels=options.labels, limit=options.limit, progress=progress)
        return cls.files(
            value,
            labels=options.labels or (),
            smiles_column=options.smiles_column,
            split_column=options.split_column,
            limit=options.limit,
        )

    @classmethod
    def files(
        cls,
        paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        labels: Sequence[str] = (),
        smiles_column: str | None = None,
        split_column: str | None = None,
        limit: int | None = None,
    ) -> Source:
        """Rows of one file or several, in any format that molvae reads; ``-`` is standard input.

        >>> Source.files("a.csv", labels=["logP"]).labels[0].name
        'logP'
        """
        listed = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
        return cls(
            paths=tuple(os.fspath(path) for path in listed),
            parts=(NOT_GIVEN,) * len(listed),
            labels=tuple(Label(name=n, column=n, unit="", description="") for n in labels),
            smiles_column=smiles_column,
            split_column=split_column,
            limit=limit,
        )

    @classmethod
    def dataset(
        cls,
        name: str,
        *,
        labels: Sequence[str] | None = None,
        limit: int | None = None,
        cache: str | os.PathLike[str] | None = None,
        progress: bool | None = None,
    ) -> Source:
        """A named public data set, fetched on first use, with its labels and its own parts.

        ``labels`` None takes all of them. Raises what :func:`~molvae.datasets.download.fetch`
        raises, and :class:`InputError` for a label that the set does not have.
        """
        entry = card(name)
        known = {label.name: label for label in entry.labels}
        for label in labels or ():
            if label not in known:
                has = f"its labels are {', '.join(known)}" if known else "it has none"
                raise InputError(f"{name} has no label {label!r}; {has}")
        files = fetch(name, cache=cache, progress=progress)
        taken = [
            (str(path), NOT_GIVEN if member.split is None else part_of_word(member.split))
            for path, member in zip(files, entry.members, strict=True)
            if member.split != "apart"
        ]
        return cls(
            paths=tuple(path for path, _ in taken),
            parts=tuple(part for _, part in taken),
            labels=tuple(known.values() if labels is None else (known[n] for n in labels)),
            smiles_column=entry.smiles_column,
            split_column=entry.split_column,
            limit=limit,
            expected_rows=sum(m.rows for m in entry.members if m.split != "apart"),
            dataset_name=name,
        )

    @classmethod
    def molecules(
        cls, smiles: Sequence[str], labels: Mapping[str, Sequence[float]] | None = None
    ) -> Source:
        """Molecules in memory; each of ``labels`` is as long as ``smiles``, NaN where missing.

        >>> Source.molecules(["CCO", "CCN"], {"logp": [-0.1, 0.2]}).held[1].labels
        {'logp': 0.2}
        """
        columns = {name: [float(v) for v in values] for name, values in (labels or {}).items()}
        for name, values in columns.items():
            if len(values) != len(smiles):
                raise InputError(
                    f"label {name!r} has {len(values)} values for {len(smiles)} molecules; "
                    "give one for each (NaN where it is missing)"
                )
        held = tuple(
            Row(i, text, None, {name: values[i - 1] for name, values in columns.items()})
            for i, text in enumerate(smiles, start=1)
        )
        made = tuple(Label(name=n, column=n, unit="", description="") for n in columns)
        return cls(paths=(), parts=(), labels=made, held=held)

    def settings(self) -> dict[str, Any]:
        """What decides the rows beside the files themselves."""
        return {
            "labels": [label.to_dict() for label in self.labels],
            "smiles_column": self.smiles_column,
            "split_column": self.split_column,
            "limit": self.limit,
        }

    @property
    def has_split(self) -> bool:
        """Whether the source says which part its rows belong to."""
        return self.split_column is not None or any(part != NOT_GIVEN for part in self.parts)

    def rows(self) -> Iterator[tuple[int, Row]]:
        """All rows in order, each with the number of its file."""
        for row in self.held:
            yield 0, row
        left = self.limit
        for file, path in enumerate(self.paths):
            for row in read_molecules(
                path,
                smiles_column=self.smiles_column,
                labels=[label.column for label in self.labels],
                split_column=self.split_column,
                limit=left,
            ):
                yield file, row
                left = None if left is None else left - 1
            if left == 0:
                return

    def inventory(self) -> tuple[list[dict[str, Any]], int | None]:
        """What is read (name, bytes and SHA-256 of each file) and about how many rows that is.

        Standard input cannot be read twice and has no checksum.
        """
        if self.held:
            text = repr([(row.smiles, row.labels) for row in self.held]).encode()
            digest = hashlib.sha256(text).hexdigest()
            return [{"name": "memory", "size": len(text), "sha256": digest}], len(self.held)
        listed: list[dict[str, Any]] = []
        rows: int | None = 0
        for path in self.paths:
            if path == STDIN:
                listed.append({"name": display_name(path), "size": None, "sha256": None})
                rows = None
                continue
            size, digest, lines = _read_through(Path(path))
            listed.append({"name": Path(path).name, "size": size, "sha256": digest})
            rows = None if rows is None or lines is None else rows + lines
        rows = self.expected_rows or rows
        if rows is not None and self.limit is not None:
            rows = min(rows, self.limit)
        return listed, rows


def _read_through(path: Path) -> tuple[int, str, int | None]:
    """Bytes, SHA-256 and, for text of one row per line, the number of lines."""
    kind = path.name.lower()
    countable = not kind.endswith((".parquet", ".sdf", ".gz"))
    digest, size, lines = hashlib.sha256(), 0, 0
    with file_errors(path), path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
            size += len(block)
            lines += block.count(b"\n") if countable else 0
    return size, digest.hexdigest(), lines if countable else None
