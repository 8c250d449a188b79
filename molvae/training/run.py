"""A run on disk: opened anew, or from where it stood."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from molvae.base.errors import ConfigError, FileError, InputError
from molvae.base.files import atomic_directory, read_json, write_json
from molvae.chem.tokenizer import Tokenizer
from molvae.datasets.corpus import Corpus
from molvae.training.checkpoint import (
    PROVENANCE,
    TOKENIZER,
    Loaded,
    read_config,
    write_settings,
)
from molvae.training.config import TrainConfig
from molvae.training.prepare import Prepared, prepare, with_conditions
from molvae.training.state import STATE_FILE, TrainState

_VERSIONS = ("molvae", "torch", "numpy", "rdkit", "selfies", "lightning-fabric")


def is_finished(out: Path) -> bool:
    """Whether ``out`` holds a model whose training has come to its end."""
    return (out / PROVENANCE).is_file() and bool(read_json(out / PROVENANCE).get("finished"))


def is_unfinished(out: Path) -> bool:
    """Whether ``out`` holds a run that can be resumed."""
    return (out / STATE_FILE).is_file() and not is_finished(out)


def require_free(out: Path) -> None:
    """Raise :class:`FileError` unless ``out`` is free for a new model."""
    if is_unfinished(out):
        raise FileError(
            f"cannot write {out}: it holds a run that was interrupted; "
            "resume it with --resume, or name another directory"
        )
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise FileError(f"cannot write {out}: it exists already; name another directory")


def reopen(out: Path, corpus: Corpus, config: TrainConfig | None) -> Prepared:
    """What the run at ``out`` works on, as it was when it began.

    Raises :class:`ConfigError` where ``config`` is not that of the run, :class:`InputError` where
    the corpus is another.
    """
    stored = read_config(out)
    provenance = read_json(out / PROVENANCE)
    if provenance["corpus"]["sha256"] != corpus.sha256:
        raise InputError(
            f"the run at {out} was started on another corpus ({provenance['corpus']['path']}); "
            "resume it with that one"
        )
    prepared = prepare(corpus, stored, tokenizer=Tokenizer.load(out / TOKENIZER))
    if config is not None:
        changed = _differences(with_conditions(corpus, config), stored)
        if changed:
            raise ConfigError(
                f"the run at {out} was started with other settings ({', '.join(changed)}); resume "
                "it without them, or start another run from its model"
            )
    return prepared


def write_beginning(
    out: Path, prepared: Prepared, state: TrainState, provenance: Mapping[str, Any]
) -> None:
    """Make the model directory of a run: no weights as yet, but a state to start from."""
    with atomic_directory(out) as directory:
        write_settings(directory, prepared.tokenizer, prepared.config)
        state.save(directory)
        write_json(directory / PROVENANCE, provenance)


def first_provenance(
    corpus: Corpus, prepared: Prepared, start: Loaded | None, device: str
) -> dict[str, Any]:
    """Where a model comes from, as known before the first step."""
    before = start.provenance if start else {}
    stays = prepared.model.critic is not None and "critic" in before
    return {
        "corpus": {
            "path": str(corpus.path.resolve()),
            "sha256": corpus.sha256,
            "molecules": len(corpus),
            "train": len(prepared.train),
            "validation": len(prepared.validation),
            "meta": corpus.meta,
        },
        "started_from": start.provenance if start else None,
        **({"critic": before["critic"]} if stays else {}),
        "versions": {name: _version(name) for name in _VERSIONS}
        | {"python": platform.python_version()},
        "seed": prepared.config.run.seed,
        "device": device,
        "started": now(),
        "finished": None,
    }


def finish(out: Path, results: Mapping[str, Any]) -> None:
    """Mark the model as finished, with its ``results``, and remove what only a run needs."""
    write_json(out / PROVENANCE, {**read_json(out / PROVENANCE), "finished": now(), **results})
    shutil.rmtree(out / STATE_FILE.split("/")[0], ignore_errors=True)


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _differences(asked: TrainConfig, stored: TrainConfig) -> list[str]:
    """The keys that ``asked`` sets to another value than ``stored``; the device may differ."""
    given = _flat(asked.model_dump(mode="json", exclude_unset=True))
    had = _flat(stored.to_dict())
    return [key for key in given if key != "run.device" and given[key] != had.get(key)]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
