"""Blocks of draws: each depends on the model, the options and its number alone."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter, abc
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from molvae.base.errors import ModelError
from molvae.base.parallel import default_workers
from molvae.base.progress import Progress
from molvae.base.seeds import derive_seed
from molvae.bulk.options import LARGEST_BLOCK, BulkOptions
from molvae.bulk.work import Work
from molvae.chem.properties import compute
from molvae.datasets.seen import Seen
from molvae.generator import Generator
from molvae.latent.decoding import strategy_of
from molvae.latent.draws import Draws
from molvae.latent.reading import Reader

PATIENCE = 5_000
"""Draws of which less than a thousandth is kept, after which a job gives up."""

Blocks = abc.Generator["Block", None, None]


@dataclass(frozen=True)
class BulkSummary:
    """What a job brought; for shards, the earlier parts of a resumed job included."""

    molecules: int
    drawn: int
    rejected: dict[str, int]
    """How many were turned down, by reason, the commonest first."""
    shards: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass
class Block:
    """The molecules of one block that were kept, their properties ``(n, k)``, and the rest."""

    smiles: list[str]
    values: np.ndarray
    drawn: int
    rejected: Counter[str] = field(default_factory=Counter)
    """How many were turned down, by reason."""

    def columns(self, options: BulkOptions) -> dict[str, list[str] | np.ndarray]:
        """The molecules as a table: SMILES and properties."""
        values = {name: self.values[:, i] for i, name in enumerate(options.columns())}
        return {"smiles": self.smiles, **values}

    def summary(self) -> BulkSummary:
        """Counts alone."""
        return BulkSummary(len(self.smiles), self.drawn, dict(self.rejected.most_common()))

    def take(self, rows: np.ndarray) -> Block:
        """The same with some of its molecules."""
        smiles = [self.smiles[i] for i in rows]
        return Block(smiles, self.values[rows], self.drawn, self.rejected)


class Exhausted(ModelError):
    """Hardly anything new comes any more; ``block`` is what had come, where it was collected."""

    block: Block | None = None


def draw_block(generator: Generator, options: BulkOptions, number: int) -> Block:
    """Draw and filter one block; each of its molecules once, where ``unique``."""
    return _BLOCKS.draw(generator, options, number)


def _write_block(generator: Generator, options: BulkOptions, number: int) -> Draws:
    seed = derive_seed(options.seed, "block", number)
    return _write(generator, options, options.draws_per_block(), seed)


def _write(generator: Generator, options: BulkOptions, n: int, seed: int) -> Draws:
    return generator.write(
        n,
        seed=seed,
        candidates=options.candidates,
        conditions=options.conditions,
        **strategy_of(options),
    )


def _read_block(reader: Reader, options: BulkOptions, written: Draws) -> Block:
    smiles, reasons = reader.molecules(written, options.sane)
    rejected = Counter(reason.partition(" (")[0] for reason in reasons if reason is not None)
    found = [s for s in smiles if s is not None]
    if options.unique:
        distinct = list(dict.fromkeys(found))
        rejected["repeated"] += len(found) - len(distinct)
        found = distinct
    values = compute(found, options.columns(), progress=False)
    kept = np.ones(len(found), dtype=bool)
    for condition in options.bounds():
        met = condition.met(values[:, options.columns().index(condition.name)])
        rejected[f"not {condition}"] += int((kept & ~met).sum())
        kept &= met
    return Block(found, values, len(written), +rejected).take(np.flatnonzero(kept))


def blocks(
    generator: Generator,
    options: BulkOptions,
    *,
    first: int = 0,
    workers: int | None = 1,
    seen: Seen | None = None,
) -> Blocks:
    """The blocks from ``first`` on, in order and without end, computed by ``workers`` processes.

    What is already among ``seen`` is left out, and what comes is added to it. Raises
    :class:`Exhausted` after three blocks and :data:`PATIENCE` draws in a row of which less than a
    thousandth is left.
    """
    seen = Seen() if seen is None else seen
    workers = _processes(workers, options)
    barren = _Barren()
    for block in _BLOCKS.spread(generator, options, itertools.count(first), workers):
        if options.unique:
            new = np.array(seen.add(block.smiles), dtype=bool)
            block.rejected["repeated"] += int((~new).sum())
            block = block.take(np.flatnonzero(new))
        yield block
        barren = barren.after(block)


@dataclass(frozen=True)
class _Barren:
    """The blocks since enough was kept, together."""

    blocks: int = 0
    drawn: int = 0
    kept: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    def after(self, block: Block) -> _Barren:
        """With one more block; raises :class:`Exhausted` when these were enough."""
        drawn, kept = self.drawn + block.drawn, self.kept + len(block.smiles)
        if 1000 * kept >= drawn:
            return _Barren()
        rejected = self.rejected + block.rejected
        if self.blocks < 2 or drawn < PATIENCE:
            return _Barren(self.blocks + 1, drawn, kept, rejected)
        what, count = rejected.most_common(1)[0]
        raise Exhausted(
            f"hardly anything new comes any more: of the last {drawn:,} draws {kept:,} were kept, "
            f"most were turned down as {what!r} ({count:,}); ask for fewer, or "
            + ("raise the temperature" if what == "repeated" else "relax the filters")
        )


def collect(
    generator: Generator,
    options: BulkOptions,
    *,
    workers: int | None = 1,
    progress: bool | None = None,
) -> Block:
    """The first ``options.molecules`` molecules of :func:`blocks` as one.

    Where :class:`Exhausted` is raised, it holds those that had come.
    """
    parts: list[Block] = []
    found = 0
    with (
        Progress("molecules", options.molecules, progress) as bar,
        contextlib.closing(blocks(generator, options, workers=workers)) as stream,
    ):
        while found < options.molecules:
            try:
                part = next(stream)
            except Exhausted as error:
                error.block = _joined(parts)
                raise
            part = part.take(np.arange(min(len(part.smiles), options.molecules - found)))
            found += len(part.smiles)
            bar.advance(len(part.smiles))
            parts.append(part)
    return _joined(parts)


def _joined(parts: Sequence[Block]) -> Block:
    return Block(
        smiles=[s for part in parts for s in part.smiles],
        values=np.concatenate([part.values for part in parts]),
        drawn=sum(part.drawn for part in parts),
        rejected=sum((part.rejected for part in parts), Counter()),
    )


def every_draw(
    generator: Generator,
    options: BulkOptions,
    *,
    workers: int | None = 1,
    progress: bool | None = None,
) -> list[str | None]:
    """Exactly ``options.molecules`` draws in order, with None where one came to nothing.

    Nothing is left out: what ``unique``, ``sane`` and ``where`` say is not asked.
    """
    wanted, size = options.molecules, options.block or LARGEST_BLOCK
    cuts = ((first, min(size, wanted - first)) for first in range(0, wanted, size))
    workers = _processes(workers, options)
    found: list[str | None] = []
    with (
        Progress("drawing", wanted, progress) as bar,
        contextlib.closing(_CUTS.spread(generator, options, cuts, workers)) as stream,
    ):
        for part in stream:
            found += part
            bar.advance(len(part))
    return found


def _write_cut(generator: Generator, options: BulkOptions, cut: tuple[int, int]) -> Draws:
    first, size = cut
    return _write(generator, options, size, derive_seed(options.seed, "draws", first))


def _read_cut(reader: Reader, options: BulkOptions, written: Draws) -> Sequence[str | None]:
    return reader.molecules(written)[0]


def _processes(workers: int | None, options: BulkOptions) -> int:
    """``workers``, or where none are named, every core if there is more than one block to draw."""
    if workers is not None:
        return workers
    return default_workers() if options.molecules > LARGEST_BLOCK else 1


_BLOCKS = Work(_write_block, _read_block)
_CUTS = Work(_write_cut, _read_cut)
