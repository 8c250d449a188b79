"""Fingerprints by name, as RDKit's own vectors, and the Tanimoto similarity of many to one.

:mod:`molvae.chem.similarity` compares sets with sets, on packed Morgan bits; this compares a batch
with one target by whichever fingerprint an objective names, counts included.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import numpy as np
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator, rdMolDescriptors

FingerprintName = Literal[
    "ecfp4", "ecfp6", "fcfp4", "fcfp6", "ap", "tt", "phco", "ecfp4_bits", "rdkit", "maccs"
]

FINGERPRINTS: dict[str, str] = {
    "ecfp4": "counts of circular environments of radius 2 (Rogers and Hahn 2010)",
    "ecfp6": "the same of radius 3",
    "fcfp4": "counts of circular environments of pharmacophoric atom classes, radius 2",
    "fcfp6": "the same of radius 3",
    "ap": "counts of atom pairs up to 10 bonds apart (Carhart 1985)",
    "tt": "counts of topological torsions (Nilakantan 1987)",
    "phco": "pairs and triplets of pharmacophores (Gobbi 1998); 7 ms for a drug, 1 s at 100 atoms",
    "ecfp4_bits": "ecfp4 as 2,048 bits without counts",
    "rdkit": "RDKit's paths of 1 to 7 bonds, 2,048 bits",
    "maccs": "166 MACCS keys",
}
"""Every fingerprint by name; those with counts are compared with counts, as GuacaMol does."""

assert tuple(FINGERPRINTS) == get_args(FingerprintName)


def fingerprint(name: str, mol: Chem.Mol) -> Any:
    """The fingerprint ``name`` (a key of :data:`FINGERPRINTS`) of one molecule.

    >>> mols = [Chem.MolFromSmiles(s) for s in ("CCO", "CCCO")]
    >>> target, other = (fingerprint("ecfp4", mol) for mol in mols)
    >>> tanimoto(target, [target, other, None]).round(3)
    array([1. , 0.5, nan])
    """
    return _function(name)(mol)


def tanimoto(target: Any, others: Sequence[Any | None]) -> np.ndarray:
    """Tanimoto similarities ``(n,)``, 0 to 1, of fingerprints of one kind; NaN for None."""
    values = np.full(len(others), np.nan)
    there = [i for i, other in enumerate(others) if other is not None]
    values[there] = DataStructs.BulkTanimotoSimilarity(target, [others[i] for i in there])
    return values


@functools.cache
def _function(name: str) -> Callable[[Chem.Mol], Any]:
    generators = rdFingerprintGenerator
    if name in ("ecfp4", "ecfp6", "fcfp4", "fcfp6"):
        radius = 2 if name.endswith("4") else 3
        features = generators.GetMorganFeatureAtomInvGen() if name.startswith("f") else None
        return generators.GetMorganGenerator(
            radius=radius, atomInvariantsGenerator=features
        ).GetSparseCountFingerprint
    if name == "ap":
        return generators.GetAtomPairGenerator(maxDistance=10).GetSparseCountFingerprint
    if name == "tt":
        return generators.GetTopologicalTorsionGenerator().GetSparseCountFingerprint
    if name == "ecfp4_bits":
        return generators.GetMorganGenerator(radius=2, fpSize=2048).GetFingerprint
    if name == "rdkit":
        return generators.GetRDKitFPGenerator(fpSize=2048).GetFingerprint
    if name == "maccs":
        return rdMolDescriptors.GetMACCSKeysFingerprint
    if name == "phco":
        return _pharmacophores()
    raise KeyError(name)


def _pharmacophores() -> Callable[[Chem.Mol], Any]:
    # Its patterns take a quarter of a second to make: only for who asks for them.
    from rdkit.Chem.Pharm2D import Generate, Gobbi_Pharm2D

    return functools.partial(Generate.Gen2DFingerprint, sigFactory=Gobbi_Pharm2D.factory)
