"""The nearest molecule that an alphabet can write.

SELFIES keeps every atom below its largest valence, but between the valences of sulphur (2, 4, 6)
and phosphorus (3, 5) lie states such as a sulphur with three bonds, which take a hydrogen that
SMILES must spell (``[SH]``), and with it a symbol that no training molecule had. The same goes for
charges that found other neighbours than they have in the data. A molecule like that could not be
encoded again. Here it becomes one that can, by the smallest changes that a chemist would make.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rdkit import Chem
from rdkit.rdBase import BlockLogs

from molvae.chem.selfies import CodecError, UnknownSymbolError
from molvae.chem.selfies.symbols import AtomParts, atom_of_symbol
from molvae.chem.standardise import saturate
from molvae.chem.tokenizer import Tokenizer

_ACHIRAL = Chem.ChiralType.CHI_UNSPECIFIED
_ORDERS = {1: Chem.BondType.SINGLE, 2: Chem.BondType.DOUBLE, 3: Chem.BondType.TRIPLE}
_LOWER = {_ORDERS[2]: _ORDERS[1], _ORDERS[3]: _ORDERS[2]}
_BONDS = {"O": 2, "N": 3, "C": 4}
"""What an atom that the alphabet cannot write may become, in this order, and its bonds."""
_NEUTRAL = {"B": 3, "C": 4, "N": 3, "O": 2, "P": 3, "S": 2, "F": 1, "Cl": 1, "Br": 1, "I": 1}
_STEPS_PER_ATOM = 4


def encodable(mol: Chem.Mol, tokenizer: Tokenizer) -> tuple[Chem.Mol, str]:
    """``mol``, or the nearest molecule that ``tokenizer`` encodes, with its canonical SMILES.

    A molecule that can be encoded is left alone. Else, one at a time until it can:

    - unpaired electrons become hydrogens (:func:`~molvae.chem.standardise.saturate`);
    - handedness, direction, isotope and charge that have no symbol are forgotten;
    - a multiple bond at the atom is lowered by one, a tautomer where it carried a hydrogen
      (``R[SH]=O`` is ``RSO``);
    - an atom with single bonds alone becomes the first of O, N and C that may have as many: a
      sulphur with three bonds is a nitrogen;
    - where none of these apply, or the molecule has too many symbols, the last atom goes.

    Raises :class:`CodecError` where nothing is left that can be encoded, which takes an alphabet
    without the plain symbol of carbon.

    >>> tokenizer = Tokenizer.from_smiles(["OC(=O)NCCSc1cccn1C"])
    >>> for smiles in ("C[SH]=O", "CC[SH]1C=CC=C1", "C[O-]", "C[C@H](O)N", "C[CH]C"):
    ...     print(encodable(Chem.MolFromSmiles(smiles), tokenizer)[1])
    CSO
    CCn1cccc1
    CO
    CC(N)O
    CCC
    """
    smiles = str(Chem.MolToSmiles(mol))
    steps = 0
    while True:
        try:
            tokenizer.encode_one(smiles)
        except UnknownSymbolError as error:
            steps += 1
            mended = None
            if steps <= _STEPS_PER_ATOM * mol.GetNumAtoms():
                mended = _mend(mol, error.symbols, tokenizer)
            problem: CodecError = error
        except CodecError as error:
            mended, problem = None, error
        else:
            return mol, smiles
        mended = mended or _without_last_atom(mol)
        if mended is None:
            raise problem
        mol, smiles = mended, str(Chem.MolToSmiles(mended))


def _mend(mol: Chem.Mol, lacking: Sequence[str], tokenizer: Tokenizer) -> Chem.Mol | None:
    """``mol`` with one thing changed because of which it needs the symbols ``lacking``."""
    if any(atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()):
        return saturate(mol)
    wanted = [parts for parts in map(atom_of_symbol, lacking) if parts is not None]
    edited = Chem.RWMol(mol)
    Chem.Kekulize(edited, clearAromaticFlags=True)
    at_fault = [
        (atom, parts)
        for atom, as_written in zip(edited.GetAtoms(), mol.GetAtoms(), strict=True)
        for parts in wanted
        if _needs(atom, parts) and parts.bare != _in_brackets(as_written)
    ]
    others = {atom.GetIdx() for atom, _ in at_fault}
    changed = any(
        _forget(atom, parts) or _lower_bond(atom, others) or _replace(atom, tokenizer)
        for atom, parts in at_fault
    )
    return _read(edited) if changed else None


def _needs(atom: Chem.Atom, parts: AtomParts) -> bool:
    """Whether the symbol of ``parts`` may be that of ``atom``."""
    return (
        atom.GetSymbol() == parts.element
        and atom.GetFormalCharge() == parts.charge
        and atom.GetIsotope() == parts.isotope
        and (parts.bare or atom.GetTotalNumHs() == parts.hydrogens)
        and (not parts.chirality or atom.GetChiralTag() != _ACHIRAL)
        and (parts.order == 1 or _ORDERS[parts.order] in {b.GetBondType() for b in atom.GetBonds()})
    )


def _in_brackets(atom: Chem.Atom) -> bool:
    """Whether RDKit writes the atom in brackets: for what it is, or to spell its hydrogens."""
    if atom.GetFormalCharge() or atom.GetIsotope() or atom.GetChiralTag() != _ACHIRAL:
        return True
    if not atom.GetTotalNumHs() or atom.GetSymbol() == "C":
        return False
    usual = Chem.GetPeriodicTable().GetDefaultValence(atom.GetAtomicNum())
    return bool(atom.GetIsAromatic() or atom.GetTotalValence() != usual)


def _forget(atom: Chem.Atom, parts: AtomParts) -> bool:
    """Drop handedness, direction, isotope or charge, whichever the symbol has first."""
    if parts.chirality:
        atom.SetChiralTag(_ACHIRAL)
    elif parts.direction:
        near = [atom, *atom.GetNeighbors()]
        for bond in [bond for end in near for bond in end.GetBonds()]:
            bond.SetStereo(Chem.BondStereo.STEREONONE)
            bond.SetBondDir(Chem.BondDir.NONE)
    elif parts.isotope:
        atom.SetIsotope(0)
    elif parts.charge and _bonds(atom) <= _NEUTRAL.get(parts.element, 0):
        atom.SetFormalCharge(0)
        _count_hydrogens_anew(atom)
    else:
        return False
    return True


def _lower_bond(atom: Chem.Atom, at_fault: Iterable[int]) -> bool:
    """Lower a multiple bond: to another atom at fault, else to an end of the molecule."""
    multiple = [bond for bond in atom.GetBonds() if bond.GetBondType() in _LOWER]
    if not multiple:
        return False

    def rank(bond: Chem.Bond) -> tuple[bool, int, int]:
        other = bond.GetOtherAtom(atom)
        return other.GetIdx() not in at_fault, other.GetDegree(), other.GetIdx()

    bond = min(multiple, key=rank)
    bond.SetStereo(Chem.BondStereo.STEREONONE)
    bond.SetBondType(_LOWER[bond.GetBondType()])
    for end in (bond.GetBeginAtom(), bond.GetEndAtom()):
        _count_hydrogens_anew(end)
    return True


def _replace(atom: Chem.Atom, tokenizer: Tokenizer) -> bool:
    """Make the atom one of another element that may have its bonds."""
    elements = list(_BONDS)
    if atom.GetSymbol() in elements:  # charges aside, what comes before it was tried
        elements = elements[elements.index(atom.GetSymbol()) + (not atom.GetFormalCharge()) :]
    for element in elements:
        if atom.GetDegree() <= _BONDS[element] and f"[{element}]" in tokenizer.alphabet:
            atom.SetAtomicNum(Chem.GetPeriodicTable().GetAtomicNumber(element))
            atom.SetFormalCharge(0)
            atom.SetChiralTag(_ACHIRAL)
            _count_hydrogens_anew(atom)
            return True
    return False


def _without_last_atom(mol: Chem.Mol) -> Chem.Mol | None:
    """``mol`` without its last atom; every atom of a SMILES but the first is bonded to one before
    it, so the rest holds together."""
    while mol.GetNumAtoms() > 1:
        edited = Chem.RWMol(mol)
        Chem.Kekulize(edited, clearAromaticFlags=True)
        last = edited.GetAtomWithIdx(edited.GetNumAtoms() - 1)
        for neighbour in last.GetNeighbors():
            _count_hydrogens_anew(neighbour)
        edited.RemoveAtom(last.GetIdx())
        shorter = _read(edited)
        if shorter is not None:
            return shorter
        mol = edited
    return None


def _bonds(atom: Chem.Atom) -> int:
    return round(sum(bond.GetBondTypeAsDouble() for bond in atom.GetBonds()))


def _count_hydrogens_anew(atom: Chem.Atom) -> None:
    atom.SetNumExplicitHs(0)
    atom.SetNoImplicit(False)


def _read(mol: Chem.Mol) -> Chem.Mol | None:
    """The molecule sanitised, its atoms in the order of its canonical SMILES."""
    mol.UpdatePropertyCache(strict=False)
    with BlockLogs():
        result: Chem.Mol | None = Chem.MolFromSmiles(Chem.MolToSmiles(mol))
    return result
