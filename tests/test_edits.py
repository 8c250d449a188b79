"""Edits and recombinations of molecular graphs."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest
from rdkit import Chem

from molvae.chem import edits
from molvae.chem.alerts import SanityOptions, insane_reason
from molvae.chem.counts import Counts, count_columns
from molvae.chem.fingerprints import fingerprint, tanimoto
from molvae.chem.formula import count_elements

SMILES = [
    "CC(=O)Oc1ccccc1C(=O)O",
    "Cn1c(=O)c2c(ncn2C)n(C)c1=O",
    "CC(C)Cc1ccc([C@@H](C)C(=O)[O-])cc1",
    "C[NH2+]CCC=C1c2ccccc2CCc2ccccc21",
    "O=S(=O)(c1ccc(F)cc1)N1CCOCC1",
    "N#Cc1ccc(C#CCO)cc1Br",
]


def mols() -> list[Chem.Mol]:
    found = [edits.editable(s) for s in SMILES]
    assert all(found)
    return found  # type: ignore[return-value]


def test_a_change_gives_a_valid_canonical_molecule_of_one_piece_that_is_another() -> None:
    random = Random(0)
    for mol, smiles in zip(mols() * 40, SMILES * 40, strict=True):
        child = edits.mutate(mol, random)
        assert child is not None
        assert child == Chem.MolToSmiles(Chem.MolFromSmiles(child))
        assert "." not in child
        assert child != Chem.MolToSmiles(Chem.MolFromSmiles(smiles))


def test_a_change_is_small() -> None:
    random = Random(0)
    for mol in mols() * 30:
        child = Chem.MolFromSmiles(edits.mutate(mol, random))
        assert abs(child.GetNumHeavyAtoms() - mol.GetNumHeavyAtoms()) <= 1
        before, after = count_elements(mol), count_elements(child)
        del before["H"], after["H"]
        assert sum(abs(before[e] - after[e]) for e in {*before, *after}) <= 2


def test_every_element_that_drugs_have_can_be_put_in_the_rare_ones_rarely() -> None:
    random = Random(0)
    found = Counter[str]()
    for mol in mols() * 250:
        added = count_elements(Chem.MolFromSmiles(edits.mutate(mol, random)))
        found.update(element for element in added if element not in count_elements(mol))
    assert {"P", "I", "B", "Br", "Cl", "F", "S"} <= set(found)
    assert found["P"] + found["I"] + found["B"] < 0.5 * (found["Cl"] + found["F"])


def test_a_child_of_two_has_parts_of_both_and_is_not_strained() -> None:
    random = Random(0)
    prints = [fingerprint("ecfp4", mol) for mol in map(Chem.MolFromSmiles, SMILES)]
    alike = []
    for number in range(120):
        one, other = number % 6, (number // 6 + 1 + number) % 6
        child = edits.cross(mols()[one], mols()[other], random)
        if child is None or child in SMILES:
            continue
        mol = Chem.MolFromSmiles(child)
        assert mol is not None
        assert insane_reason(mol, SanityOptions(max_ring=7, min_atoms=1, chains=False)) is None
        alike.append(tanimoto(fingerprint("ecfp4", mol), [prints[one], prints[other]]))
    assert len(alike) > 90
    assert np.max(alike, axis=1).mean() > 0.35
    assert np.min(alike, axis=1).mean() > 0.1


def test_parents_are_left_as_they_are() -> None:
    parents = mols()
    before = [Chem.MolToSmiles(mol) for mol in parents]
    random = Random(1)
    for mol in parents:
        edits.mutate(mol, random)
        edits.cross(mol, parents[0], random)
    assert [Chem.MolToSmiles(mol) for mol in parents] == before


def test_the_same_random_numbers_give_the_same_children() -> None:
    runs = [
        [
            (edits.mutate(mol, random), edits.cross(mol, mols()[2], random))
            for random in (Random(5),)
            for mol in mols()
        ]
        for _ in range(2)
    ]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("edit", edits._EDITS, ids=lambda edit: edit.__name__)
def test_every_kind_of_change_can_be_made(edit: edits.Edit) -> None:
    random, made = Random(0), 0
    for mol in mols() * 20:
        changed = Chem.RWMol(mol)
        if edit(changed, random):
            made += edits._finished(changed, 6) is not None
    assert made > 10


def test_no_larger_ring_is_made_than_the_parents_have() -> None:
    macrocycle = edits.editable("C1CCCCCCCCC1")
    six = edits.editable("C1CCCCC1")
    random = Random(0)
    rings = []
    for _ in range(200):
        child = Chem.MolFromSmiles(edits.mutate(six, random))
        rings.append(max(map(len, child.GetRingInfo().AtomRings()), default=0))
    assert max(rings) <= 6
    assert edits.mutate(macrocycle, random) is not None


def test_what_is_no_molecule_cannot_be_edited_and_a_single_atom_can_grow() -> None:
    assert edits.editable("C1CC") is None
    methane = edits.editable("C")
    assert edits.mutate(methane, Random(0)) is not None
    assert edits.cross(methane, methane, Random(0)) is None


def test_similarity_of_counts_is_that_of_rdkit() -> None:
    # Folding and the highest level may only differ where a molecule is large.
    found = [Chem.MolFromSmiles(s) for s in SMILES]
    counts = Counts.of([count_columns(mol) for mol in found])
    prints = [fingerprint("ecfp4", mol) for mol in found]
    expected = np.array([tanimoto(target, prints) for target in prints])
    np.testing.assert_allclose(counts.similarity(counts), expected, atol=0.03)
    np.testing.assert_allclose(counts.similarity(counts).diagonal(), 1.0)


def test_molecules_without_atoms_are_like_nothing() -> None:
    counts = Counts.of([np.empty(0, np.int32), count_columns(Chem.MolFromSmiles("CCO"))])
    assert counts.similarity(counts).tolist() == [[0.0, 0.0], [0.0, 1.0]]
