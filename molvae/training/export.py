"""A trained model as it is handed on: what others need of it, small, and nothing of this machine.

A run leaves its model beside what only the run needs, and its provenance names the paths of the
machine. An export keeps settings, tokenizer, weights (in half precision if asked), history and
provenance, and adds whose data it was trained on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from molvae import __version__
from molvae.base.errors import FileError
from molvae.base.files import read_json, sha256_file, write_json
from molvae.datasets.registry import DATASETS
from molvae.training.checkpoint import PROVENANCE, WEIGHTS, history_of, load_model, save_model
from molvae.training.run import now
from molvae.training.shipped import model_path


def export_model(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    half: bool = False,
    facts: Mapping[str, Any] | None = None,
    history: bool = True,
) -> Path:
    """Write ``model`` (a directory, or a shipped one by name) to ``out`` as others should have it.

    With ``half`` the weights are stored as :func:`~molvae.training.weights.halved`: half the bytes,
    and float32 again when loaded. The provenance is the model's own, of absolute paths the last
    part alone, with ``data`` (whose data it learnt from, where that is a public set), the ``facts``
    (JSON values by name, such as the recipe and its figures) and ``exported``: how the weights are
    stored, their number, and the SHA-256 of the weights they were made from.

    An existing model at ``out`` is replaced as a whole. Raises :class:`ModelError` for a model that
    is damaged, :class:`FileError` where ``out`` holds other files or is the model itself.
    """
    source, target = model_path(model), Path(out)
    loaded = load_model(source)
    if target.exists() and target.samefile(source):
        raise FileError(f"cannot write {target}: it is the model itself; name another directory")
    exported = {
        "stored_as": "float16" if half else "float32",
        "parameters": sum(p.numel() for p in loaded.model.parameters()),
        "source_sha256": sha256_file(source / WEIGHTS),
        "molvae": __version__,
        "time": now(),
    }
    provenance = _without_places(loaded.provenance)
    provenance |= {"data": _data(provenance), **(facts or {}), "exported": exported}
    save_model(
        target,
        loaded.model,
        loaded.tokenizer,
        loaded.config,
        provenance,
        half=half,
        history=history_of(source) if history else None,
    )
    return target


def add_facts(model: str | os.PathLike[str], facts: Mapping[str, Any]) -> None:
    """Add ``facts`` (JSON values by name) to the provenance of a model directory.

    Facts known by then under the same name are replaced; the model itself is left alone.
    """
    file = Path(model) / PROVENANCE
    write_json(file, {**read_json(file), **facts})


def _without_places(value: Any) -> Any:
    """``value`` with each absolute path cut down to its last part."""
    if isinstance(value, Mapping):
        return {key: _without_places(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_places(item) for item in value]
    if isinstance(value, str):
        for kind in (PurePosixPath, PureWindowsPath):
            if kind(value).is_absolute():
                return kind(value).name
    return value


def _data(provenance: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The sources of the corpus; those that molvae knows by name with licence and citation."""
    if "data" in provenance:
        return list(provenance["data"])
    corpus = provenance.get("corpus")
    meta = corpus.get("meta", {}) if isinstance(corpus, Mapping) else {}
    found: dict[str, dict[str, Any]] = {}
    for source in meta.get("sources", ()):
        entry = _card_of(str(source["sha256"])) or {"name": source["name"]}
        file = {"name": source["name"], "sha256": source["sha256"]}
        found.setdefault(entry["name"], {**entry, "files": []})["files"].append(file)
    return list(found.values())


def _card_of(sha256: str) -> dict[str, Any] | None:
    for entry in DATASETS.values():
        if any(member.sha256 == sha256 for member in entry.members):
            return {
                "name": entry.name,
                "title": entry.title,
                "licence": entry.licence,
                "citation": entry.citation,
                "original": entry.original_url,
            }
    return None
