"""molvae at work, for the benchmarks: its own training loop and its own sampler, in turns.

``train`` runs :func:`molvae.training.loop.train` as a user does (weight averaging, gradient
clipping, history and all), standing still before every n-th step. ``sample`` writes molecules from
the prior with a model that was trained a little, and is kept for the next run.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from _flops import training_flop
from _turns import Turns

from molvae.datasets.corpus import Corpus, build_corpus
from molvae.generator import load
from molvae.models.presets import preset
from molvae.models.sampling import SamplingOptions, generate
from molvae.training.config import TrainConfig
from molvae.training.loop import train
from molvae.training.trainer import Trainer

FOREVER = 10**9


def settings(size: str, batch: int | None, steps: int = FOREVER) -> TrainConfig:
    """The default settings of a run with the sizes of the preset ``size``, without evaluation."""
    config = TrainConfig(model=preset(size))
    if batch is not None:
        config = config.replace(optimiser={**config.optimiser.to_dict(), "batch_size": batch})
    run = {"steps": steps, "evaluate_every": FOREVER, "keep_best": False, "device": "cpu"}
    return config.replace(run={**config.run.to_dict(), **run})


def corpus_of(molecules: Path, directory: Path) -> Corpus:
    """The molecules as a corpus, built on the first call."""
    return build_corpus(molecules, directory / f"corpus-{molecules.stem}")


def training(corpus: Corpus, config: TrainConfig, steps: int) -> None:
    """One turn is ``steps`` steps of the real loop; it reports molecules, tokens and flop."""
    turns = Turns()
    counts = dict.fromkeys(("molecules", "tokens", "flop"), 0.0)
    own_step = Trainer.step

    def step(trainer: Trainer) -> None:
        if trainer.state.step % steps == 0:
            turns.next(**counts)
            counts.update(dict.fromkeys(counts, 0.0))
        rows = trainer.plan.rows(trainer.state.step)
        tokens = int(trainer.molecules.lengths_of(rows).sum()) + len(rows)
        counts["molecules"] += len(rows)
        counts["tokens"] += tokens
        model = trainer.model
        counts["flop"] += training_flop(model.config, model.vocab_size, len(rows), tokens)
        own_step(trainer)

    Trainer.step = step  # type: ignore[method-assign, assignment]
    with tempfile.TemporaryDirectory() as place:
        train(corpus, Path(place) / "model", config, progress=False)


def sampling(model: Path, n: int, canonical: bool) -> None:
    """One turn is ``n`` molecules from the prior, as token strings or as canonical SMILES."""
    turns = Turns()
    generator = load(model, device="cpu")
    turn = 0
    turns.next()
    while True:
        z = generator.sample_prior(n, seed=turn)
        counts: dict[str, Any]
        if canonical:
            smiles = generator.decode(z, strategy="sample", seed=turn)
            counts = {"molecules": n, "valid": sum(map(bool, smiles))}
        else:
            options = SamplingOptions()
            written = generate(generator.model, torch.from_numpy(z), options, seed=turn)
            strings = [generator.tokenizer.selfies(row) for row in written.rows()]
            limit = generator.model.max_length
            ended = int((written.lengths < limit).sum())
            counts = {"molecules": len(strings), "tokens": int(written.lengths.sum()) + ended}
        turn += 1
        turns.next(**counts)


def trained(corpus: Corpus, config: TrainConfig, directory: Path) -> Path:
    """A model that has been trained a little, made on the first call."""
    if not directory.exists():
        with tempfile.TemporaryDirectory(dir=directory.parent) as place:
            train(corpus, Path(place) / "model", config)
            shutil.move(Path(place) / "model", directory)
    return directory


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("job", choices=["train", "sample"])
    parser.add_argument("molecules", type=Path, help="SMILES, one per line")
    parser.add_argument("directory", type=Path, help="keeps the corpus and the trained models")
    parser.add_argument("--size", default="default", help="a preset of molvae.models")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--steps", type=int, required=True, help="per turn, or before sampling")
    parser.add_argument("--n", type=int, default=512, help="molecules sampled in a turn")
    parser.add_argument("--canonical", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    corpus = corpus_of(options.molecules, options.directory)
    if options.job == "train":
        training(corpus, settings(options.size, options.batch), options.steps)
    else:
        config = settings(options.size, options.batch, options.steps)
        model = trained(corpus, config, options.directory / f"model-{options.size}-{options.steps}")
        sampling(model, options.n, options.canonical)


if __name__ == "__main__":
    main()
