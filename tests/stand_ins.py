"""Small stand-ins for what pages name and a test has not: public sets, Vina, a Dask cluster."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from molvae.datasets import registry
from molvae.datasets.registry import DatasetCard
from molvae.oracles.docking import receptors

SETS = {"moses": 30, "zinc250k": 300, "lipophilicity": 120}
"""Public sets, and how many molecules each file of their stand-ins has."""

DOCKING = {
    "vina.py": '''
class Vina:
    """The interface of vina 1.2; the score is that of the number of atoms."""

    def __init__(self, sf_name, cpu, seed, verbosity):
        assert sf_name == "vina"

    def set_receptor(self, path):
        assert "ATOM" in open(path).read()

    def compute_vina_maps(self, center, box_size):
        assert len(center) == len(box_size) == 3

    def set_ligand_from_string(self, text):
        self.atoms = text.count("HETATM")

    def dock(self, exhaustiveness, n_poses):
        assert self.atoms

    def energies(self, n_poses):
        return [[-0.2 * self.atoms]]
''',
    "meeko.py": """
from rdkit.Chem import MolToPDBBlock


class MoleculePreparation:
    def prepare(self, mol):
        return [mol]


class PDBQTWriterLegacy:
    @staticmethod
    def write_string(mol):
        return MolToPDBBlock(mol), True, ""
""",
    "gemmi.py": "",
    "vina-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: vina\nVersion: 1.2\n",
    "meeko-0.6.dist-info/METADATA": "Metadata-Version: 2.1\nName: meeko\nVersion: 0.6\n",
}
"""What ``molvae.oracles.docking`` asks of the extra ``docking``, as files."""


def public_sets(cache: Path, molecules: list[str], patch: pytest.MonkeyPatch) -> None:
    """Let :data:`SETS` be small ones, with the names, files and columns of the real ones, that have
    been fetched to ``cache`` already."""
    patch.setenv("MOLVAE_DATA", str(cache))
    for name, size in SETS.items():
        card = registry.DATASETS[name]
        members = {
            member.file: _table(card, molecules[at * size :][:size])
            for at, member in enumerate(card.members)
        }
        patch.setitem(registry.DATASETS, name, _fetched(card, members, cache))


def docking(place: Path, cache: Path, patch: pytest.MonkeyPatch) -> None:
    """Let the extra ``docking`` be there, with :data:`DOCKING`, and the receptor DRD2 fetched."""
    for name, text in DOCKING.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    patch.syspath_prepend(place)
    atom = b"ATOM      1  C   ALA A   1       0.000   0.000   0.000  1.00  0.00     0.000 C\n"
    card = _fetched(receptors.dockstring_card(), {"DRD2.pdbqt": atom}, cache)
    patch.setattr(receptors, "dockstring_card", lambda: card)


@contextmanager
def cluster() -> Iterator[str]:
    """The address of a Dask scheduler with one process that works."""
    import dask
    from distributed import LocalCluster

    with (
        dask.config.set({"distributed.admin.log-format": ""}),
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            protocol="tcp://",
            host="127.0.0.1",
            dashboard_address=None,
            silence_logs=50,
        ) as found,
    ):
        yield found.scheduler_address


def _table(card: DatasetCard, molecules: list[str]) -> bytes:
    """A file as the card describes it: a list, or a table with numbers for the labels."""
    rows = [",".join([text, *[f"{len(text) / 20:.2f}"] * len(card.labels)]) for text in molecules]
    if card.smiles_column is not None:
        rows.insert(0, ",".join([card.smiles_column, *(label.column for label in card.labels)]))
    return ("\n".join(rows) + "\n").encode()


def _fetched(card: DatasetCard, files: dict[str, bytes], cache: Path) -> DatasetCard:
    """The card with these files alone, which lie in the cache."""
    members = []
    for member in card.members:
        if member.file not in files:
            continue
        path, content = cache / card.name / member.file, files[member.file]
        if path.suffix == ".gz":
            content = gzip.compress(content)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        members.append(member.replace(size=len(content), sha256=digest).to_dict())
    return card.replace(members=members)
