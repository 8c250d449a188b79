"""Exploring a latent space: where the answer is known, on a tiny model, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from beads import BEADS, STEP, BeadGenerator, levels, molecules
from rdkit import Chem

import molvae
from molvae.base.errors import ConfigError, InputError
from molvae.chem.diversity import diverse_subset
from molvae.chem.patterns import scaffold
from molvae.chem.similarity import fingerprints, pairwise_similarity, similarity
from molvae.chem.smiles import canonicalise, parse, parse_many
from molvae.generator import Generator
from molvae.latent.analogues import analogues
from molvae.latent.arithmetic import (
    NOT_FOUND,
    Search,
    add,
    attribute_direction,
    learn_and_measure,
)
from molvae.latent.atlas import atlas
from molvae.latent.attributes import beyond, labelled, pattern
from molvae.latent.interpolation import cheapest_path, circular, interpolate
from molvae.latent.posteriors import Posteriors
from molvae.latent.traversal import carried, mutual_information, steepest, traverse
from molvae.metrics.completeness import completeness
from molvae.models.windows import Windows

FIRST, LAST = (4, 0, 3, 1, 4), (0, 4, 1, 3, 0)


class Beads(BeadGenerator):
    """Beads with what exploring needs of a :class:`Generator`: no windows, no critic."""

    windows = Windows.of(LAST[0], 0, 0, len(FIRST))
    model = SimpleNamespace(critic=None)
    batch_size = 64

    def posterior(self, smiles: Sequence[str | None]) -> Posteriors:
        mean = self.encode([text or "" for text in smiles]).astype(np.float32)
        lost = np.isnan(mean).any(1)
        reasons: list[str | None] = ["not made of beads" if gone else None for gone in lost]
        return Posteriors(mean, np.full_like(mean, 0.3), reasons)

    def symbols(self, smiles: Sequence[str | None]) -> np.ndarray:
        return np.full(len(smiles), len(FIRST))


@pytest.fixture(scope="module")
def beads() -> Generator:
    return cast(Generator, Beads())


@pytest.fixture(scope="module")
def generator(tiny_model: Path) -> Generator:
    return molvae.load(tiny_model, "cpu")


# --- interpolation ----------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["linear", "spherical", "dense"])
def test_a_way_begins_and_ends_at_its_molecules(beads: Generator, way: Any) -> None:
    a, b = molecules()[FIRST], molecules()[LAST]
    found = interpolate(beads, a, b, way=way)
    assert (found.smiles[0], found.smiles[-1]) == (a, b)
    assert (found.t[0], found.t[-1]) == (0, pytest.approx(1))
    assert found.to_first[0] == found.to_second[-1] == 1
    assert np.isnan(found.to_previous[0])
    between = list(found.smiles)
    np.testing.assert_allclose(found.to_first, pairwise_similarity(between, [a] * len(between)))
    np.testing.assert_allclose(
        found.to_previous[1:], pairwise_similarity(between[1:], between[:-1])
    )


@pytest.mark.parametrize("way", ["linear", "spherical"])
def test_an_end_that_does_not_come_back_is_named_with_what_stands_in_its_place(way: Any) -> None:
    """Of the first bead, and of it alone, the last of its levels is out of the decoder's reach."""

    class Short(Beads):
        def decode(self, z: np.ndarray) -> list[str | None]:
            return super().decode(np.minimum(z, [STEP, *4 * [9.0]]))

    short = cast(Generator, Short())
    a, b = molecules()[FIRST], molecules()[LAST]
    reached = molecules()[(3, *FIRST[1:])]
    for found in (interpolate(short, a, b, way=way), interpolate(short, a, b, way=way).distinct()):
        (said,) = found.lost_ends()
        assert found.reached == (found.smiles[0], b) == (reached, b)
        assert said.startswith(f"{a} does not come back from this model's latent space: it decodes")
        assert f"to {reached}; the way begins there" in said
    (said,) = interpolate(short, b, a, way=way).lost_ends()
    assert "the way ends there" in said
    dense = interpolate(short, a, b, way="dense")
    assert (dense.ends, dense.reached, dense.lost_ends()) == ((a, b), (a, b), [])


def test_an_end_that_is_spelled_in_another_way_is_not_a_lost_one() -> None:
    class Reading(Beads):
        def posterior(self, smiles: Sequence[str | None]) -> Posteriors:
            return super().posterior([canonicalise(text) for text in smiles if text is not None])

    a, b = molecules()[FIRST], molecules()[LAST]
    spelled = Chem.MolToSmiles(parse(a), rootedAtAtom=3, canonical=False)
    assert spelled != a
    assert interpolate(cast(Generator, Reading()), spelled, b).lost_ends() == []


def test_a_straight_way_passes_every_bead_between(beads: Generator) -> None:
    found = interpolate(beads, molecules()[FIRST], molecules()[LAST], points=5)
    assert [levels()[s][0] for s in found.smiles if s is not None] == [4, 3, 2, 1, 0]


def test_a_circular_way_keeps_the_length_of_its_ends() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 50))
    a, b = a / np.linalg.norm(a), 3 * b / np.linalg.norm(b)
    path = circular(a, b, np.linspace(0, 1, 5))
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), [1, 1.5, 2, 2.5, 3], rtol=1e-5)
    np.testing.assert_allclose(path[[0, -1]], [a, b], rtol=1e-5)
    opposite = circular(a, -a, np.array([0.5]))
    np.testing.assert_allclose(opposite, 0, atol=1e-6)


def test_the_cheapest_path_goes_where_the_points_are() -> None:
    """A ring of points between two ends, and nothing in its middle."""
    angle = np.linspace(0, np.pi, 21)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    z = np.concatenate([ring[[0, -1]], ring[1:-1]])
    assert cheapest_path(z, 1.0) == [0, 1]
    assert cheapest_path(z, 4.0) == [0, *range(2, 21), 1]


def test_a_dense_way_is_of_real_sane_molecules_with_their_own_latents(beads: Generator) -> None:
    a, b = molecules()[FIRST], molecules()[LAST]
    through = [molecules()[(2, 2, 2, 2, 2)], "not a molecule"]
    found = interpolate(beads, a, b, way="dense", through=through, seed=3)
    assert found.sane.all()
    assert len(set(found.smiles)) == len(found.smiles) > 3
    np.testing.assert_allclose(found.z, beads.encode(cast(Any, found.smiles)))
    again = interpolate(beads, a, b, way="dense", through=through, seed=3)
    assert again.smiles == found.smiles
    longest = np.linalg.norm(np.diff(found.z, axis=0), axis=1).max()
    assert longest < np.linalg.norm(found.z[0] - found.z[-1]) / 2


def test_repeats_and_blanks_are_left_out_on_request(beads: Generator) -> None:
    found = interpolate(beads, molecules()[FIRST], molecules()[LAST], points=40)
    distinct = found.distinct()
    assert len(found.smiles) == 40
    assert all(a != b for a, b in zip(distinct.smiles, distinct.smiles[1:], strict=False))
    assert list(dict.fromkeys(distinct.smiles)) == list(dict.fromkeys(found.smiles))
    assert len(distinct.t) == len(distinct.smiles) == len(distinct.columns()["sane"])
    assert (distinct.to_previous[1:] < 1).all()


@pytest.mark.parametrize(
    ("first", "second", "changed", "error", "said"),
    [
        ("C1CC", "CCO", {}, InputError, "cannot encode 'C1CC': not valid SMILES"),
        ("CCO", "OCC", {}, InputError, "are the same molecule"),
        ("CCO", "CCN", {"points": 1}, ConfigError, "points is 1"),
        ("CCO", "CCN", {"way": "round"}, ConfigError, "no way 'round'"),
        ("CCO", "CCN", {"through": ["CCC"]}, ConfigError, "a linear way goes through no molecules"),
    ],
)
def test_an_interpolation_that_makes_no_sense_is_one_sentence(
    generator: Generator, first: str, second: str, changed: Any, error: type, said: str
) -> None:
    with pytest.raises(error, match=said):
        interpolate(generator, first, second, **changed)


def test_completeness_counts_what_random_and_between_points_decode_to(beads: Generator) -> None:
    smiles = list(levels())[::100]
    found = completeness(beads, smiles, beads.encode(smiles), seed=1)
    assert [region.points for region in found] == [len(smiles)] * 5
    assert all(region.valid == 1 and 0.2 < region.sane <= 1 for region in found)
    assert np.isnan(found[0].ends)
    half = found[3]
    assert half.name == "between two molecules, at 0.5"
    assert 0.2 < half.similarity < 1


# --- analogues --------------------------------------------------------------------------------


def test_analogues_are_as_asked_and_ranked(generator: Generator, zinc: list[str]) -> None:
    lead = zinc[3]
    found = analogues(generator, lead, 3, similarity=(0.02, 0.6), sane=True)
    assert len(set(found.smiles)) == len(found.smiles) == 3
    assert canonicalise(lead) not in found.smiles
    assert ((found.similarity >= 0.02) & (found.similarity <= 0.6)).all()
    assert (np.diff(found.similarity) <= 0).all()
    np.testing.assert_allclose(
        found.similarity, pairwise_similarity(found.smiles, [found.lead] * 3)
    )
    again = analogues(generator, lead, 3, similarity=(0.02, 0.6), sane=True)
    assert again.smiles == found.smiles


def test_the_scaffold_is_kept_on_request(beads: Generator) -> None:
    class Rings(Beads):
        """Every other molecule has lost its ring."""

        def posterior(self, smiles: Sequence[str | None]) -> Posteriors:
            mean = np.zeros((len(smiles), len(FIRST)), np.float32)
            return Posteriors(mean, mean + 0.3, [None] * len(smiles))

        def encode(self, smiles: Sequence[str]) -> np.ndarray:
            return np.zeros((len(smiles), len(FIRST)))

        def decode(self, z: np.ndarray) -> list[str | None]:
            n = (np.abs(z[:, 0]) * 4).astype(int)
            return [("C" * k + "c1ccccc1O") if k % 2 else "C" * (k + 6) + "O" for k in n]

    lead = "Cc1ccccc1O"
    kept = analogues(cast(Generator, Rings()), lead, 3, similarity=(0, 1), keep_scaffold=True)
    core = parse(scaffold(parse(lead)))
    assert kept.smiles
    assert all(mol.HasSubstructMatch(core) for mol in parse_many(kept.smiles) if mol)
    free = analogues(cast(Generator, Rings()), lead, 9, similarity=(0, 1))
    assert any("c1" not in text for text in free.smiles)


def test_diverse_analogues_are_less_alike_than_the_nearest(beads: Generator) -> None:
    def alike(diverse: bool) -> float:
        lead = molecules()[(2, 2, 2, 2, 2)]
        found = analogues(beads, lead, 8, similarity=(0.1, 1), diverse=diverse, seed=2)
        assert len(set(found.smiles)) == 8
        prints = fingerprints(parse_many(found.smiles))
        return float(similarity(prints, prints)[np.triu_indices(8, 1)].mean())

    assert alike(True) < alike(False) - 0.05


def test_max_min_picks_the_farthest_each_time() -> None:
    smiles = ["CCCCO", "CCCCCO", "c1ccccc1", "c1ccccc1C", "NC(=O)N"]
    order = diverse_subset(smiles, 4)
    prints = fingerprints(parse_many(smiles))
    alike = similarity(prints, prints)
    for k in range(1, 4):
        rest = [i for i in range(5) if i not in order[:k]]
        nearest = {i: alike[i, order[:k]].max() for i in rest}
        assert nearest[order[k]] == min(nearest.values())
    assert diverse_subset([], 3) == []


@pytest.mark.parametrize(
    ("lead", "changed", "error", "said"),
    [
        ("C1CC", {}, InputError, "cannot encode 'C1CC'"),
        ("CCO", {"keep_scaffold": True}, InputError, "no ring, hence no scaffold"),
        ("CCO", {"n": 0}, ConfigError, "n is 0"),
        ("CCO", {"similarity": (0.9, 0.2)}, ConfigError, "the lower one first"),
    ],
)
def test_analogues_that_cannot_be_are_one_sentence(
    generator: Generator, lead: str, changed: Any, error: type, said: str
) -> None:
    with pytest.raises(error, match=said):
        analogues(generator, lead, **changed)


# --- arithmetic -------------------------------------------------------------------------------


def test_a_direction_learnt_from_examples_gives_others_the_attribute(beads: Generator) -> None:
    """A carbonyl as the first bead is one end of a dimension; random directions lead elsewhere."""
    first = pattern("ClCC(=O)*")
    search = Search(strengths=(1.0, 2.0), similarity=0.2)
    direction, found, changes = learn_and_measure(
        beads, list(levels())[::7], first, held_out=30, search=search, seed=1
    )
    assert np.abs(direction.vector).argmax() == 0
    assert direction.vector[0] > 0
    assert found.molecules == 30
    assert found.rate > found.control_rate + 0.3
    for change in changes:
        if change.reason is None:
            assert first.judge([change.smiles, change.start]).tolist() == [1, 0]
            assert change.similarity >= 0.2
        else:
            assert change.reason == NOT_FOUND


def test_the_smallest_strength_that_succeeds_is_taken(beads: Generator) -> None:
    smiles = list(levels())[::7]
    direction = attribute_direction(beads, smiles, pattern("C=O"))
    start = molecules()[(0, 1, 3, 1, 0)]
    (change,) = add(beads, direction, [start], search=Search((3.0, 0.2, 1.5), similarity=0))
    assert change.strength == 1.5
    assert change.symbols is None  # no windows: to all of z


def test_changes_belong_to_their_molecules_and_have_reasons(beads: Generator) -> None:
    direction = attribute_direction(beads, list(levels())[::7], pattern("C=O"))
    has, lacks = molecules()[(4, 4, 4, 4, 4)], molecules()[(0, 0, 3, 0, 0)]
    found = add(beads, direction, [has, None, lacks, "CCO"], search=Search(similarity=0))
    assert [change.start for change in found] == [has, None, lacks, "CCO"]
    assert found[0].reason == "it has the attribute already"
    assert found[1].reason == found[3].reason == "not made of beads"
    assert found[2].reason is None


def test_where_z_has_windows_a_direction_is_added_to_spans_of_them(
    generator: Generator, zinc: list[str]
) -> None:
    from molvae.latent.arithmetic import _shifts

    windows = Windows(count=4, size=2, width=3, rest=2)
    shifts, places = _shifts(windows, np.arange(1.0, 15.0), symbols=4)
    assert places == [None, (0, 6), (2, 8), (4, 8)]  # three of four windows are reached
    np.testing.assert_allclose(np.linalg.norm(shifts, axis=1), 1)
    assert (shifts[0] != 0).tolist() == [True] * 9 + [False] * 3 + [True] * 2
    assert np.flatnonzero(shifts[3]).tolist() == list(range(6, 12))


def test_attributes_are_patterns_ranges_and_labels(zinc: list[str]) -> None:
    assert pattern("[OX2H]").lacked().judge(["CCO", "CC"]).tolist() == [0, 1]
    assert beyond("heavy_atoms", above=1, below=3).judge(["C", "CC", "CCC"]).tolist() == [0, 1, 0]
    smiles = [*zinc[:80], "C1CC"]
    labels = np.array([*(float("F" in s) for s in zinc[:80]), 1.0])
    found = labelled("fluoro", smiles, labels)
    assert found.roc_auc > 0.8
    assert np.isnan(found.judge(["C1CC", None])).all()
    assert np.mean(found.judge(zinc[:80]) == labels[:-1]) > 0.9


@pytest.mark.parametrize(
    ("made", "error", "said"),
    [
        (lambda: pattern("[F"), ConfigError, "not valid SMARTS"),
        (lambda: beyond("logP", above=1), ConfigError, "unknown property 'logP'"),
        (lambda: beyond("logp"), ConfigError, "above a value"),
        (lambda: labelled("x", ["C"] * 9, np.arange(9.0)), InputError, "must be 1 or 0"),
        (lambda: Search(strengths=()), ConfigError, "give one or more lengths"),
        (lambda: Search(strengths=(-1.0,)), ConfigError, "lengths above 0"),
        (lambda: Search(similarity=2.0), ConfigError, "from 0 to 1"),
    ],
)
def test_an_attribute_or_search_that_makes_no_sense_is_one_sentence(
    made: Any, error: type, said: str
) -> None:
    with pytest.raises(error, match=said):
        made()


def test_too_few_examples_of_an_attribute_are_refused(generator: Generator) -> None:
    with pytest.raises(InputError, match="2 of the examples have the attribute"):
        attribute_direction(
            generator, ["CF", "CCF", *["C" * n for n in range(1, 20)]], pattern("F")
        )


# --- maps and directions ----------------------------------------------------------------------


def test_a_map_keeps_rows_and_samples_large_sets(generator: Generator, zinc: list[str]) -> None:
    smiles = ["C1CC", *zinc[:40]]
    found = atlas(generator, smiles, limit=15, seed=4)
    assert len(found.smiles) == 15
    assert found.readable == 40
    assert found.smiles == tuple(smiles[i] for i in found.rows)
    assert 0 not in found.rows
    assert all(places.shape == (15, 2) for places in found.places.values())
    again = atlas(generator, smiles, limit=15, seed=4)
    np.testing.assert_array_equal(again.places["tsne"], found.places["tsne"])
    from sklearn.decomposition import PCA

    z = generator.encode(list(found.smiles))
    whole = PCA(2, svd_solver="full").fit(z)
    np.testing.assert_allclose(found.explained, whole.explained_variance_ratio_, rtol=1e-3)


def test_a_map_of_too_few_molecules_is_refused(generator: Generator) -> None:
    with pytest.raises(InputError, match="at least 3 distinct"):
        atlas(generator, ["CCO", "OCC", "C1CC", "CCN"])
    with pytest.raises(ConfigError, match="no map 'umap'"):
        atlas(generator, ["CCO", "CCC", "CCN"], cast(Any, ["umap"]))


def test_mutual_information_is_that_of_known_distributions() -> None:
    rng = np.random.default_rng(0)
    z = rng.standard_normal((20_000, 3))
    rho = 0.8
    y = rho * z[:, 0] + np.sqrt(1 - rho**2) * rng.standard_normal(20_000)
    told = mutual_information(z, y)
    assert told[0] == pytest.approx(-0.5 * np.log(1 - rho**2), rel=0.06)
    assert (told[1:] < 0.005).all()


def test_the_gap_is_wide_for_one_dimension_and_none_for_two() -> None:
    rng = np.random.default_rng(1)
    z = rng.standard_normal((3000, 4))
    labels = {"alone": z[:, 2] ** 3, "shared": z[:, 0] + z[:, 1], "none": rng.random(3000)}
    alone, shared, none = carried(z, labels)
    assert (alone.dimension, alone.gap > 0.8) == (2, True)
    assert {shared.dimension, shared.second} == {0, 1}
    assert shared.gap < 0.05
    assert shared.r2_all > 0.99
    assert shared.r2_dimension == pytest.approx(0.5, abs=0.05)
    assert none.r2_all < 0.01
    np.testing.assert_allclose(steepest(z, labels["shared"]), [0.5**0.5, 0.5**0.5, 0, 0], atol=0.06)


def test_properties_of_too_few_or_equal_values_are_refused() -> None:
    z = np.random.default_rng(2).standard_normal((150, 2))
    with pytest.raises(InputError, match="logp is known of 50 molecules"):
        carried(z, {"logp": np.where(np.arange(150) < 50, 1.0, np.nan)})
    with pytest.raises(InputError, match="rings is 0 for all"):
        carried(z, {"rings": np.zeros(150)})


def test_a_traversal_goes_along_one_dimension_and_leaves_the_others(beads: Generator) -> None:
    z = beads.encode([molecules()[(2, 2, 2, 2, 2)], molecules()[(1, 1, 2, 1, 1)]])
    rows = traverse(beads, z, np.eye(len(FIRST))[2], [-2 * STEP, 0.0, 2 * STEP])
    found = [[levels()[s] for s in row if s is not None] for row in rows]
    assert found[0] == [(2, 2, k, 2, 2) for k in (0, 2, len(BEADS) - 1)]
    assert found[1] == [(1, 1, k, 1, 1) for k in (0, 2, len(BEADS) - 1)]
