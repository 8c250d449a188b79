"""A critic: what a model writes more often than its data, and what less often.

A residual energy-based model (Deng, Bakhtin, Ott, Szlam & Ranzato 2020, arXiv:2004.11714): the
model's own distribution q of molecules is corrected by a classifier that tells its samples from
data. Where the classifier's logit is l(x), the corrected density is ``p(x) = q(x) exp(l(x)) / Z``,
and a draw from it is one of several candidates from q, chosen with probabilities in proportion to
``exp(l)`` (sampling-importance-resampling, Rubin 1988). The classifier is linear in counts of parts
(:mod:`molvae.chem.features`), so it is small, fast, and learns from few samples.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array, vstack

from molvae.base.errors import InputError
from molvae.base.parallel import chunked, ordered_map
from molvae.base.progress import Progress
from molvae.base.seeds import derive_seed
from molvae.bulk.blocks import collect
from molvae.bulk.options import BulkOptions
from molvae.chem.features import part_counts
from molvae.chem.smiles import parse_many
from molvae.datasets.corpus import Corpus
from molvae.generator import Generator
from molvae.models.config import CriticConfig
from molvae.training.checkpoint import load_model, save_model
from molvae.training.prior import with_critic
from molvae.training.run import now

DRAWS = 200_000
"""Samples of the model, and as many molecules of the corpus, that a critic learns from."""

_HELD_OUT = 0.1
_STRENGTHS = (0.003, 0.01, 0.03, 0.1)
_CHUNK = 2000


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
    strength: float


def fit_critic(
    start: str | os.PathLike[str],
    out: str | os.PathLike[str],
    corpus: Corpus,
    config: CriticConfig | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    workers: int | None = None,
    progress: bool | None = None,
) -> CriticQuality:
    """Write the model ``start`` with a critic of its samples to ``out``.

    The critic learns from ``draws`` samples of the model, as its prior and decoder draw them, and
    as many training molecules of ``corpus``; a tenth of both is held out to choose how strongly it
    is held back (the inverse of the L2 penalty). A critic that the model has is replaced. Raises
    :class:`InputError` for a corpus of fewer than 100 training molecules, and what sampling raises.
    """
    config = config or CriticConfig()
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
    random = np.random.default_rng(derive_seed(seed, "critic"))
    real = corpus.smiles(np.sort(random.permutation(rows)[:draws]))
    sides = [
        counts_of(side, config.bits, workers=workers, progress=progress) for side in (real, drawn)
    ]
    weights, quality = _learn(sides[0], sides[1], random)
    made = with_critic(loaded, config, torch.from_numpy(weights))
    provenance: dict[str, Any] = {
        **loaded.provenance,
        "critic": {**quality.__dict__, "corpus": corpus.sha256, "seed": seed, "time": now()},
    }
    save_model(out, made.model, made.tokenizer, made.config, provenance)
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


def _learn(
    real: csr_array, drawn: csr_array, random: np.random.Generator
) -> tuple[np.ndarray, CriticQuality]:
    """Weights ``(features + 1,)`` float32, the last one constant, and how good they are."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss, roc_auc_score

    counts = vstack([real, drawn], format="csr")
    labels = np.repeat([1, 0], [real.shape[0], drawn.shape[0]])
    order = random.permutation(len(labels))
    held = order[: int(_HELD_OUT * len(order))]
    learnt = order[len(held) :]
    best: tuple[float, float, Any] | None = None
    for strength in _STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=100, tol=1e-3)
        model.fit(counts[learnt], labels[learnt])
        nats = -float(log_loss(labels[held], model.predict_proba(counts[held])))
        if best is None or nats > best[0]:
            best = (nats, strength, model)
    assert best is not None
    nats, strength, model = best
    score = model.decision_function(counts[held])
    weights = np.append(model.coef_[0], model.intercept_).astype(np.float32)
    quality = CriticQuality(
        samples=drawn.shape[0],
        molecules=real.shape[0],
        roc_auc=float(roc_auc_score(labels[held], score)),
        nats=nats,
        strength=strength,
    )
    return weights, quality
