"""Latent diagnostics against closed forms."""

import math

import pytest
import torch

from molvae.training.health import (
    active_units,
    aggregate_log_prob,
    decompose,
    kl_per_dimension,
    latent_health,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_kl_is_that_of_torch_distributions():
    mean = torch.randn(50, 3, generator=generator())
    log_var = torch.randn(50, 3, generator=generator(1))
    expected = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean.double(), (0.5 * log_var).double().exp()),
        torch.distributions.Normal(0.0, 1.0),
    ).mean(0)
    torch.testing.assert_close(kl_per_dimension(mean, log_var), expected)


def test_active_units_counts_dimensions_whose_mean_moves():
    mean = torch.randn(1000, 3, generator=generator()) * torch.tensor([1.0, 0.2, 0.05])
    assert active_units(mean) == 2
    assert active_units(mean[:1]) == 0


def test_aggregate_posterior_is_the_mixture_of_all_posteriors():
    mean = torch.randn(7, 2, generator=generator()).double()
    log_var = torch.randn(7, 2, generator=generator(1)).double()
    z = torch.randn(600, 2, generator=generator(2)).double()
    components = torch.distributions.Independent(
        torch.distributions.Normal(mean, (0.5 * log_var).exp()), 1
    )
    mixture = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(torch.ones(7).double()), components
    )
    torch.testing.assert_close(aggregate_log_prob(z, mean, log_var), mixture.log_prob(z))


def test_far_apart_posteriors_tell_all_that_n_molecules_can():
    mean = torch.arange(64.0)[:, None] * 100
    information, _ = decompose(mean, torch.zeros(64, 1), generator())
    assert information == pytest.approx(math.log(64), abs=1e-6)


def test_information_of_a_gaussian_channel():
    # mean ~ N(0, s2) and width w2 with s2 + w2 = 1: q(z) is the prior, and the information is
    # log(1 / w2) / 2 (the capacity of the Gaussian channel).
    width = 0.25
    mean = torch.randn(4000, 1, generator=generator()) * math.sqrt(1 - width)
    log_var = torch.full_like(mean, math.log(width))
    information, gap = decompose(mean, log_var, generator(1))
    assert information == pytest.approx(0.5 * math.log(1 / width), abs=0.03)
    assert gap == pytest.approx(0.0, abs=0.02)


def test_the_two_parts_add_up_to_the_kl():
    mean = torch.randn(3000, 4, generator=generator()) * 0.7
    log_var = torch.randn(3000, 4, generator=generator(1)) * 0.3 - 1
    report = latent_health(mean, log_var, generator(2))
    total = report.mutual_information + report.marginal_kl
    assert total == pytest.approx(report.kl, rel=0.03)
    assert sum(report.kl_per_dimension) == pytest.approx(report.kl)


def test_a_gap_to_the_prior_is_measured():
    # Identical posteriors N(m, w2): no information, and the whole KL is the gap.
    mean, log_var = torch.full((2000, 1), 2.0), torch.full((2000, 1), math.log(0.5))
    report = latent_health(mean, log_var, generator())
    assert report.mutual_information == pytest.approx(0, abs=1e-9)
    assert report.marginal_kl == pytest.approx(report.kl, abs=0.1)
    assert (report.active_units, report.mean_spread) == (0, 0.0)
    assert report.mean_width == pytest.approx(math.sqrt(0.5))


def test_health_is_the_same_for_the_same_seed():
    mean = torch.randn(100, 4, generator=generator())
    first = latent_health(mean, mean * 0, generator(3))
    assert first == latent_health(mean, mean * 0, generator(3))
