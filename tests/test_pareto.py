"""Pareto sets and hypervolume against brute force, closed forms and BoTorch's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.models import ModelListGP, SingleTaskGP
from botorch.utils.multi_objective.hypervolume import Hypervolume
from hypothesis import given
from hypothesis import strategies as st

from molvae.optimize.acquisition import draw
from molvae.optimize.improvement import greedy, log_within
from molvae.optimize.pareto import advances, fronts, hypervolume, in_order, reference_point
from molvae.optimize.posterior import Posterior
from molvae.optimize.scalarisation import hypervolume_scalarisation, weighted_scalarisation


def dominates(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a >= b).all() and (a > b).any())


points = st.integers(1, 4).flatmap(
    lambda m: st.lists(
        st.lists(st.integers(0, 4), min_size=m, max_size=m), min_size=1, max_size=25
    ).map(lambda rows: np.array(rows, float))
)


@given(points)
def test_fronts_are_peeled_one_by_one(utility: np.ndarray) -> None:
    front = fronts(utility)
    left = list(range(len(utility)))
    number = 0
    while left:
        best = [i for i in left if not any(dominates(utility[j], utility[i]) for j in left)]
        assert set(np.flatnonzero(front == number)) == set(best)
        left = [i for i in left if i not in best]
        number += 1
    order = in_order(utility)
    assert sorted(order) == list(range(len(utility)))
    assert (np.diff(front[order]) >= 0).all()


@given(points)
def test_a_point_advances_the_front_where_nothing_before_is_as_good(utility: np.ndarray) -> None:
    new = [not any((utility[j] >= utility[i]).all() for j in range(i)) for i in range(len(utility))]
    np.testing.assert_array_equal(advances(utility), np.cumsum(new))


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_hypervolume_is_that_of_botorch_and_nearly_that_of_the_scalarisation(m: int) -> None:
    utility = np.random.default_rng(m).normal(size=(25, m))
    reference = utility.min(axis=0) - 0.1
    exact = hypervolume(utility, reference)
    if m > 1:
        peer = Hypervolume(torch.as_tensor(reference))
        assert exact == pytest.approx(peer.compute(torch.as_tensor(utility[fronts(utility) == 0])))
    scale = torch.as_tensor(np.ptp(utility, axis=0))
    by_directions = hypervolume_scalarisation(torch.as_tensor(reference), scale)
    found = by_directions.values(torch.as_tensor(utility)).amax(dim=0).mean()
    assert by_directions.constant * float(found) == pytest.approx(exact, rel=0.05)


def test_the_reference_point_is_below_the_front_and_not_below_an_outlier() -> None:
    rng = np.random.default_rng(0)
    utility = np.concatenate([rng.uniform(size=(99, 2)), [[-1000.0, 0.5]]])
    reference = reference_point(utility)
    assert (reference < utility[fronts(utility) == 0]).all()
    assert (reference > -1).all()
    np.testing.assert_allclose(reference_point(np.array([[2.0, 3.0]])), [1.9, 2.9])


@pytest.mark.slow
def test_the_gain_is_noisy_expected_hypervolume_improvement_as_botorch_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Or else BoTorch compiles a kernel of its own, which takes half a minute on a new machine.
    monkeypatch.setattr("botorch.acquisition.multi_objective.logei._load_attempted", True)
    rng = np.random.default_rng(0)
    x = torch.as_tensor(rng.uniform(size=(8, 2)))
    y = torch.stack([torch.sin(4 * x[:, 0]), x[:, 1] - x[:, 0]], dim=1)
    models = [SingleTaskGP(x, y[:, i : i + 1]).eval() for i in range(2)]
    new = torch.as_tensor(rng.uniform(size=(40, 2)))
    reference = y.amin(dim=0) - 0.1
    peer = qLogNoisyExpectedHypervolumeImprovement(
        ModelListGP(*models), reference, x, cache_root=False
    )
    with torch.no_grad():
        theirs = peer(new.unsqueeze(1)).exp()
        normals = [model.posterior(torch.cat([x, new])).distribution for model in models]
        joint = [Posterior(each.mean, each.covariance_matrix) for each in normals]
    samples = torch.stack([draw(each, 512, seed) for seed, each in enumerate(joint)], dim=-1)
    scale = hypervolume_scalarisation(reference, torch.ones(2))
    picks, gains = greedy(scale.values(samples), torch.zeros(48), 8, 1)
    assert theirs[picks[0]] > 0.9 * theirs.max()
    assert scale.constant * gains[0] == pytest.approx(float(theirs[picks[0]]), rel=0.15)


def test_a_batch_spreads_over_the_front() -> None:
    sure = torch.tensor([[3.0, 1.0], [3.0, 1.0], [1.0, 3.0], [2.0, 2.0]]).expand(4, 4, 2)
    values = hypervolume_scalarisation(torch.zeros(2), torch.ones(2)).values(sure)
    picks, gains = greedy(values, torch.zeros(4), 0, 3)
    assert picks[0] == 3
    assert {picks[1], picks[2]} in ({0, 2}, {1, 2})
    assert gains == sorted(gains, reverse=True)


def test_what_is_unlikely_to_be_feasible_is_worth_less() -> None:
    values = torch.tensor([2.0, 3.0]).expand(4, 2)[..., None]
    assert greedy(values, torch.tensor([0.0, math.log(0.5)]), 0, 1) == ([0], [2.0])
    assert greedy(values, torch.tensor([0.0, math.log(0.9)]), 0, 1)[0] == [1]


def test_hopeless_candidates_are_told_apart_by_how_near_they_come() -> None:
    values = torch.tensor([9.0, 1.0, 3.0, 2.0]).expand(8, 4)[..., None]
    assert greedy(values, torch.zeros(4), 1, 3) == ([1, 2, 0], [0.0, 0.0, 0.0])


def test_the_probability_of_a_range_is_exact_far_in_the_tails_too() -> None:
    expected = Posterior(torch.tensor([0.0, 50.0, -50.0]).double(), torch.eye(3).double())
    inside = log_within(expected, -1.0, 1.0)
    assert float(inside[0].exp()) == pytest.approx(0.6827, abs=1e-4)
    assert inside[1] == pytest.approx(float(inside[2]))
    assert -1300 < float(inside[1]) < -1150
    assert float(log_within(expected, -math.inf, 0.0)[0].exp()) == pytest.approx(0.5)


def test_scalarisations_are_the_weighted_sum_and_the_least_part() -> None:
    zero, one = torch.zeros(2), torch.ones(2)
    point = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    total = weighted_scalarisation("weighted", zero, one, [3.0, 1.0], seed=0)
    assert float(total.values(point)) == pytest.approx(0.75 + 0.5)
    least = weighted_scalarisation("chebyshev", zero, one, [3.0, 1.0], seed=0)
    assert float(least.values(point)) == pytest.approx(0.5 + 0.05 * 1.25)
    drawn = [
        weighted_scalarisation("weighted", zero, one, None, seed).directions for seed in (0, 1)
    ]
    assert [float(d.sum()) for d in drawn] == pytest.approx([1.0, 1.0])
    assert not torch.equal(*drawn)
