"""What a synthetic set keeps of the private one, and what it gives away."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from molvae.base.seeds import derive_seed
from molvae.generator import Generator
from molvae.metrics.chemnet import activations
from molvae.metrics.distribution import property_distances
from molvae.metrics.frechet import Gaussian, frechet_distance
from molvae.metrics.neighbours import nearest_similarity
from molvae.metrics.prediction import auroc, classification_quality, regression_quality
from molvae.metrics.profile import PROPERTIES, Profile
from molvae.metrics.structure import cosine
from molvae.oracles.fitted.forest import Forest
from molvae.oracles.fitted.options import FitOptions, Task
from molvae.synthesis.draw import taken

CLOSE = 0.7
"""Tanimoto similarity (Morgan, radius 2, 1,024 bits) from which on a neighbour counts as close."""


@dataclass(frozen=True, eq=False)
class Side:
    """A set of molecules: described, with its labels ``(n, k)`` and features ``(n, p)``."""

    profile: Profile
    labels: np.ndarray
    matrix: np.ndarray


def fidelity(
    synthetic: Side,
    real: Side,
    held_out: Side,
    names: Sequence[str],
    *,
    fcd: bool,
    seed: int,
    progress: bool | None,
) -> dict[str, Any]:
    """Distances of the synthetic set and of held-out real molecules from the real training ones.

    ``wasserstein`` is in standard deviations of the real values. FCD, fragments and scaffolds
    depend on the number of molecules: as many synthetic ones are taken as are held out.
    """
    columns = [*PROPERTIES, *names]
    ours, theirs, others = (
        np.concatenate([side.profile.properties, side.labels], 1)
        for side in (synthetic, real, held_out)
    )
    found = property_distances(ours, theirs, columns)
    beside = property_distances(others, theirs, columns)
    rows = _some(len(ours), len(others), seed)
    small = taken(synthetic.profile, rows)
    counted = _counts(small), _counts(held_out.profile), _counts(real.profile)
    result: dict[str, Any] = {
        "wasserstein": {
            a.name: {
                "synthetic": a.relative,
                "held_out": b.relative,
                "synthetic_mean": a.sample_mean,
                "real_mean": a.reference_mean,
            }
            for a, b in zip(found, beside, strict=True)
        },
        **{
            kind: {
                "synthetic": cosine(counted[0][kind], counted[2][kind]),
                "held_out": cosine(counted[1][kind], counted[2][kind]),
            }
            for kind in ("fragments", "scaffolds")
        },
        "correlations": _correlations(ours, theirs, others),
    }
    if fcd:
        texts = (small.smiles, held_out.profile.smiles, real.profile.smiles)
        a, b, c = (Gaussian.of(activations(t, threads=1, progress=progress)) for t in texts)
        result["fcd"] = {"synthetic": frechet_distance(a, c), "held_out": frechet_distance(b, c)}
    return result


def usefulness(
    synthetic: Side,
    real: Side,
    held_out: Side,
    names: Sequence[str],
    tasks: Sequence[Task],
    *,
    trees: int,
    seed: int,
    workers: int,
) -> dict[str, Any]:
    """How good a forest taught by the synthetic set is on held-out real molecules, beside one
    taught by as many real ones; R2 and RMSE, or for classes the ROC-AUC."""
    result = {}
    for column, (name, task) in enumerate(zip(names, tasks, strict=True)):
        options = FitOptions(trees=trees, seed=derive_seed(seed, "judge") % 2**31)
        truth = held_out.labels[:, column]
        measures: dict[str, dict[str, float]] = {}
        for kind, side in (("synthetic", synthetic), ("real", real)):
            rows = np.flatnonzero(np.isfinite(side.labels[:, column]))
            rows = rows[_some(len(rows), len(real.labels), seed)]
            labels = side.labels[rows, column]
            if labels.min() == labels.max():  # a rare class that was not drawn: nothing to learn
                measures[kind] = {}
                continue
            forest = Forest.fit(side.matrix[rows], labels, task, options, workers)
            mean, std = forest.predict(held_out.matrix)
            if task == "classification":
                measures[kind] = {"auroc": classification_quality(name, truth, mean).auroc}
            else:
                quality = regression_quality(name, truth, mean, std)
                measures[kind] = {"r2": quality.r2, "rmse": quality.rmse}
        result[name] = measures
    return result


def privacy(
    synthetic: Profile,
    real: Profile,
    held_out: Profile,
    losses: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    seed: int,
    progress: bool | None,
) -> dict[str, Any]:
    """Copies, nearest neighbours, and how well membership can be told.

    ``losses`` are, for each attack on the model itself, what it sees of members and of held-out
    molecules, lower for members. An attack that knows nothing has a ROC-AUC of .5, whose standard
    error (Hanley & McNeil 1982) stands beside it.
    """
    known, others = set(real.flat), set(held_out.flat)

    def near(a: Profile, b: Profile) -> np.ndarray:
        return nearest_similarity(a.prints, b.prints, workers=1, progress=progress)

    to_real, beside = near(synthetic, real), near(held_out, real)
    attacks = {
        "similarity to the nearest synthetic molecule": (
            -near(real, synthetic),
            -near(held_out, synthetic),
        ),
        **losses,
    }
    return {
        "copies": sum(flat in known for flat in synthetic.flat),
        "copies_of_held_out": sum(flat in others for flat in synthetic.flat),
        "nearest": {
            "synthetic": _nearest(to_real),
            "held_out": _nearest(beside),
        },
        "membership": {name: _attack(*pair) for name, pair in attacks.items()},
    }


def model_losses(
    taught: Generator, base: Generator, members: Sequence[str], others: Sequence[str], *, seed: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Nats a symbol in which the taught model writes molecules, as they are and less the base's."""
    n = min(len(members), len(others))
    members = [members[i] for i in _some(len(members), n, seed)]
    alone = [_nats(taught, side) for side in (members, others)]
    before = [_nats(base, side) for side in (members, others)]
    return {
        "likelihood of the taught model": (alone[0], alone[1]),
        "the same, less that of the base model": (alone[0] - before[0], alone[1] - before[1]),
    }


def _nats(generator: Generator, smiles: Sequence[str]) -> np.ndarray:
    found = generator.likelihood(smiles, np.zeros((len(smiles), generator.latent_dim)))
    return np.asarray(-found.nats / np.maximum(found.symbols, 1))


def _attack(members: np.ndarray, others: np.ndarray) -> dict[str, float]:
    """ROC-AUC of telling members by low values, and its standard error where nothing is known."""
    members, others = members[np.isfinite(members)], others[np.isfinite(others)]
    a, b = len(members), len(others)
    if not (a and b):
        return {"auc": math.nan, "standard_error": math.nan}
    truth = np.arange(a + b) < a
    auc = auroc(truth, -np.concatenate([members, others]))
    return {"auc": auc, "standard_error": math.sqrt((a + b + 1) / (12 * a * b))}


def _nearest(values: np.ndarray) -> dict[str, float]:
    return {
        "median": float(np.median(values)),
        "95 %": float(np.quantile(values, 0.95)),
        "largest": float(values.max()),
        "share_close": float((values >= CLOSE).mean()),
    }


def _counts(found: Profile) -> dict[str, Mapping[str, int]]:
    from molvae.metrics.profile import profile

    if not found.fragments:
        found = profile(
            found.smiles, frozenset({"fragments", "scaffolds"}), workers=1, progress=False
        )
    return {"fragments": found.fragments, "scaffolds": found.scaffolds}


def _correlations(ours: np.ndarray, theirs: np.ndarray, others: np.ndarray) -> dict[str, float]:
    """Mean absolute difference of the correlations of all pairs of columns."""
    a, b, c = (_correlation(values) for values in (ours, theirs, others))
    pairs = np.triu_indices(a.shape[0], 1)
    return {
        "synthetic": float(np.nanmean(np.abs(a - b)[pairs])),
        "held_out": float(np.nanmean(np.abs(c - b)[pairs])),
    }


def _correlation(values: np.ndarray) -> np.ndarray:
    masked = np.ma.masked_invalid(values)
    return np.ma.corrcoef(masked, rowvar=False).filled(np.nan)


def _some(n: int, wanted: int, seed: int) -> np.ndarray:
    order = np.random.default_rng(derive_seed(seed, "some", n)).permutation(n)
    return np.sort(order[:wanted])
