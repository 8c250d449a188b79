"""Whatever may learn of observations, on molecules whose values and whose best are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from beads import BeadGenerator, distance_to, levels, molecules

from molvae.base.errors import ConfigError
from molvae.optimize import strategy
from molvae.optimize.ascent import ascents
from molvae.optimize.conditioned import Targets
from molvae.optimize.config import SearchConfig
from molvae.optimize.described import Described
from molvae.optimize.ensemble import MEMBERS, Ensemble
from molvae.optimize.features import Features
from molvae.optimize.goals import Goals
from molvae.optimize.learners import fit
from molvae.optimize.memory import Memory
from molvae.optimize.multi import Several
from molvae.optimize.observed import Observed
from molvae.optimize.parts import PARTS, Learner, Part
from molvae.optimize.posterior import Surrogate
from molvae.optimize.records import Measured, Observation, Suggestion
from molvae.optimize.run import optimize
from molvae.optimize.standing import Standing
from molvae.optimize.strategy import next_batch
from molvae.optimize.surrogates import MoleculeGP
from molvae.optimize.tasks import MoleculeTasks, Table, fit_tasks
from molvae.oracles.answers import LARGEST, Outcome
from molvae.oracles.objective import Objective

TARGET = (4, 0, 3, 1, 4)
IN_SPACE = {"edit": 0.0, "recombination": 0.0}
KINDS: list[tuple[Learner, tuple[Part, ...]]] = [
    ("gp", ("latent",)),
    ("gp", ("latent_ard",)),
    ("gp", ("structure",)),
    ("gp", ("descriptors",)),
    ("gp", (*PARTS, "latent_ard")),
    ("deep", PARTS),
    ("ensemble", ("latent",)),
    ("ensemble", PARTS),
]
kinds = pytest.mark.parametrize(("learner", "parts"), KINDS)


def some(n: int, seed: int = 0) -> list[str]:
    every = list(levels())
    return [every[i] for i in np.random.default_rng(seed).permutation(len(every))[:n]]


def seen(smiles: Sequence[str], utility: np.ndarray, z: np.ndarray | None = None) -> Observed:
    return Observed.once(smiles, BeadGenerator().encode(smiles) if z is None else z, utility)


def described(smiles: Sequence[str], z: np.ndarray | None = None) -> Described:
    return Described.of(smiles, BeadGenerator().encode(smiles) if z is None else z)


def utility(smiles: Sequence[str]) -> np.ndarray:
    """Something that latents and structures both tell: beads of nitrogen and of oxygen."""
    return np.array([2.0 * s.count("N") - s.count("O") for s in smiles])


def near(smiles: Sequence[str]) -> np.ndarray:
    """Something that only latents tell."""
    away = distance_to(TARGET)
    return np.array([-away(s) for s in smiles])


def of_latents(parts: tuple[Part, ...]) -> bool:
    return set(parts) <= {"latent", "latent_ard"}


def truth(parts: tuple[Part, ...]) -> Callable[[Sequence[str]], np.ndarray]:
    """What can be learnt of these parts."""
    return near if of_latents(parts) else utility


@cache
def learnt(learner: Learner, parts: tuple[Part, ...]) -> Surrogate:
    """Of 80 molecules, shared by the tests that look at it."""
    smiles = some(80)
    observed = seen(smiles, truth(parts)(smiles))
    return fit(learner, observed, parts, seed=0)(observed)


# --- all of them -------------------------------------------------------------------------------


@kinds
def test_what_is_learnt_of_some_molecules_predicts_others(
    learner: Learner, parts: tuple[Part, ...]
) -> None:
    others = some(400)[80:]
    mean, spread = learnt(learner, parts).expected(described(others))
    error = mean - truth(parts)(others)
    assert np.corrcoef(mean, truth(parts)(others))[0, 1] > 0.8
    assert np.sqrt((error**2).mean()) < 3 * spread.mean()


@kinds
def test_away_from_what_is_known_a_surrogate_is_less_sure(
    learner: Learner, parts: tuple[Part, ...]
) -> None:
    model, smiles = learnt(learner, parts), some(80)
    _, close = model.expected(described(smiles))
    strange = ["c1ccc2ccccc2c1", "CS(=O)(=O)CP(C)C", "C1CC1C#CC1CC1", "OCC(O)C(O)C(O)CO"]
    _, far = model.expected(described(strange, np.full((4, 5), 6.0)))
    assert far.min() > close.mean()


@kinds
def test_marginals_and_the_joint_distribution_agree_and_it_is_one(
    learner: Learner, parts: tuple[Part, ...]
) -> None:
    model, molecules_ = learnt(learner, parts), described(some(130)[70:])
    mean, spread = model.expected(molecules_)
    joint = model.joint(molecules_)
    assert joint.mean.dtype == joint.covariance.dtype == torch.float64
    np.testing.assert_allclose(joint.mean, mean)
    np.testing.assert_allclose(joint.covariance.diagonal(), spread**2, atol=1e-5)
    np.testing.assert_allclose(joint.covariance, joint.covariance.T, atol=1e-9)
    assert torch.linalg.eigvalsh(joint.covariance).min() > -1e-6 * float(joint.covariance.max())
    np.testing.assert_allclose(model.hopes(molecules_), mean + spread)


@kinds
def test_one_value_as_large_as_they_may_be_breaks_nothing(
    learner: Learner, parts: tuple[Part, ...]
) -> None:
    smiles = some(20)
    values = truth(parts)(smiles).astype(float)
    values[3] = LARGEST
    observed = seen(smiles, values)
    joint = fit(learner, observed, parts, seed=0)(observed).joint(described(some(30)))
    assert torch.isfinite(joint.mean).all()
    assert torch.isfinite(joint.covariance).all()


@kinds
def test_the_same_seed_learns_the_same_and_no_global_state_is_touched(
    learner: Learner, parts: tuple[Part, ...]
) -> None:
    smiles = some(80)
    observed = seen(smiles, truth(parts)(smiles))
    torch.manual_seed(1)
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    again = fit(learner, observed, parts, seed=0)(observed)
    others = described(some(120)[80:])
    for one, other in zip(
        again.expected(others), learnt(learner, parts).expected(others), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert torch.equal(before[0], torch.random.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


@kinds
def test_few_molecules_alike_in_value_do_no_harm(learner: Learner, parts: tuple[Part, ...]) -> None:
    observed = seen(some(5), np.ones(5))
    model = fit(learner, observed, parts, seed=0)(observed)
    mean, spread = model.expected(described(some(9)))
    np.testing.assert_allclose(mean, 1.0, atol=1.5)
    assert np.isfinite(spread).all()


@pytest.mark.parametrize("learner", ["gp", "deep", "ensemble"])
def test_a_value_known_to_be_noisy_is_believed_less(learner: Learner) -> None:
    smiles = some(40)
    z = BeadGenerator().encode(smiles)
    y = z.sum(1)
    y[0] += 30.0
    told = seen(smiles, y)
    counts = np.full(40, 1000)
    counts[0] = 1
    there = []
    for observed in (told, replace(told, variance=900.0, counts=counts)):
        model = fit(learner, observed, ("latent",), seed=0)(observed)
        there.append(float(model.expected(described(smiles[:1]))[0][0]))
    assert there[1] < there[0]
    assert abs(there[1] - z[0].sum()) < 8.0


@pytest.mark.parametrize(
    ("learner", "parts"),
    [pytest.param(*k, marks=pytest.mark.slow if k[0] == "ensemble" else ()) for k in KINDS],
)
def test_the_one_best_of_3125_molecules_is_found(learner: Learner, parts: tuple[Part, ...]) -> None:
    best = molecules()[TARGET if of_latents(parts) else (3, 3, 3, 3, 3)]
    objective = Objective("utility", lambda s: float(truth(parts)([s])[0]), "maximize")
    settings = {"candidates": 64, "routes": IN_SPACE, "initial": 15, "batch_size": 5}
    result = optimize(
        BeadGenerator(), objective, budget=70, learner=learner, surrogate=list(parts), **settings
    )
    assert result.top(1)[0][0] == best


# --- one by one --------------------------------------------------------------------------------


def test_lengths_of_their_own_find_the_dimensions_that_matter() -> None:
    rng = np.random.default_rng(0)
    smiles, z = some(180), rng.standard_normal((180, 30))
    y = np.sin(2 * z[:, 0]) + z[:, 1]
    error = {}
    for part in ("latent", "latent_ard"):
        observed = seen(smiles[:80], y[:80], z[:80])
        model = fit("gp", observed, (part,), seed=0)(observed)
        error[part] = np.abs(model.expected(described(smiles[80:], z[80:]))[0] - y[80:]).mean()
    assert error["latent_ard"] < 0.5 * error["latent"]
    assert isinstance(model, MoleculeGP)
    lengths = model.fitted.kernel.lengths
    assert lengths is not None
    assert lengths[:2].max() < 0.5 * np.median(lengths)


def test_a_network_sees_the_parts_that_it_is_told_to_see() -> None:
    smiles = some(60)
    for part, width in (("structure", 32), ("descriptors", 22), ("latent", 5), ("latent_ard", 5)):
        features = Features.of(described(smiles), (part,))
        assert features(described(smiles)).shape == (60, width)
    noise = np.random.default_rng(0).standard_normal((60, 5))
    for learner in ("deep", "ensemble"):
        blind = seen(smiles, utility(smiles), noise)
        model = fit(learner, blind, ("structure",), seed=0)(blind)
        there = described(smiles[:5], noise[:5] + 3.0)
        np.testing.assert_array_equal(
            model.expected(there)[0], model.expected(described(smiles[:5]))[0]
        )


def test_principal_axes_keep_apart_what_counts_tell_apart() -> None:
    known = described(some(30))
    rows = Features.of(known, ("structure",))(known).numpy()
    counts = known.counts.rows.toarray()
    apart = [((m[:, None] - m) ** 2).sum(-1)[np.triu_indices(30, 1)] for m in (rows, counts)]
    assert np.corrcoef(*apart)[0, 1] > 0.99
    assert (rows**2).mean() == pytest.approx(1.0, rel=1e-3)


def test_an_ensemble_covers_the_truth_as_often_as_it_says() -> None:
    smiles = some(500)
    noise = np.random.default_rng(1).standard_normal(500)
    y = utility(smiles) + noise
    observed = seen(smiles[:200], y[:200])
    model = fit("ensemble", observed, PARTS, seed=0)(observed)
    assert isinstance(model, Ensemble)
    mean, spread = model.expected(described(smiles[200:]))
    inside = np.abs(mean - y[200:]) < 1.96 * spread
    assert 0.85 < inside.mean() <= 1.0
    assert model.members(described(smiles[:3])).shape == (MEMBERS, 3)


def test_targets_that_are_all_the_same_have_the_unit_1() -> None:
    assert Targets.of(np.full(3, 7.0)).unit == 1.0


# --- settings ----------------------------------------------------------------------------------


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="name at least one part"):
        SearchConfig.parse({"surrogate": []})
    with pytest.raises(ConfigError, match="'together' needs the learner 'gp', not 'deep'"):
        SearchConfig.parse({"tasks": "together", "learner": "deep"})
    with pytest.raises(ConfigError, match="learner"):
        SearchConfig.parse({"learner": "forest"})


# --- many observations -------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [1200, 100])
def test_of_10000_observations_a_surrogate_sees_what_the_memory_holds(memory: int) -> None:
    smiles = (list(levels()) * 4)[:10_000]
    observed = seen(smiles, near(smiles))
    config = SearchConfig(memory=memory)
    model = strategy._learn(observed, "gp", ("latent",), config, 0, Memory())
    assert isinstance(model, MoleculeGP)
    assert len(model.known) == memory
    assert model.process.root.shape == (memory, memory)
    assert model.fitted.kernel.facts["latent"].shape == (200, 200)
    assert model.targets.values.max() * model.targets.unit + model.targets.offset == 0.0


# --- several assays ----------------------------------------------------------------------------


def two_assays(few: int = 8) -> tuple[Observed, Observed, np.ndarray]:
    """One told of 150 molecules; another, its opposite and noisy, of ``few``; and its truth."""
    smiles = some(400)
    truth = -0.5 * near(smiles) + 3.0
    noise = np.random.default_rng(0).standard_normal(few)
    return seen(smiles[:150], near(smiles[:150])), seen(smiles[:few], truth[:few] + noise), truth


@pytest.mark.parametrize("parts", [PARTS, ("structure",), ("latent_ard",)])
def test_an_assay_told_of_few_molecules_is_predicted_better_with_its_fellow(
    parts: tuple[Part, ...],
) -> None:
    dense, sparse, truth = two_assays()
    others, truth = described(some(400)[150:]), truth[150:]
    alone, _ = fit("gp", sparse, parts, seed=0)(sparse).expected(others)
    model = MoleculeTasks.of([dense, sparse], fit_tasks([dense, sparse], parts, seed=0))
    together = model.joint(others, 1).mean.numpy()
    assert np.abs(together - truth).mean() < 0.75 * np.abs(alone - truth).mean()
    assert np.corrcoef(together, truth)[0, 1] > 0.8
    tasks = model.fitted.kernel.tasks
    assert torch.linalg.eigvalsh(tasks).min() > 0
    assert tasks[0, 1] < 0, "the one is the opposite of the other"


def test_assays_that_have_nothing_in_common_are_not_confused() -> None:
    smiles = some(300)
    z = np.random.default_rng(0).standard_normal((300, 2))
    one, other = seen(smiles, np.sin(2 * z[:, 0]), z), seen(smiles, np.sin(2 * z[:, 1]), z)
    told = [one.rows(np.arange(100)), other.rows(np.arange(100))]
    model = MoleculeTasks.of(told, fit_tasks(told, ("latent",), seed=0))
    rest = described(smiles[200:], z[200:])
    for assay, whole in enumerate((one, other)):
        mean = model.joint(rest, assay).mean.numpy()
        assert np.corrcoef(mean, whole.utility[200:])[0, 1] > 0.9


def test_a_table_holds_each_molecule_once_and_each_value_with_its_assay() -> None:
    dense, sparse, _ = two_assays()
    table = Table.of([dense, sparse])
    assert len(table.known) == 150
    assert table.molecules.tolist() == [*range(150), *range(8)]
    assert table.assays.tolist() == [0] * 150 + [1] * 8
    # Eight molecules say less than their correlation, of about -1.
    assert -0.9 < table.correlation()[0, 1] < -0.4


def test_one_assay_alone_has_nothing_in_common() -> None:
    with pytest.raises(ValueError, match="two or more"):
        fit_tasks([two_assays()[0]], PARTS, seed=0)


def test_an_ascent_of_what_has_no_gradient_is_refused() -> None:
    with pytest.raises(ValueError, match="latents alone"):
        ascents(learnt("ensemble", ("latent",)), np.zeros((1, 5)), 0.4)


def test_assays_without_a_molecule_in_common_begin_uncorrelated() -> None:
    dense, sparse, _ = two_assays()
    apart = [dense.rows(np.arange(50, 150)), sparse]
    np.testing.assert_array_equal(Table.of(apart).correlation(), np.eye(2))


def told(smiles: Sequence[str], of_both: int) -> list[Observation]:
    """Molecules told of two assays, those behind the first ``of_both`` of the first alone."""
    found = []
    for place, (text, z) in enumerate(zip(smiles, BeadGenerator().encode(smiles), strict=True)):
        value = distance_to(TARGET)(text)
        other = {1: Measured(Outcome(-value), (-value,))} if place < of_both else {}
        suggestion = Suggestion(text, 0, "told", z)
        found.append(Observation(place + 1, suggestion, Outcome(value), (value,), others=other))
    return found


@pytest.mark.parametrize("of_both", [0, 6])
def test_a_search_with_assays_together_expects_of_each_what_all_tell(of_both: int) -> None:
    generator = BeadGenerator()
    goals = Goals.of({"distance": "minimize", "nearness": "maximize"})
    standing = Standing.of(goals, told(some(60), of_both))
    found = {}
    for tasks in ("apart", "together"):
        config = SearchConfig.parse({"tasks": tasks, "candidates": 32, "routes": IN_SPACE})
        batch = next_batch(
            generator, "minimize", standing.observations, config, several=Several(standing, config)
        )
        assert len({s.smiles for s in batch}) == 10
        truth = np.array([-distance_to(TARGET)(s.smiles) for s in batch])
        expected = np.array([s.reason.expected(1)[0] for s in batch])
        assert np.isnan(expected).all() == (of_both == 0)
        found[tasks] = np.abs(expected - truth).mean()
    assert of_both == 0 or found["together"] < found["apart"]
