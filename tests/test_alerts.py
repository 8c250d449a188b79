"""molvae.chem.alerts: catalogues and sanity."""

from __future__ import annotations

import pytest
from rdkit import Chem

from molvae.base.errors import ConfigError
from molvae.chem.alerts import CATALOGS, SanityOptions, alerts, insane_reason

DRUGS = [
    "CC(=O)Oc1ccccc1C(=O)O",
    "CN1C=NC2=C1C(=O)N(C(=O)N2C)C",
    "CC1(C)SC2C(NC(=O)Cc3ccccc3)C(=O)N2C1C(=O)O",
    "C[C@]12CC[C@H]3[C@@H](CCc4cc(O)ccc43)[C@@H]1CC[C@@H]2O",
    "O=[N+]([O-])c1ccc(S(=O)(=O)NCC#N)cc1",
    "CN1C2CCC1CC(OC(=O)C(CO)c1ccccc1)C2",
    "C1CC2CCC1CC2",
    "C#CCN(C)C(C)Cc1ccccc1",
]


def test_pains_are_named_with_their_catalogue():
    quinone = Chem.MolFromSmiles("O=C1C=CC(=O)C=C1")
    assert alerts(quinone, ["pains"]) == ["pains: quinone_A(370)"]
    assert any(hit.startswith("brenk: ") for hit in alerts(quinone))


def test_a_plain_molecule_sets_off_nothing():
    assert alerts(Chem.MolFromSmiles("CC(C)NC(=O)c1ccncc1")) == []


@pytest.mark.parametrize("name", CATALOGS)
def test_every_catalogue_can_be_asked(name: str):
    assert isinstance(alerts(Chem.MolFromSmiles("CCO"), [name]), list)


def test_an_unknown_catalogue_names_the_nearest():
    with pytest.raises(ConfigError, match="unknown catalogue of alerts 'pain'; did you mean"):
        alerts(Chem.MolFromSmiles("C"), ["pain"])
    with pytest.raises(ConfigError, match="did you mean 'brenk'"):
        SanityOptions.parse({"catalogs": ["brenck"]})


@pytest.mark.parametrize("smiles", DRUGS)
def test_drugs_are_sane(smiles: str):
    assert insane_reason(Chem.MolFromSmiles(smiles)) is None


@pytest.mark.parametrize(
    "smiles", ["C1Cc2ccccc12", "c1ccc2c(c1)-c1ccccc1-2", "CNc1c(NC)c(=O)c1=O", "C1=CCC1C"]
)
def test_rings_of_four_that_are_made_are_sane(smiles: str):
    assert insane_reason(Chem.MolFromSmiles(smiles)) is None


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("CC", "too few atoms (2)"),
        ("C" * 101, "too many atoms (101)"),
        ("C1CCCCCCCC1", "large ring (9 atoms)"),
        ("C1CC#CC1C", "triple bond in a small ring (5 atoms)"),
        ("C1CC=C=CC1", "cumulated double bonds in a small ring (6 atoms)"),
        ("C1=CC1C", "double bond in a ring of three (3 atoms)"),
        ("C1=CC=C1C", "cyclobutadiene (4 atoms)"),
        ("C1=CC2=C1C=C2CO", "fused cyclobutadiene (4 atoms)"),
        ("OCC1=NC2=C1C=C2", "fused cyclobutadiene (4 atoms)"),
        ("C1CC2=CCC1C2", "double bond at a bridgehead (ring of 5 atoms)"),
        ("COOC", "peroxide"),
        ("CONOC", "chain of three nitrogens or oxygens"),
        ("CC[CH]C", "radical (C)"),
        ("[O-]C(=O)CC([O-])(C([O-])=O)C([O-])=O", "charge (-4)"),
    ],
)
def test_what_no_chemist_would_make_is_refused_with_the_cause(smiles: str, reason: str):
    assert insane_reason(Chem.MolFromSmiles(smiles)) == reason


def test_limits_are_settings():
    ring = Chem.MolFromSmiles("C1CCCCCCCCCCC1")
    assert insane_reason(ring, SanityOptions(max_ring=12)) is None
    assert insane_reason(Chem.MolFromSmiles("COOC"), SanityOptions(chains=False)) is None
    assert insane_reason(Chem.MolFromSmiles("C1CC#CC1C"), SanityOptions(strain=False)) is None
    assert insane_reason(Chem.MolFromSmiles("CC[CH]C"), SanityOptions(radicals=True)) is None
    quinone = Chem.MolFromSmiles("O=C1C=CC(=O)C=C1")
    assert insane_reason(quinone) is None
    expected = "alert (pains: quinone_A(370))"
    assert insane_reason(quinone, SanityOptions(catalogs=("pains",))) == expected


def test_nitro_groups_and_zwitterions_are_no_pile_of_charges():
    dinitro = "O=[N+]([O-])c1cc([N+](=O)[O-])cc([N+](=O)[O-])c1"
    assert insane_reason(Chem.MolFromSmiles(dinitro)) is None
    assert insane_reason(Chem.MolFromSmiles("[NH3+]CC(=O)[O-]")) is None


def test_contradicting_limits_are_refused():
    with pytest.raises(ConfigError, match="min_atoms is larger than max_atoms"):
        SanityOptions.parse({"min_atoms": 50, "max_atoms": 10})
