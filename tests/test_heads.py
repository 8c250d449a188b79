"""The property head: missing labels, units, uncertainty."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from molvae.base.errors import InputError
from molvae.models.config import HeadConfig, Target
from molvae.models.heads import PropertyHead

D = 4


def make(*targets: Target, hidden: tuple[int, ...] = (16,)) -> PropertyHead:
    config = HeadConfig(targets=targets, hidden=hidden)
    return PropertyHead(D, config, torch.Generator().manual_seed(0))


def z(n: int, seed: int = 1) -> Tensor:
    return torch.randn(n, D, generator=torch.Generator().manual_seed(seed))


LOGP = Target(name="logp")
ACTIVE = Target(name="active", kind="classification")


def fit(head: PropertyHead, latents: Tensor, labels: Tensor, steps: int = 400) -> None:
    optimiser = torch.optim.Adam(head.parameters(), 0.02)
    for _ in range(steps):
        optimiser.zero_grad()
        head.negative_log_likelihood(latents, labels).mean().backward()
        optimiser.step()


def test_likelihoods_are_those_of_torch_distributions() -> None:
    head = make(LOGP, ACTIVE)
    labels = torch.tensor([[3.0, 1.0], [-1.0, 0.0], [0.5, 1.0]])
    head.fit_scaling(labels)
    nats = head.negative_log_likelihood(z(3), labels)
    first, log_var = head(z(3))
    scaled = (labels[:, 0] - head.mean[0]) / head.scale[0]
    gaussian = torch.distributions.Normal(first[:, 0], (0.5 * log_var[:, 0]).exp())
    bernoulli = torch.distributions.Bernoulli(logits=first[:, 1])
    torch.testing.assert_close(nats[:, 0], -gaussian.log_prob(scaled))
    torch.testing.assert_close(nats[:, 1], -bernoulli.log_prob(labels[:, 1]))


def test_missing_labels_cost_nothing_and_move_nothing() -> None:
    head = make(LOGP, ACTIVE)
    labels = torch.tensor([[1.0, math.nan], [math.nan, 1.0], [math.nan, math.nan]])
    latents = z(3).requires_grad_()
    nats = head.negative_log_likelihood(latents, labels)
    assert (nats == 0).tolist() == [[False, True], [True, False], [True, True]]
    nats.sum().backward()
    assert latents.grad is not None
    assert bool(latents.grad.isfinite().all())
    assert bool((latents.grad[2] == 0).all())
    assert all(bool(w.grad.isfinite().all()) for w in head.parameters() if w.grad is not None)


def test_scaling_ignores_missing_labels_and_leaves_classes_alone() -> None:
    head = make(LOGP, ACTIVE)
    head.fit_scaling(np.array([[100.0, 1.0], [math.nan, 0.0], [300.0, math.nan]]))
    assert head.mean.tolist() == [200.0, 0.0]
    assert head.scale.tolist() == [100.0, 1.0]


def test_predictions_are_in_the_labels_units() -> None:
    head = make(LOGP)
    before = head.predict(z(8))
    head.fit_scaling(torch.tensor([[300.0], [500.0]]))
    after = head.predict(z(8))
    torch.testing.assert_close(after.values, before.values * 100 + 400)
    torch.testing.assert_close(after.std, before.std * 100)


def test_constant_labels_keep_a_scale_of_one() -> None:
    head = make(LOGP)
    head.fit_scaling(torch.full((5, 1), 7.3))
    assert head.scale.tolist() == [1.0]
    assert head.predict(z(2)).values.isfinite().all()


def test_learns_the_mean_and_a_width_that_depends_on_z() -> None:
    latents = z(2000)
    noise = z(2000, seed=2)[:, 0]
    width = torch.where(latents[:, 1] > 0, 0.5, 4.0)
    labels = (50 + 10 * latents[:, 0] + width * noise)[:, None]
    head = make(LOGP)
    head.fit_scaling(labels)
    fit(head, latents, labels)
    with torch.no_grad():
        prediction = head.predict(latents)
    error = prediction.values[:, 0] - (50 + 10 * latents[:, 0])
    assert float(error.square().mean().sqrt()) < 1.0
    narrow = prediction.std[latents[:, 1] > 1, 0].median()
    wide = prediction.std[latents[:, 1] < -1, 0].median()
    assert float(narrow) == pytest.approx(0.5, rel=0.4)
    assert float(wide) == pytest.approx(4.0, rel=0.25)


def test_learns_class_probabilities() -> None:
    latents = z(4000)
    probability = torch.sigmoid(2 * latents[:, 0])
    random = torch.rand(4000, generator=torch.Generator().manual_seed(3))
    labels = (random < probability).float()[:, None]
    head = make(ACTIVE, hidden=())
    fit(head, latents, labels)
    with torch.no_grad():
        prediction = head.predict(latents)
    assert float((prediction.values[:, 0] - probability).abs().mean()) < 0.03
    torch.testing.assert_close(prediction.std, (prediction.values * (1 - prediction.values)).sqrt())


@pytest.mark.parametrize(
    ("targets", "labels", "message"),
    [
        ((LOGP, ACTIVE), [[1.0], [2.0]], "shape"),
        ((LOGP,), [[math.nan], [math.nan]], "'logp' has no labels"),
        ((LOGP,), [[math.inf], [1.0]], "'logp' has infinite labels"),
        ((ACTIVE,), [[0.0], [2.0]], "'active' is a class"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(
    targets: tuple[Target, ...], labels: list[list[float]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        make(*targets).fit_scaling(np.array(labels))
