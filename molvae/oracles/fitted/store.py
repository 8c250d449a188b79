"""A fitted oracle on disk: JSON and arrays that know their checksum, never a pickle."""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from molvae import __version__
from molvae.base.errors import ConfigError, FileError, ModelError
from molvae.base.files import atomic_directory, file_errors, read_json, sha256_file, write_json
from molvae.chem.properties import PROPERTIES
from molvae.oracles.fitted.features import BITS, RADIUS, FeatureSpace
from molvae.oracles.fitted.model import PREDICTORS, FittedOracle
from molvae.oracles.fitted.options import FitOptions

FORMAT = 1
CARD, ARRAYS, REPORT = "oracle.json", "arrays.npz", "report.json"
_FILL = "fill"


def check_target(path: str | os.PathLike[str]) -> None:
    """Raise :class:`FileError` where an oracle at ``path`` would replace something else."""
    place = Path(path)
    with file_errors(place, "write"):
        if place.is_dir() and any(place.iterdir()) and not (place / CARD).is_file():
            raise FileError(
                f"cannot write the oracle {place}: the directory holds other files; name a new one"
            )
        if place.exists() and not place.is_dir():
            raise FileError(f"cannot write the oracle {place}: it is a file; name a directory")


def save_oracle(
    oracle: FittedOracle, path: str | os.PathLike[str], provenance: Mapping[str, Any]
) -> None:
    """Write the oracle as a directory of ``oracle.json``, ``arrays.npz`` and ``report.json``."""
    import rdkit
    import sklearn

    check_target(path)
    with atomic_directory(path) as folder:
        arrays = {_FILL: oracle.space.fill, **oracle.predictor.arrays()}
        np.savez_compressed(folder / ARRAYS, allow_pickle=False, **arrays)
        card = {
            "format": FORMAT,
            "label": oracle.label,
            "task": oracle.task,
            "std_scale": oracle.std_scale,
            "options": oracle.options.to_dict(),
            "fingerprint": {"radius": RADIUS, "bits": BITS} if oracle.space.has_bits else None,
            "descriptors": list(oracle.space.descriptors),
            "sha256": sha256_file(folder / ARRAYS),
            "provenance": {
                **provenance,
                "molvae": __version__,
                "rdkit": rdkit.__version__,
                "scikit-learn": sklearn.__version__,
                "python": sys.version.split()[0],
            },
        }
        write_json(folder / REPORT, oracle.report)
        write_json(folder / CARD, card)


def load_oracle(path: str | os.PathLike[str]) -> tuple[FittedOracle, str]:
    """The oracle at ``path`` and the SHA-256 of its arrays. Safe to open from a stranger.

    Raises :class:`ModelError` where there is none, or it is damaged or of a newer format.
    """
    folder = Path(path)
    if not (folder / CARD).is_file():
        raise ModelError(
            f"{folder} holds no fitted oracle (no {CARD}); make one with molvae fit-oracle"
        )
    try:
        card = read_json(folder / CARD)
        if card["format"] > FORMAT:
            raise ModelError(
                f"oracle {folder} has format {card['format']}, newer than this molvae's {FORMAT}; "
                "update molvae"
            )
        digest = sha256_file(folder / ARRAYS)
        if digest != card["sha256"]:
            raise ValueError(f"{ARRAYS} is not what was written")
        with np.load(folder / ARRAYS, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return _assemble(card, arrays, read_json(folder / REPORT)), digest
    except (
        FileError,
        ConfigError,
        KeyError,
        TypeError,
        ValueError,
        OSError,
        zipfile.BadZipFile,
    ) as error:
        raise ModelError(
            f"oracle {folder} is damaged ({error}); restore it from a copy, or fit it again"
        ) from error


def _assemble(card: Any, arrays: dict[str, np.ndarray], report: Any) -> FittedOracle:
    options = FitOptions.parse(card["options"], where=CARD)
    prints = card["fingerprint"]
    if prints not in (None, {"radius": RADIUS, "bits": BITS}):
        raise ValueError(f"this molvae has no fingerprint {prints}")
    unknown = [name for name in card["descriptors"] if name not in PROPERTIES]
    if unknown:
        raise ValueError(f"this molvae has no descriptor {unknown[0]!r}")
    fill = arrays.pop(_FILL)
    space = FeatureSpace(prints is not None, tuple(card["descriptors"]), fill)
    features = BITS * space.has_bits + len(space.descriptors)
    if fill.shape != (features,) or card["task"] not in ("regression", "classification"):
        raise ValueError("its features or its task are not what they were")
    predictor = PREDICTORS[options.kind].from_arrays(arrays, features)
    scale = float(card["std_scale"])
    return FittedOracle(str(card["label"]), card["task"], options, space, predictor, scale, report)
