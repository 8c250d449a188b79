"""A directory of Parquet shards, one per block, that can be completed at any time."""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from molvae.base.errors import ConfigError, ModelError
from molvae.base.files import atomic_file, file_errors, read_json, write_json
from molvae.base.progress import Progress
from molvae.bulk.blocks import Block, BulkSummary, blocks
from molvae.bulk.options import BulkOptions
from molvae.datasets.seen import Seen
from molvae.generator import Generator

# Readers of a directory of Parquet files pass over names that begin with an underscore.
SETTINGS = "_settings.json"
LARGEST_SHARD = 20_000  # draws


def generate_shards(
    generator: Generator,
    out: str | os.PathLike[str],
    options: BulkOptions,
    *,
    workers: int | None = None,
    progress: bool | None = None,
) -> BulkSummary:
    """Write ``options.molecules`` molecules to ``out/part-00000.parquet`` and so on.

    Each shard is one block, with the columns ``smiles`` and the properties. A directory that holds
    part of the same job is completed, also when more molecules are asked for than before; one of
    another job (other model, other options) is refused with :class:`ConfigError`. ``workers``
    None takes every core.
    """
    folder = Path(out)
    options = _settle(folder, generator, options)
    done = _Tally()
    with Progress("molecules", options.molecules, progress) as bar:
        for block, cut in _finished(folder, options):
            if cut and done.molecules + len(block.smiles) < options.molecules:
                break  # it ended an earlier, smaller job: draw it again, whole
            done.add(block)
        bar.advance(done.molecules)
        stream = blocks(generator, options, first=done.shards, workers=workers, seen=done.seen)
        with contextlib.closing(stream):
            while done.molecules < options.molecules:
                block = next(stream)
                left = options.molecules - done.molecules
                cut = len(block.smiles) > left
                block = block.take(np.arange(left)) if cut else block
                _write_shard(_shard(folder, done.shards), block, options, cut)
                done.add(block)
                bar.advance(len(block.smiles))
                bar.note(f"{done.molecules / done.drawn:.0%} of draws kept")
    return done.summary()


class _Tally:
    """What the shards hold together."""

    def __init__(self) -> None:
        self.seen = Seen()
        self.molecules = self.drawn = self.shards = 0
        self.rejected = Counter[str]()

    def add(self, block: Block) -> None:
        self.seen.add(block.smiles)
        self.molecules += len(block.smiles)
        self.drawn += block.drawn
        self.shards += 1
        self.rejected += block.rejected

    def summary(self) -> BulkSummary:
        rejected = dict(self.rejected.most_common())
        return BulkSummary(self.molecules, self.drawn, rejected, self.shards)


def _settle(folder: Path, generator: Generator, options: BulkOptions) -> BulkOptions:
    """Check the directory against the job, or sign it; the options with the block size settled."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; name a directory for the shards")
    path = folder / SETTINGS
    earlier: dict[str, Any] = read_json(path) if path.exists() else {}
    if earlier:  # of a version that had fewer options, these were as they are by default
        defaults = {k: v for k, v in BulkOptions().to_dict().items() if k != "molecules"}
        earlier = {**earlier, "options": {**defaults, **earlier.get("options", {})}}
    if options.block is None:
        block = earlier.get("options", {}).get("block") or options.draws_per_block(LARGEST_SHARD)
        options = options.replace(block=block)
    chosen = {k: v for k, v in options.to_dict().items() if k != "molecules"}
    job = {"format": 1, "model": generator.fingerprint, "options": chosen}
    if earlier and earlier != job:
        theirs = earlier.get("options", {})
        differing = [k for k, v in chosen.items() if theirs.get(k) != v] or ["model"]
        raise ConfigError(
            f"{folder} holds molecules of another job (it differs in {', '.join(differing)}); "
            "name another directory, or use the same model and settings to complete that one"
        )
    if not earlier:
        if any(folder.glob("part-*.parquet")):
            raise ConfigError(f"{folder} holds shards but no {SETTINGS}; name another directory")
        write_json(path, job)
    return options


def _shard(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05d}.parquet"


def _write_shard(path: Path, block: Block, options: BulkOptions, cut: bool) -> None:
    """One shard; what was drawn and turned down for it stands in its metadata."""
    columns = {name: pa.array(values) for name, values in block.columns(options).items()}
    columns["smiles"] = pa.array(block.smiles, pa.string())  # also of an empty block
    facts = {"drawn": block.drawn, "rejected": dict(block.rejected), "cut": cut}
    table = pa.table(columns).replace_schema_metadata({"molvae": json.dumps(facts)})
    with atomic_file(path, "wb") as out:
        pq.write_table(table, out, compression="zstd")


def _finished(folder: Path, options: BulkOptions) -> Iterator[tuple[Block, bool]]:
    """The shards that are there, in order, and whether each was cut short."""
    number = 0
    while (path := _shard(folder, number)).exists():
        try:
            with file_errors(path):
                table = pq.read_table(path)
            facts = json.loads(table.schema.metadata[b"molvae"])
        except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{path} is not a whole shard ({error}); remove it and run again"
            ) from error
        smiles = table.column("smiles").to_pylist()
        values = np.column_stack(
            [np.empty((len(smiles), 0)), *(table.column(n).to_numpy() for n in options.columns())]
        )
        yield Block(smiles, values, facts["drawn"], Counter(facts["rejected"])), facts["cut"]
        number += 1
