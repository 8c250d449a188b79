"""A generator refreshed on the molecules that a search has found, so that it writes more like them.

Its space stays as it is: the encoder rests, and every latent keeps its meaning, so what a surrogate
has learnt of the space holds. The decoder learns the molecules, the better ones more often, and
with as many samples of its own prior, in the place of the data it came from: so it neither forgets
these nor collapses onto a few molecules. After the weighted retraining of Tripp et al., NeurIPS
2020, arXiv:2006.09191.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch

from molvae.base.seeds import derive_seed
from molvae.chem.tokenizer import Tokenizer
from molvae.generator import Generator
from molvae.models.batch import Batch
from molvae.models.objective import ObjectiveConfig
from molvae.models.vae import SequenceVAE

STEPS = 40
"""Steps of the optimiser."""
BATCH = 64
"""Molecules in a step, half of them samples."""
RATE = 5e-4
"""Learning rate at the start; it falls evenly to nothing."""
CLIP = 1.0


def refreshed(
    generator: Generator, smiles: Sequence[str], weight: np.ndarray, *, seed: int
) -> Generator:
    """A copy of ``generator`` whose decoder has learnt ``smiles``, each by its ``weight (n,)``.

    Molecules that the model cannot encode are left out; with none that it can, the copy is equal.
    The given generator stays as it is. The critic, which knows the old decoder's faults, is left
    behind.
    """
    found, kept = _known(generator, smiles)
    samples = generator.sample(STEPS * BATCH // 2, seed=derive_seed(seed, "replay"), candidates=1)
    replay, _ = _known(generator, samples)
    model = deepcopy(generator.model)
    model.critic = None
    model.config = model.config.replace(critic=None)
    if found and replay:
        share = np.asarray(weight, float)[kept]
        _learn(model, generator.tokenizer, found, share / share.sum(), replay, seed)
    return replace(generator, model=model)


def _known(generator: Generator, smiles: Sequence[str]) -> tuple[list[np.ndarray], list[int]]:
    """The ids of the molecules that the model can write, and which these are."""
    encoded = generator.tokenizer.encode(list(smiles), unknown="drop").ids
    kept = [i for i, ids in enumerate(encoded) if ids is not None]
    return [ids for ids in encoded if ids is not None], kept


def _learn(
    model: SequenceVAE,
    tokenizer: Tokenizer,
    found: Sequence[np.ndarray],
    share: np.ndarray,
    replay: Sequence[np.ndarray],
    seed: int,
) -> None:
    """Teach the decoder of ``model`` molecules ``found``, by their ``share``, and ``replay``."""
    model.requires_grad_(True).train()
    model.frozen = False
    model.freeze_space()
    rng = np.random.default_rng(derive_seed(seed, "order"))
    noise = torch.Generator(model.device).manual_seed(derive_seed(seed, "noise"))
    parameters = list(model.decoder.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=RATE)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        rows = [found[i] for i in rng.choice(len(found), BATCH // 2, p=share)]
        rows += [replay[i] for i in rng.choice(len(replay), BATCH - len(rows))]
        batch = Batch.collate(
            sorted(rows, key=len, reverse=True),
            pad_id=tokenizer.pad_id,
            start_id=tokenizer.start_id,
            end_id=tokenizer.end_id,
        ).to(model.device)
        optimizer.zero_grad()
        terms = model.losses(batch, ObjectiveConfig(), noise, kl_weight=0.0)
        terms.terms["reconstruction"].value.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
