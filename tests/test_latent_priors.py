"""Priors that are fitted to a model's latents: right densities, better than N(0, I), and saved."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import tiny_config, tiny_corpus

from molvae.base.errors import ConfigError, InputError
from molvae.generator import Generator, load
from molvae.models.config import PriorConfig
from molvae.models.flow import Flow
from molvae.models.mixture import Mixture, VampPrior
from molvae.models.prior import StandardNormal
from molvae.training.checkpoint import load_model
from molvae.training.latent_priors import Latents, encoded, fit_flow, fit_mixture, fit_vamp
from molvae.training.loop import train
from molvae.training.prior import fit_prior, with_prior

VQ = {"bottleneck": {"kind": "vq", "codes": 16, "code_dim": 2}}
KINDS = {
    "mixture": PriorConfig(kind="mixture", components=2),
    "vamp": PriorConfig(kind="vamp", components=20),
    "flow": PriorConfig(kind="flow", hidden=16, transforms=2),
}


def needs_zuko(kind: str) -> None:
    if kind == "flow":
        pytest.importorskip("zuko")


def trained(out: Path, **model: object) -> Path:
    config = tiny_config(
        model=model, objective={"kl_weight": 0.02}, run={"steps": 60}, optimiser={"average": 0.9}
    )
    return train(tiny_corpus(), out, config, progress=False)


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("runs") / "vae")


@pytest.fixture(scope="module")
def vq(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("runs") / "vq", **VQ)


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_fitted_prior_expects_held_out_latents_more_than_the_normal_one(kind, vae):
    needs_zuko(kind)
    made = with_prior(vae, KINDS[kind], tiny_corpus(), steps=100)
    z = encoded(made, tiny_corpus(), 200, seed=5).z
    with torch.no_grad():
        own, normal = made.model.prior.log_prob(z), StandardNormal(z.shape[1]).log_prob(z)
    assert float(own.mean()) > float(normal.mean())
    assert np.isfinite(made.provenance["prior_fitted"]["held_out_nats"])


@pytest.mark.parametrize("kind", list(KINDS))
def test_it_is_saved_samples_alike_and_gives_molecules(kind, vae, tmp_path):
    needs_zuko(kind)
    out = fit_prior(vae, tmp_path / "m", KINDS[kind], tiny_corpus(), steps=20)
    again = fit_prior(vae, tmp_path / "again", KINDS[kind], tiny_corpus(), steps=20)
    assert (out / "model.safetensors").read_bytes() == (again / "model.safetensors").read_bytes()
    generator = load(out, "cpu")
    assert generator.model.config.prior.kind == kind
    assert len(generator.sample(5, seed=1)) == 5
    assert np.array_equal(generator.sample_prior(7, 3), generator.sample_prior(7, 3))
    assert not np.array_equal(generator.sample_prior(7, 3), generator.sample_prior(7, 4))
    assert generator.sample_prior(0).shape == (0, 4)


def test_a_mixture_finds_two_clusters_with_their_correlations():
    generator = torch.Generator().manual_seed(0)
    mixing = torch.tensor([[1.0, 0.0], [0.9, 0.3]])
    z = torch.randn(2000, 2, generator=generator) @ mixing.t()
    z[:500] += 8
    prior = Mixture(2, 2)
    fit_mixture(prior, z, seed=0)
    weights = prior.log_weights.exp()
    small = int(weights.argmin())
    assert float(weights[small]) == pytest.approx(0.25, abs=0.01)
    assert prior.means[small].tolist() == pytest.approx([8, 8], abs=0.2)
    covariance = prior.factors[1 - small] @ prior.factors[1 - small].t()
    assert covariance.flatten().tolist() == pytest.approx([1, 0.9, 0.9, 0.9], abs=0.1)
    drawn = prior.sample(20_000, generator)
    assert torch.allclose(torch.cov(drawn.t()), torch.cov(z.t()), atol=0.6)
    normal = torch.distributions.MultivariateNormal(prior.means[0], scale_tril=prior.factors[0])
    other = torch.distributions.MultivariateNormal(prior.means[1], scale_tril=prior.factors[1])
    both = torch.stack([normal.log_prob(z), other.log_prob(z)], 1) + prior.log_weights
    assert torch.allclose(prior.log_prob(z), both.logsumexp(1), atol=1e-3)


def test_a_vamp_prior_weighs_its_molecules_and_has_the_density_of_their_posteriors():
    generator = torch.Generator().manual_seed(0)
    mean = torch.cat([torch.zeros(300, 2), torch.full((100, 2), 5.0)])
    std = torch.full_like(mean, 0.5)
    z = mean + std * torch.randn(mean.shape, generator=generator)
    prior = VampPrior(2, 40)
    fit_vamp(prior, Latents(mean, std, z), seed=0)
    far = prior.means[:, 0] > 1
    assert float(prior.log_weights.exp()[far].sum()) == pytest.approx(0.25, abs=0.03)
    normals = torch.distributions.Normal(prior.means, prior.stds)
    expected = normals.log_prob(z[:, None]).sum(2) + prior.log_weights
    assert torch.allclose(prior.log_prob(z), expected.logsumexp(1), atol=1e-3)
    drawn = prior.sample(4000, generator)
    assert float((drawn[:, 0] > 2.5).float().mean()) == pytest.approx(0.25, abs=0.05)


@pytest.mark.slow
def test_a_flow_bends_a_gaussian_and_its_samples_have_its_density():
    pytest.importorskip("zuko")
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4000, generator=generator)
    z = torch.stack([x, x.square() + 0.3 * torch.randn(4000, generator=generator)], 1)
    prior = Flow(2, PriorConfig(kind="flow", hidden=32, transforms=4))
    before = torch.get_rng_state()
    fit_flow(prior, z[400:], z[:400], steps=300, seed=0, progress=False)
    assert torch.equal(torch.get_rng_state(), before)
    gaussian = torch.distributions.MultivariateNormal(z.mean(0), torch.cov(z.t()))
    with torch.no_grad():
        assert prior.log_prob(z).mean() > gaussian.log_prob(z).mean() + 0.5
        drawn = prior.sample(4000, generator)
        assert float(torch.corrcoef(torch.stack([drawn[:, 0] ** 2, drawn[:, 1]]))[0, 1]) > 0.8
        # The volume change is right: the density is 1 in all.
        grid = torch.cartesian_prod(torch.linspace(-6, 6, 200), torch.linspace(-6, 20, 400))
        cell = (12 / 199) * (26 / 399)
        assert float(prior.log_prob(grid).exp().sum() * cell) == pytest.approx(1, abs=0.03)


@pytest.mark.slow
def test_a_flow_of_few_molecules_stops_before_it_knows_them_by_heart():
    pytest.importorskip("zuko")
    z = torch.randn(300, 16, generator=torch.Generator().manual_seed(0))
    prior = Flow(16, PriorConfig(kind="flow", hidden=64, transforms=4))
    fit_flow(prior, z[60:], z[:60], steps=500, seed=0, progress=False)
    gaussian = torch.distributions.Normal(0.0, 1.0).log_prob(z[:60]).sum(1).mean()
    with torch.no_grad():
        assert prior.log_prob(z[:60]).mean() > gaussian - 2  # it was 6 nats worse


def test_a_flow_without_zuko_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'molvae\[flows\]'"):
        Flow(4, PriorConfig(kind="flow"))


def test_a_prior_over_codes_learns_which_codes_go_together(vq, tmp_path):
    config = PriorConfig(kind="codes", hidden=24)
    out = fit_prior(vq, tmp_path / "codes", config, tiny_corpus(), steps=150)
    loaded = load_model(out)
    prior, book = loaded.model.prior, loaded.model.bottleneck.codebook
    z = encoded(loaded, tiny_corpus(), 200, seed=5).z
    with torch.no_grad():
        assert prior.log_prob(z).mean() > -2 * np.log(16)
        # The probabilities of all pairs of codes add up to 1.
        pairs = torch.cartesian_prod(torch.arange(17), torch.arange(17))
        assert float(prior.log_prob_of(pairs).exp().sum()) == pytest.approx(1, abs=1e-4)
    generator = load(out, "cpu")
    drawn = generator.sample_prior(500, seed=1)
    # What is drawn are vectors of codes, as often as the prior says.
    codes = book.nearest(torch.from_numpy(drawn))
    assert torch.equal(book(torch.from_numpy(drawn)), torch.from_numpy(drawn))
    first = torch.bincount(codes[:, 0], minlength=17) / 500
    with torch.no_grad():
        expected = prior.log_prob_of(pairs).exp().view(17, 17).sum(1)
    assert torch.allclose(first, expected, atol=0.08)
    assert len(generator.sample(5, seed=1)) == 5


@pytest.mark.parametrize(
    ("model", "prior", "message"),
    [
        ({}, {"kind": "codes"}, "needs a VQ-VAE"),
        ({"window": 2, "window_dim": 2}, {"kind": "mixture", "components": 2}, "has windows"),
        (VQ, {"kind": "vamp", "components": 2}, "no width"),
    ],
)
def test_a_prior_that_does_not_suit_the_model_is_refused(model, prior, message, tmp_path):
    start = train(
        tiny_corpus(), tmp_path / "m", tiny_config(model=model, run={"steps": 1}), progress=False
    )
    with pytest.raises(ConfigError, match=message):
        with_prior(start, PriorConfig.parse(prior), tiny_corpus())


def test_too_few_molecules_and_no_corpus_are_named(vae):
    with pytest.raises(InputError, match="too few to fit a mixture prior of 10 components"):
        with_prior(vae, PriorConfig(kind="mixture", components=10), tiny_corpus(), molecules=12)
    with pytest.raises(ConfigError, match="needs the corpus"):
        with_prior(vae, KINDS["mixture"])
    with pytest.raises(ConfigError, match="their number is 0"):
        PriorConfig.parse({"kind": "vamp"})


def test_fine_tuning_leaves_a_fitted_prior_behind(vae, tmp_path):
    made = with_prior(vae, KINDS["mixture"], tiny_corpus())
    config = tiny_config(run={"steps": 2}, model={})
    tuned = train(tiny_corpus(), tmp_path / "t", config, start=made, progress=False)
    assert load_model(tuned).model.config.prior.kind == "normal"


def test_codes_are_of_windows_too_and_blank_where_a_molecule_ends(tmp_path):
    model = {**VQ, "window": 4, "window_dim": 2, "latent_dim": 0}
    start = train(
        tiny_corpus(), tmp_path / "m", tiny_config(model=model, run={"steps": 20}), progress=False
    )
    made = with_prior(start, PriorConfig(kind="codes", hidden=16), tiny_corpus(), steps=40)
    generator = Generator(made.model, made.tokenizer)
    z = generator.encode(["CCO"])
    indices = made.model.bottleneck.codebook.nearest(torch.from_numpy(z))[0]
    assert (indices == 16).tolist() == [False] + [True] * (len(indices) - 1)
    assert generator.sample_prior(4).shape == (4, made.model.latent_dim)
