"""molvae.chem.similarity against RDKit's own Tanimoto."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

from molvae.chem import similarity as module
from molvae.chem.similarity import fingerprints, nearest, similarity

SMILES = ["CCO", "CCCO", "c1ccccc1O", "c1ccccc1N", "CC(=O)Oc1ccccc1C(=O)O", "C1CCCCC1", "CCO"]
MOLS = [Chem.MolFromSmiles(s) for s in SMILES]


def rdkit_matrix(mols: list[Chem.Mol], radius: int = 2, bits: int = 2048) -> np.ndarray:
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=bits)
    prints = [generator.GetFingerprint(mol) for mol in mols]
    return np.array([DataStructs.BulkTanimotoSimilarity(one, prints) for one in prints])


@pytest.mark.parametrize(("radius", "bits"), [(2, 2048), (3, 1024), (1, 64)])
def test_similarities_are_rdkits(radius: int, bits: int):
    prints = fingerprints(MOLS, radius, bits)
    assert prints.shape == (len(MOLS), bits // 8)
    np.testing.assert_allclose(
        similarity(prints, prints), rdkit_matrix(MOLS, radius, bits), rtol=1e-12
    )


def test_bits_are_rdkits_bits():
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    expected = np.array([generator.GetFingerprintAsNumPy(mol) for mol in MOLS])
    unpacked = np.unpackbits(fingerprints(MOLS), axis=1, bitorder="little")
    np.testing.assert_array_equal(unpacked, expected)


def test_one_fingerprint_on_a_side_drops_that_axis():
    prints = fingerprints(MOLS)
    whole = similarity(prints, prints)
    assert similarity(prints[0], prints).shape == (len(MOLS),)
    assert similarity(prints, prints[1]).tolist() == whole[:, 1].tolist()
    assert float(similarity(prints[0], prints[1])) == whole[0, 1]


def test_no_molecule_is_nan_to_everything_and_near_to_nothing():
    prints = fingerprints([None, *MOLS[:2]])
    assert np.isnan(similarity(prints, prints)[0]).all()
    assert np.isnan(similarity(prints, prints)[:, 0]).all()
    index, value = nearest(prints, prints[1:])
    assert index.tolist() == [-1, 0, 1]
    assert np.isnan(value[0])
    assert value[1:].tolist() == [1, 1]
    index, value = nearest(prints, prints[:1])
    assert np.nan_to_num(value).max() == 0


def test_the_nearest_is_the_best_of_the_matrix_and_the_first_of_equals():
    prints = fingerprints(MOLS)
    index, value = nearest(prints, prints)
    assert index.tolist() == [0, 1, 2, 3, 4, 5, 0]
    assert value.tolist() == [1] * 7
    index, value = nearest(prints[:1], prints[1:-1])
    row = rdkit_matrix(MOLS)[0, 1:-1]
    assert (index[0], value[0]) == (row.argmax(), row.max())


def test_no_reference_and_no_query():
    prints = fingerprints(MOLS)
    index, value = nearest(prints, prints[:0])
    assert index.tolist() == [-1] * 7
    assert np.isnan(value).all()
    assert nearest(prints[:0], prints)[0].shape == (0,)
    assert similarity(prints[:0], prints).shape == (0, 7)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_blocks_do_not_show_in_the_result(n: int, m: int, seed: int):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 256, (n, 8), dtype=np.uint8)
    b = rng.integers(0, 256, (m, 8), dtype=np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_REFERENCES", 7)
        patch.setattr(module, "_QUERIES", 5)
        matrix, (index, value) = similarity(a, b), nearest(a, b)
    x, y = np.unpackbits(a, axis=1)[:, None], np.unpackbits(b, axis=1)[None]
    expected = (x & y).sum(2) / (x | y).sum(2)
    np.testing.assert_allclose(matrix, expected, rtol=1e-12)
    np.testing.assert_allclose(value, expected.max(1), rtol=1e-12)
    assert index.tolist() == expected.argmax(1).tolist()


def test_an_odd_number_of_bits_is_refused():
    with pytest.raises(ValueError, match="multiple of 8"):
        fingerprints(MOLS, bits=2047)
