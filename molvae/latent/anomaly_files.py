"""A fitted detector as a JSON file: numbers about the reference, and none of its molecules."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from molvae.base.errors import ModelError
from molvae.base.files import read_json, write_json
from molvae.latent.anomaly import FORMAT, REASONS, Detector

NAME = "anomalies.json"
"""The file of a model directory that holds the model's own detector."""
_KIND = "molvae-anomalies"


def save_detector(detector: Detector, path: str | os.PathLike[str]) -> None:
    """Write a detector, atomically; numbers to seven digits, infinities as null."""
    write_json(
        path,
        {
            "kind": _KIND,
            "format": FORMAT,
            "model": detector.model,
            "source": detector.source,
            "centre": _plain(detector.centre),
            "precision": [_plain(row) for row in detector.precision],
            "fitted": {name: _plain(values) for name, values in detector.fitted.items()},
            "calibrated": _plain(detector.calibrated),
        },
    )


def load_detector(path: str | os.PathLike[str]) -> Detector:
    """Read what :func:`save_detector` wrote; :class:`ModelError` where it is damaged or foreign."""
    values = read_json(path)
    if not isinstance(values, dict) or values.get("kind") != _KIND:
        raise ModelError(f"{os.fspath(path)} is no calibration of molvae anomalies")
    if values.get("format") != FORMAT:
        raise ModelError(
            f"{os.fspath(path)} has format {values.get('format')}, this molvae reads {FORMAT}; "
            "make it anew with molvae anomalies --save-calibration"
        )
    try:
        detector = Detector(
            model=str(values["model"]),
            source=str(values["source"]),
            centre=_array(values["centre"]),
            precision=np.array(values["precision"], np.float64),
            fitted={name: np.sort(_array(values["fitted"][name])) for name in REASONS},
            calibrated=np.sort(_array(values["calibrated"])),
        )
        k = len(detector.centre)
        if detector.precision.shape != (k, k) or not len(detector.calibrated):
            raise ValueError("its arrays do not fit together")
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{os.fspath(path)} is damaged ({error}); restore it from a copy or make it anew"
        ) from error
    return detector


def _plain(values: np.ndarray) -> list[float | None]:
    return [float(f"{v:.7g}") if np.isfinite(v) else None for v in values]


def _array(values: list[Any]) -> np.ndarray:
    return np.array([np.inf if v is None else float(v) for v in values], np.float64)
