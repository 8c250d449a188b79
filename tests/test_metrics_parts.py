"""The parts that judging is made of: each equal to its definition, and to what MOSES computes."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem
from scipy import linalg, stats

from molvae.chem.similarity import fingerprints, similarity
from molvae.metrics import profile as profiles
from molvae.metrics.chemnet import LENGTH, activations, one_hot, symbols_of
from molvae.metrics.distributions import distribution
from molvae.metrics.frechet import Gaussian, frechet_distance
from molvae.metrics.guacamol import continuous_kl, discrete_kl, kl_score, nearest_others
from molvae.metrics.moses_filters import _patterns, filter_smarts, passes_moses_filters
from molvae.metrics.neighbours import internal_diversity, nearest_similarity
from molvae.metrics.profile import ALL, BITS, PROPERTIES, RADIUS, profile
from molvae.metrics.statistics import hashes_of, is_among
from molvae.metrics.structure import cosine, fragments, ring_systems, scaffold


@pytest.fixture(scope="module")
def mols(zinc: list[str]) -> list[Chem.Mol]:
    return [Chem.MolFromSmiles(smiles) for smiles in zinc[:200]]


def test_the_filters_are_those_of_moses_and_all_can_be_read() -> None:
    names = [name for name, _ in filter_smarts()]
    assert len(names) == 502
    assert sum(name.startswith("MCF") for name in names) == 22
    assert all(pattern is not None for pattern in _patterns()[0])


def test_screening_by_fingerprint_loses_no_match(mols: list[Chem.Mol]) -> None:
    patterns = _patterns()[0]
    for mol in mols[:100]:
        if any(a.GetFormalCharge() or a.GetAtomicNum() in (15, 53) for a in mol.GetAtoms()):
            assert not passes_moses_filters(mol)
            continue
        full = Chem.AddHs(mol)
        assert passes_moses_filters(mol) != any(full.HasSubstructMatch(p) for p in patterns)


@pytest.mark.parametrize(
    ("smiles", "passes"),
    [
        ("CCOC(=O)c1ccccc1", True),
        ("C[N+](C)(C)C", False),  # charged
        ("CCP", False),  # phosphorus
        ("C1CCCCCCC1", False),  # a ring of eight
        ("C1CCCCCC1", True),
        ("CC=O", False),  # an aldehyde, MCF7
        ("CCCBr", False),  # an alkyl halide, MCF4
    ],
)
def test_filters_refuse_charges_elements_large_rings_and_groups(smiles: str, passes: bool) -> None:
    assert passes_moses_filters(Chem.MolFromSmiles(smiles)) is passes


def test_a_molecule_without_a_bond_to_cut_is_its_own_fragment() -> None:
    assert fragments(Chem.MolFromSmiles("c1ccccc1")) == ["c1ccccc1"]


def test_scaffolds_have_two_rings_at_least() -> None:
    assert scaffold(Chem.MolFromSmiles("CCO")) is None
    assert scaffold(Chem.MolFromSmiles("Cc1ccccc1")) is None
    assert scaffold(Chem.MolFromSmiles("Cc1cccc2ccccc12")) == "c1ccc2ccccc2c1"


def test_ring_systems_join_fused_spiro_and_bridged_rings_and_no_others() -> None:
    assert ring_systems(Chem.MolFromSmiles("C1CC12CC2")) == ["C1CC12CC2"]
    assert len(ring_systems(Chem.MolFromSmiles("C1CC2CCC1C2"))) == 1
    assert len(ring_systems(Chem.MolFromSmiles("c1ccccc1-c1ccccc1"))) == 2
    assert ring_systems(Chem.MolFromSmiles("CCO")) == []
    assert ring_systems(Chem.MolFromSmiles("C[C@H]1CCNC1")) == ring_systems(
        Chem.MolFromSmiles("OC1CNCC1")
    )


counts = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 10**7), min_size=1)


@given(counts, counts)
def test_cosine_is_symmetric_bounded_and_one_for_multiples(
    a: dict[str, int], b: dict[str, int]
) -> None:
    assert cosine(a, b) == pytest.approx(cosine(b, a))
    assert -1e-9 <= cosine(a, b) <= 1 + 1e-9
    assert cosine(a, {key: 3 * value for key, value in a.items()}) == pytest.approx(1)


def test_cosine_of_large_counts_does_not_overflow() -> None:
    a = Counter({"x": 4_000_000_000, "y": 1})
    assert cosine(a, {"y": 4_000_000_000}) == pytest.approx(2.5e-10)
    assert math.isnan(cosine(a, {}))


def test_the_frechet_distance_of_a_set_and_itself_is_never_below_zero() -> None:
    for seed in range(20):
        of = Gaussian.of(np.random.default_rng(seed).standard_normal((40, 64)))
        assert 0 <= frechet_distance(of, of) < 1e-4


@given(st.integers(0, 1000), st.integers(2, 6), st.integers(2, 40), st.integers(2, 40))
def test_frechet_distance_is_its_definition_also_for_singular_covariances(
    seed: int, d: int, n: int, m: int
) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(n, d)), rng.normal(1.0, 2.0, size=(m, d))
    x, y = Gaussian.of(a), Gaussian.of(b)
    root = np.trace(linalg.sqrtm(x.covariance @ y.covariance)).real
    apart = x.mean - y.mean
    expected = apart @ apart + np.trace(x.covariance) + np.trace(y.covariance) - 2 * root
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-6, abs=1e-6)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-5)


def test_frechet_distance_of_one_vector_is_nothing() -> None:
    one = Gaussian.of(np.ones((1, 3)))
    assert math.isnan(frechet_distance(one, Gaussian.of(np.eye(3))))


def test_chemnet_reads_what_fcd_torch_reads(zinc: list[str]) -> None:
    from fcd_torch.utils import get_one_hot

    texts = [*zinc[:100], "CCO.Cl", "[Si](C)(C)C", "Br", "C" * 400, "[Na+]"]
    ours = one_hot(torch.from_numpy(symbols_of(texts))).numpy()
    theirs = np.stack([get_one_hot(text, LENGTH) / 35 for text in texts]).transpose(0, 2, 1)
    assert np.allclose(ours, theirs)


def test_chemnet_activations_are_those_of_fcd_torch(zinc: list[str]) -> None:
    from fcd_torch import FCD

    texts = [Chem.CanonSmiles(smiles) for smiles in zinc[:6]]
    theirs = FCD(canonize=False).get_predictions(texts)
    assert np.allclose(activations(texts, progress=False), theirs, atol=1e-5)


def test_chemnet_of_nothing() -> None:
    assert activations([], progress=False).shape == (0, 512)


def test_kl_of_a_set_with_itself_is_nothing_and_of_another_is_something() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=300), rng.normal(2.0, size=300)
    assert continuous_kl(a, a) == pytest.approx(0, abs=1e-12)
    assert continuous_kl(a, b) == pytest.approx(2.0, rel=0.3)  # of two normals 2 apart
    assert discrete_kl(np.arange(10.0), np.arange(10.0)) == pytest.approx(0, abs=1e-12)
    assert discrete_kl(np.arange(10.0), np.full(5, 99.0)) == math.inf
    assert kl_score({"logp": b}, {"logp": a}) == pytest.approx(math.exp(-continuous_kl(a, b)))


def test_kl_of_a_constant_is_not_a_number() -> None:
    assert math.isnan(continuous_kl(np.ones(5), np.arange(5.0)))


def test_nearest_others_leaves_the_molecule_itself_out(zinc: list[str]) -> None:
    texts = zinc[:60]
    prints = fingerprints([Chem.MolFromSmiles(s) for s in texts], 2, 4096)
    expected = similarity(prints, prints)
    np.fill_diagonal(expected, 0)
    assert nearest_others(texts) == pytest.approx(expected.max(1))


def test_diversity_is_the_mean_over_all_pairs(mols: list[Chem.Mol]) -> None:
    prints = fingerprints(mols, RADIUS, BITS)
    table = similarity(prints, prints)
    first, second = internal_diversity(prints, progress=False)
    assert first == pytest.approx(1 - table.mean())
    assert second == pytest.approx(1 - np.sqrt((table**2).mean(1)).mean())
    assert all(map(math.isnan, internal_diversity(prints[:0])))


def test_nearest_similarity_is_the_same_in_one_process_and_in_two(
    mols: list[Chem.Mol], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prints = fingerprints(mols, RADIUS, BITS)
    np.save(tmp_path / "prints.npy", prints[50:])
    mapped = np.load(tmp_path / "prints.npy", mmap_mode="r")
    expected = similarity(prints[:50], prints[50:]).max(1)
    assert nearest_similarity(prints[:50], mapped, progress=False) == pytest.approx(expected)
    monkeypatch.setattr("molvae.metrics.neighbours._SMALL", 0)
    found = nearest_similarity(prints[:50], mapped, workers=2, progress=False)
    assert found == pytest.approx(expected)


def test_hashes_find_texts() -> None:
    known = np.unique(hashes_of(["CCO", "C", "CC"]))
    assert is_among(["C", "N", "CC"], known).tolist() == [True, False, True]
    assert is_among(["C"], known[:0]).tolist() == [False]


def test_a_profile_keeps_valid_molecules_repeats_and_order(zinc: list[str]) -> None:
    texts = ["OCC", "C1CC", None, "CCO", "C[C@H](N)O", "", "c1ccccc1"]
    found = profile(texts, workers=1, progress=False)
    assert found.given == 7
    assert found.smiles == ["CCO", "CCO", "C[C@H](N)O", "c1ccccc1"]
    assert found.flat[2] == "CC(N)O"
    assert found.properties.shape == (4, len(PROPERTIES))
    assert found.prints.shape == (4, BITS // 8)
    assert found.column("heavy_atoms").tolist() == [3, 3, 4, 6]
    assert found.sane.all()
    assert found.fragments["CCO"] == 2


@pytest.mark.slow
def test_a_profile_is_the_same_for_any_number_of_processes(
    zinc: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles, "_CHUNK", 60)
    parts = ALL - {"alerts"}
    one = profile(zinc[:150], parts, workers=1, progress=False)
    two = profile(zinc[:150], parts, workers=2, progress=False)
    assert one.smiles == two.smiles
    assert one.fragments == two.fragments
    assert np.array_equal(one.properties, two.properties)
    assert np.array_equal(one.filters, two.filters)


def test_alerts_are_searched_in_the_first_molecules_only(
    zinc: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles, "_CHUNK", 50)
    found = profile(zinc[:60], frozenset({"alerts"}), alerts_of=30, workers=1, progress=False)
    assert len(found.alerts) == 50  # whole blocks
    assert len(found.smiles) == 60


def test_a_distribution_counts_everything_also_what_lies_outside_its_bins() -> None:
    rng = np.random.default_rng(0)
    found = distribution("logp", "logP", rng.normal(3, 5, 5000), rng.normal(0, 1, 5000))
    assert sum(found.sample) == pytest.approx(1)
    assert sum(found.reference) == pytest.approx(1)
    assert len(found.edges) == len(found.sample) + 1


def test_the_distance_of_a_distribution_is_the_wasserstein_distance() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=300), rng.normal(1, 2, size=500)
    expected = stats.wasserstein_distance(a, b)
    assert distribution("x", "x", a, b).distance == pytest.approx(expected)
