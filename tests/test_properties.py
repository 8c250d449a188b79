"""molvae.chem.properties: golden values, alignment, names."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import QED

from molvae.base.errors import ConfigError
from molvae.chem.properties import PROPERTIES, compute, describe, property_function
from molvae.chem.scores import qed

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
MOLECULES = [
    ASPIRIN,
    "CN1C=NC2=C1C(=O)N(C(=O)N2C)C",
    "C[C@]12CC[C@H]3[C@@H](CCc4cc(O)ccc43)[C@@H]1CC[C@@H]2O",
    "CC(C)Cc1ccc(cc1)[C@@H](C)C(=O)[O-]",
    "O=[N+]([O-])c1ccc(S(=O)(=O)NCC#N)cc1",
    "C",
    "[Na+]",
    "C1CCC2(CC1)CC1CCC2C1",
    "CC1(C)SC2C(NC(=O)Cc3ccccc3)C(=O)N2C1C(=O)O",
]

GOLDEN = {
    "qed": 0.5501,
    "logp": 1.3101,
    "sa": 1.5800,
    "np_likeness": 0.1218,
    "mw": 180.159,
    "exact_mass": 180.04226,
    "tpsa": 63.60,
    "molar_refractivity": 44.7103,
    "bertz": 343.2229,
    "fsp3": 1 / 9,
    "heavy_atoms": 13,
    "heteroatoms": 4,
    "formal_charge": 0,
    "hbd": 1,
    "hba": 3,
    "rotatable_bonds": 2,
    "rings": 1,
    "aromatic_rings": 1,
    "aliphatic_rings": 0,
    "largest_ring": 6,
    "stereocentres": 0,
    "spiro_atoms": 0,
    "bridgeheads": 0,
}


@pytest.mark.parametrize("name", GOLDEN)
def test_aspirin_has_its_known_values(name: str):
    assert property_function(name)(Chem.MolFromSmiles(ASPIRIN)) == pytest.approx(
        GOLDEN[name], abs=2e-4
    )


def test_counts_of_a_bridged_spiro_compound_and_a_steroid():
    bridged, steroid = MOLECULES[7], MOLECULES[2]
    names = ["spiro_atoms", "bridgeheads", "rings", "stereocentres", "aromatic_rings"]
    table = compute([bridged, steroid], names)
    assert table[0, :3].tolist() == [1, 2, 3]
    assert table[1, 2:].tolist() == [4, 5, 1]


@pytest.mark.parametrize("smiles", MOLECULES)
def test_qed_is_rdkits_qed(smiles: str):
    mol = Chem.MolFromSmiles(smiles)
    assert qed(mol) == pytest.approx(QED.qed(Chem.MolFromSmiles(smiles)), abs=1e-12)


def test_sa_stays_between_1_and_10_and_orders_easy_before_hard():
    table = compute([*MOLECULES, "C" * 100, "c1ccccc1"], ["sa"])[:, 0]
    assert ((table >= 1) & (table <= 10)).all()
    assert table[-1] < table[7]


def test_rows_stay_aligned_and_what_cannot_be_parsed_is_nan():
    table = compute(["CCO", None, "C1CC", "c1ccccc1"], ["heavy_atoms", "rings"])
    np.testing.assert_array_equal(
        table, [[3, 0], [math.nan, math.nan], [math.nan, math.nan], [6, 1]]
    )
    assert table.dtype == np.float64
    assert describe(None, ["qed", "sa"]) == pytest.approx([math.nan] * 2, nan_ok=True)


def test_no_molecules_give_no_rows():
    assert compute([], ["qed", "sa"]).shape == (0, 2)


def test_every_property_gives_a_number_and_says_what_it_is():
    table = compute(MOLECULES, list(PROPERTIES))
    assert np.isfinite(table).all()
    for name, entry in PROPERTIES.items():
        assert entry.name == name
        assert name == name.lower()
        assert entry.description


def test_an_unknown_property_names_the_nearest():
    with pytest.raises(ConfigError, match="unknown property 'log_p'; did you mean 'logp'"):
        compute(["C"], ["qed", "log_p"])
    with pytest.raises(ConfigError, match="known properties: qed, logp"):
        property_function("zzzzzz")


def test_scoring_models_are_read_without_a_word_on_standard_error(capfd: pytest.CaptureFixture):
    from molvae.chem import scores

    scores._np_scorer.cache_clear()
    path = list(sys.path)
    compute(["CCO"], ["sa", "np_likeness"])
    assert capfd.readouterr().err == ""
    assert sys.path == path


@pytest.mark.slow
def test_worker_processes_give_the_same_table():
    smiles = [f"{'C' * (1 + i % 30)}O" for i in range(1200)] + ["C1"]
    names = ["logp", "sa", "heavy_atoms"]
    np.testing.assert_array_equal(compute(smiles, names, workers=2), compute(smiles, names))
