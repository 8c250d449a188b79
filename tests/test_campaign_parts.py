"""What a campaign adds to the search: known noise, rivals that are out, steps half told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from molvae.optimize.acquisition import expected_improvements
from molvae.optimize.described import Described
from molvae.optimize.observed import Observed
from molvae.optimize.posterior import Posterior
from molvae.optimize.surrogates import MoleculeGP, fit_hyperparameters
from molvae.optimize.trust_region import replay


def test_a_known_noise_is_not_taken_for_structure() -> None:
    rng = np.random.default_rng(0)
    smiles = ["C" * (i + 1) for i in range(30)]
    z, y = rng.uniform(size=(30, 1)), rng.standard_normal(30)
    y[0] = 8.0  # one bad measurement, known to be bad
    told = Observed.once(smiles, z, y)
    counts = np.full(30, 100)
    counts[0] = 1
    for rows in (np.arange(30), np.arange(20)):
        there = []
        for observed in (told, replace(told, variance=100.0, counts=counts)):
            fitted = fit_hyperparameters(observed.rows(rows), ("latent",), seed=0)
            mean, _ = MoleculeGP.of(observed, fitted).expected(Described.of(smiles[:1], z[:1]))
            there.append(abs(float(mean[0])))
        assert there[1] < 0.7
        assert there[1] < there[0]


def test_expected_improvement_is_over_the_best_and_over_the_choices_before() -> None:
    normal = torch.distributions.Normal(0.0, 1.0)
    mean = torch.tensor([0.0, 0.5, 0.5], dtype=torch.float64)
    covariance = torch.zeros(3, 3, dtype=torch.float64)
    covariance[1:, 1:] = 4.0  # the two are twins: the second adds nothing
    u = torch.tensor(0.25)
    exact = 2 * float(u * normal.cdf(u) + normal.log_prob(u).exp())
    gains = expected_improvements(Posterior(mean, covariance), 1, seed=0)
    assert gains[0] == pytest.approx(exact, rel=0.15)
    assert gains[1] == pytest.approx(0.0, abs=1e-6)


def test_a_step_that_is_mostly_out_for_testing_is_no_failure_yet() -> None:
    steps, values = [0, 1, 2], [1.0, 0.5, 2.0]
    assert replay(steps, values).successes == 1
    assert replay(steps[:2], values[:2]).failures == 1
    assert replay(steps[:2], values[:2], unfinished={1}).failures == 0
    assert replay(steps, values, unfinished={2}).successes == 1, "a success is one at once"
