"""The composed model: one set of invariants over all variants, and what training reaches."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from molvae.base.errors import ConfigError, InputError
from molvae.models.batch import Batch
from molvae.models.bottleneck import Posterior
from molvae.models.config import HeadConfig, ModelConfig, Target
from molvae.models.objective import ObjectiveConfig
from molvae.models.packing import Packing
from molvae.models.presets import PRESETS, preset
from molvae.models.prior import StandardNormal
from molvae.models.vae import SequenceVAE

VOCAB, MAX_LENGTH = 13, 12
TINY = PRESETS["tiny"]
HEAD = HeadConfig(
    targets=(Target(name="logp"), Target(name="active", kind="classification")), hidden=(8,)
)
VARIANTS = {
    "tiny": TINY,
    "one direction": TINY.replace(bidirectional=False),
    "deep": TINY.replace(encoder_layers=2, decoder_layers=3),
    "tied": TINY.replace(tie_embeddings=True),
    "token dropout": TINY.replace(token_dropout=0.4),
    "floored": TINY.replace(min_std=0.2),
    "head": TINY.replace(head=HEAD.to_dict()),
    "windows": TINY.replace(window=3, window_dim=2, min_std=0.1),
    "windows alone": TINY.replace(latent_dim=0, window=2, window_dim=4, decoder_layers=2),
    "forgetful": TINY.replace(window=2, window_dim=3, forget=0.5),
}


@pytest.fixture(params=VARIANTS, ids=str)
def model(request: pytest.FixtureRequest) -> SequenceVAE:
    return make(VARIANTS[request.param])


def make(config: ModelConfig = TINY, seed: int = 0) -> SequenceVAE:
    return SequenceVAE(config, VOCAB, MAX_LENGTH, seed=seed).double()


def batch(n: int = 5, seed: int = 0, symbols: int = 9) -> Batch:
    random = np.random.default_rng(seed)
    rows = [random.integers(3, VOCAB, size=random.integers(1, symbols)) for _ in range(n)]
    labels = random.normal(size=(n, 2))
    labels[:, 1] = labels[:, 1] > 0
    labels[0, 0] = math.nan
    return Batch.collate(rows, labels)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_shapes(model: SequenceVAE) -> None:
    b = batch()
    posterior = model.encode(b.tokens, b.lengths)
    assert posterior.mean.shape == posterior.log_var.shape == (5, model.latent_dim)
    logits = model.logits(b.tokens, b.lengths, posterior.mean)
    assert logits.shape == (5, b.tokens.shape[1] - 1, VOCAB)
    assert model.log_likelihood(b.tokens, b.lengths, posterior.mean).shape == (5,)
    assert bool((posterior.std > model.config.min_std).all())


def test_a_row_is_encoded_and_scored_alike_alone_and_among_longer_ones(model: SequenceVAE) -> None:
    b = batch(6)
    together = model.encode(b.tokens, b.lengths).mean
    scores = model.log_likelihood(b.tokens, b.lengths, together)
    for i, length in enumerate(b.lengths.tolist()):
        tokens, lengths = b.tokens[i : i + 1, :length], b.lengths[i : i + 1]
        torch.testing.assert_close(model.encode(tokens, lengths).mean[0], together[i])
        alone = model.log_likelihood(tokens, lengths, together[i : i + 1])
        torch.testing.assert_close(alone[0], scores[i])


def test_the_decoder_does_not_see_the_symbol_it_predicts(model: SequenceVAE) -> None:
    b = batch(1, symbols=9)
    length = int(b.lengths[0])
    z = model.sample_prior(1, generator()).double()
    before = model.logits(b.tokens, b.lengths, z)
    for place in range(1, length):
        changed = b.tokens.clone()
        changed[0, place] = 3 + (changed[0, place] - 2) % (VOCAB - 3)
        after = model.logits(changed, b.lengths, z)
        assert torch.equal(before[0, :place], after[0, :place])
        if place < length - 1:
            assert not torch.allclose(before[0, place], after[0, place])


@pytest.mark.parametrize(
    "name", [n for n, c in VARIANTS.items() if not c.token_dropout and not c.forget]
)
def test_losses_are_the_evidence_lower_bound_written_out(name: str) -> None:
    model = make(VARIANTS[name])
    b = batch()
    terms = model.losses(b, ObjectiveConfig(kl_weight=0.3, property_weight=2.0), generator(1))
    posterior = model.encode(b.tokens, b.lengths)
    noise = torch.randn(5, model.latent_dim, generator=generator(1)).double()
    z = posterior.mean + posterior.std * noise
    log_p = model.logits(b.tokens, b.lengths, z).log_softmax(-1)
    nats = torch.zeros(5, dtype=torch.float64)
    right = 0
    for i, length in enumerate(b.lengths.tolist()):
        for place in range(1, length):
            nats[i] -= log_p[i, place - 1, b.tokens[i, place]]
            right += int(log_p[i, place - 1].argmax() == b.tokens[i, place])
    kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(posterior.mean, posterior.std),
        torch.distributions.Normal(torch.zeros((), dtype=torch.float64), 1.0),
    ).sum(1)
    expected = nats.mean() + 0.3 * kl.mean()
    if model.head is not None:
        expected = expected + 2 * model.head.negative_log_likelihood(z, b.labels).sum() / 5
    torch.testing.assert_close(terms.terms["reconstruction"].raw, nats.mean().detach())
    torch.testing.assert_close(terms.terms["kl"].raw, kl.mean().detach())
    torch.testing.assert_close(terms.total, expected)
    tokens = int((b.lengths - 1).sum())
    log = terms.log()
    assert log["nats_per_token"] == pytest.approx(float(nats.detach().sum()) / tokens)
    assert log["token_accuracy"] == pytest.approx(right / tokens)
    assert log["kl_weight"] == 0.3
    torch.testing.assert_close(
        model.elbo(b.tokens, b.lengths, noise[None]), -(nats + kl), rtol=1e-9, atol=1e-9
    )


def test_losses_depend_on_the_generator_and_nothing_else(model: SequenceVAE) -> None:
    b = batch()
    state = torch.get_rng_state()
    first = model.losses(b, ObjectiveConfig(), generator(5)).log()
    torch.manual_seed(12345)
    assert model.losses(b, ObjectiveConfig(), generator(5)).log() == first
    assert model.losses(b, ObjectiveConfig(), generator(6)).log() != first
    torch.set_rng_state(state)
    make(model.config)
    model.losses(b, ObjectiveConfig(), generator(5)).total.backward()
    assert torch.equal(torch.get_rng_state(), state)


def test_gradients_agree_with_finite_differences(model: SequenceVAE) -> None:
    b = batch(3)

    def loss() -> Tensor:
        return model.losses(b, ObjectiveConfig(kl_weight=0.7), generator(2)).total

    loss().backward()
    random = generator(3)
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        direction = torch.randn(weight.shape, generator=random, dtype=torch.float64)
        step = 1e-5 * direction
        with torch.no_grad():
            weight += step
            up = loss()
            weight -= 2 * step
            down = loss()
            weight += step
        slope = (up - down) / 2e-5
        torch.testing.assert_close((weight.grad * direction).sum(), slope, rtol=2e-5, atol=1e-7)


def test_weights_survive_a_safetensors_file(model: SequenceVAE, tmp_path: Path) -> None:
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    other = make(model.config, seed=1)
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    b = batch()
    log = model.losses(b, ObjectiveConfig(), generator()).log()
    assert other.losses(b, ObjectiveConfig(), generator()).log() == log


def test_the_seed_determines_the_initial_weights() -> None:
    first, again, other = make(seed=3), make(seed=3), make(seed=4)
    for (name, a), b, c in zip(
        first.named_parameters(), again.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(a, b)
        assert "bias" in name or not torch.equal(a, c)


def test_a_copy_of_a_model_is_independent(model: SequenceVAE) -> None:
    twin = copy.deepcopy(model)
    b = batch()
    model.losses(b, ObjectiveConfig(), generator()).total.backward()
    with torch.no_grad():
        for weight in twin.parameters():
            weight.zero_()
    assert all(float(w.abs().sum()) > 0 for n, w in model.named_parameters() if "bias" not in n)


def test_bfloat16_autocast_trains_close_to_single_precision() -> None:
    model = make().float()
    b = batch()
    exact = model.losses(b, ObjectiveConfig(), generator())
    with torch.autocast("cpu", torch.bfloat16):
        rough = model.losses(b, ObjectiveConfig(), generator())
    rough.total.backward()
    assert float(rough.total) == pytest.approx(float(exact.total), rel=0.02)
    assert all(w.grad is not None and bool(w.grad.isfinite().all()) for w in model.parameters())


class PlainVAE(nn.Module):
    """The same model by nn.GRU, padding and concatenation: what ours must train like."""

    def __init__(self, model: SequenceVAE) -> None:
        super().__init__()
        self.model = model
        encoder, (decoder,) = model.encoder.layers[0], model.decoder.layers
        self.encoder = nn.GRU(TINY.embedding_dim, TINY.encoder_hidden, bidirectional=True)
        for layer, suffix in zip(encoder, ("", "_reverse"), strict=True):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                setattr(self.encoder, f"{name}_l0{suffix}", nn.Parameter(getattr(layer, name)))
        self.decoder = nn.GRU(TINY.embedding_dim + TINY.latent_dim, TINY.decoder_hidden)
        with torch.no_grad():
            self.decoder.weight_ih_l0.copy_(
                torch.cat([decoder.weight_ih, decoder.weight_context], 1)
            )
            for name in ("weight_hh", "bias_ih", "bias_hh"):
                getattr(self.decoder, f"{name}_l0").copy_(getattr(decoder, name))

    def loss(self, b: Batch, objective: ObjectiveConfig, noise: Tensor) -> Tensor:
        model, tokens = self.model, b.tokens.t()
        vectors = model.encoder.embedding(tokens[1:])
        packed = nn.utils.rnn.pack_padded_sequence(vectors, b.lengths - 1, enforce_sorted=False)
        final = self.encoder(packed)[1]
        features = torch.cat([final[0], final[1]], 1)
        q: Posterior = model.bottleneck(Packing.of(b.lengths - 1), features, None)
        z = q.sample(noise)
        inputs = model.decoder.embedding(tokens[:-1])
        inputs = torch.cat([inputs, z.expand(len(inputs), -1, -1)], 2)
        states, _ = self.decoder(inputs, torch.tanh(model.decoder.initial(z))[None])
        mask = torch.arange(len(inputs))[:, None] < b.lengths - 1
        nats = nn.functional.cross_entropy(
            model.decoder.output(states)[mask], tokens[1:][mask], reduction="sum"
        )
        return nats / len(b) + objective.kl_weight * q.kl().sum(1).mean()


@pytest.mark.slow
def test_training_follows_the_same_loss_curve_as_a_plain_implementation() -> None:
    ours = make().float()
    plain = PlainVAE(make().float())
    objective = ObjectiveConfig(kl_weight=0.1)
    curves: dict[str, list[float]] = {"ours": [], "plain": []}
    optimisers = {
        "ours": torch.optim.SGD(ours.parameters(), 0.05),
        "plain": torch.optim.SGD(plain.parameters(), 0.05),
    }
    for step in range(60):
        b = batch(16, seed=step % 4)
        noise = torch.randn(16, TINY.latent_dim, generator=generator(step))
        for name, loss in (
            ("ours", ours.losses(b, objective, generator(step)).total),
            ("plain", plain.loss(b, objective, noise)),
        ):
            optimisers[name].zero_grad()
            loss.backward()
            optimisers[name].step()
            curves[name].append(float(loss.detach()))
    np.testing.assert_allclose(curves["ours"], curves["plain"], rtol=2e-4)
    assert np.mean(curves["ours"][-8:]) < 0.9 * np.mean(curves["ours"][:8])


def test_posterior_width_never_falls_below_its_floor() -> None:
    model = make(TINY.replace(min_std=0.25))
    with torch.no_grad():
        model.bottleneck.project.bias[TINY.latent_dim :] = -50
    b = batch()
    std = model.encode(b.tokens, b.lengths).std
    torch.testing.assert_close(std, torch.full_like(std, 0.25))


def test_closed_form_kl_agrees_with_a_sampled_one() -> None:
    posterior = Posterior(torch.tensor([[0.7, -0.2]]), torch.tensor([[-1.0, 0.3]]))
    prior = StandardNormal(2)
    z = posterior.sample(torch.randn(200_000, 2, generator=generator()))
    sampled = (posterior.log_prob(z) - prior.log_prob(z)).mean()
    assert float(sampled) == pytest.approx(float(posterior.kl().sum()), abs=0.01)


def test_collate_trims_to_the_longest_row_and_keeps_missing_labels() -> None:
    b = Batch.collate([[5], [6, 7, 8], []], np.array([[1.0], [math.nan], [2.0]]))
    assert b.tokens.tolist() == [[1, 5, 2, 0, 0], [1, 6, 7, 8, 2], [1, 2, 0, 0, 0]]
    assert b.lengths.tolist() == [3, 5, 2]
    assert b.labels is not None
    assert b.labels.dtype == torch.float32
    assert b.labels.isnan().squeeze(1).tolist() == [False, True, False]


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(InputError, match="at least one molecule"):
        Batch.collate([])


def test_a_model_without_a_head_says_so() -> None:
    with pytest.raises(InputError, match="no property head"):
        make().predict(torch.zeros(1, TINY.latent_dim))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decoder_layers": 4}, "less than or equal to 3"),
        ({"latent_dim": -1}, "greater than or equal to 0"),
        ({"latent_dim": 0}, "no windows"),
        ({"token_dropout": 1.5}, "less than or equal to 1"),
        ({"latent_dims": 8}, "did you mean 'latent_dim'"),
        ({"head": {"targets": []}}, "at least 1 item"),
        ({"head": {"targets": [{"name": "a"}, {"name": "a"}]}}, "named twice"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TINY.replace(**changes)


def test_unknown_presets_name_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=", ".join(PRESETS)):
        preset("big")
