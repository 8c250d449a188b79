"""molvae.chem.smiles and molvae.chem.standardise."""

from __future__ import annotations

import contextlib
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem, rdBase

from molvae.base.errors import InputError
from molvae.chem.smiles import (
    MoleculeError,
    canonicalise,
    canonicalise_many,
    parse,
    parse_many,
    randomise,
)
from molvae.chem.standardise import StandardiseOptions, needs_standardising, standardise

DRUGS = [
    "CC(=O)Oc1ccccc1C(=O)O",
    "C[C@@H](C(=O)O)N",
    "C[C@@]12CCC[C@@H]1[C@@H]1CCC2C1",
    "O=C(/C=C/c1ccccc1)N1CCCC[C@H]1C",
    "C/C(=N\\O)c1ccc([N+](=O)[O-])cc1",
    "CC(C)(C)[S@](=O)N[C@@H](C)c1cc[nH]n1",
    "F/C=C/[C@H](O)[C@@H]1O[C@H]1CBr",
    "C1CC2CCC1[C@H]2[NH3+]",
    "[13CH3]C(=O)[O-]",
]


def test_parse_returns_the_sanitised_molecule():
    mol = parse("c1ccccc1C(=O)O")
    assert mol.GetNumAtoms() == 9
    assert mol.GetRingInfo().NumRings() == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("C1CC", "not valid SMILES (ring 1 is not closed)"),
        ("CC(C", "not valid SMILES (brackets do not match)"),
        ("high", "not valid SMILES"),
        ("[Xx]", "not valid SMILES"),
        ("C(C)(C)(C)(C)C", "impossible valence (C, atom 1)"),
        ("CC[N](C)(C)C", "impossible valence (N, atom 3)"),
        ("c1cccc1", "aromatic atoms that cannot be kekulised"),
        ("CC O", "not valid SMILES (holds a space or a character that is none)"),
        ("C\0C", "not valid SMILES (holds a space or a character that is none)"),
        ("C\u00d6", "not valid SMILES (holds a space or a character that is none)"),
        ("CC\n", "not valid SMILES (holds a space or a character that is none)"),
        ("C" * 1001, "longer than 1,000 characters"),
        ("C" * 251, "more than 250 atoms"),
        ("[13CH3]" + "Cl" * 250, "more than 250 atoms"),
    ],
)
def test_parse_says_what_is_wrong_with_a_molecule(text: str, reason: str):
    with pytest.raises(MoleculeError) as caught:
        parse(text)
    assert caught.value.reason == reason
    assert isinstance(caught.value, InputError)
    assert "\n" not in str(caught.value)


def test_length_and_atoms_are_refused_before_rdkit_sees_them(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("RDKit was asked")

    monkeypatch.setattr(Chem, "MolFromSmiles", refuse)
    for text in ("C" * 100_000, "[C]" * 300):
        with pytest.raises(MoleculeError):
            parse(text)


def test_the_caps_can_be_raised_and_lowered():
    assert parse("C" * 1200, max_length=2000, max_atoms=2000).GetNumAtoms() == 1200
    with pytest.raises(MoleculeError, match="more than 2 atoms"):
        parse("CCC", max_atoms=2)
    with pytest.raises(MoleculeError, match="longer than 2 characters"):
        parse("CCC", max_length=2)


def test_a_long_molecule_is_shortened_in_the_message_and_an_error_survives_pickling():
    with pytest.raises(MoleculeError) as caught:
        parse("C" * 5000)
    assert len(str(caught.value)) < 150
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.reason, copy.smiles, str(copy)) == (
        caught.value.reason,
        "C" * 5000,
        str(caught.value),
    )


def test_parsing_garbage_is_silent_and_leaves_rdkits_log_as_it_was(capfd: pytest.CaptureFixture):
    before = rdBase.LogStatus()
    canonicalise_many(["C1", "(((", "c1cccc1"])
    assert rdBase.LogStatus() == before
    assert capfd.readouterr().err == ""


def test_canonical_smiles_are_one_for_all_spellings():
    assert canonicalise("OCC") == canonicalise("C(O)C") == "CCO"
    assert canonicalise("C1=CC=CC=C1") == "c1ccccc1"


def test_many_molecules_stay_aligned_with_none_for_what_fails():
    texts = ["OCC", None, "C1CC", "", "N"]
    assert canonicalise_many(texts) == ["CCO", None, None, None, "N"]
    assert [mol is None for mol in parse_many(texts)] == [False, True, True, True, False]


@pytest.mark.parametrize("smiles", DRUGS)
def test_every_random_spelling_is_the_same_molecule_with_its_stereo(smiles: str):
    spellings = randomise(smiles, seed=3, n=20)
    assert set(canonicalise_many(spellings)) == {canonicalise(smiles)}


def test_random_spellings_differ_and_follow_the_seed_alone():
    smiles = "CC(=O)Oc1ccccc1C(=O)O"
    first = randomise(smiles, seed=1, n=20)
    Chem.MolToRandomSmilesVect(parse(smiles), 3, randomSeed=7)  # moves RDKit's own state
    assert randomise(smiles, seed=1, n=20) == first
    assert randomise(smiles, seed=2, n=20) != first
    assert len(set(first)) > 10


def test_randomising_nonsense_raises():
    with pytest.raises(MoleculeError):
        randomise("C1CC", seed=0)


def standard(smiles: str, **options: bool) -> str:
    return Chem.MolToSmiles(standardise(parse(smiles), StandardiseOptions(**options)))


@pytest.mark.parametrize(
    ("given_smiles", "expected"),
    [
        ("CC(=O)[O-].[Na+]", "CC(=O)O"),  # ChEMBL's parent leaves it as it is
        ("CC(=O)O[Na]", "CC(=O)O"),
        ("CN(C)CCc1c[nH]c2ccccc12.OC(=O)C(O)C(O)C(=O)O", "CN(C)CCc1c[nH]c2ccccc12"),
        ("C[NH+](C)CCO.[Cl-]", "CN(C)CCO"),
        ("C[N+](C)(C)CCO.[Cl-]", "C[N+](C)(C)CCO"),
        ("c1ccncc1.O.O", "c1ccncc1"),
        ("CS(C)=O.O", "CS(C)=O"),
        ("[Na+].[Cl-].CCO", "CCO"),
        ("[O-]C(=O)C[NH3+].O", "[NH3+]CC(=O)[O-]"),
        ("[2H]C([2H])([2H])O", "CO"),
        ("[13CH3][C@H]([18OH])N", "C[C@@H](N)O"),
        ("[13CH3]C([2H])(C)O", "CC(C)O"),
        ("[CH3:1][OH:2]", "CO"),
        ("C[S@@+](CC)[O-]", "CC[S@](C)=O"),
        ("C[S+2]([O-])([O-])C", "CS(C)(=O)=O"),
        ("C[P+]([O-])(C)C", "CP(C)(C)=O"),
        ("C[N+](=O)[O-]", "C[N+](=O)[O-]"),
        ("CCCC.CCCN", "CCCN"),
        ("CCCN.CCCC", "CCCN"),
    ],
)
def test_the_standard_form(given_smiles: str, expected: str):
    assert needs_standardising(given_smiles, StandardiseOptions()) or given_smiles == expected
    assert standard(given_smiles) == canonicalise(expected)
    assert standard(expected) == canonicalise(expected), "the standard form is a fixed point"


def test_charges_stay_unless_neutralising_is_asked_for():
    assert standard("[NH3+]CC(=O)[O-]") == "[NH3+]CC(=O)[O-]"
    assert standard("[NH3+]CC(=O)[O-]", neutralise=True) == "NCC(=O)O"
    assert needs_standardising("C[NH3+]", StandardiseOptions(neutralise=True))


def test_each_step_can_be_switched_off():
    assert standard("CC.O", fragments=False) == "CC.O"
    assert standard("[13CH4]", isotopes=False) == "[13CH4]"
    assert standard("C[S+](C)[O-]", oxides=False) == "C[S+](C)[O-]"


def test_stereo_goes_only_on_request():
    assert standard("C[C@H](N)O") == "C[C@H](N)O"
    assert standard("C[C@H](N)/C=C/O", stereo=False) == "CC(N)C=CO"
    assert needs_standardising("C/C=C/C", StandardiseOptions(stereo=False))


def test_a_mixture_without_carbon_has_no_parent():
    with pytest.raises(MoleculeError, match="no organic fragment"):
        standardise(parse("[Na+].[Cl-]"))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([*DRUGS, "[Na+]", "[Cl-]", "O", "CCO"]), min_size=1, max_size=4))
def test_the_parent_does_not_depend_on_the_order_of_the_fragments(parts: list[str]):
    try:
        forward = standard(".".join(parts))
    except MoleculeError:
        assert not any("C" in part.replace("Cl", "") or "c" in part for part in parts)
    else:
        assert standard(".".join(reversed(parts))) == forward
        assert standard(forward) == forward


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="CNOcnos[]()=#123%+-@/\\.HlBr \0é", max_size=40))
def test_no_text_whatever_gets_past_parse_but_a_molecule_or_a_reason(text: str):
    with contextlib.suppress(MoleculeError):
        assert parse(text).GetNumAtoms() > 0
