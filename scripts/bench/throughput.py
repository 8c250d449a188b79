"""Throughput of sampling on all cores, with flat memory.

To canonical SMILES end to end through the bulk route (``generate_shards``), in a
process of its own for each size, whose peak memory and that of its largest worker are reported,
beside the CPU time of all processes; and the share of network, codec, RDKit and critic, in CPU time
of one thread. A draw is what ``generate`` makes of one latent: with a critic, several candidates.

    python scripts/bench/throughput.py --model druglike -o throughput.json
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _common import SAMPLE, arguments, finish, print_table, sample_of
from _ours import corpus_of
from _turns import bench_directory
from rdkit import Chem

from molvae.base.parallel import default_workers
from molvae.bulk import BulkOptions, generate_shards
from molvae.chem.mending import encodable
from molvae.chem.plain import PlainTexts
from molvae.chem.selfies import CodecError
from molvae.chem.smiles import MoleculeError, parse
from molvae.generator import Generator, load
from molvae.latent.draws import choose
from molvae.latent.reading import TOGETHER

STAGES = ("network", "ids to SMILES", "RDKit", "SMILES to ids and mending", "critic")
READING = "all but the network, as it runs"


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--model", default="druglike", help="directory or name (%(default)s)")
    parser.add_argument("--sizes", type=int, nargs=2, default=[20_000, 100_000], metavar="N")
    parser.add_argument("--block", type=int, help="draws in a block (default: as generate has it)")
    parser.add_argument("--staged", type=int, default=5000, help="draws for the shares")
    parser.add_argument("--here", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    place = bench_directory()
    if options.smoke:
        place = place / "smoke"
        options.sizes, options.staged, options.model = [60], 50, str(smoke_model(place))
    if options.here is not None:
        print(json.dumps(bulk(options.model, options.here, options.block)))
        return
    results: dict[str, Any] = {"workers": default_workers()}
    results["bulk"] = [in_a_process(options.model, n, options.block) for n in options.sizes]
    show_bulk(results["bulk"], results["workers"])
    generator = load(options.model, "cpu")
    torch.set_num_threads(1)
    results["shares"] = stages(generator, options.staged, time.process_time)
    show_stages("CPU, one thread", results["shares"])
    finish(options.output, "throughput", results)


# --- sampling -------------------------------------------------------------------------------------


def bulk(model: str, n: int, block: int | None, device: str = "cpu") -> dict[str, Any]:
    """``n`` molecules through the bulk route, in this process and its workers."""
    generator = load(model, device)
    before = peak(resource.RUSAGE_SELF)
    cpu = cpu_seconds()
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        summary = generate_shards(
            generator, Path(folder) / "out", BulkOptions(molecules=n, block=block), progress=False
        )
        wall = time.perf_counter() - start
    return {
        "molecules": summary.molecules,
        "drawn": summary.drawn,
        "rejected": summary.rejected,
        "wall": wall,
        "cpu": cpu_seconds() - cpu,
        "loaded_bytes": before,
        "peak_bytes": peak(resource.RUSAGE_SELF),
        "worker_peak_bytes": peak(resource.RUSAGE_CHILDREN),
    }


def cpu_seconds() -> float:
    """CPU time of this process and of those that it has waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def peak(who: int) -> int:
    """Peak resident bytes of this process, or of the largest that it has waited for."""
    return resource.getrusage(who).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def in_a_process(model: str, n: int, block: int | None) -> dict[str, Any]:
    """:func:`bulk` in a process that has done nothing before."""
    command = [sys.executable, __file__, "--model", model, "--here", str(n)]
    command += [] if block is None else ["--block", str(block)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def show_bulk(reports: Sequence[dict[str, Any]], workers: int) -> None:
    rows = [
        [
            f"{r['molecules']:,}",
            f"{r['wall']:.1f} s",
            f"{r['molecules'] / r['wall']:,.0f}",
            f"{r['cpu']:.1f} s",
            f"{r['molecules'] / r['cpu']:,.0f}",
            f"{r['peak_bytes'] / 1e6:,.0f} MB",
            f"{r['worker_peak_bytes'] / 1e6:,.0f} MB",
        ]
        for r in reports
    ]
    header = [
        "distinct molecules",
        "time",
        "molecules/s",
        "CPU time",
        "molecules/CPU s",
        "peak",
        "peak of a worker",
    ]
    print(f"\nTo canonical SMILES, {workers} processes\n")
    print_table(rows, header)
    if len(reports) == 2:
        (few, many) = reports
        more = {name: many[name] - few[name] for name in ("molecules", "wall", "cpu")}
        print(
            "\nThe molecules by which the second is more, start-up left out: "
            f"{more['molecules'] / more['wall']:,.0f}/s, "
            f"{more['molecules'] / more['cpu']:,.0f}/CPU s"
        )


def stages(generator: Generator, n: int, clock: Callable[[], float]) -> dict[str, Any]:
    """Seconds of each stage for ``n`` draws, on ``clock``."""
    size = min(n, 10_000)
    Stages(generator, clock).draw(min(size, 200), 0)  # warm
    found = Stages(generator, clock)
    for start in range(0, n, size):
        found.draw(min(size, n - start), start)
    return {
        "draws": n,
        "candidates": generator.candidates,
        "valid": found.valid,
        "mended": found.mended,
        "seconds": found.seconds,
    }


class Stages:
    """What :meth:`Generator.draw` does, stage by stage, with the time of each."""

    def __init__(self, generator: Generator, clock: Callable[[], float]) -> None:
        self.generator, self.clock = generator, clock
        self.plain = PlainTexts(generator.tokenizer)
        self.seconds = dict.fromkeys((*STAGES, READING), 0.0)
        self.valid = self.mended = 0

    @contextlib.contextmanager
    def on(self, stage: str) -> Iterator[None]:
        """Add the time of what stands under it to a stage."""
        began = self.clock()
        yield
        self.seconds[stage] += self.clock() - began

    def draw(self, n: int, seed: int) -> None:
        """``n`` draws; of their candidates, the valid and the mended ones are counted."""
        reader = self.generator.reader
        with self.on("network"):
            written = self.generator.write(n, seed=seed)
            if self.generator.device.type == "cuda":
                torch.cuda.synchronize()
        with self.on(READING):
            reader.molecules(written)
        for rows in written.parts(TOGETHER):
            with self.on("ids to SMILES"):
                texts = reader.tokenizer.decode(written.rows(rows))
            self.read(texts, written.log_prob[rows], written.candidates)

    def read(self, texts: Sequence[str], log_prob: np.ndarray, candidates: int) -> None:
        """Some draws' texts as molecules, of which those are spelled that are chosen or may need
        mending."""
        with self.on("RDKit"):
            mols = [self.plain.read(text) for text in texts]
            odd = [i for i, mol in enumerate(mols) if mol is None]
            for i in odd:
                mols[i] = readable(texts[i])
        self.valid += sum(mol is not None for mol in mols)
        chosen: Sequence[int] = range(len(mols))
        if candidates > 1:
            with self.on("critic"):
                score = self.generator.reader.logits(mols)
                chosen = choose(score, log_prob, np.zeros(len(score)), 0, candidates)
        self.spell([mols[i] for i in odd], plain=False)
        self.spell([mols[i] for i in chosen if i not in set(odd)], plain=True)

    def spell(self, mols: Sequence[Chem.Mol | None], plain: bool) -> None:
        """Canonical SMILES, mended where they cannot be encoded."""
        there = [mol for mol in mols if mol is not None]
        with self.on("RDKit"):
            smiles = [Chem.MolToSmiles(mol) for mol in there]
        with self.on("SMILES to ids and mending"):
            for mol, text in zip(there, smiles, strict=True):
                if not (plain and self.plain.is_short(text)):
                    self.encode(mol, text)

    def encode(self, mol: Chem.Mol, smiles: str) -> None:
        """See whether it can be encoded, and mend it."""
        try:
            self.generator.tokenizer.encode_one(smiles)
        except CodecError:
            self.mended += 1
            encodable(mol, self.generator.tokenizer)


def readable(text: str) -> Chem.Mol | None:
    """The molecule, if it is one."""
    try:
        return parse(text)
    except MoleculeError:
        return None


def show_stages(where: str, report: dict[str, Any]) -> None:
    seconds = report["seconds"]
    total = sum(seconds[name] for name in STAGES)
    n = report["draws"]
    written = n * report["candidates"]
    seconds = {**seconds, "together": total}
    rows = [
        [name, f"{1e6 * seconds[name] / n:,.0f}", f"{seconds[name] / total:.0%}"]
        for name in (*STAGES, "together", READING)
    ]
    print(
        f"\n{where}: {n:,} draws, each of {report['candidates']} candidates, of which "
        f"{report['valid'] / written:.2%} valid, {report['mended'] / written:.2%} mended\n"
    )
    print_table(rows, ["stage", "microseconds/draw", "share"])


# --- trying it out --------------------------------------------------------------------------------


def smoke_model(place: Path) -> Path:
    """A tiny model without training."""
    from molvae.models.presets import preset
    from molvae.models.vae import SequenceVAE
    from molvae.training.checkpoint import save_model

    tokenizer = corpus_of(sample_of(SAMPLE, 300, place), place).tokenizer
    path = place / "throughput-model"
    save_model(
        path, SequenceVAE(preset("tiny"), tokenizer.vocab_size, tokenizer.max_length), tokenizer
    )
    return path


if __name__ == "__main__":
    main()
