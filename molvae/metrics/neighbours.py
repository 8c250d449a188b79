"""How similar molecules are to each other and to those of another set, over all cores."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from molvae.base.parallel import default_workers, ordered_map
from molvae.base.progress import Progress
from molvae.chem.similarity import nearest, similarity

_QUERIES = 1024
_BLOCK = 256
_SMALL = 50_000_000
"""Pairs that are not worth the start of processes."""


def nearest_similarity(
    queries: np.ndarray,
    reference: np.ndarray,
    *,
    workers: int | None = None,
    progress: bool | None = None,
    title: str = "comparing",
) -> np.ndarray:
    """Tanimoto similarity of each query to the most similar reference molecule, ``(n,)``.

    Packed fingerprints, ``(n, w)`` and ``(m, w)``. A ``reference`` that is a memory map is opened
    by each process on its own, and never copied.
    """
    if len(queries) * len(reference) < _SMALL:
        workers = 1
    count = default_workers() if workers is None else workers
    place = getattr(reference, "filename", None)
    if place is None or count <= 1:
        count, job = 1, functools.partial(_nearest_in, reference)
    else:
        job = functools.partial(_nearest_in_file, Path(place))
    found = []
    with Progress(title, len(queries), progress) as bar:
        for values in ordered_map(job, _blocks(queries, count), count):
            found.append(values)
            bar.advance(len(values))
    return np.concatenate(found) if found else np.empty(0)


def internal_diversity(
    prints: np.ndarray, *, progress: bool | None = None, title: str = "diversity"
) -> tuple[float, float]:
    r"""IntDiv and IntDiv2 of packed fingerprints ``(n, w)``; NaN of nothing.

    .. math:: 1 - \overline{T}, \qquad 1 - \overline{(\overline{T^2_j})^{1/2}}

    over all ordered pairs, a molecule and itself included. Benhenda, arXiv:1708.08227, in the form
    of MOSES, whose second takes the root for each molecule before the mean.

    >>> internal_diversity(np.array([[255], [255]], np.uint8), progress=False)
    (0.0, 0.0)
    """
    if not len(prints):
        return math.nan, math.nan
    total, roots = 0.0, 0.0
    with Progress(title, len(prints), progress) as bar:
        for start in range(0, len(prints), _BLOCK):
            values = similarity(prints[start : start + _BLOCK], prints)
            total += float(values.mean(axis=1).sum())
            roots += float(np.sqrt(np.square(values, out=values).mean(axis=1)).sum())
            bar.advance(len(values))
    return 1 - total / len(prints), 1 - roots / len(prints)


def _blocks(queries: np.ndarray, count: int) -> Iterator[np.ndarray]:
    # Two blocks or more for each process: the reference is unpacked once a block.
    size = max(_QUERIES, math.ceil(len(queries) / (4 * count)))
    for start in range(0, len(queries), size):
        yield queries[start : start + size]


def _nearest_in(reference: np.ndarray, queries: np.ndarray) -> np.ndarray:
    return nearest(queries, reference)[1]


def _nearest_in_file(path: Path, queries: np.ndarray) -> np.ndarray:
    return nearest(queries, np.load(path, mmap_mode="r", allow_pickle=False))[1]
