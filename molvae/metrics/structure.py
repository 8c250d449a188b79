"""What a molecule is built of: BRICS fragments, its scaffold, its ring systems; and how alike two
sets are in what they are built of."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold


def fragments(mol: Chem.Mol) -> list[str]:
    """The pieces that are left when all BRICS bonds are cut, SMILES with numbered ends.

    Degen et al., ChemMedChem 3:1503 (2008), as MOSES takes them. A molecule without such a bond
    is one piece.

    >>> fragments(Chem.MolFromSmiles("CCOC"))
    ['[3*]OC', '[4*]CC']
    """
    return str(Chem.MolToSmiles(Chem.FragmentOnBRICSBonds(mol))).split(".")


def scaffold(mol: Chem.Mol) -> str | None:
    """The Bemis-Murcko scaffold, canonical SMILES; None with fewer than two rings (as in MOSES).

    Bemis and Murcko, J. Med. Chem. 39:2887 (1996).

    >>> scaffold(Chem.MolFromSmiles("Cc1ccc(CC2CC2)cc1")), scaffold(Chem.MolFromSmiles("Cc1ccccc1"))
    ('c1ccc(CC2CC2)cc1', None)
    """
    try:
        core = MurckoScaffold.GetScaffoldForMol(mol)
    except (ValueError, RuntimeError):
        return None
    if core.GetRingInfo().NumRings() < 2:
        return None
    return str(Chem.MolToSmiles(core)) or None


def ring_systems(mol: Chem.Mol) -> list[str]:
    """Each set of rings that share atoms (fused, spiro, bridged), as SMILES without stereo.

    >>> ring_systems(Chem.MolFromSmiles("O=C1CCc2ccccc21.C1CC1"))
    ['C1CC1', 'C1CCc2ccccc21']
    """
    systems: list[set[int]] = []
    for ring in map(set, mol.GetRingInfo().AtomRings()):
        joined = [system for system in systems if system & ring]
        systems = [system for system in systems if not system & ring]
        systems.append(ring.union(*joined))
    return sorted(
        str(Chem.MolFragmentToSmiles(mol, sorted(system), isomericSmiles=False))
        for system in systems
    )


def cosine(a: Mapping[str, int], b: Mapping[str, int]) -> float:
    r"""Cosine similarity of two vectors of counts, 0 to 1; NaN if either is empty.

    .. math:: \sum_k a_k b_k \,/\, (\|a\| \|b\|)

    In floating point: products of counts overflow 64-bit integers from about 17,000 molecules on.

    >>> round(cosine({"c1ccccc1": 3}, {"c1ccccc1": 4, "C": 3}), 12)
    0.8
    """
    if not a or not b:
        return math.nan
    shared = sum(float(count) * float(b.get(key, 0)) for key, count in a.items())
    return shared / (_norm(a) * _norm(b))


def _norm(counts: Mapping[str, int]) -> float:
    return float(np.linalg.norm(np.fromiter(counts.values(), np.float64, len(counts))))
