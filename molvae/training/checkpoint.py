"""A model as a directory: readable without pickle, safe to open from a stranger.

``config.json`` (format and settings), ``tokenizer.json``, ``model.safetensors`` (weights and
target scalers, with the checksums of all three), ``provenance.json``, ``history.csv``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from molvae.base.errors import ConfigError, FileError, ModelError, MolvaeError
from molvae.base.files import atomic_directory, file_errors, read_json, write_json
from molvae.chem.tokenizer import Tokenizer
from molvae.models.vae import SequenceVAE
from molvae.training.config import TrainConfig
from molvae.training.shipped import model_path
from molvae.training.tensorfile import read_tensors, write_tensors
from molvae.training.weights import get_weights, halved, set_weights

FORMAT = 1
CONFIG, TOKENIZER, WEIGHTS = "config.json", "tokenizer.json", "model.safetensors"
PROVENANCE, HISTORY = "provenance.json", "history.csv"


@dataclass(frozen=True)
class Loaded:
    """A model directory in memory: ``model`` is in evaluation mode, on the device asked for."""

    model: SequenceVAE
    tokenizer: Tokenizer
    config: TrainConfig
    provenance: dict[str, Any]


def save_model(
    path: str | os.PathLike[str],
    model: SequenceVAE,
    tokenizer: Tokenizer,
    config: TrainConfig | None = None,
    provenance: Mapping[str, Any] | None = None,
    *,
    half: bool = False,
    history: bytes | None = None,
) -> None:
    """Write a model directory; an existing model at ``path`` is replaced as a whole.

    ``config`` are the settings it was trained with; their model section is taken from the model.
    ``half`` stores the weights as :func:`~molvae.training.weights.halved`; ``history`` is the
    content of its history file, if it is to have one.
    Raises :class:`FileError` where the file system refuses or ``path`` holds something else.
    """
    target = Path(path)
    if target.is_dir() and any(target.iterdir()) and not (target / CONFIG).exists():
        raise FileError(f"cannot write {target}: it holds other files; name another directory")
    with atomic_directory(target) as directory:
        settings = (config or TrainConfig()).model_copy(update={"model": model.config})
        write_settings(directory, tokenizer, settings)
        write_weights(directory, model, half=half)
        write_json(directory / PROVENANCE, dict(provenance or {}))
        if history is not None:
            (directory / HISTORY).write_bytes(history)


def write_settings(directory: Path, tokenizer: Tokenizer, config: TrainConfig) -> None:
    """Write the parts of a model directory that do not change as it trains."""
    write_json(directory / CONFIG, {"format": FORMAT, **config.to_dict()})
    tokenizer.save(directory / TOKENIZER)


def write_weights(directory: Path, model: SequenceVAE, *, half: bool = False) -> None:
    """Write the weights beside the settings they belong to, with the checksums of both."""
    texts = {name: _sha256(directory / name) for name in (CONFIG, TOKENIZER)}
    weights = get_weights(model)
    write_tensors(directory / WEIGHTS, halved(weights) if half else weights, texts)


def history_of(model: str | os.PathLike[str]) -> bytes | None:
    """The history of its training that a model directory, or a shipped model, holds, if any."""
    log = model_path(model) / HISTORY
    with file_errors(log):
        return log.read_bytes() if log.is_file() else None


def load_model(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> Loaded:
    """Open a model directory, or a shipped model by its name.

    Weights stored in half precision come back as float32. Raises :class:`ModelError` where it is
    missing, incomplete, truncated, changed, of a newer format, or a pickle in disguise.
    """
    directory = model_path(path)
    config = read_config(directory)
    try:
        tokenizer = Tokenizer.load(directory / TOKENIZER)
    except MolvaeError as error:
        raise ModelError(f"{path} is not a usable model: {error}") from error
    tensors, checksums = read_tensors(directory / WEIGHTS)
    for name in (CONFIG, TOKENIZER):
        if checksums.get(name) != _sha256(directory / name):
            raise ModelError(
                f"{directory / name} is not what the weights were saved with: it was damaged or "
                "edited; restore it from a copy"
            )
    model = build_model(config, tokenizer)
    try:
        set_weights(model, tensors)
    except KeyError as error:
        raise ModelError(
            f"{directory / WEIGHTS} does not fit its config: {error.args[0]}"
        ) from error
    return Loaded(model.to(device).eval(), tokenizer, config, _provenance(directory))


def read_config(directory: Path) -> TrainConfig:
    """The settings of a model directory; it need not have weights yet."""
    if not directory.exists():
        raise ModelError(f"there is no model at {directory}; check the path")
    if not directory.is_dir():
        raise ModelError(f"{directory} is a file; a molvae model is a directory")
    if not (directory / CONFIG).is_file():
        raise ModelError(f"{directory} is not a molvae model: it has no {CONFIG}")
    try:
        values = read_json(directory / CONFIG)
    except FileError as error:
        raise ModelError(str(error)) from error
    version = values.pop("format", None) if isinstance(values, dict) else None
    if not isinstance(version, int) or version < 1:
        raise ModelError(f"{directory / CONFIG} has no format version: it is not a molvae model's")
    if version > FORMAT:
        raise ModelError(
            f"{directory} was written by a newer molvae (format {version}; this one reads up to "
            f"{FORMAT}); update with: pip install --upgrade molvae"
        )
    try:
        return TrainConfig.parse(values, where=str(directory / CONFIG))
    except ConfigError as error:
        raise ModelError(str(error)) from error


def build_model(config: TrainConfig, tokenizer: Tokenizer, seed: int = 0) -> SequenceVAE:
    """A model of the configured sizes for the tokenizer's symbols, with fresh weights."""
    return SequenceVAE(
        config.model,
        tokenizer.vocab_size,
        tokenizer.max_length,
        pad_id=tokenizer.pad_id,
        start_id=tokenizer.start_id,
        end_id=tokenizer.end_id,
        seed=seed,
    )


def _provenance(directory: Path) -> dict[str, Any]:
    path = directory / PROVENANCE
    try:
        values = read_json(path) if path.exists() else {}
    except FileError as error:
        raise ModelError(str(error)) from error
    if not isinstance(values, dict):
        raise ModelError(f"{path} is damaged: it is not a mapping; restore it from a copy")
    return values


def _sha256(path: Path) -> str:
    """Checksum of the JSON's content, whatever its layout."""
    text = json.dumps(json.loads(path.read_bytes()), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
