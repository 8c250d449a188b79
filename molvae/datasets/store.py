"""The files of a corpus, opened: flat arrays that are mapped into memory, and their checks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from molvae.base.errors import FileError, InputError, ModelError
from molvae.base.files import read_json, sha256_file
from molvae.chem.tokenizer import Tokenizer
from molvae.datasets.splits import PARTS

FORMAT = "molvae-corpus"
FORMAT_VERSION = 1
ARRAYS = ("tokens.npy", "offsets.npy", "labels.npy", "split.npy")
META = "meta.json"


class Corpus:
    """An opened corpus of ``n`` molecules, ``p`` labels and ``t`` symbols in all.

    Attributes: ``tokens (t,)``, ``offsets (n + 1,)``, ``labels (n, p)`` with the names
    ``label_names``, ``split (n,)``, ``tokenizer``, ``meta`` (what ``meta.json`` says), ``path``.
    The arrays are memory maps, read-only.
    """

    def __init__(
        self,
        path: Path,
        meta: dict[str, Any],
        tokenizer: Tokenizer,
        arrays: Sequence[np.ndarray],
    ) -> None:
        self.path = path
        self.meta = meta
        self.tokenizer = tokenizer
        self.tokens, self.offsets, self.labels, self.split = arrays
        self.label_names: tuple[str, ...] = tuple(label["name"] for label in meta["labels"])

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Corpus:
        """Open the corpus at ``path``; sizes and shapes are checked, contents by :meth:`verify`.

        Raises :class:`FileError` where there is none and :class:`ModelError` where it is
        truncated, of a newer format, or something else.
        """
        folder = Path(path)
        meta = _read_meta(folder)
        for name, expected in meta["files"].items():
            file = folder / name
            found = file.stat().st_size if file.is_file() else None
            if found != expected["size"]:
                state = "missing" if found is None else f"{found:,} bytes"
                raise ModelError(
                    f"the corpus {folder} is damaged: {name} is {state} instead of "
                    f"{expected['size']:,} bytes; prepare it again"
                )
        arrays = [_load(folder, name) for name in ARRAYS]
        tokens, offsets, labels, split = arrays
        n = meta["molecules"]
        if (
            offsets.shape != (n + 1,)
            or labels.shape != (n, len(meta["labels"]))
            or split.shape != (n,)
            or tokens.shape != (int(offsets[-1]),)
        ):
            raise ModelError(f"the corpus {folder} is damaged: its arrays do not fit together")
        return cls(folder, meta, Tokenizer.load(folder / "tokenizer.json"), arrays)

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> np.ndarray:
        """The symbol ids of one molecule, ``(length,)``."""
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]

    def __repr__(self) -> str:
        counts = ", ".join(f"{part} {self.meta['counts'][part]:,}" for part in PARTS)
        return f"Corpus({str(self.path)!r}, {len(self):,} molecules: {counts})"

    @cached_property
    def lengths(self) -> np.ndarray:
        """The number of symbols of each molecule, ``(n,)`` int64."""
        return np.diff(self.offsets)

    @property
    def sha256(self) -> str:
        """One checksum of the content: tokens, labels, parts and tokenizer."""
        return str(self.meta["sha256"])

    def indices(self, part: str) -> np.ndarray:
        """The molecules of one part (``train``, ``validation``, ``test``) or ``all``, int64."""
        if part == "all":
            return np.arange(len(self), dtype=np.int64)
        if part not in PARTS:
            raise InputError(f"there is no part {part!r}; the parts are {', '.join(PARTS)}, all")
        return np.flatnonzero(self.split == PARTS.index(part))

    def smiles(self, indices: Sequence[int] | np.ndarray | None = None) -> list[str]:
        """Canonical SMILES of the molecules at ``indices`` (all by default), in that order."""
        import pyarrow.parquet as pq

        wanted = np.arange(len(self)) if indices is None else np.asarray(indices, dtype=np.int64)
        if len(wanted) and not (wanted.min() >= 0 and wanted.max() < len(self)):
            raise IndexError(f"index outside the corpus of {len(self):,} molecules")
        result = np.empty(len(wanted), dtype=object)
        with pq.ParquetFile(self.path / "table.parquet") as table:
            start = 0
            for group in range(table.num_row_groups):
                stop = start + table.metadata.row_group(group).num_rows
                places = np.flatnonzero((start <= wanted) & (wanted < stop))
                if len(places):
                    column = table.read_row_group(group, columns=["smiles"]).column("smiles")
                    result[places] = column.take(wanted[places] - start).to_pylist()
                start = stop
        return result.tolist()

    def verify(self) -> None:
        """Compare every file with its SHA-256; :class:`ModelError` names the one that differs."""
        for name, expected in self.meta["files"].items():
            if sha256_file(self.path / name) != expected["sha256"]:
                raise ModelError(
                    f"the corpus {self.path} is damaged: the content of {name} has changed; "
                    "prepare it again"
                )


def _read_meta(folder: Path) -> dict[str, Any]:
    if not folder.exists():
        raise FileError(f"cannot read {folder}: it does not exist; check the path")
    if not (folder / META).is_file():
        raise ModelError(
            f"{folder} is not a corpus: it holds no {META}; prepare one from your data"
        )
    try:
        meta = read_json(folder / META)
    except FileError as error:
        raise ModelError(f"the corpus {folder} is damaged: {error}") from error
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise ModelError(f"{folder} is not a corpus: its {META} is of something else")
    version = meta.get("format_version")
    if version != FORMAT_VERSION:
        newer = isinstance(version, int) and version > FORMAT_VERSION
        advice = "upgrade molvae" if newer else "prepare it again"
        raise ModelError(
            f"the corpus {folder} is of format {version}, this molvae reads format "
            f"{FORMAT_VERSION}; {advice}"
        )
    missing = {"files", "molecules", "labels", "counts", "sha256"} - set(meta)
    if missing:
        raise ModelError(f"the corpus {folder} is damaged: {META} lacks {min(missing)!r}")
    return meta


def _load(folder: Path, name: str) -> np.ndarray:
    try:
        return np.load(folder / name, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ModelError(f"the corpus {folder} is damaged: {name} is no array ({error})") from error
