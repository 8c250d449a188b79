"""Proteins to dock into: the 58 of DOCKSTRING, or the user's own."""

from __future__ import annotations

import difflib
import functools
import json
import math
import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import model_validator

from molvae.base.errors import InputError
from molvae.base.files import file_errors
from molvae.base.records import Record
from molvae.datasets.download import fetch_card
from molvae.datasets.registry import DatasetCard

_LARGEST = 126.0


class Receptor(Record):
    """A rigid protein and the box in which a ligand is placed.

    Attributes:
        name: what it is called.
        pdbqt: file with its atoms, hydrogens and charges.
        center: of the box, x, y and z in Å.
        box: its edges in Å.
    """

    name: str
    pdbqt: Path
    center: tuple[float, float, float]
    box: tuple[float, float, float]

    @model_validator(mode="after")
    def _can_be_docked_into(self) -> Receptor:
        if not all(0 < edge <= _LARGEST and math.isfinite(edge) for edge in self.box):
            raise ValueError(
                f"the edges of the box are {self.box}; give Å above 0, {_LARGEST:g} at most"
            )
        return self


def receptor_file(
    pdbqt: str | os.PathLike[str], center: Sequence[float], box: Sequence[float]
) -> Receptor:
    """A receptor of the user's own: a PDBQT file and its box, ``center`` and edges in Å.

    Raises :class:`FileError` where the file cannot be read, :class:`InputError` where it holds no
    atoms, :class:`ConfigError` for a box that is none.
    """
    path = Path(pdbqt)
    with file_errors(path), open(path, encoding="utf-8", errors="replace") as stream:
        atoms = sum(line.startswith(("ATOM", "HETATM")) for line in stream)
    if not atoms:
        raise InputError(f"{path} holds no atoms; a receptor is a PDBQT file, as meeko makes them")
    values = {"name": path.stem, "pdbqt": path, "center": list(center), "box": list(box)}
    return Receptor.parse(values, where=str(path))


def dockstring_receptor(
    name: str,
    *,
    cache: str | os.PathLike[str] | None = None,
    from_wheel: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> Receptor:
    """One of DOCKSTRING's targets, such as DRD2, with its box; fetched on first use (4.4 MB).

    The receptors are read from a pinned wheel that is never installed, as
    :func:`molvae.datasets.download.fetch` does; see there for ``cache``, ``from_wheel`` and the
    errors. García-Ortegón et al., J. Chem. Inf. Model. 62:3486 (2022); Apache License 2.0.

    >>> dockstring_receptor("DRD2").box  # doctest: +SKIP
    (30.0, 30.0, 32.0)
    """
    targets = _known()["targets"]
    exact = {target.lower(): target for target in targets}
    if name.lower() not in exact:
        near = difflib.get_close_matches(name.lower(), exact, n=3, cutoff=0.5)
        listed = " or ".join(exact[n] for n in near) or ", ".join(targets)
        hint = f"did you mean {listed}?" if near else f"there are {listed}"
        raise InputError(f"no receptor is called {name!r}; {hint}")
    target = exact[name.lower()]
    files = fetch_card(dockstring_card(), cache=cache, from_wheel=from_wheel, progress=progress)
    found = targets[target]
    return Receptor.parse(
        {
            "name": target,
            "pdbqt": next(file for file in files if file.stem == target),
            "center": found["center"],
            "box": found["box"],
        }
    )


def dockstring_names() -> list[str]:
    """The names of all targets.

    >>> len(dockstring_names()), dockstring_names()[0]
    (58, 'ABL1')
    """
    return list(_known()["targets"])


@functools.cache
def dockstring_card() -> DatasetCard:
    """Where DOCKSTRING's receptors come from: the wheel, and every file's checksum."""
    known = _known()
    members = [
        {
            "path": f"dockstring/resources/targets/{name}_target.pdbqt",
            "file": f"{name}.pdbqt",
            "rows": 1,
            "size": found["size"],
            "sha256": found["sha256"],
        }
        for name, found in known["targets"].items()
    ]
    return DatasetCard.parse(
        {
            "name": "dockstring",
            "title": "DOCKSTRING: 58 receptors prepared for AutoDock Vina",
            "description": "Proteins with hydrogens and charges, and a search box for each.",
            "rows": len(members),
            "licence": "Apache License 2.0",
            "citation": "García-Ortegón et al., J. Chem. Inf. Model. 2022, 62, 3486, "
            "doi:10.1021/acs.jcim.1c01334",
            "original_url": "https://github.com/dockstring/dockstring",
            "wheel": known["wheel"],
            "members": members,
        },
        where="dockstring.json",
    )


@functools.cache
def _known() -> dict[str, Any]:
    text = resources.files("molvae.oracles.docking").joinpath("dockstring.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
