"""Small changes of a molecular graph, and children of two graphs: the moves of a genetic algorithm.

After Jensen, Chem. Sci. 10:3567 (2019), with operations on the graph in place of reactions: atoms
are appended, inserted, exchanged and taken out, bonds raised and lowered, rings opened and closed;
and two molecules are cut, each at one acyclic bond or at two bonds of a ring, and a part of the one
is joined to a part of the other. What comes out is a valid molecule, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random

from rdkit import Chem
from rdkit.rdBase import BlockLogs

from molvae.chem.alerts import FUSED_CYCLOBUTADIENE

_SINGLE, _DOUBLE, _TRIPLE = (Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE)
_BY_ORDER = {1: _SINGLE, 2: _DOUBLE, 3: _TRIPLE}
_ORDER = {bond: order for order, bond in _BY_ORDER.items()}
_BONDS = {"C": 4, "N": 3, "O": 2, "S": 2, "F": 1, "Cl": 1, "Br": 1, "I": 1, "P": 3, "B": 3}
"""Elements that are put in, and how many bonds each has."""
_RARE = {"Br": 0.5, "I": 0.1, "P": 0.1, "B": 0.03}
"""How often the less common are put in another's place, where the others are 1."""
_COMMON = ("C", "C", "C", "N", "N", "O", "O", "F", "S", "Cl")
_INSIDE = ("C", "C", "C", "N", "N", "O", "S")
_RING_SIZES = (3, 4, 5, 5, 5, 5, 6, 6, 6, 6)
_LARGEST_RING = 6
"""A ring that is made is no larger, unless a parent has a larger one."""
TRIES = 10
"""Attempts at a change before a molecule is given up."""

Edit = Callable[[Chem.RWMol, Random], bool]


def editable(smiles: str) -> Chem.Mol | None:
    """The molecule of valid ``smiles`` as :func:`mutate` and :func:`cross` take it: with single,
    double and triple bonds alone. None where they cannot be assigned."""
    mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        return None
    try:
        Chem.Kekulize(mol, clearAromaticFlags=True)
    except Chem.KekulizeException:
        return None
    return mol


def mutate(mol: Chem.Mol, rng: Random) -> str | None:
    """Canonical SMILES of an :func:`editable` molecule with one random change; None if none fits.

    >>> rng = Random(1)
    >>> mutate(editable("CCO"), rng) != "CCO"
    True
    """
    largest = _largest_ring(mol)
    for _ in range(TRIES):
        changed = Chem.RWMol(mol)
        if rng.choices(_EDITS, _WEIGHTS)[0](changed, rng):
            smiles = _finished(changed, largest)
            if smiles is not None:
                return smiles
    return None


def cross(first: Chem.Mol, second: Chem.Mol, rng: Random) -> str | None:
    """Canonical SMILES of a child of two :func:`editable` molecules; None if none is found.

    >>> child = cross(editable("CCCCO"), editable("NCCS"), Random(0))
    >>> Chem.MolFromSmiles(child) is not None
    True
    """
    largest = max(_largest_ring(first), _largest_ring(second))
    for _ in range(TRIES):
        cut = _cut_chain if rng.random() < 0.5 else _cut_ring
        one, other = cut(first, rng), cut(second, rng)
        if one is None or other is None:
            continue
        child = _joined(first, one, second, other)
        smiles = None if child is None else _finished(child, largest)
        if smiles is not None:
            return smiles
    return None


# --- changes of one molecule: each says whether it could be made --------------------------------


def _append(mol: Chem.RWMol, rng: Random) -> bool:
    order = rng.choices((1, 2, 3), (60, 35, 5))[0]
    places = [a.GetIdx() for a in mol.GetAtoms() if a.GetTotalNumHs() >= order]
    element = rng.choice([e for e in _COMMON if _BONDS[e] >= order])
    if not places:
        return False
    _bond(mol, rng.choice(places), mol.AddAtom(Chem.Atom(element)), order)
    return True


def _insert(mol: Chem.RWMol, rng: Random) -> bool:
    if not mol.GetNumBonds():
        return False
    bond = mol.GetBondWithIdx(rng.randrange(mol.GetNumBonds()))
    begin, end = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
    if rng.random() < 0.5:
        begin, end = end, begin
    double = rng.random() < 0.35 and mol.GetAtomWithIdx(begin).GetTotalNumHs() > 0
    element = rng.choice(("C", "N") if double else _INSIDE)
    mol.RemoveBond(begin, end)
    new = mol.AddAtom(Chem.Atom(element))
    _bond(mol, begin, new, 2 if double else 1)
    _bond(mol, new, end, 1)
    return True


def _remove(mol: Chem.RWMol, rng: Random) -> bool:
    """Take an atom out; its neighbours are joined, in a chain where there are more than two."""
    if mol.GetNumAtoms() < 3:
        return False
    atom = mol.GetAtomWithIdx(rng.randrange(mol.GetNumAtoms()))
    around = [a.GetIdx() for a in atom.GetNeighbors()]
    rng.shuffle(around)
    for begin, end in pairwise(around):
        if mol.GetBondBetweenAtoms(begin, end) is not None:
            return False
        _bond(mol, begin, end, 1)
    for place in around:
        _free(mol.GetAtomWithIdx(place))
    mol.RemoveAtom(atom.GetIdx())
    return True


def _exchange(mol: Chem.RWMol, rng: Random) -> bool:
    atom = mol.GetAtomWithIdx(rng.randrange(mol.GetNumAtoms()))
    used = _bonds_of(atom)
    fitting = [e for e in _BONDS if _BONDS[e] >= used and e != atom.GetSymbol()]
    if not fitting:
        return False
    element = rng.choices(fitting, [_RARE.get(e, 1.0) for e in fitting])[0]
    mol.ReplaceAtom(atom.GetIdx(), Chem.Atom(element))
    return True


def _raise(mol: Chem.RWMol, rng: Random) -> bool:
    fitting = [
        b
        for b in mol.GetBonds()
        if _ORDER[b.GetBondType()] < (2 if b.IsInRing() else 3)
        and b.GetBeginAtom().GetTotalNumHs()
        and b.GetEndAtom().GetTotalNumHs()
    ]
    if not fitting:
        return False
    _change_order(rng.choice(fitting), +1)
    return True


def _lower(mol: Chem.RWMol, rng: Random) -> bool:
    fitting = [b for b in mol.GetBonds() if _ORDER[b.GetBondType()] > 1]
    if not fitting:
        return False
    _change_order(rng.choice(fitting), -1)
    return True


def _open(mol: Chem.RWMol, rng: Random) -> bool:
    fitting = [b for b in mol.GetBonds() if b.IsInRing()]
    if not fitting:
        return False
    bond = rng.choice(fitting)
    begin, end = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
    mol.RemoveBond(begin, end)
    _free(mol.GetAtomWithIdx(begin))
    _free(mol.GetAtomWithIdx(end))
    return True


def _close(mol: Chem.RWMol, rng: Random) -> bool:
    size = rng.choice(_RING_SIZES)
    places = [a.GetIdx() for a in mol.GetAtoms() if a.GetTotalNumHs()]
    if not places:
        return False
    begin = rng.choice(places)
    far = Chem.GetDistanceMatrix(mol)[begin]
    ends = [i for i in places if far[i] == size - 1]
    if not ends:
        return False
    _bond(mol, begin, rng.choice(ends), 1)
    return True


_EDITS: tuple[Edit, ...] = (_append, _insert, _remove, _exchange, _raise, _lower, _open, _close)
_WEIGHTS = (16, 14, 16, 16, 8, 8, 8, 14)


# --- children of two ----------------------------------------------------------------------------

_Cut = tuple[frozenset[int], tuple[tuple[int, int], ...]]
"""The atoms of the part that is kept, and (atom, order) of each bond that was cut off it."""


def _cut_chain(mol: Chem.Mol, rng: Random) -> _Cut | None:
    bonds = [b for b in mol.GetBonds() if b.GetBondType() == _SINGLE and not b.IsInRing()]
    if not bonds:
        return None
    bond = rng.choice(bonds)
    ends = [bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()]
    rng.shuffle(ends)
    kept = _reached(mol, ends[0], {bond.GetIdx()})
    return kept, ((ends[0], 1),)


def _cut_ring(mol: Chem.Mol, rng: Random) -> _Cut | None:
    info = mol.GetRingInfo()
    rings = info.BondRings()
    if not rings:
        return None
    ring = rng.choice(rings)
    cut = rng.sample(list(ring), 2)
    if any(info.NumBondRings(b) > 1 for b in cut):
        return None
    first, second = (mol.GetBondWithIdx(b) for b in cut)
    start = rng.choice((first.GetBeginAtomIdx(), first.GetEndAtomIdx()))
    kept = _reached(mol, start, set(cut))
    ends = []
    for bond in (first, second):
        inside = [i for i in (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) if i in kept]
        if len(inside) != 1:
            return None
        ends.append((inside[0], _ORDER[bond.GetBondType()]))
    return kept, tuple(ends)


def _reached(mol: Chem.Mol, start: int, cut: set[int]) -> frozenset[int]:
    """The atoms that ``start`` is connected to without the bonds ``cut``."""
    seen = {start}
    stack = [start]
    while stack:
        for bond in mol.GetAtomWithIdx(stack.pop()).GetBonds():
            if bond.GetIdx() in cut:
                continue
            for place in (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()):
                if place not in seen:
                    seen.add(place)
                    stack.append(place)
    return frozenset(seen)


def _joined(first: Chem.Mol, one: _Cut, second: Chem.Mol, other: _Cut) -> Chem.RWMol | None:
    """The two parts bonded where they were cut; None where two bonds would join the same atoms."""
    shift = first.GetNumAtoms()
    both = Chem.RWMol(Chem.CombineMols(first, second))
    for (a, order), (b, other_order) in zip(one[1], other[1], strict=True):
        if both.GetBondBetweenAtoms(a, shift + b) is not None:
            return None
        _bond(both, a, shift + b, min(order, other_order))
    kept = set(one[0]) | {shift + i for i in other[0]}
    both.BeginBatchEdit()
    for place in range(both.GetNumAtoms()):
        if place not in kept:
            both.RemoveAtom(place)
    both.CommitBatchEdit()
    return both


# --- parts --------------------------------------------------------------------------------------


def _bond(mol: Chem.RWMol, begin: int, end: int, order: int) -> None:
    mol.AddBond(begin, end, _BY_ORDER[order])
    _free(mol.GetAtomWithIdx(begin))
    _free(mol.GetAtomWithIdx(end))


def _change_order(bond: Chem.Bond, by: int) -> None:
    bond.SetBondType(_BY_ORDER[_ORDER[bond.GetBondType()] + by])
    bond.SetStereo(Chem.BondStereo.STEREONONE)
    _free(bond.GetBeginAtom())
    _free(bond.GetEndAtom())


def _free(atom: Chem.Atom) -> None:
    """Let hydrogens follow from the bonds again, and forget a handedness that may not hold."""
    atom.SetNoImplicit(False)
    atom.SetNumExplicitHs(0)
    atom.SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)


def _bonds_of(atom: Chem.Atom) -> int:
    return sum(_ORDER[b.GetBondType()] for b in atom.GetBonds())


def _largest_ring(mol: Chem.Mol) -> int:
    return max([_LARGEST_RING, *(len(ring) for ring in mol.GetRingInfo().AtomRings())])


def _finished(mol: Chem.RWMol, largest: int) -> str | None:
    """Canonical SMILES of what was changed; None where it is no molecule, or a strained one."""
    with BlockLogs():
        if Chem.SanitizeMol(mol, catchErrors=True) != Chem.SanitizeFlags.SANITIZE_NONE:
            return None
        if _strained(mol, largest):
            return None
        Chem.AssignStereochemistry(mol, cleanIt=True, force=True)
        smiles = str(Chem.MolToSmiles(mol))
        return smiles if "." not in smiles and Chem.MolFromSmiles(smiles) is not None else None


def _strained(mol: Chem.Mol, largest: int) -> bool:
    """Whether a ring is too large, holds two double bonds at one atom, or is small with one, or
    two are cyclobutadienes that count as aromatic together."""
    rings: Sequence[Sequence[int]] = mol.GetRingInfo().BondRings()
    if any(len(ring) > largest for ring in rings):
        return True
    for ring in rings:
        double = [b for b in ring if mol.GetBondWithIdx(b).GetBondType() == _DOUBLE]
        if double and len(ring) < 5:
            return True
        ends = [
            place
            for bond in (mol.GetBondWithIdx(b) for b in double)
            for place in (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
        ]
        if len(ends) != len(set(ends)):
            return True
    return bool(mol.HasSubstructMatch(FUSED_CYCLOBUTADIENE))
