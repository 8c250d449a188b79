"""Molecular properties by name, computed together on molecules parsed once, in parallel."""

from __future__ import annotations

import difflib
import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from rdkit import Chem
from rdkit.Chem import GraphDescriptors, rdMolDescriptors

from molvae.base.errors import ConfigError
from molvae.base.parallel import chunked, ordered_map
from molvae.base.progress import Progress
from molvae.chem.scores import crippen_logp, crippen_mr, np_likeness, qed, sa_score
from molvae.chem.smiles import parse_many

_CHUNK = 500

MolFunction = Callable[[Chem.Mol], float]


class Property(NamedTuple):
    """One descriptor: a name, its unit ("" if none), a line of description, its function."""

    name: str
    unit: str
    description: str
    function: MolFunction


def _largest_ring(mol: Chem.Mol) -> int:
    return max(map(len, mol.GetRingInfo().AtomRings()), default=0)


_ALL = (
    Property("qed", "", "drug-likeness, 0 to 1 (Bickerton 2012)", qed),
    Property("logp", "", "octanol-water partition, log10 (Crippen 1999)", crippen_logp),
    Property("sa", "", "synthetic accessibility, 1 easy to 10 hard (Ertl 2009)", sa_score),
    Property("np_likeness", "", "natural-product likeness, -5 to 5 (Ertl 2008)", np_likeness),
    Property("mw", "g/mol", "average molecular weight", rdMolDescriptors._CalcMolWt),
    Property("exact_mass", "Da", "monoisotopic mass", rdMolDescriptors.CalcExactMolWt),
    Property(
        "tpsa", "angstrom^2", "topological polar surface (Ertl 2000)", rdMolDescriptors.CalcTPSA
    ),
    Property(
        "labute_asa",
        "angstrom^2",
        "approximate surface (Labute 2000)",
        rdMolDescriptors.CalcLabuteASA,
    ),
    Property("molar_refractivity", "cm^3/mol", "molar refractivity (Crippen 1999)", crippen_mr),
    Property("bertz", "", "complexity (Bertz 1981)", GraphDescriptors.BertzCT),
    Property("fsp3", "", "fraction of carbons that are sp3", rdMolDescriptors.CalcFractionCSP3),
    Property("heavy_atoms", "", "atoms other than hydrogen", Chem.Mol.GetNumHeavyAtoms),
    Property("heteroatoms", "", "atoms other than C and H", rdMolDescriptors.CalcNumHeteroatoms),
    Property("formal_charge", "e", "net formal charge", Chem.GetFormalCharge),
    Property("hbd", "", "hydrogen-bond donors", rdMolDescriptors.CalcNumHBD),
    Property("hba", "", "hydrogen-bond acceptors", rdMolDescriptors.CalcNumHBA),
    Property(
        "rotatable_bonds", "", "rotatable bonds, strict", rdMolDescriptors.CalcNumRotatableBonds
    ),
    Property("rings", "", "rings", rdMolDescriptors.CalcNumRings),
    Property("aromatic_rings", "", "aromatic rings", rdMolDescriptors.CalcNumAromaticRings),
    Property("aliphatic_rings", "", "non-aromatic rings", rdMolDescriptors.CalcNumAliphaticRings),
    Property("largest_ring", "", "atoms in the largest ring, 0 without rings", _largest_ring),
    Property(
        "stereocentres",
        "",
        "tetrahedral stereocentres, specified or not",
        rdMolDescriptors.CalcNumAtomStereoCenters,
    ),
    Property("spiro_atoms", "", "spiro atoms", rdMolDescriptors.CalcNumSpiroAtoms),
    Property("bridgeheads", "", "bridgehead atoms", rdMolDescriptors.CalcNumBridgeheadAtoms),
)

PROPERTIES: dict[str, Property] = {entry.name: entry for entry in _ALL}
"""Every property by name."""


def property_function(name: str) -> MolFunction:
    """The function of one property; :class:`ConfigError` with the nearest names if unknown.

    >>> property_function("mw")(Chem.MolFromSmiles("O"))
    18.015
    >>> property_function("log_p")
    Traceback (most recent call last):
    ...
    molvae.base.errors.ConfigError: unknown property 'log_p'; did you mean 'logp'?
    """
    try:
        return PROPERTIES[name].function
    except KeyError:
        near = difflib.get_close_matches(name.lower(), PROPERTIES, n=3, cutoff=0.5)
        hint = (
            f"did you mean {' or '.join(map(repr, near))}?"
            if near
            else f"known properties: {', '.join(PROPERTIES)}"
        )
        raise ConfigError(f"unknown property {name!r}; {hint}") from None


def describe(mol: Chem.Mol | None, names: Sequence[str]) -> list[float]:
    """The named properties of one molecule; NaN for None and for what cannot be computed.

    >>> describe(Chem.MolFromSmiles("CCO"), ["heavy_atoms", "tpsa"])
    [3.0, 20.23]
    """
    return [_value(property_function(name), mol) for name in names]


def compute(
    smiles: Sequence[str | None],
    names: Sequence[str],
    workers: int | None = 1,
    progress: bool | None = None,
) -> np.ndarray:
    """The named properties of many molecules: ``(n, k)`` float64, row i for molecule i.

    A molecule that is None or cannot be parsed gives a row of NaN. ``workers`` None takes every
    core. Raises :class:`ConfigError` for an unknown name.

    >>> compute(["CCO", "not a molecule"], ["heavy_atoms", "rings"])
    array([[ 3.,  0.],
           [nan, nan]])
    """
    for name in names:
        property_function(name)
    table = np.full((len(smiles), len(names)), np.nan)
    job = functools.partial(_compute_chunk, tuple(names))
    workers = 1 if len(smiles) <= _CHUNK else workers
    with Progress("properties", len(smiles), progress) as bar:
        start = 0
        for block in ordered_map(job, chunked(smiles, _CHUNK), workers):
            table[start : start + len(block)] = block
            start += len(block)
            bar.advance(len(block))
    return table


def _compute_chunk(names: tuple[str, ...], smiles: Sequence[str | None]) -> np.ndarray:
    functions = [property_function(name) for name in names]
    values = [[_value(function, mol) for function in functions] for mol in parse_many(smiles)]
    return np.array(values, dtype=np.float64).reshape(len(smiles), len(names))


def _value(function: MolFunction, mol: Chem.Mol | None) -> float:
    if mol is None:
        return math.nan
    try:
        return float(function(mol))
    except (ValueError, RuntimeError, ArithmeticError):  # e.g. a radius of no atoms at all
        return math.nan
