"""The settings of ``molvae anomalies``, and where its reference comes from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from molvae.base.errors import ConfigError, InputError
from molvae.base.records import Record
from molvae.base.seeds import derive_seed
from molvae.datasets.corpus import Corpus
from molvae.datasets.readers import read_molecules
from molvae.generator import Generator
from molvae.latent.anomaly import Detector
from molvae.latent.anomaly_files import NAME, load_detector
from molvae.metrics.held_out import held_out_of
from molvae.training.shipped import model_path


class AnomalySettings(Record):
    """``molvae anomalies``; ``data`` None is what the model brings with it.

    At most so many ``molecules`` of the reference are drawn by ``seed``.
    """

    data: str | None = None
    calibration: str | None = None
    false_alarms: Annotated[float, Field(gt=0, lt=1)] = 0.05
    molecules: Annotated[int, Field(ge=1)] = 2000
    smiles_column: str | None = None
    seed: int = 0
    device: str = "auto"


def detector_of(
    generator: Generator,
    model: str,
    chosen: AnomalySettings,
    *,
    progress: bool | None,
    tell: Callable[[str], None],
) -> Detector:
    """The detector of a file that is named, or of the molecules that are; else the model's own,
    else of its corpus, else of its own samples."""
    if chosen.calibration is not None:
        if chosen.data is not None:
            raise ConfigError("give either data to calibrate with, or a calibration, not both")
        return load_detector(chosen.calibration)
    own = model_path(model) / NAME
    if chosen.data is None and own.is_file():
        return load_detector(own)
    smiles, source = _reference(generator, chosen, tell)
    return Detector.fit(generator, smiles, source=source, seed=chosen.seed, progress=progress)


def _reference(
    generator: Generator, chosen: AnomalySettings, tell: Callable[[str], None]
) -> tuple[list[str], str]:
    if chosen.data is not None:
        data = Path(chosen.data)
        if (data / "meta.json").is_file():
            corpus = Corpus.open(data)
            part = next((p for p in ("test", "validation") if len(corpus.indices(p))), "train")
            rows = _some(len(corpus.indices(part)), chosen)
            return corpus.smiles(corpus.indices(part)[rows]), f"the {part} part of {data.name}"
        return _drawn(_texts(chosen), chosen), data.name
    try:
        found = held_out_of(generator)
        return _drawn(found.smiles, chosen), found.source
    except InputError:
        tell(
            "this model brings no calibration and its corpus is not at hand: it is calibrated on "
            "its own samples, so the false alarms are of molecules such as it writes; "
            "give molecules that it has not seen with --data"
        )
        seed = derive_seed(chosen.seed, "reference")
        return generator.sample(chosen.molecules, seed=seed, unique=True), "the model's own samples"


def _texts(chosen: AnomalySettings) -> list[str]:
    assert chosen.data is not None
    rows = read_molecules(chosen.data, smiles_column=chosen.smiles_column)
    return [row.smiles for row in rows if row.problem is None]


def _drawn(smiles: list[str], chosen: AnomalySettings) -> list[str]:
    return [smiles[i] for i in _some(len(smiles), chosen)]


def _some(n: int, chosen: AnomalySettings) -> np.ndarray:
    order = np.random.default_rng(derive_seed(chosen.seed, "reference")).permutation(n)
    return np.sort(order[: chosen.molecules])
