"""A generator refreshed on the molecules that a search has found, so that it writes more like them.

Its space stays as it is: the encoder rests, and every latent keeps its meaning, so what a surrogate
has learnt of the space holds. The decoder learns the molecules, the better ones more often, and
with as many samples of its own prior, in the place of the data it came from: so it neither forgets
these nor collapses onto a few molecules. After the weighted retraining of Tripp et al., NeurIPS
2020, arXiv:2006.09191.

Or the whole model learns them, as there: the space moves, and every molecule has to be read anew.
The property head learns to say of each molecule what it said before.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from molvae.base.errors import ConfigError
from molvae.base.seeds import derive_seed
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
KL_WEIGHT = 0.05
"""Weight of the KL where the space is learnt and the generator does not say how it was trained."""


def refreshed(
    generator: Generator,
    smiles: Sequence[str],
    weight: np.ndarray,
    *,
    seed: int,
    space: bool = False,
) -> Generator:
    """A copy of ``generator`` whose decoder has learnt ``smiles``, each by its ``weight (n,)``.

    With ``space`` the encoder and the property head have learnt as well, so that latents are those
    of another space. Molecules that the model cannot encode are left out; with none that it can,
    the copy is equal. The given generator stays as it is. The critic, which knows the old decoder's
    faults, is left behind.

    Raises :class:`ConfigError` as :func:`check_space` does.
    """
    if space:
        check_space(generator)
    found, kept = _known(generator, smiles)
    samples = generator.sample(STEPS * BATCH // 2, seed=derive_seed(seed, "replay"), candidates=1)
    replay, _ = _known(generator, samples)
    model = deepcopy(generator.model)
    model.critic = None
    model.config = model.config.replace(critic=None)
    if found and replay:
        share = np.asarray(weight, float)[kept]
        lesson = _Lesson(generator, [*found, *replay], share / share.sum())
        _learn(model, lesson, seed, space)
    return replace(generator, model=model)


def check_space(generator: Generator) -> None:
    """Raises :class:`ConfigError` where samples would not be of the space once it has moved."""
    prior = generator.model.config.prior
    if prior.fitted:
        raise ConfigError(
            f"the model's {prior.kind} prior was fitted to its latent space, which moves when the "
            "whole model is refreshed; refresh the decoder alone, or give the model another prior"
        )


def _known(generator: Generator, smiles: Sequence[str]) -> tuple[list[np.ndarray], list[int]]:
    """The ids of the molecules that the model can write, and which these are."""
    encoded = generator.tokenizer.encode(list(smiles), unknown="drop").ids
    kept = [i for i, ids in enumerate(encoded) if ids is not None]
    return [ids for ids in encoded if ids is not None], kept


@dataclass(frozen=True, eq=False)
class _Lesson:
    """What the copy of a ``teacher`` learns: ids of ``molecules``, the first of which were found
    and come by their ``share``; the others are the replay."""

    teacher: Generator
    molecules: Sequence[np.ndarray]
    share: np.ndarray

    def draw(self, rng: np.random.Generator) -> Batch:
        """A batch, longest first, half of it replay."""
        found = len(self.share)
        picks = rng.choice(found, BATCH // 2, p=self.share).tolist()
        others = rng.choice(len(self.molecules) - found, BATCH - len(picks))
        rows = [self.molecules[i] for i in (*picks, *(found + others))]
        tokenizer = self.teacher.tokenizer
        return Batch.collate(
            sorted(rows, key=len, reverse=True),
            pad_id=tokenizer.pad_id,
            start_id=tokenizer.start_id,
            end_id=tokenizer.end_id,
        ).to(self.teacher.device)

    @property
    def objective(self) -> ObjectiveConfig:
        """What the teacher's space was trained for, as far as it is known: the settings of a run
        that fitted a head alone say nothing of it."""
        told: ObjectiveConfig | None = getattr(self.teacher.config, "objective", None)
        if told is None or self.teacher.provenance.get("head_only"):
            return ObjectiveConfig(kl_weight=KL_WEIGHT)
        return told


def _learn(model: SequenceVAE, lesson: _Lesson, seed: int, space: bool) -> None:
    """Teach the decoder of ``model``, or with ``space`` all that gives latents their meaning."""
    model.requires_grad_(True).train()
    model.frozen = False
    if not space:
        model.freeze_space()
    rng = np.random.default_rng(derive_seed(seed, "order"))
    noise = torch.Generator(model.device).manual_seed(derive_seed(seed, "noise"))
    parts = (
        [model.encoder, model.bottleneck, model.decoder, model.head] if space else [model.decoder]
    )
    parameters = [weight for part in parts if part is not None for weight in part.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=RATE)
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        batch = lesson.draw(rng)
        optimizer.zero_grad()
        if space:
            loss = model.losses(batch, lesson.objective, noise).total
            loss = loss + _forgotten(lesson.teacher.model, model, batch)
        else:
            terms = model.losses(batch, ObjectiveConfig(), noise, kl_weight=0.0)
            loss = terms.terms["reconstruction"].value
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        model.step_done(lambda total: total, first=True)


def _forgotten(teacher: SequenceVAE, model: SequenceVAE, batch: Batch) -> Tensor:
    """How far the head's answers are from the ``teacher``'s for the same molecules, squared.

    Both of a head's answers count, in units of the scaled labels: the value and the log of its
    variance, so that it is neither more nor less sure than before.
    """
    if teacher.head is None or model.head is None:
        return torch.zeros((), device=model.device)
    with torch.no_grad():
        before = teacher.head(teacher.encode(batch.tokens, batch.lengths).mean)
    now = model.head(model.encode(batch.tokens, batch.lengths).mean)
    apart = [(a - b).square().mean(-2).sum(-1) for a, b in zip(before, now, strict=True)]
    return torch.stack(apart).sum(0).mean()
