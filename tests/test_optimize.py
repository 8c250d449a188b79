"""The optimiser on molecules whose best is known, and the parts that it is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from beads import (
    BEADS,
    IN_SPACE,
    LENGTH,
    STEP,
    BeadGenerator,
    ChainGenerator,
    chains,
    distance_to,
    levels,
    molecules,
)
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem

import molvae
from molvae.base.errors import BudgetError, ConfigError, InputError, OracleError
from molvae.optimize import routes, surrogates
from molvae.optimize.acquisition import choose, draw, greedy_batch, thompson_batch
from molvae.optimize.ascent import ascents
from molvae.optimize.campaign import Campaign
from molvae.optimize.config import Routes, SearchConfig
from molvae.optimize.described import Described
from molvae.optimize.memory import Memory
from molvae.optimize.observed import Observed
from molvae.optimize.parts import PARTS, Part
from molvae.optimize.posterior import Posterior
from molvae.optimize.proposals import decoded, known
from molvae.optimize.result import Result
from molvae.optimize.routes import Parents, offspring
from molvae.optimize.run import optimize
from molvae.optimize.strategy import next_batch
from molvae.optimize.surrogates import MoleculeGP, fit_hyperparameters
from molvae.optimize.trust_region import FAILURES, LONGEST, SHORTEST, SUCCESSES, TrustRegion, replay
from molvae.optimize.trust_region import LENGTH as FIRST_LENGTH
from molvae.oracles.objective import Objective

TARGET = (4, 0, 3, 1, 4)
SMALL = {"batch_size": 5, "candidates": 64, "routes": IN_SPACE}


def distance() -> Objective:
    return Objective("distance", distance_to(TARGET), "minimize")


def run(objective: Objective | None = None, **options: Any) -> Result:
    return optimize(BeadGenerator(), objective or distance(), **{"budget": 30, **SMALL, **options})


def smiles_of(result: Result) -> list[str]:
    return [o.suggestion.smiles for o in result.observations]


@cache
def default_run() -> Result:
    """30 evaluations of :func:`distance`, shared by the tests that look at them."""
    return run(initial=10)


# --- the whole ---------------------------------------------------------------------------------


def test_the_one_best_of_3125_molecules_is_found_in_30_evaluations() -> None:
    result = default_run()
    assert result.top(1) == [(molecules()[TARGET], 0.0)]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_best_is_found_for_any_target_seed_and_direction(seed: int, direction: str) -> None:
    target = tuple(np.random.default_rng(seed).integers(0, len(BEADS), LENGTH).tolist())
    sign = 1.0 if direction == "minimize" else -1.0
    away = distance_to(target)
    objective = Objective("closeness", lambda s: sign * away(s), direction)  # type: ignore[arg-type]
    assert run(objective, budget=60, seed=seed).top(1)[0][0] == molecules()[target]


@pytest.mark.slow
def test_the_opposite_direction_leads_to_the_opposite_molecule() -> None:
    nitrogens = Objective("nitrogens", lambda s: s.count("N"), "maximize")
    assert run(nitrogens, budget=25).top(1)[0][1] >= 4
    assert run(Objective("nitrogens", nitrogens.function, "minimize")).top(1)[0][1] == 0


def test_the_budget_is_used_to_the_last_molecule_and_none_comes_twice() -> None:
    calls: list[str] = []
    objective = Objective("length", lambda s: calls.append(s) or len(s), "maximize")
    result = run(objective, budget=17, initial=10)
    assert len(calls) == len(set(calls)) == len(result.observations) == 17
    assert result.stopped == "budget used"


def test_an_observation_holds_the_molecule_its_own_latent_and_the_one_asked_for() -> None:
    generator = BeadGenerator()
    observations = default_run().observations
    np.testing.assert_array_equal(
        [o.suggestion.z for o in observations],
        generator.encode([o.suggestion.smiles for o in observations]),
    )
    asked = [o for o in observations if o.suggestion.asked is not None]
    assert len(asked) > 10
    assert generator.decode(np.stack([o.suggestion.asked for o in asked])) == [
        o.suggestion.smiles for o in asked
    ]
    assert {o.suggestion.origin for o in asked} <= {"perturbation", "crossover", "gradient"}


def test_the_same_seed_gives_the_same_molecules_and_another_seed_others() -> None:
    assert smiles_of(run(budget=20, initial=10)) == smiles_of(default_run())[:20]
    assert smiles_of(run(budget=10, initial=10, seed=1)) != smiles_of(default_run())[:10]


def test_no_global_random_state_is_read_or_changed() -> None:
    expected = smiles_of(default_run())[:15]
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    assert smiles_of(run(budget=15, initial=10)) == expected
    assert torch.equal(before[0], torch.random.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002


class Killed(BaseException):
    """Stands for a process that ends in the middle of an evaluation."""


def dies_after(calls: int, seen: list[str]) -> Callable[[str], float]:
    def function(smiles: str) -> float:
        if len(seen) == calls:
            raise Killed
        seen.append(smiles)
        return distance_to(TARGET)(smiles)

    return function


@pytest.mark.parametrize("batch", [pytest.param(False, marks=pytest.mark.slow), True])
def test_killed_again_and_again_and_resumed_is_the_uninterrupted_run(
    tmp_path: Path, batch: bool
) -> None:
    path = tmp_path / "run.sqlite"
    single = distance_to(TARGET)
    seen: list[str] = []
    for calls in (3, 12, 13, 16):
        one = dies_after(calls, seen)

        def many(smiles: Sequence[str], calls: int = calls) -> list[float]:
            if len(seen) + len(smiles) > calls:
                raise Killed
            seen.extend(smiles)
            return [single(s) for s in smiles]

        killed = Objective("d", many if batch else one, "minimize", batch)
        with pytest.raises(Killed):
            run(killed, budget=20, initial=10, store=path, resume=True)
    last = dies_after(1000, seen)
    function = (lambda smiles: [last(s) for s in smiles]) if batch else last
    objective = Objective("d", function, "minimize", batch)
    resumed = run(objective, budget=20, initial=10, store=path, resume=True)
    assert smiles_of(resumed) == smiles_of(default_run())[:20]
    np.testing.assert_array_equal(resumed.values, default_run().values[:20])
    assert len(seen) == len(set(seen)) == 20, "nothing is evaluated twice"


def test_a_finished_campaign_resumed_evaluates_nothing_and_a_larger_budget_goes_on(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.sqlite"
    first = run(budget=10, initial=10, store=path)
    unused = Objective("distance", dies_after(0, []), "minimize")
    again = run(unused, budget=10, initial=10, store=path, resume=True)
    assert smiles_of(again) == smiles_of(first)
    more = run(budget=15, initial=10, store=path, resume=True)
    assert smiles_of(more) == smiles_of(default_run())[:15]


def test_a_campaign_goes_on_as_it_was_begun_where_nothing_else_is_said(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    run(budget=15, batch_size=4, initial=7, store=path)
    usual = optimize(BeadGenerator(), distance(), budget=23, store=path, resume=True)
    steps = [o.suggestion.step for o in usual.observations]
    assert [steps.count(step) for step in range(5)] == [7, 4, 4, 4, 4]
    with pytest.raises(ConfigError, match="batch_size"):
        optimize(BeadGenerator(), distance(), budget=30, batch_size=5, store=path, resume=True)


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"seed": 1}, "seed"),
        ({"objective": Objective("distance", distance_to(TARGET), "maximize")}, "objective"),
        ({"start": ["CCO"]}, "start"),
    ],
)
def test_a_campaign_of_other_settings_is_refused(
    tmp_path: Path, changed: dict[str, Any], key: str
) -> None:
    path = tmp_path / "run.sqlite"
    run(budget=5, store=path)
    with pytest.raises(ConfigError, match=f"was started with {key} ="):
        run(**{"budget": 5, "store": path, "resume": True, **changed})


def test_a_campaign_of_another_model_is_refused(tmp_path: Path) -> None:
    class Other(BeadGenerator):
        fingerprint = "other"

    run(budget=5, store=tmp_path / "run.sqlite")
    with pytest.raises(ConfigError, match="was started with model = 'beads', not 'other'"):
        optimize(Other(), distance(), budget=5, store=tmp_path / "run.sqlite", resume=True, **SMALL)


def test_start_molecules_come_first_and_the_search_sets_out_from_them() -> None:
    start = [molecules()[(2, 2, 2, 2, 2)], molecules()[(3, 0, 3, 1, 4)]]
    result = run(budget=20, start=start)
    assert smiles_of(result)[:2] == start
    assert [o.suggestion.origin for o in result.observations[:2]] == ["start", "start"]
    assert result.top(1)[0][1] == 0.0


def test_start_molecules_that_cannot_be_used_are_named() -> None:
    start = ["c1ccccc1", molecules()[TARGET], "not a molecule"]
    result = run(budget=5, start=start)
    assert [text for text, _ in result.left_out] == ["c1ccccc1", "not a molecule"]
    assert result.left_out[0][1] == "the model cannot encode it"
    assert "not valid SMILES" in result.left_out[1][1]
    message = r"none of the start molecules can be used \(C1CC: .*ring 1 is not closed"
    with pytest.raises(InputError, match=message):
        run(start=["C1CC", *start[:1]])


def test_more_start_molecules_than_the_budget_are_refused() -> None:
    with pytest.raises(BudgetError, match="10 start molecules, but the budget is 5"):
        run(budget=5, start=list(levels())[:10])


def test_start_molecules_that_cannot_be_used_and_repeats_do_not_count_against_the_budget() -> None:
    target = molecules()[TARGET]
    again = Chem.MolToSmiles(Chem.MolFromSmiles(target), doRandom=True)
    result = run(budget=1, start=["xx", target, again, "C1CC"])
    assert smiles_of(result) == [target]
    with pytest.raises(BudgetError, match="2 start molecules, but the budget is 1"):
        run(budget=1, start=["xx", target, again, next(iter(levels()))])


def test_a_budget_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="the budget is 0 evaluations; give at least 1"):
        run(budget=0, store=tmp_path / "run.sqlite")
    assert not (tmp_path / "run.sqlite").exists()


@pytest.mark.slow
def test_failures_are_recorded_cost_budget_and_do_not_stop_the_search() -> None:
    away = distance_to(TARGET)

    def touchy(smiles: str) -> float:
        if levels()[smiles][1] > 2:
            raise ValueError("does not fit")
        return away(smiles)

    result = run(Objective("d", touchy, "minimize"), budget=60)
    failed = [o for o in result.observations if not o.outcome.ok]
    assert result.top(1)[0][1] == 0.0
    assert failed
    assert {o.outcome.failure for o in failed} == {"ValueError: does not fit"}
    assert len(result.observations) == 60
    assert result.ranked()[-len(failed) :] == failed


def test_a_broken_objective_stops_at_once_and_after_repair_the_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"

    def broken(smiles: str) -> float:
        raise RuntimeError("licence expired")

    with pytest.raises(OracleError, match="licence expired"):
        run(Objective("distance", broken, "minimize"), budget=10, initial=10, store=path)
    assert list(tmp_path.iterdir()) == []
    repaired = run(budget=10, initial=10, store=path)
    assert smiles_of(repaired) == smiles_of(default_run())[:10]


def test_a_failed_first_call_does_not_stand_in_the_way_of_the_corrected_one(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.sqlite"
    with pytest.raises(InputError, match="none of the start molecules"):
        run(budget=5, start=["xx"], store=path)
    assert list(tmp_path.iterdir()) == []
    run(budget=5, start=[molecules()[TARGET]], store=path)


def test_a_run_that_fails_later_keeps_what_it_has_evaluated(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    with pytest.raises(Killed):
        run(Objective("distance", dies_after(3, []), "minimize"), budget=10, store=path)
    with Campaign.open(path) as campaign:
        assert len(campaign.observations()) == 3


def test_a_generator_that_runs_out_of_molecules_ends_the_run() -> None:
    class Tiny(BeadGenerator):
        """Makes 25 molecules only: the first three beads are always the same."""

        def decode(self, z: np.ndarray) -> list[str | None]:
            return super().decode(z * [0, 0, 0, 1, 1])

    few = {"batch_size": 10, "candidates": 64, "routes": IN_SPACE}
    result = optimize(Tiny(), distance(), budget=100, **few)
    assert result.stopped == "the generator has no more new molecules"
    assert len(result.observations) == 25


@pytest.mark.parametrize("told_apart", [False, True])
def test_where_all_molecules_are_worth_the_same_the_prior_is_searched(told_apart: bool) -> None:
    value = (lambda s: float(s.count("N"))) if told_apart else (lambda s: 0.0)
    result = run(Objective("value", value, "maximize"), budget=80, batch_size=20, initial=60)
    last = {o.suggestion.origin for o in result.observations[60:]}
    assert (last == {"prior"}) != told_apart


@pytest.mark.slow
def test_an_objective_that_is_constant_does_no_harm() -> None:
    assert len(run(Objective("one", lambda s: 1.0, "maximize"), budget=20).observations) == 20


def test_the_public_name_can_be_called_again_and_after_other_parts_were_imported() -> None:
    for _ in range(2):
        result = molvae.optimize(BeadGenerator(), distance(), budget=2, **SMALL)
        assert len(result.observations) == 2


# --- the result --------------------------------------------------------------------------------


@pytest.mark.parametrize(("direction", "best"), [("maximize", np.fmax), ("minimize", np.fmin)])
def test_the_curve_is_the_best_so_far_and_the_table_is_ranked(direction: Any, best: Any) -> None:
    values = iter([math.nan, 3.0, 1.0, 5.0, 5.0, 2.0])

    result = run(Objective("x", lambda s: next(values), direction), budget=6, initial=6)
    np.testing.assert_array_equal(result.curve, best.accumulate(result.values))
    table = result.table()
    assert list(table.columns) == ["rank", "smiles", "value", "order", "step", "origin", "failure"]
    assert list(table["rank"]) == [1, 2, 3, 4, 5, 6]
    order = [4, 5, 2, 6, 3, 1] if direction == "maximize" else [3, 6, 2, 4, 5, 1]
    assert list(table["order"]) == order
    assert "not a finite number" in table["failure"].iloc[-1]
    assert (table["failure"].iloc[:-1] == "").all()


# --- surrogates --------------------------------------------------------------------------------


def seen(smiles: Sequence[str], utility: np.ndarray, z: np.ndarray | None = None) -> Observed:
    return Observed.once(smiles, BeadGenerator().encode(smiles) if z is None else z, utility)


def learnt(observed: Observed, parts: tuple[Part, ...], rows: slice = slice(None)) -> MoleculeGP:
    chosen = observed.rows(np.arange(len(observed.utility))[rows])
    return MoleculeGP.of(observed, fit_hyperparameters(chosen, parts, seed=0))


def described(smiles: Sequence[str], z: np.ndarray | None = None) -> Described:
    return Described.of(smiles, BeadGenerator().encode(smiles) if z is None else z)


def test_the_gp_predicts_its_observations_and_is_unsure_far_away() -> None:
    smiles = list(levels())[:40]
    z = np.random.default_rng(0).uniform(size=(40, 3))
    y = np.sin(3 * z[:, 0]) + z[:, 1]
    model = learnt(seen(smiles, y, z), ("latent",))
    mean, near = model.expected(described(smiles, z))
    _, far = model.expected(described(smiles, z + 100.0))
    assert np.abs(mean - y).max() < 0.05
    assert near.max() < 0.2 * far.min()


@pytest.mark.parametrize("part", ["structure", "descriptors"])
def test_the_molecule_alone_teaches_the_surrogate_where_latents_say_nothing(part: Part) -> None:
    smiles = list(levels())[::25]
    y = np.array([float(s.count("N")) for s in smiles])
    noise = np.random.default_rng(0).standard_normal((len(smiles), 4))
    half = len(smiles) // 2
    model = learnt(seen(smiles[:half], y[:half], noise[:half]), (part, "latent"))
    mean, _ = model.expected(described(smiles[half:], noise[half:]))
    assert np.corrcoef(mean, y[half:])[0, 1] > 0.7


def test_hyperparameters_come_from_some_molecules_and_predictions_from_all() -> None:
    smiles = list(levels())[:60]
    z = np.random.default_rng(0).uniform(size=(60, 2))
    y = np.cos(4 * z[:, 0])
    few = learnt(seen(smiles, y, z), ("latent",), slice(20))
    alone = learnt(seen(smiles[:20], y[:20], z[:20]), ("latent",))
    assert len(few.known) == 60
    assert float(few.fitted.kernel.latent_length) == float(alone.fitted.kernel.latent_length)
    error = np.abs(few.expected(described(smiles, z))[0] - y).max()
    assert error < 0.5 * np.abs(alone.expected(described(smiles, z))[0] - y).max()


def test_marginals_and_the_joint_distribution_agree() -> None:
    smiles = list(levels())[::60]
    model = learnt(seen(smiles[:30], np.arange(30.0)), PARTS)
    mean, spread = model.expected(described(smiles[30:]))
    joint = model.joint(described(smiles[30:]))
    np.testing.assert_allclose(joint.mean, mean)
    np.testing.assert_allclose(joint.covariance.diagonal(), spread**2, atol=1e-9)
    np.testing.assert_allclose(model.hopes(described(smiles[30:])), mean + spread)


def test_repeats_that_disagree_make_the_surrogate_doubt_each_value() -> None:
    smiles = list(levels())[::60]
    y = np.array([float(s.count("N")) for s in smiles])
    exact = seen(smiles, y)
    noisy = replace(exact, variance=4.0)
    errors = [
        np.abs(learnt(o, ("structure",)).expected(described(smiles))[0] - y).mean()
        for o in (exact, noisy)
    ]
    assert errors[1] > 2 * errors[0]


def test_a_fit_that_fails_leaves_the_priors_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise surrogates.ModelFittingError("no optimiser succeeded")

    monkeypatch.setattr(surrogates, "fit_gpytorch_mll", fails)
    smiles = list(levels())[:10]
    z = np.linspace(0, 1, 10)[:, None]
    model = learnt(seen(smiles, z[:, 0], z), ("latent",))
    assert np.abs(model.expected(described(smiles, z))[0] - z[:, 0]).max() < 0.2


def test_an_ascent_climbs_what_is_hoped_for_and_stays_within_its_reach() -> None:
    smiles = list(levels())[:40]
    z = np.random.default_rng(0).uniform(-1, 1, size=(40, 2))
    model = learnt(seen(smiles, -((z - 0.3) ** 2).sum(1), z), ("latent",))
    starts = np.array([[-0.5, -0.5], [0.6, 0.0]])
    ends = ascents(model, starts, length=0.4)
    assert np.abs(ends - starts).max() <= 0.4 + 1e-9
    names = smiles[:2]
    assert (model.hopes(described(names, ends)) > model.hopes(described(names, starts))).all()
    with pytest.raises(ValueError, match="latents alone"):
        ascents(learnt(seen(smiles, z[:, 0], z), PARTS), starts, 0.4)


def test_the_gradient_of_an_ascent_is_that_of_its_hopes() -> None:
    smiles = list(levels())[:20]
    z = np.random.default_rng(1).uniform(-1, 1, size=(20, 3))
    model = learnt(seen(smiles, z.sum(1) ** 2, z), ("latent",))
    away = torch.as_tensor(z[:4] + 0.2)
    np.testing.assert_allclose(
        model.hopes_at(away), model.hopes(described(smiles[:4], away.numpy())), atol=1e-3
    )
    assert torch.autograd.gradcheck(model.hopes_at, (away.clone().requires_grad_(),))


# --- memory ------------------------------------------------------------------------------------


def test_a_search_that_forgets_between_steps_proposes_the_same() -> None:
    generator, config = BeadGenerator(), SearchConfig.parse(SMALL)
    observations = list(default_run().observations[:20])
    memory = Memory()
    for _ in range(2):
        remembered = next_batch(generator, "minimize", observations, config, memory=memory)
        alone = next_batch(generator, "minimize", observations, config)
        assert [s.smiles for s in remembered] == [s.smiles for s in alone]


# --- acquisition -------------------------------------------------------------------------------


def test_the_first_choice_is_the_one_of_largest_expected_improvement() -> None:
    mean = torch.tensor([0.0, -0.5, 0.4, 0.3], dtype=torch.float64)
    std = torch.tensor([0.0, 2.0, 0.1, 0.8], dtype=torch.float64)
    normal = torch.distributions.Normal(0.0, 1.0)
    u = mean[1:] / std[1:]
    expected = std[1:] * (u * normal.cdf(u) + normal.log_prob(u).exp())  # Jones et al. 1998
    joint = Posterior(mean, torch.diag(std**2))
    assert greedy_batch(joint, 1, 3, seed=0)[0] == int(expected.argmax())


def test_a_batch_does_not_spend_two_evaluations_on_twins() -> None:
    covariance = torch.eye(4, dtype=torch.float64)
    covariance[1, 2] = covariance[2, 1] = 1.0  # candidates 0 and 1 have always equal values
    mean = torch.tensor([0.0, 1.0, 1.0, 0.6], dtype=torch.float64)
    assert set(greedy_batch(Posterior(mean, covariance), 1, 2, seed=0)) in ({0, 2}, {1, 2})


def test_hopeless_candidates_are_still_told_apart() -> None:
    mean = torch.tensor([100.0, 0.0, 2.0, 1.0], dtype=torch.float64)
    joint = Posterior(mean, 1e-4 * torch.eye(4, dtype=torch.float64))
    assert greedy_batch(joint, 1, 3, seed=0) == [1, 2, 0]


@pytest.mark.parametrize("acquisition", ["logei", "thompson", "ucb"])
@given(size=st.integers(1, 8), seed=st.integers(0, 100))
def test_a_batch_has_no_candidate_twice_and_no_more_than_there_are(
    acquisition: str, size: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    root = torch.as_tensor(rng.standard_normal((6, 6)))
    joint = Posterior(torch.as_tensor(rng.standard_normal(6)), root @ root.T)
    chosen = choose(acquisition, joint, 2, size, seed)
    assert len(chosen) == len(set(chosen)) == min(size, 4)
    assert set(chosen) <= {0, 1, 2, 3}


def test_a_candidate_is_chosen_as_often_as_it_may_be_the_best() -> None:
    joint = Posterior(
        torch.tensor([0.0, 0.5, -9.0], dtype=torch.float64), torch.eye(3, dtype=torch.float64)
    )
    first = [thompson_batch(joint, 1, seed)[0] for seed in range(400)]
    expected = float(torch.distributions.Normal(0.0, 2**0.5).cdf(torch.tensor(0.5)))
    assert abs(first.count(1) / 400 - expected) < 0.08
    assert 2 not in first


def test_joint_samples_have_the_mean_and_covariance_asked_for() -> None:
    mean = torch.tensor([1.0, -2.0], dtype=torch.float64)
    covariance = torch.tensor([[2.0, -0.9], [-0.9, 0.5]], dtype=torch.float64)
    samples = draw(Posterior(mean, covariance), 20_000, seed=0)
    np.testing.assert_allclose(samples.mean(0), mean, atol=1e-9)
    np.testing.assert_allclose(torch.cov(samples.T), covariance, atol=0.05)


# --- proposals ---------------------------------------------------------------------------------


def test_new_molecules_are_canonical_unique_unseen_and_aligned_with_what_was_asked() -> None:
    generator = BeadGenerator()
    beads = [(0, 1, 2, 3, 4), (1, 1, 1, 1, 1), (0, 1, 2, 3, 4), (2, 2, 2, 2, 2)]
    asked = STEP * (np.array(beads, float) - len(BEADS) // 2) + 0.01 * np.arange(4)[:, None]
    found = decoded(generator, asked, ["a", "b", "c", "d"], {molecules()[beads[1]]})
    assert found.smiles == (molecules()[beads[0]], molecules()[beads[3]])
    assert found.origin == ("a", "d")
    np.testing.assert_array_equal(found.asked, asked[[0, 3]])
    np.testing.assert_array_equal(found.z, generator.encode(found.smiles))


def test_what_is_no_molecule_or_cannot_be_encoded_is_no_candidate() -> None:
    found = known(BeadGenerator(), ["nonsense", None, "c1ccccc1", molecules()[TARGET]], "abcd")
    assert (found.smiles, found.origin) == ((molecules()[TARGET],), ("d",))
    assert np.isnan(found.asked).all()
    assert len(known(BeadGenerator(), [], [])) == 0


def parents(n: int = 20) -> Parents:
    smiles = tuple(list(levels())[:: 3125 // n][:n])
    return Parents(smiles, BeadGenerator().encode(smiles), np.ones(n))


def test_steps_stay_within_reach_of_their_parents() -> None:
    few = Parents(("C", "N"), np.array([[0.0] * 32, [10.0] * 32]), np.ones(2))
    rng = np.random.default_rng(0)
    z = routes._perturbation(BeadGenerator(), few, 2000, 0.5, rng)
    radius = np.linalg.norm(z[:, None] - few.z, axis=2).min(1) / np.sqrt(32)
    assert radius.max() < 0.5 * 1.7
    assert radius.min() < 0.1


def test_a_crossing_of_latents_without_windows_lies_between_its_parents() -> None:
    few = Parents(("C", "N"), np.array([[0.0] * 32, [10.0] * 32]), np.ones(2))
    z = routes._crossover(BeadGenerator(), few, 500, 0.5, np.random.default_rng(0))
    assert ((z.mean(1) > -0.5) & (z.mean(1) < 10.5)).all()
    assert ((z.mean(1) > 0.9) & (z.mean(1) < 9.1)).mean() > 0.3


@pytest.mark.parametrize(
    "route", [name for name in Routes().names if name not in ("rewriting", "gradient")]
)
def test_every_route_alone_brings_new_molecules_that_can_be_encoded(route: str) -> None:
    shares = Routes.parse({name: float(name == route) for name in Routes().names})
    seen_before = set(parents().smiles)
    on_graphs = route in ("edit", "recombination")
    generator, some = (ChainGenerator(), chains()) if on_graphs else (BeadGenerator(), parents())
    found = offspring(generator, some, 200, shares, 1.0, seen_before, seed=0)
    assert len(found) > 5
    assert set(found.origin) == {route}
    assert not set(found.smiles) & seen_before
    assert np.isfinite(found.z).all()


def test_a_generator_that_turns_molecules_down_also_turns_down_edits() -> None:
    class NoNitrogen(ChainGenerator):
        def admit(self, smiles: Sequence[str | None]) -> list[str | None]:
            return [s if s is not None and "N" not in s else None for s in smiles]

    shares = Routes.parse({name: float(name == "edit") for name in Routes().names})
    found = offspring(NoNitrogen(), chains(), 200, shares, 1.0, set(), seed=0)
    assert len(found)
    assert not any("N" in s for s in found.smiles)


@pytest.mark.parametrize("left", [(), ("gradient",), ("rewriting", "gradient")])
def test_shares_that_may_bring_nothing_are_refused(left: tuple[str, ...]) -> None:
    """There is no gradient before anything is learnt, and not every model can rewrite."""
    with pytest.raises(ConfigError, match="a share above 0"):
        Routes.parse({name: float(name in left) for name in Routes().names})


# --- trust region ------------------------------------------------------------------------------


def test_the_region_grows_with_success_and_shrinks_with_failure() -> None:
    grown = shrunk = TrustRegion()
    for step in range(SUCCESSES):
        grown = grown.after(step, improved=True)
    for step in range(FAILURES):
        shrunk = shrunk.after(step, improved=False)
    assert (grown.length, shrunk.length) == (2 * FIRST_LENGTH, FIRST_LENGTH / 2)


@given(st.lists(st.booleans(), max_size=200))
def test_the_region_stays_between_its_bounds(history: list[bool]) -> None:
    region = TrustRegion()
    for step, improved in enumerate(history):
        region = region.after(step, improved)
        assert SHORTEST <= region.length <= LONGEST


def test_a_region_that_found_its_optimum_makes_way_for_a_new_one() -> None:
    utility = [5.0] + [1.0] * 40
    region = replay(range(41), utility)
    assert region.begun > 0
    assert replay(range(region.begun), utility[: region.begun]) == TrustRegion(begun=region.begun)


def test_a_new_region_is_measured_by_its_own_molecules() -> None:
    steps = list(range(41))
    begun = replay(steps, [5.0] + [1.0] * 40).begun
    utility = [5.0] + [1.0] * (begun - 1) + [0.0, 0.5, 0.7]
    region = replay(range(len(utility)), utility)
    assert (region.begun, region.length) == (begun, 2 * FIRST_LENGTH)


def test_failed_molecules_are_no_success() -> None:
    assert replay([0, 1, 2], [1.0, math.nan, math.nan]).failures == 2
