"""On a GPU: training beside what cuDNN's GRU alone reaches, and a million molecules sampled.

Tokens per second of the real training loop of a recipe, and of ``nn.GRU`` alone: forward and
backward of the encoder's and the decoder's layers, of the same sizes and number type, on packed
rows of the same lengths, with inputs that lie ready on the device; no embeddings, output layer,
loss, optimiser or host work: a ceiling. The two take turns. Then a million distinct molecules of
``--model`` to canonical SMILES, with the time of each stage. It ends where there is no GPU.

    molvae data prepare moses -o corpora/moses
    python scripts/bench/gpu.py --corpus corpora/moses --model moses -o gpu.json
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from _common import REPOSITORY, SAMPLE, Rates, arguments, finish, print_table, sample_of
from _turns import bench_directory
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from molvae.cli.common import settings
from molvae.datasets.corpus import Corpus
from molvae.models.packing import Packing
from molvae.training.config import TrainConfig
from molvae.training.devices import make_fabric
from molvae.training.job import TrainJob
from molvae.training.prepare import prepare
from molvae.training.trainer import Trainer

RECIPE = REPOSITORY / "scripts" / "recipes" / "moses.toml"
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


def main() -> None:
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--corpus", type=Path, help="what to train on")
    parser.add_argument("--recipe", type=Path, default=RECIPE, help="%(default)s")
    parser.add_argument("--set", nargs="*", default=[], help="settings to change, KEY=VALUE")
    parser.add_argument("--steps", type=int, default=50, help="training steps in a round")
    parser.add_argument("--model", help="a model to draw from, by directory or name")
    parser.add_argument("--molecules", type=int, default=1_000_000, help="to draw (%(default)s)")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not options.smoke:
        sys.exit("gpu.py: this machine has no CUDA device, which is what it measures")
    results: dict[str, Any] = {"device": device_name(device)}
    if options.smoke:
        small(options)
    if options.corpus is not None:
        results["training"] = training(options, device)
    if options.model is not None:
        results["sampling"] = sampling(options, device)
    finish(options.output, "gpu", results)


def device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else device


def small(options: argparse.Namespace) -> None:
    """Sizes at which the script can be tried out on a CPU."""
    from _ours import corpus_of
    from throughput import smoke_model

    place = bench_directory() / "smoke"
    options.corpus = corpus_of(sample_of(SAMPLE, 300, place), place).path
    options.set = ["model.decoder_hidden=16", "model.encoder_hidden=8", "optimiser.batch_size=64"]
    options.set += ["run.device=cpu", "run.precision=fp32"]
    options.model, options.molecules = str(smoke_model(place)), 100
    options.steps, options.rounds = 2, 1


# --- training -------------------------------------------------------------------------------------


def training(options: argparse.Namespace, device: str) -> dict[str, Any]:
    """Both sides, in turns."""
    config = settings(TrainJob, options.recipe, options.set).training()
    with tempfile.TemporaryDirectory() as folder:
        loop = Loop(Corpus.open(options.corpus), config, Path(folder))
        alone = Alone(loop.trainer)
        sides: dict[str, Callable[[int], int]] = {"molvae": loop.steps, "nn.GRU": alone.steps}
        found: dict[str, list[float]] = {name: [] for name in sides}
        for turn in range(options.rounds + 1):
            for name, steps in sides.items():
                began = now(device)
                tokens = steps(options.steps)
                if turn:  # the first is for warming up
                    found[name].append(tokens / (now(device) - began))
        loop.trainer.feed.close()
    rates = {name: Rates(tuple(values)) for name, values in found.items()}
    share = rates["molvae"].over(rates["nn.GRU"])
    batch, precision = config.optimiser.batch_size, config.run.precision
    print(f"\nTraining on {device_name(device)}, {batch:,} molecules a step, {precision}\n")
    rows = [
        ["molvae, the whole loop", f"{rates['molvae']:,.0f}", f"{share:.0%}"],
        ["nn.GRU alone", f"{rates['nn.GRU']:,.0f}", "100%"],
    ]
    print_table(rows, ["", "tokens/s", "share"])
    return {
        "config": config.to_dict(),
        "share": share.to_dict(),
        **{name: rate.to_dict() for name, rate in rates.items()},
    }


class Loop:
    """The real training loop, some steps at a time."""

    def __init__(self, corpus: Corpus, config: TrainConfig, out: Path) -> None:
        prepared = prepare(corpus, config)
        settings = prepared.config.run
        self.trainer = Trainer(prepared, make_fabric(settings.device, settings.precision), out)
        self.trainer.begin()

    def steps(self, count: int) -> int:
        """Take ``count`` steps; the tokens in them."""
        before = self.trainer.state.interval_tokens
        for _ in range(count):
            self.trainer.step()
        return self.trainer.state.interval_tokens - before


class Alone:
    """torch's own GRU layers on rows of the lengths of the trainer's batches."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer, self.device = trainer, trainer.fabric.device
        self.dtype = DTYPES[trainer.config.run.precision]
        model = trainer.model.config
        read = model.embedding_dim
        encoder = nn.GRU(
            read, model.encoder_hidden, model.encoder_layers, bidirectional=model.bidirectional
        )
        seen = read + trainer.model.windows.context
        decoder = nn.GRU(seen, model.decoder_hidden, model.decoder_layers)
        self.stacks = [stack.to(self.device, self.dtype) for stack in (encoder, decoder)]
        self.inputs: list[Tensor] = [torch.empty(0) for _ in self.stacks]
        self.step = 0

    def steps(self, count: int) -> int:
        """As many forward and backward passes; the tokens in them."""
        tokens = 0
        for _ in range(count):
            rows = self.trainer.plan.rows(self.step)
            self.step += 1
            lengths = torch.from_numpy(self.trainer.molecules.lengths_of(rows)) + 1
            counts = torch.tensor(Packing.of(lengths).counts)
            size = int(lengths.sum())
            for place, stack in enumerate(self.stacks):
                if len(self.inputs[place]) < size:
                    shape = (size + size // 2, stack.input_size)
                    self.inputs[place] = torch.randn(shape, device=self.device, dtype=self.dtype)
                stack.zero_grad()
                inputs = self.inputs[place][:size].requires_grad_()
                output, _ = stack(PackedSequence(inputs, counts))
                output.data.backward(torch.ones_like(output.data))
            tokens += size
        return tokens


def now(device: str) -> float:
    """The time when all that was asked of the device is done."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


# --- sampling -------------------------------------------------------------------------------------


def sampling(options: argparse.Namespace, device: str) -> dict[str, Any]:
    """The share of each stage of some draws, then all the molecules as users draw them."""
    from throughput import READING, bulk, show_bulk, show_stages, stages

    from molvae.base.parallel import default_workers
    from molvae.generator import load

    generator = load(options.model, device)
    staged = stages(generator, min(options.molecules, 100_000), time.perf_counter)
    show_stages(f"{device_name(device)} and one core", staged)
    needed = staged["seconds"][READING] / staged["seconds"]["network"]
    print(f"\n{needed:.1f} cores keep up with the device; this machine has {default_workers()}")
    whole = bulk(options.model, options.molecules, None, device)
    show_bulk([whole], default_workers())
    return {"stages": staged, "cores_needed": needed, "bulk": whole}


if __name__ == "__main__":
    main()
