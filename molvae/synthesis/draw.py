"""Molecules like those of a table: a model taught by it, its samples, and the choice among them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from molvae.base.errors import ModelError
from molvae.base.seeds import derive_seed
from molvae.chem.properties import compute
from molvae.datasets.corpus import build_corpus
from molvae.datasets.options import CorpusOptions
from molvae.datasets.sources import Source
from molvae.datasets.splits import SplitOptions
from molvae.generator import Generator, load
from molvae.metrics.neighbours import nearest_similarity
from molvae.metrics.profile import Part, Profile, profile
from molvae.training.config import TrainConfig
from molvae.training.loop import train

PARTS: frozenset[Part] = frozenset({"properties", "prints", "fragments", "scaffolds"})
CHEAP = ("logp", "mw", "tpsa", "fsp3", "hbd", "hba", "rings", "aromatic_rings")
"""Descriptors by which samples are chosen first, for all of them would take too long."""
SECOND = 1 / 3
"""Share of the samples that this leaves."""
RATE = 1e-3
"""Learning rate of the fine-tuning at its peak."""


def fine_tuned(
    base: str, smiles: Sequence[str], epochs: int, *, seed: int, device: str, progress: bool | None
) -> tuple[Generator, int]:
    """The model ``base`` taught to write ``smiles``, its latent space as it was; and how many of
    them it could read. Nothing of it stays on disk."""
    generator = load(base, device)
    if not epochs:
        return generator, int((generator.symbols(smiles) > 0).sum())
    # Where samples start from z = 0, that is all there is to learn, and what the validation part
    # says of molecules whose z is given is no guide to when to stop.
    alone = generator.model.config.prior.kind == "blank"
    config = TrainConfig.parse(
        {
            "model": {"forget": 1.0, "forget_all": 1.0} if alone else {},
            "objective": {"kl_weight": 0.05, "property_weight": 0.0},
            "optimiser": {
                "batch_size": 64,
                "learning_rate": RATE,
                "weight_decay": 0.0,
                "average": 0.99,
            },
            "schedule": {"kl": "constant", "warmup_steps": 50, "encoder": 0.0},
            "data": {"labels": [], "new_symbols": "drop"},
            "run": {
                "epochs": epochs,
                "keep_best": not alone,
                "seed": derive_seed(seed, "training") % 2**31,
                "device": device,
            },
        }
    )
    with tempfile.TemporaryDirectory(prefix="molvae-") as place:
        corpus = build_corpus(
            Source.molecules(list(smiles)),
            Path(place) / "corpus",
            options=CorpusOptions(split=SplitOptions(validation=0.05, test=0.0)),
            tokenizer=generator.tokenizer,
            workers=0,
            progress=False,
        )
        out = train(corpus, Path(place) / "model", config, start=base, progress=progress)
        return load(out, device), len(corpus)


def candidates(
    generator: Generator,
    n: int,
    private: Profile,
    max_similarity: float,
    *,
    seed: int,
    progress: bool | None,
) -> tuple[Profile, dict[str, int]]:
    """Of ``n`` distinct samples the third that is spread most like ``private``, without its
    molecules and those more similar to one than ``max_similarity``; and what was left out.

    A stereoisomer counts as the molecule. Raises :class:`ModelError` where too few are left.
    """
    known = set(private.flat)
    counts = {"drawn": 0, "copies": 0, "too similar": 0}
    drawn = generator.sample(
        n, seed=derive_seed(seed, "samples"), unique=True, candidates=1, progress=progress
    )
    counts["drawn"] = len(drawn)
    ours, theirs = (compute(s, CHEAP, progress=False) for s in (drawn, private.smiles))
    first = resampled(ours, theirs, round(SECOND * len(drawn)), derive_seed(seed, "first"))
    found = profile(
        [drawn[i] for i in first], PARTS, workers=1, progress=progress, title="describing"
    )
    keep = np.array([flat not in known for flat in found.flat])
    counts["copies"] = int((~keep).sum())
    if max_similarity < 1:
        near = nearest_similarity(found.prints, private.prints, workers=1, progress=progress)
        counts["too similar"] = int((keep & (near > max_similarity)).sum())
        keep &= near <= max_similarity
    rows = np.flatnonzero(keep)
    if not len(rows):
        raise ModelError(
            "every molecule that the model wrote is too similar to one of the table; raise "
            "max_similarity, or take fewer epochs"
        )
    return taken(found, rows), counts


def taken(found: Profile, rows: np.ndarray) -> Profile:
    """Some molecules of a profile; their counts of fragments and scaffolds are left out."""
    return Profile(
        given=len(rows),
        smiles=[found.smiles[i] for i in rows],
        flat=[found.flat[i] for i in rows],
        properties=found.properties[rows],
        prints=found.prints[rows],
    )


def resampled(ours: np.ndarray, theirs: np.ndarray, n: int, seed: int) -> np.ndarray:
    """``n`` distinct rows of ``ours (m, k)``, so chosen that they are spread like ``theirs``.

    A logistic regression on splines of each column tells the two apart; its odds are the ratio of
    the densities (Sugiyama et al. 2012), by which rows are drawn without replacement (Gumbel
    top-k). All rows where there are no more than ``n``.

    >>> rng = np.random.default_rng(0)
    >>> ours, theirs = rng.normal(0, 1, (4000, 1)), rng.normal(1, 0.5, (500, 1))
    >>> chosen = ours[resampled(ours, theirs, 400, seed=0)]
    >>> len(chosen), bool(abs(chosen.mean() - 1) < 0.1)
    (400, True)
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import SplineTransformer, StandardScaler

    if len(ours) <= n:
        return np.arange(len(ours))
    both = np.concatenate([ours, theirs])
    both = np.where(np.isfinite(both), both, np.nanmedian(theirs, axis=0))
    which = np.arange(len(both)) >= len(ours)
    told = make_pipeline(
        StandardScaler(),
        SplineTransformer(n_knots=6, degree=2, knots="quantile"),
        LogisticRegression(C=1.0, max_iter=300),
    )
    told.fit(both, which)
    logit = told.decision_function(both[: len(ours)])
    noise = np.random.default_rng(derive_seed(seed, "resampling")).gumbel(size=len(ours))
    return np.sort(np.argsort(-(logit + noise), kind="stable")[:n])
