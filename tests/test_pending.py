"""What is out for testing: a batch does not look again for what it promises already."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from molvae.optimize.acquisition import choose, confident_batch, draw, thompson_batch
from molvae.optimize.observed import Observed
from molvae.optimize.posterior import Posterior
from molvae.optimize.proposals import Candidates
from molvae.optimize.records import Suggestion
from molvae.optimize.strategy import _choose
from molvae.optimize.surrogates import MoleculeGP, fit_hyperparameters

ACQUISITIONS = ("thompson", "ucb", "logei")
each = pytest.mark.parametrize("acquisition", ACQUISITIONS)


def with_twin(correlation: float = 1.0, above: float = 0.5) -> Posterior:
    """The best known, a molecule that is out, its twin (candidate 0), and two others.

    The twins are the most promising by ``above``.
    """
    covariance = torch.eye(5, dtype=torch.float64)
    covariance[0, 0] = 0.01
    covariance[1, 2] = covariance[2, 1] = correlation
    mean = torch.tensor([0.0, above, above, 0.0, -0.5], dtype=torch.float64)
    return Posterior(mean, covariance)


@each
@pytest.mark.parametrize("above", [0.0, 0.5, 1.5])
def test_a_twin_of_what_is_out_is_never_taken_first(acquisition: str, above: float) -> None:
    joint = with_twin(above=above)
    firsts = {choose(acquisition, joint, 2, 1, seed, pending=1)[0] for seed in range(50)}
    assert 0 not in firsts


@pytest.mark.parametrize("acquisition", ["thompson", "ucb"])
def test_a_twin_comes_last_even_where_what_is_out_is_the_best_for_certain(acquisition: str) -> None:
    joint = with_twin(above=50.0)
    assert all(choose(acquisition, joint, 2, 3, seed, pending=1)[-1] == 0 for seed in range(20))


def test_what_is_alike_but_not_the_same_is_taken_less_often_by_thompson_sampling() -> None:
    joint, shares = with_twin(correlation=0.98), []
    for pending in (0, 1):
        first = [choose("thompson", joint, 2, 1, seed, pending=pending)[0] for seed in range(400)]
        shares.append(first.count(0) / len(first))
    assert shares[1] < shares[0] - 0.1


def test_a_variance_that_rounding_made_negative_makes_no_twin_where_nothing_is_out() -> None:
    covariance = torch.diag(torch.tensor([-1e-12, 1e-8, 1e-8], dtype=torch.float64))
    joint = Posterior(torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64), covariance)
    assert thompson_batch(joint, 3, seed=0)[0] == 0


def test_thompson_sampling_draws_as_ever_where_nothing_is_out() -> None:
    rng = np.random.default_rng(0)
    root = torch.as_tensor(rng.standard_normal((12, 12)))
    joint = Posterior(torch.as_tensor(rng.standard_normal(12)), root @ root.T)
    for seed in range(20):
        expected: list[int] = []
        for sample in draw(joint, 5, seed):
            sample[expected] = -torch.inf
            expected.append(int(sample.argmax()))
        assert thompson_batch(joint, 5, seed) == expected


def test_confidence_bounds_know_what_the_choices_before_will_tell() -> None:
    mean = torch.tensor([1.0, 0.9, 0.6], dtype=torch.float64)
    covariance = torch.eye(3, dtype=torch.float64)
    covariance[0, 1] = covariance[1, 0] = 0.95
    # The second is mostly known with the first: .31 of its deviation is left.
    assert confident_batch(Posterior(mean, covariance), 3) == [0, 2, 1]


@each
@given(size=st.integers(1, 8), pending=st.integers(0, 3), seed=st.integers(0, 100))
def test_batches_are_whole_and_without_repeats_whatever_is_out(
    acquisition: str, size: int, pending: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    root = torch.as_tensor(rng.standard_normal((8, 3)))  # so few dimensions that some are twins
    joint = Posterior(torch.as_tensor(3 * rng.standard_normal(8)), root @ root.T)
    chosen = choose(acquisition, joint, 4, size, seed, pending=pending)
    assert len(chosen) == len(set(chosen)) == min(size, 4)
    assert set(chosen) <= {0, 1, 2, 3}


@pytest.mark.parametrize("acquisition", ["thompson", "ucb"])
def test_a_step_does_not_begin_with_a_molecule_that_is_one_with_what_is_out(
    acquisition: str,
) -> None:
    rng = np.random.default_rng(0)
    z = rng.standard_normal((30, 2))
    observed = Observed.once(["C" * (i + 1) for i in range(30)], z, -(z**2).sum(1))
    model = MoleculeGP.of(observed, fit_hyperparameters(observed, ("latent",), seed=0))
    elite = observed.rows(np.argsort(-observed.utility)[:5])
    places = np.array([[0.05, 0.0], [0.6, 0.5], [-0.5, 0.7], [1.0, -1.0]])
    names = ("CO", "CN", "CF", "CS")
    nowhere = np.full_like(places, np.nan)
    pool = Candidates(names, places, nowhere, ("prior",) * 4)
    out = [Suggestion("OCCO", 1, "prior", places[0])]
    for seed in range(20):
        picks, _ = _choose(model, elite, out, len(out), pool, acquisition, 4, seed)
        assert names[picks[0]] != "CO"
        assert sorted(picks) == [0, 1, 2, 3]
        # What another region proposes in the same step waits for nothing: it bars no twin.
        beside, _ = _choose(model, elite, out, 0, pool, acquisition, 1, seed)
        alone, _ = _choose(model, elite, [], 0, pool, acquisition, 1, seed)
        if acquisition == "ucb":
            assert names[alone[0]] == "CO"
            assert beside == alone
