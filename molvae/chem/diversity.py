"""A few molecules of many, as unlike each other as can be."""

from __future__ import annotations

from collections.abc import Sequence

from rdkit.Chem import rdFingerprintGenerator
from rdkit.SimDivFilters import rdSimDivPickers

from molvae.chem.smiles import parse


def diverse_subset(smiles: Sequence[str], n: int, *, first: int = 0) -> list[int]:
    """The places of ``n`` of ``smiles`` in the order in which MaxMin picks them.

    It begins with the molecule at ``first``, and each next one is that whose nearest neighbour
    among those picked is farthest (Tanimoto, Morgan bits of radius 2). All of them where there are
    no more than ``n``. Ashton et al., Quant. Struct.-Act. Relat. 21:598 (2002). Raises
    :class:`~molvae.chem.smiles.MoleculeError` for what does not parse.

    >>> diverse_subset(["CCO", "CCCO", "c1ccccc1"], 2)
    [0, 2]
    """
    make = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    prints = [make.GetFingerprint(parse(text)) for text in smiles]
    if n < 1 or not prints:
        return []
    picker = rdSimDivPickers.MaxMinPicker()
    picked = picker.LazyBitVectorPick(prints, len(prints), min(n, len(prints)), [first])
    return [int(i) for i in picked]
