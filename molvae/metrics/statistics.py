"""What is kept of a set of molecules so that others can be compared with it, on disk and in memory.

A directory of plain arrays and JSON, no pickles: it is safe to open and independent of versions.
"""

from __future__ import annotations

import functools
import hashlib
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from molvae.base.errors import InputError, ModelError
from molvae.base.files import atomic_directory, read_json, write_json
from molvae.metrics.chemnet import activations
from molvae.metrics.frechet import Gaussian
from molvae.metrics.profile import PROPERTIES, Part, profile

FORMAT = 1
SAMPLE = 30_000
"""Molecules that are kept of a training set, to be judged like a model's samples."""

_DISTRIBUTION: frozenset[Part] = frozenset({"properties", "prints", "fragments", "scaffolds"})
_TRAINING: frozenset[Part] = frozenset({"prints", "rings"})


@dataclass(frozen=True, eq=False)
class Statistics:
    """A set whose distribution others are compared with, of ``count`` molecules."""

    count: int
    gaussian: Gaussian
    """Of ChemNet's activations."""
    fragments: Counter[str]
    scaffolds: Counter[str]
    prints: np.ndarray
    """Morgan fingerprints, packed, ``(n, 128)`` uint8; a memory map."""
    properties: np.ndarray
    """``(n, k)`` float64, columns :data:`~molvae.metrics.profile.PROPERTIES`; a memory map. Without
    rows where they were not asked for."""
    path: Path

    @classmethod
    def open(cls, path: Path) -> Statistics:
        """Read what :func:`build_statistics` wrote; :class:`ModelError` where it is damaged."""
        meta = _meta(path, "statistics")
        counts = read_json(path / "counts.json")
        arrays = {n: saved_array(path, n) for n in ("mean", "covariance", "prints", "properties")}
        return cls(
            count=meta["molecules"],
            gaussian=Gaussian(arrays["mean"], arrays["covariance"], meta["molecules"]),
            fragments=Counter(counts["fragments"]),
            scaffolds=Counter(counts["scaffolds"]),
            prints=arrays["prints"],
            properties=arrays["properties"],
            path=path,
        )

    def column(self, name: str) -> np.ndarray:
        """One property of all molecules, ``(n,)``."""
        return np.asarray(self.properties[:, PROPERTIES.index(name)])


def build_statistics(
    smiles: Sequence[str],
    path: Path,
    *,
    title: str = "reference",
    properties: bool = True,
    device: str = "cpu",
    workers: int | None = None,
    progress: bool | None = None,
) -> Statistics:
    """Measure a set and write it to ``path``, atomically; ``properties`` are half of the work.

    Raises :class:`InputError` where fewer than two of the texts are molecules.
    """
    start = time.monotonic()
    parts = _DISTRIBUTION if properties else _DISTRIBUTION - {"properties"}
    found = profile(smiles, parts, workers=workers, progress=progress, title=title)
    if len(found.smiles) < 2:
        raise InputError(
            f"{title}: {len(found.smiles)} of {len(smiles):,} texts are molecules; "
            "a distribution needs at least 2"
        )
    gaussian = Gaussian.of(activations(found.smiles, device=device, progress=progress))
    with atomic_directory(path) as folder:
        _save(folder, "mean", gaussian.mean)
        _save(folder, "covariance", gaussian.covariance)
        _save(folder, "prints", found.prints)
        _save(folder, "properties", found.properties)
        write_json(
            folder / "counts.json",
            {"fragments": dict(found.fragments), "scaffolds": dict(found.scaffolds)},
        )
        _write_meta(folder, "statistics", len(found.smiles), len(smiles), start)
    return Statistics.open(path)


@dataclass(frozen=True, eq=False)
class Training:
    """The set that a model learnt from: what is new, what is copied, which rings are known."""

    count: int
    hashes: np.ndarray
    """Of the canonical SMILES, sorted, uint64."""
    flat_hashes: np.ndarray
    """The same without stereo, for GuacaMol's novelty."""
    prints: np.ndarray
    ring_systems: frozenset[str]
    sample: list[str]
    """At most :data:`SAMPLE` of its molecules in random order."""
    path: Path

    @classmethod
    def open(cls, path: Path) -> Training:
        """Read what :func:`build_training` wrote; :class:`ModelError` where it is damaged."""
        meta = _meta(path, "training")
        kept = read_json(path / "molecules.json")
        return cls(
            count=meta["molecules"],
            hashes=saved_array(path, "hashes"),
            flat_hashes=saved_array(path, "flat_hashes"),
            prints=saved_array(path, "prints"),
            ring_systems=frozenset(kept["ring_systems"]),
            sample=kept["sample"],
            path=path,
        )


def build_training(
    smiles: Sequence[str],
    path: Path,
    *,
    title: str = "training molecules",
    workers: int | None = None,
    progress: bool | None = None,
) -> Training:
    """Read a training set and write what is kept of it to ``path``, atomically."""
    start = time.monotonic()
    found = profile(smiles, _TRAINING, workers=workers, progress=progress, title=title)
    order = np.random.default_rng(0).permutation(len(found.smiles))[:SAMPLE]
    with atomic_directory(path) as folder:
        _save(folder, "hashes", np.unique(hashes_of(found.smiles)))
        _save(folder, "flat_hashes", np.unique(hashes_of(found.flat)))
        _save(folder, "prints", found.prints)
        systems = sorted({system for molecule in found.ring_systems for system in molecule})
        kept = {"ring_systems": systems, "sample": [found.smiles[i] for i in order]}
        write_json(folder / "molecules.json", kept)
        _write_meta(folder, "training", len(found.smiles), len(smiles), start)
    return Training.open(path)


def hashes_of(texts: Iterable[str]) -> np.ndarray:
    """A 64-bit hash of each text, uint64; that two of a million differ and meet: 1 in 30 million.

    >>> hashes_of(["C", "C"]).tolist()[0] == hashes_of(["C"]).tolist()[0]
    True
    """
    return np.array([_hash(text) for text in texts], np.uint64)


def is_among(texts: Sequence[str], hashes: np.ndarray) -> np.ndarray:
    """Which of ``texts`` are among the sorted ``hashes``, ``(n,)`` bool."""
    mine = hashes_of(texts)
    if not len(hashes):
        return np.zeros(len(mine), bool)
    places = np.minimum(np.searchsorted(hashes, mine), len(hashes) - 1)
    return np.asarray(hashes[places] == mine)


@functools.cache
def versions() -> dict[str, Any]:
    """What decides on the values beside the molecules."""
    from importlib import metadata

    import rdkit

    return {
        "format": FORMAT,
        "rdkit": rdkit.__version__,
        "fcd_torch": metadata.version("fcd_torch"),
    }


def _write_meta(folder: Path, kind: str, molecules: int, given: int, start: float) -> None:
    meta = {
        "kind": kind,
        **versions(),
        "molecules": molecules,
        "given": given,
        "seconds": round(time.monotonic() - start, 1),
    }
    write_json(folder / "meta.json", meta)


def _meta(path: Path, kind: str) -> dict[str, Any]:
    meta: dict[str, Any] = read_json(path / "meta.json")
    if meta.get("kind") != kind or meta.get("format") != FORMAT:
        raise ModelError(f"{path} holds no {kind} of this version; remove it and run again")
    return meta


def _save(folder: Path, name: str, values: np.ndarray) -> None:
    np.save(folder / f"{name}.npy", values, allow_pickle=False)


def saved_array(path: Path, name: str) -> np.ndarray:
    """An array of the cache, ``name.npy`` in ``path``; :class:`ModelError` where it is damaged."""
    try:
        return np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(
            f"{path} is damaged: {name}.npy is no array ({error}); remove it and run again"
        ) from error


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
