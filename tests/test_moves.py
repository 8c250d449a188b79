"""Moves in a space of windows, and a decoder refreshed on what was found; on the shipped model."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest

import molvae
from molvae.base.errors import ConfigError
from molvae.chem.similarity import fingerprints, similarity
from molvae.chem.smiles import parse_many
from molvae.generator import Generator
from molvae.latent import refresh
from molvae.latent.moves import spliced, with_gaps, without_ends
from molvae.latent.refresh import refreshed
from molvae.models.windows import Windows
from molvae.optimize.campaign import Campaign
from molvae.optimize.config import Routes, SearchConfig
from molvae.optimize.feasibility import misses
from molvae.optimize.filtered import SaneGenerator
from molvae.optimize.goals import Goals
from molvae.optimize.memory import Memory
from molvae.optimize.observed import Observed
from molvae.optimize.proposals import local
from molvae.optimize.renewal import renewed
from molvae.optimize.restricted import RestrictedGenerator
from molvae.optimize.routes import Parents, offspring
from molvae.optimize.run import optimize
from molvae.oracles.objective import Objective

WINDOWS = Windows(count=6, size=2, width=2, rest=3)
SMILES = ["CC(=O)Oc1ccccc1C(=O)NC", "O=C(NCc1ccco1)c1ccncc1", "CCN(CC)S(=O)(=O)c1ccc(F)cc1"]


@pytest.fixture(scope="module")
def generator() -> Generator:
    return molvae.load("druglike", "cpu")


def latents(value: float, n: int = 200) -> np.ndarray:
    return np.full((n, WINDOWS.dim), value)


def local_part(z: np.ndarray) -> np.ndarray:
    return z[:, : WINDOWS.count * WINDOWS.width].reshape(len(z), WINDOWS.count, WINDOWS.width)


def test_a_child_of_two_latents_has_windows_of_both_in_their_order() -> None:
    z = np.arange(1.0, 7).repeat(2)  # a window's number in both of its places
    one = np.tile(np.r_[z, 9, 9, 9], (300, 1))
    other = np.tile(np.r_[10 + z, 9, 9, 9], (300, 1))
    symbols = np.full(300, 9)  # five of the six windows
    children = spliced(WINDOWS, one, other, (symbols, symbols), np.random.default_rng(0))
    assert children.shape == one.shape
    assert (children[:, -3:] == 0).all()
    both = 0
    for row in local_part(children)[:, :, 0]:
        there = row[row > 0]
        assert set(there) <= {*range(1, 6), *range(11, 16)}  # the sixth is beyond their ends
        for parent in (there[there < 10], there[there > 10]):
            assert (np.diff(parent) > 0).all()
        both += (there < 10).any() and (there > 10).any()
    assert both > 150


def test_a_gap_forgets_some_windows_and_keeps_the_others_in_their_order() -> None:
    z = np.tile(np.r_[np.arange(1.0, 7).repeat(2), 9, 9, 9], (300, 1))
    found = with_gaps(WINDOWS, z, np.full(300, 9), np.random.default_rng(0))
    numbers = local_part(found)[:, :, 0]
    for row in numbers:
        there = row[row > 0]
        assert (np.diff(there) > 0).all()
        assert set(there) <= set(range(1, 6))  # the sixth is beyond the end
    kept = (numbers > 0).sum(axis=1)
    assert (kept < 5).mean() > 0.8  # of five windows some are gone
    assert 2 < kept.mean() < 4
    assert 0.5 < (numbers[:, 0] == 1).mean() < 0.95
    same_length = (found[:, -3:] == 9).all(axis=1)
    assert 0 < same_length.mean() < 0.5


def test_an_end_is_forgotten_from_a_window_on() -> None:
    found = local_part(
        without_ends(WINDOWS, latents(1.0), np.full(200, 11), np.random.default_rng(0))
    )[:, :, 0]
    assert (np.diff(found, axis=1) <= 0).all()
    kept = found.sum(axis=1)
    assert set(kept) == {1.0, 2.0, 3.0, 4.0, 5.0}


def test_the_rewritten_and_the_crossed_resemble_their_parents(generator: Generator) -> None:
    smiles = tuple(generator.sample(60, seed=5, unique=True))
    parents = Parents(smiles, generator.encode(smiles), np.ones(60))
    prints = fingerprints(parse_many(smiles))
    for route in ("rewriting", "crossover"):
        shares = Routes.parse({name: 1e3 if name == route else 1e-3 for name in Routes().names})
        found = offspring(generator, parents, 150, shares, 0.5, set(smiles), seed=0)
        assert set(found.origin) == {route}
        assert len(found) > 60
        alike = similarity(fingerprints(parse_many(found.smiles)), prints).max(axis=1)
        strangers = similarity(prints, prints) - 2 * np.eye(60)
        assert alike.mean() > strangers.max(axis=1).mean() + 0.05


def test_a_filter_around_a_generator_has_its_windows(generator: Generator) -> None:
    sane = SaneGenerator(generator)
    assert local(sane) is not None
    assert sane.windows == generator.windows
    assert (sane.symbols(SMILES) == generator.symbols(SMILES)).all()
    assert sane.admit([SMILES[0], "C1=C=C1", None]) == [SMILES[0], None, None]


def test_a_restriction_holds_for_every_route_and_keeps_the_windows(generator: Generator) -> None:
    goals = Goals.of({"activity": "maximize"}, ["hbd = 0"])
    restricted = RestrictedGenerator(generator, goals)
    assert restricted.windows == generator.windows
    smiles = tuple(generator.sample(40, seed=6, unique=True))
    parents = Parents(smiles, generator.encode(smiles), np.ones(40))
    free = offspring(generator, parents, 150, Routes(), 0.5, set(smiles), seed=0)
    found = offspring(restricted, parents, 150, Routes(), 0.5, set(smiles), seed=0)
    assert {"edit", "recombination", "rewriting", "crossover"} <= set(found.origin)
    assert (misses(goals, found.smiles) == 0).all()
    assert (misses(goals, free.smiles) > 0).mean() > 0.2
    assert restricted.admit(["CCO", "COC", None]) == [None, "COC", None]


@pytest.fixture(scope="module")
def found(generator: Generator) -> list[str]:
    """What the model writes by itself."""
    return generator.sample(300, seed=1, candidates=1)


def sulfonyls(model: Generator) -> float:
    """Their share of what a model writes."""
    return float(np.mean(["S(=O)(=O)" in s for s in model.sample(200, seed=2, candidates=1)]))


@pytest.mark.slow
def test_a_refreshed_decoder_writes_more_like_what_it_learnt_and_forgets_little(
    generator: Generator, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "BATCH", 32)  # the same, not as smoothly
    before = {name: value.clone() for name, value in generator.model.state_dict().items()}
    sulfonyl = [s for s in found if "S(=O)(=O)" in s]
    again = refreshed(generator, sulfonyl, np.ones(len(sulfonyl)), seed=0)

    assert sulfonyls(again) > np.mean(["S(=O)(=O)" in s for s in found]) + 0.1
    z = generator.encode(SMILES)
    np.testing.assert_array_equal(again.encode(SMILES), z)
    back = [model.reconstruct(found[:100]) for model in (generator, again)]
    kept = [np.mean([a == b for a, b in zip(found, smiles, strict=False)]) for smiles in back]
    assert kept[1] > kept[0] - 0.1
    after = generator.model.state_dict()
    assert all((after[name] == value).all() for name, value in before.items())
    assert again.candidates == 1


@pytest.mark.slow
def test_a_model_refreshed_as_a_whole_keeps_its_space_in_order(
    generator: Generator, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "BATCH", 32)  # the same, not as smoothly
    before = {name: value.clone() for name, value in generator.model.state_dict().items()}
    sulfonyl, held_out = [s for s in found if "S(=O)(=O)" in s], found[:100]
    again = refreshed(generator, sulfonyl, np.ones(len(sulfonyl)), seed=0, space=True)

    assert sulfonyls(again) > np.mean(["S(=O)(=O)" in s for s in found]) + 0.1
    z = again.encode(held_out)
    assert np.abs(z - generator.encode(held_out)).mean() > 0.02  # the encoder has learnt
    same = [a == b for a, b in zip(held_out, again.reconstruct(held_out), strict=True)]
    assert np.mean(same) > 0.7
    was, now, unlearnt = generator.predict(held_out), again.predict(z), generator.predict(z)
    assert again.model.head is not None
    for name, scale in zip(generator.targets, again.model.head.scale.tolist(), strict=True):
        apart = np.abs(now[name] - was[name]).mean()
        assert apart < 0.1 * scale
        assert apart < np.abs(unlearnt[name] - was[name]).mean()
    after = generator.model.state_dict()
    assert all((after[name] == value).all() for name, value in before.items())


def test_the_weight_of_the_kl_is_the_one_that_the_space_was_trained_with(
    generator: Generator,
) -> None:
    lessons = [
        refresh._Lesson(model, [], np.ones(0))
        for model in (generator, molvae.load("moses", "cpu"), replace(generator, config=None))
    ]
    # The settings of druglike are those of the run that fitted its head.
    weights = [lesson.objective.kl_weight for lesson in lessons]
    assert weights == [refresh.KL_WEIGHT, 0.002, refresh.KL_WEIGHT]


def test_a_space_that_its_prior_was_fitted_to_is_not_moved(generator: Generator) -> None:
    model = deepcopy(generator.model)
    model.config = model.config.replace(prior={"kind": "mixture", "components": 2})
    fitted = SaneGenerator(replace(generator, model=model))
    with pytest.raises(ConfigError, match="mixture prior was fitted to its latent space"):
        refreshed(fitted.inner, SMILES, np.ones(3), seed=0, space=True)
    budget = {"budget": 4, "refresh": 2, "progress": False}
    objective = Objective("length", lambda smiles: float(len(smiles)), "minimize")
    with pytest.raises(ConfigError, match="refresh the decoder alone"):
        optimize(fitted, objective, refresh_space=True, **budget)
    config = SearchConfig(refresh=2, refresh_space=True)
    with pytest.raises(ConfigError, match="refresh the decoder alone"):
        Campaign.new(None, fitted, assay="pIC50", direction="maximize", config=config)


def test_a_renewed_generator_follows_from_the_observations_alone(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "STEPS", 2)
    smiles = generator.sample(40, seed=3, candidates=1, unique=True)
    observed = Observed.once(smiles, generator.encode(smiles), np.arange(40.0))
    assert renewed(generator, observed, 50, 0, Memory()) is generator
    sane = SaneGenerator(generator)
    memory = Memory()
    first = renewed(sane, observed, 20, 0, memory)
    assert renewed(sane, observed, 20, 0, memory) is first
    assert isinstance(first, SaneGenerator)
    second = renewed(sane, observed, 20, 0, Memory())
    assert first.fingerprint == second.fingerprint != sane.fingerprint
