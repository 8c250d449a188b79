"""The peer at work: molsets' own VAE, trainer and sampler, run in its own environment.

Started by the benchmarks with the python that ``peer_env.py`` made; it imports the standard
library, torch, rdkit and molsets, never molvae. Its code and its default configuration are used as
they are. Three things are put under it at run time:

- the package ``moses`` without its ``__init__``, which imports metrics that no current pandas
  runs and that the VAE does not use;
- instead of ``tqdm``'s bar in the trainer, the benchmark's turns: it hands the very batches of the
  trainer's own loader to the trainer's own loop, and stands still between two turns;
- boolean masks in its sampler, where it asks for ``uint8``, which torch no longer takes as masks.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import sys
import types
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from _turns import Turns
from rdkit import Chem, RDLogger


class Enough(Exception):
    """Leaves the trainer's loop when the wanted number of steps is done."""


class Steps:
    """What stands where the trainer shows its progress bar: passes at most ``limit`` batches on."""

    def __init__(self, batches: Iterable[Any], limit: int | None) -> None:
        self._batches = batches
        self._limit = limit

    def __iter__(self) -> Iterator[Any]:
        yield from itertools.islice(self._batches, self._limit)
        if self._limit is not None:
            raise Enough

    def set_postfix_str(self, text: str) -> None:
        self.note = text


def import_moses() -> types.SimpleNamespace:
    """The classes of ``moses.vae``, from the package whose own ``__init__`` is not run."""
    spec = importlib.util.find_spec("moses")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("molsets is not installed here; make its environment with peer_env.py")
    package = types.ModuleType("moses")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["moses"] = package
    from moses.vae import VAE, VAETrainer, model, trainer, vae_parser

    model.torch = types.SimpleNamespace(**{**vars(torch), "uint8": torch.bool})
    return types.SimpleNamespace(VAE=VAE, Trainer=VAETrainer, parser=vae_parser, loop=trainer)


def build(moses: types.SimpleNamespace, smiles: list[str], **changes: Any) -> tuple[Any, Any]:
    """Its trainer and model at the default configuration (with ``changes``)."""
    config = moses.parser().parse_args([])
    for name, value in {"log_file": None, "model_save": None, **changes}.items():
        setattr(config, name, value)
    trainer = moses.Trainer(config)
    return trainer, moses.VAE(trainer.get_vocabulary(smiles), config)


def counts(batch: list[torch.Tensor]) -> dict[str, int]:
    """Molecules and predicted tokens of a batch: symbols and the end, not start or pad."""
    return {"molecules": len(batch), "tokens": sum(len(row) - 1 for row in batch)}


def train(moses: types.SimpleNamespace, smiles: list[str], steps: int) -> None:
    """Its ``fit`` on ``smiles``, ``steps`` batches of its default size per turn, for ever."""
    turns = Turns()
    trainer, model = build(moses, smiles)
    sizes = {"parameters": sum(p.numel() for p in model.parameters())}

    def bar(batches: Iterable[Any], **_: Any) -> Steps:
        return Steps(
            turns.every(
                steps, itertools.chain.from_iterable(itertools.repeat(batches)), counts, **sizes
            ),
            None,
        )

    moses.loop.tqdm = bar
    trainer.fit(model, smiles)


def sample(moses: types.SimpleNamespace, smiles: list[str], options: argparse.Namespace) -> None:
    """Its ``sample`` to strings, and where asked on to canonical SMILES, ``n`` molecules a turn."""
    turns = Turns()
    trainer, model = build(moses, smiles, n_batch=options.batch, lr_start=options.learning_rate)
    weights = options.weights
    if weights.exists():
        model.load_state_dict(torch.load(weights, weights_only=True))
    else:
        moses.loop.tqdm = lambda batches, **_: Steps(batches, options.steps)
        try:
            trainer.fit(model, smiles)
        except Enough:
            weights.parent.mkdir(parents=True, exist_ok=True)
            torch.save(model.state_dict(), weights)
    model.eval()
    turns.next()
    while True:
        strings = model.sample(options.n, max_len=options.max_length)
        tokens = sum(map(len, strings)) + sum(len(s) < options.max_length - 1 for s in strings)
        report = {"molecules": len(strings), "tokens": tokens}
        if options.canonical:
            mols = [Chem.MolFromSmiles(string) for string in strings]
            canonical = [Chem.MolToSmiles(mol) for mol in mols if mol is not None]
            report["valid"] = sum(map(bool, canonical))
        turns.next(**report)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("job", choices=["train", "sample"])
    parser.add_argument("molecules", type=Path, help="SMILES, one per line")
    parser.add_argument("--steps", type=int, required=True, help="per turn, or before sampling")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n", type=int, default=512, help="molecules sampled in a turn")
    parser.add_argument("--batch", type=int, default=64, help="training before sampling: its batch")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--max-length", type=int, default=100, help="the peer's own default")
    parser.add_argument("--weights", type=Path, help="kept between runs, for sampling")
    parser.add_argument("--canonical", action="store_true")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    RDLogger.DisableLog("rdApp.*")
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    smiles = options.molecules.read_text().split()
    moses = import_moses()
    if options.job == "train":
        train(moses, smiles, options.steps)
    else:
        sample(moses, smiles, options)


if __name__ == "__main__":
    main()
