"""Throughput of sampling on all cores, with flat memory.

To canonical SMILES end to end through the bulk route (``generate_shards``), in a
process of its own for each size, whose peak memory and that of its largest worker are reported,
beside the CPU time of all processes; and the share of network, codec, RDKit and critic, in CPU time
of one thread. A draw is what ``generate`` makes of one latent: with a critic, several candidates.

    python scripts/bench/throughput.py --model druglike -o throughput.json
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _common import SAMPLE, arguments, finish, print_table, sample_of
from _ours import corpus_of
from _turns import bench_directory
from rdkit import Chem

from molvae.base.parallel import chunked, default_workers
from molvae.bulk import BulkOptions, generate_shards
from molvae.chem.mending import encodable
from molvae.chem.selfies import CodecError
from molvae.chem.smiles import MoleculeError, parse
from molvae.generator import Generator, load
from molvae.latent.choosing import logits
from molvae.models.sampling import SamplingOptions, generate

STAGES = ("network", "ids to SMILES", "RDKit", "SMILES to ids and mending", "critic")


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
    took = dict.fromkeys(STAGES, 0.0)
    valid = mended = 0
    size = min(n, 10_000)
    stages_of(generator, min(size, 200), 0, clock)  # warm
    for start in range(0, n, size):
        seconds, good, changed = stages_of(generator, min(size, n - start), start, clock)
        for name, value in zip(STAGES, seconds, strict=True):
            took[name] += value
        valid += good
        mended += changed
    return {
        "draws": n,
        "candidates": generator.candidates,
        "valid": valid,
        "mended": mended,
        "seconds": took,
    }


def stages_of(
    generator: Generator, n: int, seed: int, clock: Callable[[], float]
) -> tuple[list[float], int, int]:
    """One batch of draws: seconds by stage, and of the candidates how many were valid, and how many
    of those had to be mended."""
    cuda = generator.device.type == "cuda"
    ticks = [clock()]
    latents = np.repeat(generator.sample_prior(n, seed), generator.candidates, 0)
    z = torch.from_numpy(latents)
    written = generate(generator.model, z, SamplingOptions(), seed)
    if cuda:
        torch.cuda.synchronize()
    ticks.append(clock())
    texts = generator.tokenizer.decode(written.rows())
    ticks.append(clock())
    found: list[tuple[Chem.Mol, str]] = []
    for text in texts:
        try:
            mol = parse(text)
        except MoleculeError:
            continue
        found.append((mol, Chem.MolToSmiles(mol)))
    ticks.append(clock())
    valid = mended = 0
    for mol, smiles in found:
        try:
            generator.tokenizer.encode_one(smiles)
        except CodecError:
            mended += 1
            encodable(mol, generator.tokenizer)
        valid += 1
    ticks.append(clock())
    if generator.candidates > 1:
        mols = [mol for mol, _ in found]
        for part in chunked(mols, generator.batch_size):
            logits(generator.model, part)
    ticks.append(clock())
    return np.diff(ticks).tolist(), valid, mended


def show_stages(where: str, report: dict[str, Any]) -> None:
    seconds = report["seconds"]
    total = sum(seconds.values())
    n = report["draws"]
    written = n * report["candidates"]
    rows = [
        [name, f"{1e6 * value / n:,.0f}", f"{value / total:.0%}"] for name, value in seconds.items()
    ]
    rows.append(["together", f"{1e6 * total / n:,.0f}", "100%"])
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
