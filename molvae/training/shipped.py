"""The models that come with molvae: small directories inside the package, called by name.

Wherever a model is asked for, the name of one of them does as well as a directory. Nothing here
opens a network, so that listing them is instant.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from molvae.base.errors import ModelError
from molvae.base.files import read_json

SHIPPED = Path(__file__).parents[1] / "shipped"
CONFIG, PROVENANCE = "config.json", "provenance.json"


@dataclass(frozen=True)
class Card:
    """What a model directory says of itself without being opened.

    ``about`` is its own words, ``data`` what it was trained on (title, licence, citation and
    SHA-256 of each source), ``molecules`` how many of them, ``parameters`` its size, ``bytes``
    that of all its files, ``figures`` its headline measures by name. What the directory does not
    say is empty or None.
    """

    name: str
    path: Path
    bytes: int
    about: str
    data: tuple[Mapping[str, Any], ...]
    molecules: int | None
    parameters: int | None
    figures: Mapping[str, Any]
    provenance: Mapping[str, Any]


def shipped_models() -> tuple[str, ...]:
    """The names of the models that this installation carries.

    >>> isinstance(shipped_models(), tuple)
    True
    """
    if not SHIPPED.is_dir():
        return ()
    return tuple(sorted(p.name for p in SHIPPED.iterdir() if (p / CONFIG).is_file()))


def model_path(model: str | os.PathLike[str]) -> Path:
    """The directory of ``model``: a path, or the name of a shipped model.

    What has a separator in it, or is a model directory, is a path: a model ``moses`` of one's own
    in the current directory goes before the shipped one, and ``./moses`` never means the latter.
    Raises :class:`ModelError` for a bare name that is neither.

    >>> model_path("models/mine").as_posix()
    'models/mine'
    """
    text = os.fspath(model)
    path = Path(text)
    if path.name != text or (path / CONFIG).is_file():
        return path
    if text in shipped_models():
        return SHIPPED / text
    if path.exists():
        return path  # whoever opens it says what is wrong with it
    raise ModelError(
        f"there is no model at {text}, and none is shipped under this name; give the directory of "
        f"a model, or one of: {', '.join(shipped_models()) or '(this installation ships none)'}"
    )


def model_card(model: str | os.PathLike[str]) -> Card:
    """The :class:`Card` of a model directory, or of a shipped model by name.

    Raises :class:`ModelError` where there is no model.
    """
    path = model_path(model)
    if not (path / CONFIG).is_file():
        raise ModelError(f"{path} is not a molvae model: it has no {CONFIG}")
    file = path / PROVENANCE
    provenance = read_json(file) if file.is_file() else {}
    if not isinstance(provenance, dict):
        raise ModelError(f"{file} is damaged: it is not a mapping; restore it from a copy")
    return Card(
        name=path.name,
        path=path,
        bytes=sum(f.stat().st_size for f in path.rglob("*") if f.is_file()),
        about=str(provenance.get("about", "")),
        data=tuple(provenance.get("data", ())),
        molecules=_section(provenance, "corpus").get("train"),
        parameters=_section(provenance, "exported").get("parameters"),
        figures=_section(provenance, "figures"),
        provenance=provenance,
    )


def _section(provenance: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = provenance.get(name)
    return value if isinstance(value, Mapping) else {}
