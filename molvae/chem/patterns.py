"""Parts of molecules to look for: SMARTS patterns, and the scaffold of a lead."""

from __future__ import annotations

from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold
from rdkit.rdBase import BlockLogs

from molvae.chem.smiles import MAX_LENGTH


def checked_smarts(text: str) -> str:
    """``text`` if it is a SMARTS pattern, else ``ValueError`` with the reason, for a validator."""
    if len(text) > MAX_LENGTH:  # before RDKit, which may take long over it
        raise ValueError(f"longer than {MAX_LENGTH:,} characters")
    with BlockLogs():
        pattern = Chem.MolFromSmarts(text)
    if pattern is None or not pattern.GetNumAtoms():
        raise ValueError("not valid SMARTS")
    return text


def scaffold(mol: Chem.Mol, generic: bool = False) -> str:
    """The Bemis-Murcko scaffold as canonical SMILES without stereo; empty without rings.

    >>> scaffold(Chem.MolFromSmiles("CCc1ccncc1")), scaffold(Chem.MolFromSmiles("CCc1ccncc1"), True)
    ('c1ccncc1', 'C1CCCCC1')
    """
    core = MurckoScaffold.GetScaffoldForMol(mol)
    if generic:
        core = MurckoScaffold.MakeScaffoldGeneric(core)
    return str(Chem.MolToSmiles(core, isomericSmiles=False))
