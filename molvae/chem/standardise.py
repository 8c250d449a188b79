"""One molecule for all its salts, solvates, isotopes and spellings of charge."""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Sequence
from importlib.resources import files

from rdkit import Chem
from rdkit.Chem.MolStandardize.rdMolStandardize import Uncharger

from molvae.base.records import Record
from molvae.chem.smiles import MoleculeError

_ISOTOPE = r"\[\d"
_ATOM_MAP = r":\d+\]"
_CHARGE = r"\[[^\]]*[+-]"
_STEREO = r"[@/\\]"
_SEPARATED = r"\[(?:S|P|Se)[^\]]*\+"
_ALKALI = r"\[(?:Li|Na|K|Rb|Cs)\b(?!\+)"

_OXIDE = Chem.MolFromSmarts("[S,P,Se;+1,+2]-[O-;X1]")
_SALT_BOND = Chem.MolFromSmarts("[Li,Na,K,Rb,Cs;+0]-[#7,#8,#16]")


class StandardiseOptions(Record):
    """What :func:`standardise` does.

    Attributes:
        fragments: keep the largest organic fragment; salts and solvents (ChEMBL's lists) go
            first. A parent that its counter-ions leave charged is neutralised.
        neutralise: neutralise every molecule, zwitterions included. Off by default: charges say
            how a molecule is drawn at pH 7, and a third of ZINC carries them.
        isotopes: forget isotope labels.
        oxides: write charge-separated S-O and P-O bonds as double bonds.
        stereo: keep stereochemistry; False removes all of it.
    """

    fragments: bool = True
    neutralise: bool = False
    isotopes: bool = True
    oxides: bool = True
    stereo: bool = True


def needs_standardising(smiles: str, options: StandardiseOptions) -> bool:
    """Whether :func:`standardise` could change the molecule, told in a microsecond by its text.

    >>> needs_standardising("CC(=O)[O-]", StandardiseOptions())
    False
    >>> needs_standardising("CC(=O)[O-].[Na+]", StandardiseOptions())
    True
    """
    return _trigger(options).search(smiles) is not None


def standardise(mol: Chem.Mol, options: StandardiseOptions | None = None) -> Chem.Mol:
    """The standard form of a sanitised molecule, itself sanitised; atom maps are forgotten.

    Raises :class:`MoleculeError` where no fragment is organic, or the result is no molecule.

    >>> def standard(smiles: str, **options: bool) -> str:
    ...     mol = standardise(Chem.MolFromSmiles(smiles), StandardiseOptions(**options))
    ...     return Chem.MolToSmiles(mol)
    >>> standard("CC(=O)[O-].[Na+]"), standard("C[NH3+].[Cl-]"), standard("C[S+](C)[O-]")
    ('CC(=O)O', 'CN', 'CS(C)=O')
    >>> standard("C[NH3+]"), standard("C[NH3+]", neutralise=True)
    ('C[NH3+]', 'CN')
    """
    options = options or StandardiseOptions()
    edited = Chem.RWMol(mol)
    for atom in edited.GetAtoms():
        atom.SetAtomMapNum(0)
        if options.isotopes:
            atom.SetIsotope(0)
    if options.fragments:
        _ionise_salts(edited)
    if options.oxides:
        _join_oxides(edited)
    if not options.stereo:
        Chem.RemoveStereochemistry(edited)
    result = _reread(edited)
    if options.fragments:
        parts = Chem.GetMolFrags(result, asMols=True)
        if len(parts) > 1:
            result = _parent(parts)
            if Chem.GetFormalCharge(result):
                result = _uncharge(result)
    return _uncharge(result) if options.neutralise else result


@functools.cache
def _trigger(options: StandardiseOptions) -> re.Pattern[str]:
    parts = [_ATOM_MAP]
    parts += [r"\.", _ALKALI] if options.fragments else []
    parts += [_CHARGE] if options.neutralise else []
    parts += [_ISOTOPE] if options.isotopes else []
    parts += [_SEPARATED] if options.oxides else []
    parts += [] if options.stereo else [_STEREO]
    return re.compile("|".join(parts))


def _reread(mol: Chem.Mol) -> Chem.Mol:
    """Through SMILES and back: RDKit then finds hydrogens, aromaticity and stereo afresh."""
    smiles = Chem.MolToSmiles(mol)
    result: Chem.Mol | None = Chem.MolFromSmiles(smiles)
    if result is None:
        raise MoleculeError(smiles, "cannot be standardised")
    return result


def saturate(mol: Chem.Mol) -> Chem.Mol:
    """The molecule with a hydrogen in the place of every unpaired electron, sanitised.

    SELFIES can write a stereocentre such as ``[C@@H1]`` where the atom then has too few neighbours;
    read literally, that is a radical nobody meant.

    >>> Chem.MolToSmiles(saturate(Chem.MolFromSmiles("C[CH]C[N]")))
    'CCCN'
    """
    edited = Chem.RWMol(mol)
    for atom in edited.GetAtoms():
        if atom.GetNumRadicalElectrons():
            atom.SetNumRadicalElectrons(0)
            atom.SetNoImplicit(False)
    return _reread(edited)


def _ionise_salts(mol: Chem.RWMol) -> None:
    """``CC(=O)O[Na]`` becomes ``CC(=O)[O-].[Na+]``."""
    for metal, other in mol.GetSubstructMatches(_SALT_BOND):
        mol.RemoveBond(metal, other)
        mol.GetAtomWithIdx(metal).SetFormalCharge(1)
        atom = mol.GetAtomWithIdx(other)
        atom.SetFormalCharge(atom.GetFormalCharge() - 1)


def _join_oxides(mol: Chem.RWMol) -> None:
    for centre, oxygen in mol.GetSubstructMatches(_OXIDE):
        atom = mol.GetAtomWithIdx(centre)
        if atom.GetFormalCharge() > 0:
            mol.GetBondBetweenAtoms(centre, oxygen).SetBondType(Chem.BondType.DOUBLE)
            atom.SetFormalCharge(atom.GetFormalCharge() - 1)
            mol.GetAtomWithIdx(oxygen).SetFormalCharge(0)


def _parent(parts: Sequence[Chem.Mol]) -> Chem.Mol:
    """The largest organic fragment, of those that are neither solvent nor salt if there are any.

    Of equally large ones the heavier, then the first in canonical SMILES, so that the order in
    the file does not matter.
    """
    kept = [part for part in parts if not _listed(part, "solvents")] or list(parts)
    kept = [part for part in kept if not _listed(part, "salts")] or kept
    organic = [p for p in kept if _is_organic(p)] or [p for p in parts if _is_organic(p)]
    if not organic:
        raise MoleculeError(".".join(map(Chem.MolToSmiles, parts)), "no organic fragment")
    return min(organic, key=lambda p: (-p.GetNumHeavyAtoms(), -_weight(p), Chem.MolToSmiles(p)))


def _weight(mol: Chem.Mol) -> int:
    return sum(atom.GetAtomicNum() for atom in mol.GetAtoms())


def _is_organic(mol: Chem.Mol) -> bool:
    return any(atom.GetAtomicNum() == 6 for atom in mol.GetAtoms())


def _uncharge(mol: Chem.Mol) -> Chem.Mol:
    return _reread(Uncharger(canonicalOrder=True).uncharge(mol))


def _listed(mol: Chem.Mol, which: str) -> bool:
    size = (mol.GetNumAtoms(), mol.GetNumBonds())
    return any(mol.HasSubstructMatch(pattern) for pattern in _known(which).get(size, ()))


@functools.cache
def _known(which: str) -> dict[tuple[int, int], list[Chem.Mol]]:
    """ChEMBL's patterns of salts or solvents, by their numbers of atoms and bonds.

    Read once: ChEMBL's own function reads and compiles them for every molecule, 4 ms each time.
    """
    text = (files("chembl_structure_pipeline") / "data" / f"{which}.smi").read_text("utf-8")
    patterns = defaultdict(list)
    for line in text.splitlines():
        cells = line.split("\t")
        if len(cells) == 2 and not line.startswith("#"):
            pattern = Chem.MolFromSmarts(cells[1].strip())
            patterns[pattern.GetNumAtoms(), pattern.GetNumBonds()].append(pattern)
    return dict(patterns)
