"""The docking score of AutoDock Vina as an objective.

Eberhardt et al., AutoDock Vina 1.2.0, J. Chem. Inf. Model. 61:3891 (2021).
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import os
from pathlib import Path
from typing import Any

from pydantic import PositiveInt
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
from rdkit.rdBase import BlockLogs

from molvae.base.errors import ConfigError
from molvae.base.files import sha256_file
from molvae.base.records import Record
from molvae.base.seeds import derive_seed
from molvae.chem.smiles import canonicalise, parse
from molvae.datasets.download import cache_directory
from molvae.oracles.docking.cache import ScoreCache
from molvae.oracles.docking.receptors import Receptor, dockstring_receptor
from molvae.oracles.objective import Direction, Objective

PACKAGES = ("vina", "meeko", "gemmi")


class DockingOptions(Record):
    """How a molecule is docked.

    Attributes:
        exhaustiveness: independent searches; Vina's default is 8, and the time grows with it.
        seed: of the molecule's starting shape and of the searches.
        cores: threads of one molecule's searches. Leave it at 1 where the evaluator has workers.
    """

    exhaustiveness: PositiveInt = 8
    seed: int = 0
    cores: PositiveInt = 1


def docking_objective(
    receptor: str | Receptor,
    direction: Direction,
    options: DockingOptions | None = None,
    *,
    cache: str | os.PathLike[str] | None = None,
) -> Objective:
    """Vina's score of the best pose in kcal/mol: the lower, the better it binds.

    Molecules are docked in the protonation state in which they are written. Scores are kept in
    the cache directory, by canonical SMILES and everything that decides them. One molecule is one
    call: the evaluator's workers dock in parallel, with a time limit for each.

    Args:
        receptor: the name of one of DOCKSTRING's targets, or a
            :class:`~molvae.oracles.docking.receptors.Receptor`.
        direction: ``minimize`` for binders.
        cache: directory of scores and receptors; see
            :func:`molvae.datasets.download.cache_directory`.

    Raises:
        ConfigError: vina, meeko or gemmi is not installed.
        InputError: no target has that name. FileError, DownloadError: it cannot be had.

    >>> docking_objective("DRD2", "minimize").function("CCO")  # doctest: +SKIP
    -2.6
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"docking needs {', '.join(missing)}, which is not installed; "
            "run: pip install 'molvae[docking]'"
        )
    if isinstance(receptor, str):
        receptor = dockstring_receptor(receptor, cache=cache)
    options = options or DockingOptions()
    definition = _definition(receptor, options)
    digest = hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()
    scores = cache_directory(cache) / "docking" / f"{receptor.name}-{digest[:16]}.sqlite"
    ScoreCache(scores)
    name = f"docking score in {receptor.name} (kcal/mol)"
    return Objective(name, Docking(receptor, options, scores), direction, definition=definition)


class Docking:
    """The function of :func:`docking_objective`: SMILES to kcal/mol."""

    def __init__(self, receptor: Receptor, options: DockingOptions, scores: Path) -> None:
        self.receptor = receptor
        self.options = options
        self.scores = scores

    def __call__(self, smiles: str) -> float:
        """The score of one molecule.

        Raises :class:`ValueError` where it has no shape in space, or is more than one molecule.
        """
        cache = ScoreCache(self.scores)
        canonical = canonicalise(smiles)
        found = cache.get(canonical)
        if found is None:
            found = dock(self.receptor, canonical, self.options)
            cache.put(canonical, found)
        return found


def dock(receptor: Receptor, smiles: str, options: DockingOptions) -> float:
    """Dock a molecule, now: Vina's score of the best pose in kcal/mol."""
    ligand = ligand_pdbqt(smiles, options.seed)
    vina = _vina(receptor.pdbqt, receptor.center, receptor.box, options.seed, options.cores)
    vina.set_ligand_from_string(ligand)
    vina.dock(exhaustiveness=options.exhaustiveness, n_poses=1)
    return float(vina.energies(n_poses=1)[0][0])


def ligand_pdbqt(smiles: str, seed: int) -> str:
    """A molecule with hydrogens and a shape in space as PDBQT text; the same for the same seed.

    Raises :class:`ValueError` with the reason where there is none.
    """
    from meeko import MoleculePreparation, PDBQTWriterLegacy

    mol = Chem.AddHs(parse(smiles))
    if "." in smiles:
        raise ValueError("several molecules cannot be docked as one; leave salts and solvents out")
    parameters = rdDistGeom.ETKDGv3()
    parameters.randomSeed = derive_seed(seed, "shape", smiles) % (1 << 31)
    with BlockLogs():
        if rdDistGeom.EmbedMolecule(mol, parameters) != 0:
            parameters.useRandomCoords = True
            if rdDistGeom.EmbedMolecule(mol, parameters) != 0:
                raise ValueError("no shape in space was found for it")
        if rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
            rdForceFieldHelpers.MMFFOptimizeMolecule(mol, maxIters=1000)
        elif rdForceFieldHelpers.UFFHasAllMoleculeParams(mol):
            rdForceFieldHelpers.UFFOptimizeMolecule(mol, maxIters=1000)
    text, done, error = PDBQTWriterLegacy.write_string(MoleculePreparation().prepare(mol)[0])
    if not done:
        raise ValueError(f"meeko cannot prepare it: {error}")
    return str(text)


@functools.lru_cache(maxsize=1)
def _vina(
    pdbqt: Path,
    center: tuple[float, float, float],
    box: tuple[float, float, float],
    seed: int,
    cores: int,
) -> Any:
    """Vina with its maps of a receptor, which take seconds and serve all molecules."""
    from vina import Vina

    vina = Vina(sf_name="vina", cpu=cores, seed=seed % (1 << 31) or 1, verbosity=0)
    vina.set_receptor(str(pdbqt))
    vina.compute_vina_maps(center=list(center), box_size=list(box))
    return vina


def _definition(receptor: Receptor, options: DockingOptions) -> dict[str, Any]:
    """All that decides a score."""
    return {
        "receptor": sha256_file(receptor.pdbqt),
        "center": list(receptor.center),
        "box": list(receptor.box),
        "exhaustiveness": options.exhaustiveness,
        "seed": options.seed,
        "versions": {name: importlib.metadata.version(name) for name in ("vina", "meeko", "rdkit")},
    }
