"""The measures of one sample against a reference, by name."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molvae.base.seeds import derive_seed
from molvae.metrics.basic import uniqueness
from molvae.metrics.chemnet import activations
from molvae.metrics.distribution import wasserstein
from molvae.metrics.frechet import Gaussian, frechet_distance
from molvae.metrics.guacamol import (
    CONTINUOUS,
    DISCRETE,
    SAMPLES,
    fcd_score,
    kl_score,
    nearest_others,
)
from molvae.metrics.neighbours import internal_diversity, nearest_similarity
from molvae.metrics.profile import ALL, PROPERTIES, Profile, profile
from molvae.metrics.reference import Reference
from molvae.metrics.statistics import is_among
from molvae.metrics.structure import cosine

WASSERSTEIN = {"logP": "logp", "SA": "sa", "QED": "qed", "weight": "mw"}
"""The names of MOSES for the distances of properties, and ours of the properties."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A set of texts, measured one by one: what all measures are made of."""

    profile: Profile
    activations: np.ndarray
    """ChemNet's, ``(n, 512)``, a row for each valid molecule."""
    seconds: dict[str, float]


@dataclass(frozen=True, eq=False)
class Values:
    """Measures by name, NaN where one does not apply, and the similarities behind some of them."""

    measures: dict[str, float]
    nearest: np.ndarray
    """Similarity of some of the molecules to their nearest training molecule, ``(k,)``."""


def read_sample(
    smiles: Sequence[str | None],
    *,
    alerts: int,
    device: str,
    workers: int | None,
    progress: bool | None,
    title: str = "molecules",
) -> Sample:
    """Everything that is measured on single molecules, alerts on the first ``alerts`` only."""
    start = time.monotonic()
    found = profile(smiles, ALL, alerts_of=alerts, workers=workers, progress=progress, title=title)
    middle = time.monotonic()
    vectors = activations(found.smiles, device=device, threads=workers, progress=progress)
    seconds = {"molecules": middle - start, "ChemNet": time.monotonic() - middle}
    return Sample(found, vectors, seconds)


def measure(
    sample: Sample,
    reference: Reference,
    *,
    copies: int,
    known: bool = False,
    workers: int | None = None,
    progress: bool | None = None,
) -> Values:
    """All measures of a sample; ``known`` for a sample of the training set itself, on which
    novelty and copying say nothing."""
    values = _moses(sample, reference, known, workers, progress)
    values |= _guacamol(sample, reference, known)
    beyond, nearest = _beyond(sample.profile, reference, copies, known, workers, progress)
    return Values(values | beyond, nearest)


def _moses(
    sample: Sample,
    reference: Reference,
    known: bool,
    workers: int | None,
    progress: bool | None,
) -> dict[str, float]:
    found, values = sample.profile, {}
    values["valid"] = len(found.smiles) / found.given if found.given else math.nan
    for k in (1000, 10_000):
        enough = len(found.smiles) >= k
        values[f"unique@{k}"] = uniqueness(found.smiles[:k]) if enough else math.nan
    values["Novelty"] = math.nan if known else _new(found.smiles, reference.training.hashes)
    gaussian = Gaussian.of(sample.activations)
    for name, target in reference.statistics.items():
        values[f"FCD/{name}"] = frechet_distance(gaussian, target.gaussian)
        # A molecule of the set itself would find itself.
        snn = (
            math.nan
            if known and reference.trained_on_itself
            else float(
                nearest_similarity(
                    found.prints,
                    target.prints,
                    workers=workers,
                    progress=progress,
                    title=f"similarity to {name}",
                ).mean()
            )
        )
        values[f"SNN/{name}"] = snn
        values[f"Frag/{name}"] = cosine(found.fragments, target.fragments)
        values[f"Scaf/{name}"] = cosine(found.scaffolds, target.scaffolds)
    values["IntDiv"], values["IntDiv2"] = internal_diversity(found.prints, progress=progress)
    values["Filters"] = _mean(found.filters)
    first = next(iter(reference.statistics.values()))
    for name, column in WASSERSTEIN.items():
        values[name] = wasserstein(found.column(column), first.column(column))
    return values


def _guacamol(sample: Sample, reference: Reference, known: bool) -> dict[str, float]:
    """On the first 10,000 of everything; on all where there are fewer."""
    found, baseline = sample.profile, reference.baseline
    flat = found.flat[:SAMPLES]
    distinct = list(dict.fromkeys(found.flat))[:SAMPLES]
    rows = {smiles: i for i, smiles in reversed(list(enumerate(found.flat)))}
    properties = found.properties[[rows[smiles] for smiles in distinct]]
    values = {
        "GuacaMol validity": len(found.smiles) / found.given if found.given else math.nan,
        "GuacaMol uniqueness": uniqueness(flat),
        "GuacaMol novelty": math.nan if known else _new(distinct, reference.training.flat_hashes),
    }
    names = (*CONTINUOUS, *DISCRETE)
    ours = {name: properties[:, PROPERTIES.index(name)] for name in names}
    theirs = {name: baseline.column(name) for name in names}
    values["GuacaMol KL score"] = kl_score(
        {**ours, "nearest": nearest_others(distinct)},
        {**theirs, "nearest": reference.nearest_others},
    )
    distance = frechet_distance(Gaussian.of(sample.activations[:SAMPLES]), baseline.gaussian)
    values["GuacaMol FCD score"] = fcd_score(distance)
    return values


def _beyond(
    found: Profile,
    reference: Reference,
    copies: int,
    known: bool,
    workers: int | None,
    progress: bool | None,
) -> tuple[dict[str, float], np.ndarray]:
    training = reference.training
    values = {
        "alerts": _mean(found.alerts),
        "sane": _mean(found.sane),
        "sane rings": _mean(found.sane_rings),
        "known ring systems": math.nan,
        "copies": math.nan,
        "nearest training molecule, median": math.nan,
        "nearest training molecule, 95 %": math.nan,
    }
    if known:
        return values, np.empty(0)
    seen = [all(s in training.ring_systems for s in systems) for systems in found.ring_systems]
    values["known ring systems"] = _mean(np.array(seen, bool))
    values["copies"] = _mean(is_among(found.smiles, training.hashes))
    order = np.random.default_rng(derive_seed(0, "copies")).permutation(len(found.prints))
    nearest = nearest_similarity(
        found.prints[np.sort(order[:copies])],
        training.prints,
        workers=workers,
        progress=progress,
        title="nearest training molecule",
    )
    values["nearest training molecule, median"] = float(np.median(nearest))
    values["nearest training molecule, 95 %"] = float(np.quantile(nearest, 0.95))
    return values, nearest


def _new(smiles: Sequence[str], hashes: np.ndarray) -> float:
    distinct = sorted(set(smiles))
    return 1 - _mean(is_among(distinct, hashes))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan
