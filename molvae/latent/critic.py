"""A critic: what a model writes more often than its data, and what less often.

A residual energy-based model (Deng, Bakhtin, Ott, Szlam & Ranzato 2020, arXiv:2004.11714): the
model's own distribution q of molecules is corrected by a classifier that tells its samples from
data. Where the classifier's logit is l(x), the corrected density is ``p(x) = q(x) exp(l(x)) / Z``,
and a draw from it is one of several candidates from q, chosen with probabilities in proportion to
``exp(l)`` (sampling-importance-resampling, Rubin 1988). The classifier sees counts of parts
(:mod:`molvae.chem.features`), so it is small, fast, and learns from few samples.

A decoder is surest of molecules that it has seen, and writes them again more often than a critic of
parts can tell. With a ``discount`` c the corrected density is ``q(x) ** (1 - c) exp(l(x)) / Z``.

One scaffold makes up much of many data sets (one molecule in twenty of MOSES is benzene with
chains), and is of little use where others are wanted. Where none is to have more than a share
``most``, molecules of more frequent ones count less in the data, and p follows.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array, vstack
from torch.nn import functional

from molvae.base.errors import ConfigError, InputError
from molvae.base.parallel import chunked, ordered_map
from molvae.base.progress import Progress
from molvae.base.seeds import derive_seed
from molvae.bulk.blocks import collect
from molvae.bulk.options import BulkOptions
from molvae.chem.features import feature_count, part_counts
from molvae.chem.patterns import scaffold
from molvae.chem.smiles import parse_many
from molvae.datasets.corpus import Corpus
from molvae.generator import Generator
from molvae.models.config import CriticConfig
from molvae.models.critic import Critic
from molvae.training.checkpoint import history_of, load_model, save_model
from molvae.training.prior import with_critic
from molvae.training.run import now
from molvae.training.weights import get_weights, set_weights

DRAWS = 200_000
"""Samples of the model, and as many molecules of the corpus, that a critic learns from."""

_HELD_OUT = 0.1
_CHUNK = 2000
_EPOCHS, _STEPS = 6, 600  # at least
_BATCH, _RATE, _DECAY, _DROPOUT = 512, 2e-3, 0.02, 0.2


@dataclass(frozen=True)
class CriticQuality:
    """How well a critic tells samples from data, on molecules it has not learnt from.

    ``roc_auc`` 0.5: not at all, the model writes like its data as far as the critic can see.
    ``nats`` is the mean log-likelihood per molecule, -log 2 for a critic that knows nothing.
    """

    samples: int
    molecules: int
    roc_auc: float
    nats: float
    epoch: int
    """The pass that was best on held-out molecules, whose weights these are."""


def fit_critic(
    start: str | os.PathLike[str],
    out: str | os.PathLike[str],
    corpus: Corpus,
    config: CriticConfig | None = None,
    *,
    draws: int = DRAWS,
    most: float = 1.0,
    seed: int = 0,
    workers: int | None = None,
    progress: bool | None = None,
) -> CriticQuality:
    """Write the model ``start`` with a critic of its samples to ``out``.

    The critic learns from ``draws`` samples of the model, as its prior and decoder draw them, and
    as many training molecules of ``corpus``, among which no Bemis-Murcko scaffold counts for more
    than the share ``most`` (1: all as they come); a tenth of both is held out to choose the pass at
    which it was best. A critic that the model has is replaced. Raises :class:`InputError` for a
    corpus of fewer than 100 training molecules, :class:`ConfigError` for a share ``most`` that is
    none, and what sampling raises.
    """
    config = config or CriticConfig()
    if not 0 < most <= 1:
        raise ConfigError(
            f"most is {most}: give the share that a scaffold may have, above 0, up to 1"
        )
    loaded = load_model(start)
    rows = corpus.indices("train")
    if len(rows) < 100 or draws < 100:
        raise InputError(
            f"a critic needs at least 100 molecules and samples to learn from, not {len(rows)} "
            f"training molecules and {draws} samples"
        )
    plain = with_critic(loaded, None)
    generator = Generator(plain.model, plain.tokenizer, plain.config)
    drawn = collect(
        generator,
        BulkOptions(molecules=draws, unique=False, seed=derive_seed(seed, "critic draws")),
        workers=workers,
        progress=progress,
    ).smiles
    random = np.random.default_rng(derive_seed(seed, "critic molecules"))
    real = corpus.smiles(np.sort(random.permutation(rows)[:draws]))
    ours, theirs = (
        counts_of(side, config.bits, workers=workers, progress=progress) for side in (real, drawn)
    )
    config = config.model_copy(update={"features": feature_count(config.bits)})
    weights = None
    if most < 1:
        weights = scaffold_weights(real, most, workers=workers, progress=progress)
    critic, quality = learn_critic(
        ours, theirs, config, weights=weights, seed=seed, progress=progress
    )
    made = with_critic(loaded, config, critic)
    provenance: dict[str, Any] = {
        **loaded.provenance,
        "critic": {
            **quality.__dict__,
            "most": most,
            "corpus": corpus.sha256,
            "seed": seed,
            "time": now(),
        },
    }
    history = history_of(start)
    save_model(out, made.model, made.tokenizer, made.config, provenance, history=history)
    return quality


def counts_of(
    smiles: Sequence[str], bits: int, *, workers: int | None = None, progress: bool | None = None
) -> csr_array:
    """:func:`~molvae.chem.features.part_counts` of many molecules, over processes."""
    jobs = ((chunk, bits) for chunk in chunked(smiles, _CHUNK))
    parts = []
    with Progress("counting parts", len(smiles), progress) as bar:
        for part in ordered_map(_counts, jobs, workers):
            parts.append(part)
            bar.advance(part.shape[0])
    return vstack(parts, format="csr")


def _counts(job: tuple[list[str], int]) -> csr_array:
    smiles, bits = job
    return part_counts(parse_many(smiles), bits)


def scaffold_weights(
    smiles: Sequence[str],
    most: float,
    *,
    workers: int | None = None,
    progress: bool | None = None,
) -> np.ndarray:
    """What each molecule counts, 1 on average, ``(n,)`` float32: as much as any other, or as much
    less as its Bemis-Murcko scaffold is more frequent than the share ``most``; those without rings
    are of one kind."""
    found: list[str] = []
    with Progress("scaffolds", len(smiles), progress) as bar:
        for part in ordered_map(_scaffolds, chunked(smiles, _CHUNK), workers):
            found += part
            bar.advance(len(part))
    _, kind, count = np.unique(found, return_inverse=True, return_counts=True)
    weights = np.minimum(1, most * len(smiles) / count[kind])
    return np.asarray(weights / weights.mean(), np.float32)


def _scaffolds(smiles: Sequence[str]) -> list[str]:
    return ["" if mol is None else scaffold(mol) for mol in parse_many(smiles)]


def learn_critic(
    real: csr_array,
    drawn: csr_array,
    config: CriticConfig,
    *,
    weights: np.ndarray | None = None,
    seed: int,
    progress: bool | None,
) -> tuple[Critic, CriticQuality]:
    """A critic of the counts of both sides, as good as it was on the tenth that is held out.

    ``weights``, one for each row of ``real`` and 1 on average, say what the molecules count.
    """
    from sklearn.metrics import roc_auc_score

    generator = torch.Generator().manual_seed(derive_seed(seed, "critic weights"))
    critic = Critic(config, generator)
    optimizer = torch.optim.AdamW(critic.parameters(), lr=_RATE, weight_decay=_DECAY)
    counts = vstack([real, drawn], format="csr")
    labels = np.repeat([1.0, 0.0], [real.shape[0], drawn.shape[0]]).astype(np.float32)
    each = np.ones_like(labels)
    if weights is not None:
        each[: len(weights)] = weights
    order = np.random.default_rng(derive_seed(seed, "held out")).permutation(len(labels))
    held, learnt = np.split(order, [int(_HELD_OUT * len(order))])
    size = min(_BATCH, max(32, len(learnt) // 100))
    per_epoch = -(-len(learnt) // size)
    epochs = max(_EPOCHS, -(-_STEPS // per_epoch))
    steps = epochs * per_epoch
    best: tuple[float, int, dict[str, torch.Tensor], np.ndarray] | None = None
    step = 0
    with Progress("critic", steps, progress) as bar:
        for epoch in range(epochs):
            shuffled = learnt[torch.randperm(len(learnt), generator=generator).numpy()]
            for start in range(0, len(shuffled), size):
                rows = shuffled[start : start + size]
                for group in optimizer.param_groups:
                    group["lr"] = _RATE * (1 - step / steps)
                kept = torch.rand(len(rows), config.hidden, generator=generator) >= _DROPOUT
                logits = critic(*as_given(counts[rows]), kept / (1 - _DROPOUT))
                loss = _nats(logits, labels[rows], each[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                step += 1
                bar.advance()
            with torch.no_grad():
                score = critic(*as_given(counts[held]))
                loss = _nats(score, labels[held], each[held])
            if best is None or -float(loss) > best[0]:
                kept_weights = {k: v.clone() for k, v in get_weights(critic).items()}
                best = (-float(loss), epoch + 1, kept_weights, score.numpy())
    assert best is not None
    nats, epoch, best_weights, score = best
    set_weights(critic, best_weights)
    roc_auc = float(roc_auc_score(labels[held], score))
    quality = CriticQuality(drawn.shape[0], real.shape[0], roc_auc, nats, epoch)
    return critic.requires_grad_(False), quality


def _nats(logits: torch.Tensor, labels: np.ndarray, weights: np.ndarray) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(
        logits, torch.from_numpy(labels), torch.from_numpy(weights)
    )


def as_given(counts: csr_array) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The sparse rows as a critic takes them."""
    columns, starts = (part.astype(np.int64) for part in (counts.indices, counts.indptr[:-1]))
    return torch.from_numpy(columns), torch.from_numpy(counts.data), torch.from_numpy(starts)
