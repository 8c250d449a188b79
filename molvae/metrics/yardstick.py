"""What the training molecules themselves score: the column that a model's values stand beside."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass

import numpy as np

from molvae.base.files import read_json, write_json
from molvae.base.seeds import derive_seed
from molvae.metrics.measures import measure, read_sample
from molvae.metrics.neighbours import nearest_similarity
from molvae.metrics.reference import Reference

FORMAT = 1
SIZES = (100, 300, 1000, 3000, 10_000, 30_000)
"""The numbers of training molecules that are judged: several measures depend on it."""


@dataclass(frozen=True, eq=False)
class Yardstick:
    """Measures of ``molecules`` random training molecules, judged like a model's samples.

    NaN where a measure says nothing about molecules that the model was shown. ``nearest`` are
    similarities of held-out molecules to their nearest training molecule, empty where no
    molecules were held out.
    """

    molecules: int
    measures: dict[str, float]
    nearest: np.ndarray


def yardstick_of(reference: Reference, molecules: int, *, copies: int, alerts: int) -> Yardstick:
    """The yardstick for a sample of so many molecules: the nearest size below; kept on disk."""
    wanted = max((size for size in SIZES if size <= molecules), default=SIZES[0])
    sample = reference.training.sample[:wanted]
    facts = json.dumps([reference.fingerprint, len(sample), copies, alerts, FORMAT])
    name = hashlib.sha256(facts.encode()).hexdigest()[:20]
    path = reference.cache / f"yardstick-{name}.json"
    if not path.is_file():
        write_json(path, _measured(reference, sample, copies, alerts))
    kept = read_json(path)
    measures = {k: math.nan if v is None else v for k, v in kept["measures"].items()}
    return Yardstick(kept["molecules"], measures, np.array(kept["nearest"], np.float64))


def _measured(
    reference: Reference, smiles: list[str], copies: int, alerts: int
) -> dict[str, object]:
    workers, progress = reference.workers, reference.progress
    sample = read_sample(
        smiles,
        alerts=alerts,
        device=reference.device,
        workers=workers,
        progress=progress,
        title="training molecules",
    )
    found = measure(
        sample, reference, copies=copies, known=True, workers=workers, progress=progress
    )
    nearest = np.empty(0)
    if not reference.trained_on_itself:
        held_out = next(iter(reference.statistics.values())).prints
        order = np.random.default_rng(derive_seed(0, "held out")).permutation(len(held_out))
        nearest = nearest_similarity(
            np.asarray(held_out[np.sort(order[:copies])]),
            reference.training.prints,
            workers=workers,
            progress=progress,
            title="held-out molecules",
        )
    return {
        "molecules": len(smiles),
        "measures": {k: None if math.isnan(v) else v for k, v in found.measures.items()},
        "nearest": nearest.tolist(),
    }
