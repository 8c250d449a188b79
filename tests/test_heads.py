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
from molvae.models.windows import Windows
from molvae.training.config import OptimiserConfig
from molvae.training.head import Examples, calibrate, fit_to_latents

D = 4
PLAIN = Windows(count=0, size=0, width=1, rest=D)


def make(*targets: Target, hidden: tuple[int, ...] = (16,)) -> PropertyHead:
    config = HeadConfig(targets=targets, hidden=hidden)
    return PropertyHead(PLAIN, config, torch.Generator().manual_seed(0))


def z(n: int, seed: int = 1) -> Tensor:
    return torch.randn(n, D, generator=torch.Generator().manual_seed(seed))


LOGP = Target(name="logp")
ACTIVE = Target(name="active", kind="classification")


def fit(head: PropertyHead, latents: Tensor, labels: Tensor, steps: int = 400) -> None:
    optimiser = torch.optim.Adam(head.parameters(), 0.02)
    for step in range(steps):
        # Down to nothing: where a run stops must not depend on the rounding of a processor.
        optimiser.param_groups[0]["lr"] = 0.02 * (1 - step / steps)
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
    width = 1.5 * (-0.6 * latents[:, 1]).exp()  # smooth, so that the answer is one
    labels = (50 + 10 * latents[:, 0] + width * noise)[:, None]
    head = make(LOGP)
    head.fit_scaling(labels)
    fit(head, latents, labels)
    with torch.no_grad():
        prediction = head.predict(latents)
    error = prediction.values[:, 0] - (50 + 10 * latents[:, 0])
    assert float(error.square().mean().sqrt()) < 1.0
    share = prediction.std[:, 0] / width
    for part in (latents[:, 1] > 1, latents[:, 1] < -1):
        assert float(share[part].median()) == pytest.approx(1.0, rel=0.2)


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


def ensemble(*targets: Target, members: int = 5) -> PropertyHead:
    config = HeadConfig(targets=targets, hidden=(16,), members=members)
    return PropertyHead(PLAIN, config, torch.Generator().manual_seed(0))


def test_an_ensemble_is_its_members_side_by_side() -> None:
    many = ensemble(LOGP, ACTIVE)
    labels = torch.tensor([[3.0, 1.0], [-1.0, 0.0], [0.5, math.nan]])
    many.fit_scaling(labels)
    nats = many.member_nats(z(3), labels)
    assert nats.shape == (5, 3, 2)
    torch.testing.assert_close(many.negative_log_likelihood(z(3), labels), nats.mean(0))
    ones = []
    for member in range(5):
        one = make(LOGP, ACTIVE)
        one.fit_scaling(labels)
        for mine, theirs in zip(one.parameters(), many.parameters(), strict=True):
            mine.data = theirs.data[member]
        ones.append(one)
        torch.testing.assert_close(one.member_nats(z(3), labels), nats[member])
    with torch.no_grad():
        found = many.predict(z(3))
        each = [one.predict(z(3)) for one in ones]
    values = torch.stack([p.values for p in each])
    torch.testing.assert_close(found.values, values.mean(0))
    # The variance of a mixture: the mean of the variances and the variance of the means.
    variance = torch.stack([p.std for p in each]).square().mean(0) + values.var(0, correction=0)
    torch.testing.assert_close(found.std[:, 0], variance[:, 0].sqrt())


@pytest.mark.parametrize("members", [1, 3])
def test_folding_the_inputs_scale_into_the_weights_changes_no_prediction(members: int) -> None:
    head = ensemble(LOGP, ACTIVE, members=members)
    centre, spread = torch.arange(4.0), torch.tensor([0.1, 1.0, 3.0, 10.0])
    with torch.no_grad():
        before = head.predict((z(6) - centre) / spread)
        head.fold_inputs(centre, spread)
        after = head.predict(z(6))
    torch.testing.assert_close(after.values, before.values)
    torch.testing.assert_close(after.std, before.std)


def noisy(n: int, seed: int, width: float) -> Examples:
    """Labels off a plane by ``width``, and a coin whose chance follows z."""
    latents = z(n, seed)
    random = torch.Generator().manual_seed(seed + 100)
    number = latents[:, 0] + width * torch.randn(n, generator=random)
    coin = (torch.rand(n, generator=random) < torch.sigmoid(2 * latents[:, 1])).float()
    labels = torch.stack([number, coin], 1)
    return Examples(latents, torch.full_like(latents, -6.0), labels)


@pytest.mark.parametrize("members", [1, 4])
def test_what_is_fitted_learns_and_can_be_taken_at_its_word(members: int) -> None:
    config = HeadConfig(targets=(LOGP, ACTIVE), hidden=(32,), members=members)
    parts = [noisy(n, seed, 0.5) for n, seed in ((400, 1), (150, 2), (2000, 3))]
    settings = OptimiserConfig(batch_size=64, learning_rate=0.01)
    head, again = (
        fit_to_latents(config, PLAIN, *parts[:2], settings, epochs=80, patience=8, progress=False)
        for _ in range(2)
    )
    test = parts[2]
    found = head.predict(test.mean)
    assert torch.equal(found.values, again.predict(test.mean).values)
    error = test.labels[:, 0] - found.values[:, 0]
    assert float(error.square().mean().sqrt()) < 0.65  # the noise alone is 0.5
    inside = (error.abs() < 1.645 * found.std[:, 0]).float().mean()
    assert float(inside) == pytest.approx(0.9, abs=0.05)
    chance = found.values[:, 1]
    assert float((chance - torch.sigmoid(2 * test.mean[:, 1])).abs().mean()) < 0.1


def test_a_head_that_is_too_sure_is_made_as_unsure_as_it_should_be() -> None:
    config = HeadConfig(targets=(LOGP, ACTIVE), hidden=(32,), members=4)
    settings = OptimiserConfig(batch_size=64, learning_rate=0.01)
    quiet, loud = noisy(400, 1, 0.1), noisy(1000, 2, 1.0)
    head = fit_to_latents(config, PLAIN, quiet, quiet, settings, epochs=40, progress=False)
    before = head.predict(loud.mean)
    calibrate(head, loud)
    after = head.predict(loud.mean)
    torch.testing.assert_close(after.values[:, 0], before.values[:, 0])
    error = (loud.labels - after.values)[:, 0].abs()
    assert float((error < 1.645 * before.std[:, 0]).float().mean()) < 0.5
    assert float((error < 1.645 * after.std[:, 0]).float().mean()) == pytest.approx(0.9, abs=0.05)


def test_windows_that_a_molecule_does_not_reach_are_not_blurred() -> None:
    mean = torch.tensor([[0.3, 0.0], [0.0, 0.0]])
    log_var = torch.tensor([[-2.0, 0.0], [-1.0, 0.0]])
    std = Examples(mean, log_var, torch.zeros(2, 1)).std()
    torch.testing.assert_close(std, torch.tensor([[math.exp(-1), 0.0], [math.exp(-0.5), 0.0]]))


@pytest.mark.filterwarnings("error")
def test_a_head_is_fitted_without_molecules_to_calibrate_it_by() -> None:
    config = HeadConfig(targets=(LOGP, ACTIVE), members=2)
    few, none = noisy(12, 1, 0.5), noisy(0, 2, 0.5)
    head = fit_to_latents(config, PLAIN, few, none, OptimiserConfig(), epochs=2, progress=False)
    assert bool(head.predict(few.mean).values.isfinite().all())
