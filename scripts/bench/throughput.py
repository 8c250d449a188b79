"""Throughput: sampling on all cores with flat memory; on a GPU, training and a million molecules.

On the CPU, to canonical SMILES end to end through the bulk route (``generate_shards``), in a
process of its own for each size, whose peak memory and that of its largest worker are reported,
beside the CPU time of all processes; and the share of network, codec, RDKit and critic, in CPU time
of one thread. A draw is what ``generate`` makes of one latent: with a critic, several candidates.

On a GPU, tokens per second of the real training loop, beside what cuDNN's ``nn.GRU`` alone reaches
on the same molecules and sizes (forward and backward of the encoder's and the decoder's layers,
packed, without embeddings, output layer, loss or optimiser: a ceiling); and a million molecules to
canonical SMILES, with the time of each stage. Without a GPU this part says that it needs one.

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
from _ours import corpus_of, settings
from _turns import bench_directory
from rdkit import Chem
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from molvae.base.parallel import default_workers
from molvae.bulk import BulkOptions, generate_shards
from molvae.chem.mending import encodable
from molvae.chem.selfies import CodecError
from molvae.chem.smiles import MoleculeError, parse
from molvae.datasets.corpus import Corpus
from molvae.generator import Generator, load
from molvae.models.config import ModelConfig
from molvae.models.sampling import SamplingOptions, generate
from molvae.training.loop import train
from molvae.training.trainer import Trainer

STAGES = ("network", "ids to SMILES", "RDKit", "SMILES to ids and mending", "critic")
NEEDS_GPU = "The GPU part (training throughput, a million molecules) needs a CUDA device: left out."


def main() -> None:
    parser = arguments(__doc__, rounds=1)
    parser.add_argument("--model", default="druglike", help="directory or name (%(default)s)")
    parser.add_argument("--sizes", type=int, nargs=2, default=[20_000, 100_000], metavar="N")
    parser.add_argument("--block", type=int, help="draws in a block (default: as generate has it)")
    parser.add_argument("--staged", type=int, default=5000, help="draws for the shares")
    parser.add_argument("--million", type=int, default=1_000_000, help="molecules on the GPU")
    parser.add_argument("--steps", type=int, default=200, help="training steps on the GPU")
    parser.add_argument("--batch", type=int, default=1024, help="molecules in a training step")
    parser.add_argument("--corpus", type=Path, help="molecules to train on (default: MOSES)")
    parser.add_argument("--preset", default="default", help="sizes to train (%(default)s)")
    parser.add_argument("--here", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    place = bench_directory()
    if options.smoke:
        place = place / "smoke"
        options.sizes, options.staged, options.million, options.steps = [60, 120], 50, 100, 2
        options.model, options.preset, options.batch = str(smoke_model(place)), "tiny", 64
        options.corpus = corpus_of(sample_of(SAMPLE, 300, place), place).path
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
    if torch.cuda.is_available() or options.smoke:  # the smoke run exercises the code on the CPU
        device = "cuda" if torch.cuda.is_available() else "cpu"
        results["gpu"] = on_device(device, options, place)
    if not torch.cuda.is_available():
        print(f"\n{NEEDS_GPU}")
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
        generator.realism([smiles for _, smiles in found])
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


# --- on a GPU -------------------------------------------------------------------------------------


def on_device(device: str, options: argparse.Namespace, place: Path) -> dict[str, Any]:
    """All that is measured on ``device``."""
    corpus = Corpus.open(options.corpus) if options.corpus else moses(place)
    ours = training(corpus, options.preset, options.batch, options.steps, device)
    ceiling = gru_alone(corpus, options.preset, options.batch, options.steps, device)
    share = ours["tokens_per_s"] / ceiling["tokens_per_s"]
    print(f"\nTraining on {device_name(device)}, {options.batch} molecules a step, float32\n")
    print_table(
        [
            ["molvae, the whole loop", f"{ours['tokens_per_s']:,.0f}", f"{share:.0%}"],
            ["nn.GRU alone", f"{ceiling['tokens_per_s']:,.0f}", "100%"],
        ],
        ["", "tokens/s", "share"],
    )
    generator = load(options.model, device)
    staged = stages(generator, min(options.million, 100_000), time.perf_counter)
    show_stages(f"{device_name(device)} and one core", staged)
    whole = bulk(options.model, options.million, options.block, device)
    show_bulk([whole], default_workers())
    return {
        "device": device_name(device),
        "training": ours,
        "gru": ceiling,
        "share": share,
        "stages": staged,
        "bulk": whole,
    }


def device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else device


def moses(place: Path) -> Corpus:
    from molvae.datasets.corpus import build_corpus

    return build_corpus("moses", place / "corpus-moses")


def training(corpus: Corpus, preset: str, batch: int, steps: int, device: str) -> dict[str, float]:
    """Tokens per second of the real loop, its first fifth not counted."""
    config = settings(preset, batch, steps + 1)
    config = config.replace(run={**config.run.to_dict(), "device": device})
    warm = max(1, steps // 5)
    began = tokens = 0.0
    own_step = Trainer.step

    def step(trainer: Trainer) -> None:
        nonlocal began, tokens
        if trainer.state.step == warm:
            began = now(device)
        if trainer.state.step >= warm and trainer.state.step < steps:
            rows = trainer.plan.rows(trainer.state.step)
            tokens += int(trainer.molecules.lengths_of(rows).sum()) + len(rows)
        if trainer.state.step == steps:
            seconds.append(now(device) - began)
        own_step(trainer)

    seconds: list[float] = []
    Trainer.step = step  # type: ignore[assignment, method-assign]
    try:
        with tempfile.TemporaryDirectory() as folder:
            train(corpus, Path(folder) / "model", config, progress=False)
    finally:
        Trainer.step = own_step  # type: ignore[method-assign]
    return {"tokens": tokens, "seconds": seconds[0], "tokens_per_s": tokens / seconds[0]}


def gru_alone(corpus: Corpus, preset: str, batch: int, steps: int, device: str) -> dict[str, float]:
    """Forward and backward of the layers as ``nn.GRU``, on packed rows of the same lengths."""
    config = settings(preset, batch).model
    encoder, decoder = (part.to(device) for part in stacks(config))
    lengths = np.diff(np.asarray(corpus.offsets)) + 1  # the end counts, as it does for us
    lengths = np.sort(lengths[corpus.indices("train")])
    random = np.random.default_rng(0)
    warm = max(1, steps // 5)
    began = tokens = 0.0
    for step in range(steps):
        if step == warm:
            began = now(device)
        first = int(random.integers(0, max(1, len(lengths) - batch)))
        chosen = lengths[first : first + batch]  # of like length, as in our batches
        for stack in (encoder, decoder):
            stack.zero_grad()
            packed = random_rows(chosen, stack.input_size, device)
            output, final = stack(packed)
            (output.data.sum() + final.sum()).backward()
        if step >= warm:
            tokens += int(chosen.sum())
    seconds = now(device) - began
    return {"tokens": tokens, "seconds": seconds, "tokens_per_s": tokens / seconds}


def stacks(config: ModelConfig) -> tuple[nn.GRU, nn.GRU]:
    """The encoder's and the decoder's layers."""
    encoder = nn.GRU(
        config.embedding_dim,
        config.encoder_hidden,
        config.encoder_layers,
        bidirectional=config.bidirectional,
    )
    return encoder, nn.GRU(config.embedding_dim, config.decoder_hidden, config.decoder_layers)


def random_rows(lengths: np.ndarray, width: int, device: str) -> PackedSequence:
    """Packed rows of standard normal vectors, longest first."""
    longest_first = torch.from_numpy(lengths[::-1].copy())
    rows: Tensor = torch.randn(int(longest_first[0]), len(lengths), width, device=device)
    return pack_padded_sequence(rows.requires_grad_(), longest_first)


def now(device: str) -> float:
    """The time when all that was asked of the device is done."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


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
