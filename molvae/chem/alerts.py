"""Medicinal-chemistry alerts by catalogue, and a sanity check of what a model proposes."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Sequence

import numpy as np
from pydantic import Field, field_validator, model_validator
from rdkit import Chem
from rdkit.Chem import rdMolDescriptors
from rdkit.Chem.FilterCatalog import FilterCatalog, FilterCatalogParams

from molvae.base.errors import ConfigError
from molvae.base.records import Record
from molvae.chem.smiles import parse_many

CATALOGS = {
    "pains": "pan-assay interference (Baell and Holloway 2010)",
    "brenk": "unwanted groups (Brenk et al. 2008)",
    "nih": "problematic groups (Doveston et al. 2015; Jadhav et al. 2010)",
    "zinc": "groups that ZINC screens out",
    "chembl": "all alert sets collected by ChEMBL",
}
"""The catalogues of RDKit that can be asked for, by name."""

FUSED_CYCLOBUTADIENE = Chem.MolFromSmarts("{0}1:{0}:{0}:{0}~1".format("[!$(*=[!R])]"))
"""Cyclobutadiene in two fused rings, which may count as aromatic; not biphenylenes or squarates."""

_STRAINED = {
    "triple bond in a small ring": (Chem.MolFromSmarts("*#@*"), 8),
    "cumulated double bonds in a small ring": (Chem.MolFromSmarts("*=@[#6]=@*"), 9),
    "double bond in a ring of three": (Chem.MolFromSmarts("[r3]=@[r3]"), 4),
    "cyclobutadiene": (Chem.MolFromSmarts("*1=**=*1"), 5),
    "fused cyclobutadiene": (FUSED_CYCLOBUTADIENE, 5),
}
"""Groups that no ring of fewer than this many atoms holds."""

_CHAINS = {
    "peroxide": Chem.MolFromSmarts("[OX2]-[OX2,OX1-]"),
    "chain of three nitrogens or oxygens": Chem.MolFromSmarts("[N,O;!+]-[N,O;!+]-[N,O;!+]"),
}

_SMALL_BICYCLE = 8


class SanityOptions(Record):
    """What :func:`insane_reason` lets pass; the defaults pass 99 % of ZINC250k.

    Attributes:
        min_atoms: fewest heavy atoms.
        max_atoms: most heavy atoms.
        max_charge: largest net formal charge, either sign.
        max_charged_atoms: most charged atoms, nitro groups and N-oxides not counted.
        max_ring: atoms of the largest ring.
        strain: refuse ring strain: alkynes and allenes in small rings, cyclopropenes,
            cyclobutadienes (fused ones too), double bonds at the bridgehead of a small bicycle
            (Bredt's rule).
        chains: refuse peroxides and chains of three nitrogens or oxygens.
        radicals: let unpaired electrons pass.
        catalogs: catalogues of alerts (keys of :data:`CATALOGS`) whose hits are refused.
    """

    min_atoms: int = Field(default=3, ge=0)
    max_atoms: int = Field(default=100, ge=1)
    max_charge: int = Field(default=2, ge=0)
    max_charged_atoms: int = Field(default=4, ge=0)
    max_ring: int = Field(default=8, ge=3)
    strain: bool = True
    chains: bool = True
    radicals: bool = False
    catalogs: tuple[str, ...] = ()

    @field_validator("catalogs")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return known_catalogs(names)

    @model_validator(mode="after")
    def _ordered(self) -> SanityOptions:
        if self.min_atoms > self.max_atoms:
            raise ValueError("min_atoms is larger than max_atoms")
        return self


def known_catalogs(names: tuple[str, ...]) -> tuple[str, ...]:
    """``names`` if all are keys of :data:`CATALOGS`, else ``ValueError`` with the nearest one."""
    for name in names:
        if name not in CATALOGS:
            raise ValueError(_unknown(name))
    return names


def alerts(mol: Chem.Mol, catalogs: Iterable[str] = ("pains", "brenk", "nih")) -> list[str]:
    """The alerts that ``mol`` sets off, as ``catalogue: group``, sorted.

    Raises :class:`ConfigError` for a catalogue that does not exist.

    >>> alerts(Chem.MolFromSmiles("O=C1C=CC(=O)C=C1"), ["pains"])
    ['pains: quinone_A(370)']
    """
    return sorted(
        {
            f"{name}: {entry.GetDescription()}"
            for name in catalogs
            for entry in _catalog(name).GetMatches(mol)
        }
    )


def insane_reason(mol: Chem.Mol, options: SanityOptions | None = None) -> str | None:
    """Why no chemist would make ``mol``, as ``cause (detail)``, or None if nothing speaks against.

    ``options`` None means the defaults of :class:`SanityOptions`.

    >>> insane_reason(Chem.MolFromSmiles("C1CC#CC1C"))
    'triple bond in a small ring (5 atoms)'
    >>> insane_reason(Chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O")) is None
    True
    """
    options = options or SanityOptions()
    return (
        _size(mol, options)
        or _charge(mol, options)
        or (_strain(mol) if options.strain else None)
        or (_chain(mol) if options.chains else None)
        or _alert(mol, options.catalogs)
    )


def sane_mask(smiles: Sequence[str | None], options: SanityOptions | None = None) -> np.ndarray:
    """Which of these are sane molecules, ``(n,)`` bool; None is not."""
    limits = options or SanityOptions()
    return np.array(
        [mol is not None and insane_reason(mol, limits) is None for mol in parse_many(smiles)],
        dtype=bool,
    )


def _size(mol: Chem.Mol, options: SanityOptions) -> str | None:
    atoms = mol.GetNumHeavyAtoms()
    if atoms < options.min_atoms:
        return f"too few atoms ({atoms})"
    if atoms > options.max_atoms:
        return f"too many atoms ({atoms})"
    ring = max(map(len, mol.GetRingInfo().AtomRings()), default=0)
    return f"large ring ({ring} atoms)" if ring > options.max_ring else None


def _charge(mol: Chem.Mol, options: SanityOptions) -> str | None:
    net = Chem.GetFormalCharge(mol)
    if abs(net) > options.max_charge:
        return f"charge ({net:+d})"
    charged = 0
    for atom in mol.GetAtoms():
        if atom.GetNumRadicalElectrons() and not options.radicals:
            return f"radical ({atom.GetSymbol()})"
        charge = atom.GetFormalCharge()
        if charge and not any(n.GetFormalCharge() * charge < 0 for n in atom.GetNeighbors()):
            charged += 1
    return f"many charged atoms ({charged})" if charged > options.max_charged_atoms else None


def _strain(mol: Chem.Mol) -> str | None:
    rings = mol.GetRingInfo()
    for name, (pattern, limit) in _STRAINED.items():
        for match in mol.GetSubstructMatches(pattern, maxMatches=100):
            smallest = _smallest_ring_with(rings.AtomRings(), match)
            if smallest < limit:
                return f"{name} ({smallest} atoms)"
    return _bridgehead(mol)


def _smallest_ring_with(rings: Iterable[tuple[int, ...]], atoms: Iterable[int]) -> int:
    wanted = set(atoms)
    return min((len(ring) for ring in rings if wanted.issubset(ring)), default=10**6)


def _bridgehead(mol: Chem.Mol) -> str | None:
    """Bredt's rule: no double bond at a bridgehead whose rings are all small."""
    heads: list[int] = []
    rdMolDescriptors.CalcNumBridgeheadAtoms(mol, heads)
    rings = mol.GetRingInfo()
    for index in heads:
        sizes = rings.AtomRingSizes(index)
        for bond in mol.GetAtomWithIdx(index).GetBonds():
            is_double = bond.GetBondType() == Chem.BondType.DOUBLE and bond.IsInRing()
            if (is_double or bond.GetIsAromatic()) and max(sizes) < _SMALL_BICYCLE:
                return f"double bond at a bridgehead (ring of {max(sizes)} atoms)"
    return None


def _chain(mol: Chem.Mol) -> str | None:
    return next((name for name, group in _CHAINS.items() if mol.HasSubstructMatch(group)), None)


def _alert(mol: Chem.Mol, catalogs: Iterable[str]) -> str | None:
    for name in catalogs:
        match = _catalog(name).GetFirstMatch(mol)
        if match is not None:
            return f"alert ({name}: {match.GetDescription()})"
    return None


@functools.cache
def _catalog(name: str) -> FilterCatalog:
    if name not in CATALOGS:
        raise ConfigError(_unknown(name))
    params = FilterCatalogParams()
    params.AddCatalog(getattr(FilterCatalogParams.FilterCatalogs, name.upper()))
    return FilterCatalog(params)


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), CATALOGS, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(CATALOGS)}"
    return f"unknown catalogue of alerts {name!r}; {hint}"
