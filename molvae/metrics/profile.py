"""Everything that is measured on single molecules, in one pass over all cores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from rdkit import Chem

from molvae.base.parallel import chunked, ordered_map
from molvae.base.progress import Progress
from molvae.chem.alerts import SanityOptions, alerts, insane_reason
from molvae.chem.properties import describe
from molvae.chem.similarity import fingerprints
from molvae.chem.smiles import MAX_ATOMS, parse_many
from molvae.metrics.moses_filters import passes_moses_filters
from molvae.metrics.structure import fragments, ring_systems, scaffold

Part = Literal[
    "properties", "prints", "fragments", "scaffolds", "rings", "filters", "alerts", "sane"
]
ALL: frozenset[Part] = frozenset(
    {"properties", "prints", "fragments", "scaffolds", "rings", "filters", "alerts", "sane"}
)

PROPERTIES = (
    *("logp", "sa", "qed", "mw", "bertz", "tpsa", "hba", "hbd", "rotatable_bonds"),
    *("aliphatic_rings", "aromatic_rings", "heavy_atoms", "rings", "largest_ring"),
)
"""What :attr:`Profile.properties` holds, in this order."""

RADIUS, BITS = 2, 1024
"""Of the Morgan fingerprints, as in MOSES."""

_CHUNK = 500
_RINGS_ONLY = SanityOptions(
    min_atoms=0, max_atoms=MAX_ATOMS, max_charge=99, max_charged_atoms=MAX_ATOMS, chains=False,
    radicals=True,
)  # fmt: skip


@dataclass
class Profile:
    """A set of texts, read; the arrays and lists have a row for each of ``n`` valid molecules.

    What was not asked for is empty. ``flat`` are the SMILES without stereo and isotopes.
    """

    given: int = 0
    smiles: list[str] = field(default_factory=list)
    flat: list[str] = field(default_factory=list)
    properties: np.ndarray = field(default_factory=lambda: np.empty((0, len(PROPERTIES))))
    prints: np.ndarray = field(default_factory=lambda: np.empty((0, BITS // 8), np.uint8))
    fragments: Counter[str] = field(default_factory=Counter)
    scaffolds: Counter[str] = field(default_factory=Counter)
    ring_systems: list[list[str]] = field(default_factory=list)
    filters: np.ndarray = field(default_factory=lambda: np.empty(0, bool))
    alerts: np.ndarray = field(default_factory=lambda: np.empty(0, bool))
    sane: np.ndarray = field(default_factory=lambda: np.empty(0, bool))
    sane_rings: np.ndarray = field(default_factory=lambda: np.empty(0, bool))

    def column(self, name: str) -> np.ndarray:
        """One property of all molecules, ``(n,)``."""
        return np.asarray(self.properties[:, PROPERTIES.index(name)])


def profile(
    smiles: Sequence[str | None],
    parts: frozenset[Part] = ALL,
    *,
    alerts_of: int | None = None,
    workers: int | None = None,
    progress: bool | None = None,
    title: str = "molecules",
) -> Profile:
    """Read ``smiles`` and measure the ``parts`` of each; alerts of the first ``alerts_of`` only.

    Each molecule is measured as read from its canonical SMILES, as MOSES does it.

    >>> found = profile(["OCC", "C1", None, "c1ccccc1"], workers=1, progress=False)
    >>> found.given, found.smiles, found.fragments["CCO"], found.filters.tolist()
    (4, ['CCO', 'c1ccccc1'], 1, [True, True])
    """
    jobs = []
    for number, chunk in enumerate(chunked(smiles, _CHUNK)):
        late = alerts_of is not None and number * _CHUNK >= alerts_of
        jobs.append((parts - {"alerts"} if late else parts, chunk))
    if len(jobs) <= 1:
        workers = 1
    found: list[Profile] = []
    with Progress(title, len(smiles), progress) as bar:
        for part in ordered_map(_profile, jobs, workers):
            found.append(part)
            bar.advance(part.given)
    return _joined(found)


def _joined(found: Sequence[Profile]) -> Profile:
    def stacked(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in [Profile(), *found]])

    result = Profile(
        given=sum(part.given for part in found),
        smiles=[s for part in found for s in part.smiles],
        flat=[s for part in found for s in part.flat],
        properties=stacked("properties"),
        prints=stacked("prints"),
        ring_systems=[s for part in found for s in part.ring_systems],
        filters=stacked("filters"),
        alerts=stacked("alerts"),
        sane=stacked("sane"),
        sane_rings=stacked("sane_rings"),
    )
    for part in found:
        result.fragments.update(part.fragments)
        result.scaffolds.update(part.scaffolds)
    return result


def _profile(job: tuple[frozenset[Part], list[str | None]]) -> Profile:
    parts, texts = job
    mols: list[Chem.Mol] = []
    result = Profile(given=len(texts))
    for text, mol in zip(texts, parse_many(texts), strict=True):
        if mol is None:
            continue
        canonical = str(Chem.MolToSmiles(mol))
        (again,) = (mol,) if canonical == text else parse_many([canonical])
        if again is None:  # RDKit cannot read what it wrote: no molecule for anybody else either
            continue
        mols.append(again)
        result.smiles.append(canonical)
        result.flat.append(_flat(again, canonical))
    if "properties" in parts and mols:
        result.properties = np.array([describe(mol, PROPERTIES) for mol in mols])
    if "prints" in parts:
        result.prints = fingerprints(mols, RADIUS, BITS)
    if "fragments" in parts:
        result.fragments.update(piece for mol in mols for piece in fragments(mol))
    if "scaffolds" in parts:
        result.scaffolds.update(core for mol in mols if (core := scaffold(mol)) is not None)
    if "rings" in parts:
        result.ring_systems = [ring_systems(mol) for mol in mols]
    if "filters" in parts:
        result.filters = _flags(passes_moses_filters(mol) for mol in mols)
    if "alerts" in parts:
        result.alerts = _flags(bool(alerts(mol)) for mol in mols)
    if "sane" in parts:
        result.sane = _flags(insane_reason(mol) is None for mol in mols)
        result.sane_rings = _flags(insane_reason(mol, _RINGS_ONLY) is None for mol in mols)
    return result


def _flags(values: Iterable[bool]) -> np.ndarray:
    return np.fromiter(values, bool)


def _flat(mol: Chem.Mol, canonical: str) -> str:
    if "[" not in canonical and "/" not in canonical and "\\" not in canonical:
        return canonical
    return str(Chem.MolToSmiles(mol, isomericSmiles=False))
