r"""Latent arithmetic: the direction of an attribute, learnt from examples, added to any molecule.

The direction is the mean latent of the examples that have the attribute less that of those that
lack it (Mikolov et al. 2013, arXiv:1301.3781; Larsen et al. 2016, arXiv:1512.09300). Added as a
whole, it changes every part of the molecule at once. Where z lies in windows, a part of it for
every few symbols, an attribute such as a fluorine belongs in one place: so the direction is also
added to a few neighbouring windows alone, to each such span in turn. Strengths are tried from the
smallest on; of the molecules that have the attribute at the first strength where there are any, and
are similar enough to the start, the most similar is taken.

So many tries succeed by chance now and then. The success rate on held-out molecules is therefore
measured beside a control: the same search along random directions of the same lengths.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from molvae.base.errors import ConfigError, InputError
from molvae.base.parallel import chunked
from molvae.base.progress import Progress
from molvae.base.seeds import derive_seed
from molvae.chem.alerts import sane_mask
from molvae.chem.similarity import pairwise_similarity
from molvae.chem.smiles import canonicalise_many
from molvae.generator import Generator
from molvae.latent.attributes import Attribute
from molvae.models.windows import Windows

STRENGTHS = (2.0, 3.0, 4.0, 6.0, 8.0)
"""Lengths of what is added to z, in standard deviations of the prior."""
SPAN = 6
"""Symbols of the spans in which the direction is added alone."""
RELATED = 0.4
"""The similarity to the start that a changed molecule must keep, unless it is said otherwise."""
NOT_FOUND = "no try gave it the attribute"
_TOGETHER = 16  # molecules whose tries are decoded at once
LEAST = 10
"""Examples with the attribute, and without, that a direction takes."""


@dataclass(frozen=True, eq=False)
class Direction:
    """Where in the space molecules have an attribute."""

    attribute: Attribute
    vector: np.ndarray
    """The difference of the means, ``(d,)`` float32."""
    having: int
    lacking: int


@dataclass(frozen=True)
class Search:
    """What is tried, and what counts: lengths from the smallest on, the least ``similarity`` to the
    start (Tanimoto, Morgan bits of radius 2), and whether a molecule must be sane."""

    strengths: tuple[float, ...] = STRENGTHS
    similarity: float = RELATED
    sane: bool = True

    def __post_init__(self) -> None:
        if not self.strengths or not all(np.isfinite(s) and s > 0 for s in self.strengths):
            raise ConfigError(
                f"the strengths are {list(self.strengths)}: give one or more lengths above 0"
            )
        if not 0 <= self.similarity <= 1:
            raise ConfigError(f"the similarity is {self.similarity:g}: give one from 0 to 1")


@dataclass(frozen=True)
class Change:
    """One molecule to which a direction was added."""

    start: str | None
    reason: str | None
    """Why there is no new molecule, None where there is one."""
    smiles: str | None = None
    strength: float = float("nan")
    """The smallest at which the attribute was there."""
    symbols: tuple[int, int] | None = None
    """Where it was added, symbols from and to; None where to all of z."""
    similarity: float = float("nan")
    """To the start (Tanimoto, Morgan bits of radius 2)."""


@dataclass(frozen=True)
class Success:
    """How often a direction gives held-out ``molecules`` its attribute, beside random ones."""

    molecules: int
    rate: float
    """Share that got it, similar enough to their start."""
    similarity: float
    """Mean over those that got it."""
    control_rate: float
    control_similarity: float


def attribute_direction(
    generator: Generator, smiles: Sequence[str | None], attribute: Attribute
) -> Direction:
    """The direction of ``attribute``, learnt from ``smiles``.

    Raises :class:`InputError` where fewer than ten of those that the model can encode have it, or
    fewer than ten lack it.

    >>> from molvae.generator import load
    >>> from molvae.latent.attributes import pattern
    >>> alike = [f"C{'C' * n}{end}" for n in range(12) for end in ("F", "C")]
    >>> found = attribute_direction(load("druglike", "cpu"), alike, pattern("[F]"))
    >>> found.vector.shape, found.having, found.lacking
    ((254,), 12, 12)
    """
    z = generator.encode(smiles)
    has = np.where(np.isfinite(z).all(1), attribute.judge(smiles), np.nan)
    having, lacking = z[has == 1], z[has == 0]
    if min(len(having), len(lacking)) < LEAST:
        raise InputError(
            f"{len(having)} of the examples have the attribute ({attribute.name}) and "
            f"{len(lacking)} lack it: give at least {LEAST} of each that the model can encode"
        )
    vector = having.mean(0) - lacking.mean(0)
    return Direction(attribute, vector, len(having), len(lacking))


def add(
    generator: Generator,
    direction: Direction,
    smiles: Sequence[str | None],
    *,
    search: Search = Search(),
    progress: bool | None = False,
) -> list[Change]:
    """Add ``direction`` to each molecule, as little as it takes to give it the attribute.

    Args:
        generator: the model.
        direction: from :func:`attribute_direction`.
        smiles: the molecules.
        search: what is tried, and what counts.
        progress: show a bar; None means only on a terminal.

    Returns:
        A change for each molecule, with the reason where there is none: it cannot be encoded, it
        has the attribute already, or no try has given it.
    """
    vectors = np.broadcast_to(direction.vector, (len(smiles), generator.latent_dim))
    return _search(generator, direction.attribute, smiles, vectors, search, progress)


def success(
    generator: Generator,
    direction: Direction,
    held_out: Sequence[str | None],
    *,
    search: Search = Search(),
    seed: int = 0,
    progress: bool | None = False,
) -> tuple[Success, list[Change]]:
    """How often :func:`add` succeeds on molecules from which the direction was not learnt.

    Those that have the attribute already, or cannot be encoded, are left out. Beside it the
    control: each molecule with a random direction of its own, normal in every dimension, in the
    same search. The changes of the direction itself are returned as well.

    Raises :class:`InputError` where no molecule is left.
    """
    changes = add(generator, direction, held_out, search=search, progress=progress)
    kept = [i for i, change in enumerate(changes) if change.reason in (None, NOT_FOUND)]
    if not kept:
        raise InputError(
            f"no held-out molecule lacks the attribute ({direction.attribute.name}): there is "
            "nothing to measure"
        )
    rng = np.random.default_rng(derive_seed(seed, "random directions"))
    vectors = rng.standard_normal((len(kept), generator.latent_dim))
    control = _search(
        generator,
        direction.attribute,
        [held_out[i] for i in kept],
        vectors,
        search,
        progress,
    )
    tried = [changes[i] for i in kept]
    return Success(len(kept), *_rate(tried), *_rate(control)), tried


def learn_and_measure(
    generator: Generator,
    smiles: Sequence[str | None],
    attribute: Attribute,
    *,
    held_out: int = 50,
    search: Search = Search(),
    seed: int = 0,
    progress: bool | None = False,
) -> tuple[Direction, Success, list[Change]]:
    """The direction of ``attribute`` from four fifths of ``smiles``, and its :func:`success` on up
    to ``held_out`` of the rest that lack it.

    Raises :class:`InputError` as :func:`attribute_direction` and :func:`success` do.
    """
    order = np.random.default_rng(derive_seed(seed, "examples")).permutation(len(smiles))
    last = len(order) // 5
    direction = attribute_direction(generator, [smiles[i] for i in order[last:]], attribute)
    rest = [smiles[i] for i in order[:last]]
    lacking = [s for s, has in zip(rest, attribute.judge(rest), strict=True) if has == 0]
    measured = success(
        generator, direction, lacking[:held_out], search=search, seed=seed, progress=progress
    )
    return direction, *measured


def columns_of(changes: Sequence[Change]) -> dict[str, list[Any]]:
    """Columns of a table, a row for each molecule."""
    return {
        "smiles": [change.smiles for change in changes],
        "start_smiles": [change.start for change in changes],
        "strength": [change.strength for change in changes],
        "first_symbol": [change.symbols and change.symbols[0] for change in changes],
        "last_symbol": [change.symbols and change.symbols[1] for change in changes],
        "similarity": [change.similarity for change in changes],
    }


def _rate(changes: Sequence[Change]) -> tuple[float, float]:
    alike = [change.similarity for change in changes if change.smiles is not None]
    return len(alike) / len(changes), float(np.mean(alike)) if alike else float("nan")


def _search(
    generator: Generator,
    attribute: Attribute,
    smiles: Sequence[str | None],
    vectors: np.ndarray,
    search: Search,
    progress: bool | None,
) -> list[Change]:
    """:func:`add` with a direction of its own ``(n, d)`` for each molecule."""
    found = generator.posterior(smiles)
    has = attribute.judge(smiles)
    starts = canonicalise_many(smiles)
    symbols = generator.symbols(smiles)
    changes: list[Change] = []
    jobs: list[_One] = []
    for i, reason in enumerate(found.reasons):
        if reason is None and has[i] == 1:
            reason = "it has the attribute already"
        changes.append(Change(smiles[i], reason or NOT_FOUND))
        if reason is None:
            shifts, places = _shifts(generator.windows, vectors[i], int(symbols[i]))
            jobs.append(_One(i, starts[i], found.mean[i], shifts, places))
    with Progress(f"towards {attribute.name}", len(jobs), progress) as bar:
        for together in chunked(jobs, _TOGETHER):
            for one, change in _first_successes(generator, attribute, together, search):
                changes[one.row] = replace(change, start=smiles[one.row])
            bar.advance(len(together))
    return changes


@dataclass(frozen=True, eq=False)
class _One:
    """The molecule of a row, its latent ``(d,)`` and the unit vectors ``(m, d)`` that may be added
    to it."""

    row: int
    smiles: str | None
    z: np.ndarray
    shifts: np.ndarray
    places: list[tuple[int, int] | None]


def _first_successes(
    generator: Generator, attribute: Attribute, jobs: Sequence[_One], search: Search
) -> Iterator[tuple[_One, Change]]:
    """The molecules that succeed, each with its change at the smallest strength that does it."""
    for strength in sorted(search.strengths):
        if not jobs:
            return
        asked = np.concatenate([one.z + strength * one.shifts for one in jobs])
        tried = generator.decode(asked.astype(np.float32))
        alike = pairwise_similarity(tried, [one.smiles for one in jobs for _ in one.places])
        good = (attribute.judge(tried) == 1) & (alike >= search.similarity)
        if search.sane:
            good &= sane_mask([s if kept else None for s, kept in zip(tried, good, strict=True)])
        left = []
        end = 0
        for one in jobs:
            begin, end = end, end + len(one.places)
            if not good[begin:end].any():
                left.append(one)
                continue
            best = begin + int(np.where(good, alike, -1.0)[begin:end].argmax())
            place = one.places[best - begin]
            yield one, Change(None, None, tried[best], strength, place, float(alike[best]))
        jobs = left


def _shifts(
    windows: Windows, vector: np.ndarray, symbols: int
) -> tuple[np.ndarray, list[tuple[int, int] | None]]:
    """Unit vectors ``(m, d)`` along ``vector (d,)``, in all of z and in every span of windows that
    a molecule of so many symbols reaches into, and which symbols these are."""
    reached = min(symbols // windows.size + 1, windows.count) if windows.count else 0
    whole = np.array(vector, float)
    whole[reached * windows.width : windows.count * windows.width] = 0
    shifts = [whole]
    places: list[tuple[int, int] | None] = [None]
    for begin in range(reached):
        end = min(begin - (-SPAN // windows.size), windows.count)
        part = np.zeros_like(whole)
        inside = slice(begin * windows.width, end * windows.width)
        part[inside] = vector[inside]
        shifts.append(part)
        places.append((begin * windows.size, end * windows.size))
    stacked = np.stack(shifts)
    lengths = np.linalg.norm(stacked, axis=1)
    there = lengths > 0
    kept = [place for place, good in zip(places, there, strict=True) if good]
    return stacked[there] / lengths[there, None], kept
