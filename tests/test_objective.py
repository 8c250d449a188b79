"""The objective's terms and free bits."""

from __future__ import annotations

import pytest
import torch

from molvae.base.errors import ConfigError
from molvae.models.objective import ObjectiveConfig, Term, Terms, kl_term


def leaf(values: list[list[float]]) -> torch.Tensor:
    return torch.tensor(values, requires_grad=True)


def test_total_is_the_weighted_sum_of_the_values_not_of_the_raw_numbers() -> None:
    terms = Terms(
        {
            "reconstruction": Term(torch.tensor(10.0), torch.tensor(10.0), 1.0),
            "kl": Term(torch.tensor(2.0), torch.tensor(3.0), 0.5),
        },
        {"token_accuracy": torch.tensor(0.25)},
    )
    assert terms.log() == {
        "total": 11.5,
        "token_accuracy": 0.25,
        "reconstruction": 10.0,
        "kl": 2.0,
        "reconstruction_weight": 1.0,
        "kl_weight": 0.5,
    }


def test_without_free_bits_every_nat_counts() -> None:
    kl = leaf([[0.1, 0.0], [0.3, 0.2]])
    term = kl_term(kl, ObjectiveConfig(), 1.0)
    assert float(term.value.detach()) == pytest.approx(0.3)
    term.value.backward()
    assert kl.grad is not None
    assert kl.grad.tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_free_bits_per_dimension_release_dimensions_below_the_threshold_on_average() -> None:
    kl = leaf([[0.9, 0.05, 0.0], [0.1, 0.05, 1.0]])  # batch means .5, .05, .5
    term = kl_term(kl, ObjectiveConfig(free_bits=0.1), 1.0)
    assert float(term.value.detach()) == pytest.approx(0.5 + 0.1 + 0.5)
    assert float(term.raw) == pytest.approx(1.05)
    term.value.backward()
    assert kl.grad is not None
    assert kl.grad.tolist() == [[0.5, 0.0, 0.5], [0.5, 0.0, 0.5]]


def test_free_bits_per_molecule_release_molecules_below_the_threshold() -> None:
    kl = leaf([[0.9, 0.9], [0.1, 0.05]])
    term = kl_term(kl, ObjectiveConfig(free_bits=1.0, free_bits_per="molecule"), 1.0)
    assert float(term.value.detach()) == pytest.approx((1.8 + 1.0) / 2)
    term.value.backward()
    assert kl.grad is not None
    assert kl.grad.tolist() == [[0.5, 0.5], [0.0, 0.0]]


def test_negative_weights_are_refused() -> None:
    with pytest.raises(ConfigError, match="kl_weight"):
        ObjectiveConfig.parse({"kl_weight": -1})
