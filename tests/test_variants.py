"""One set of invariants over every preset: whatever the variant, a model is a model."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import corpus_of, sample_smiles, tiny_config, tiny_corpus

from molvae.base.errors import ConfigError, InterruptedRun
from molvae.chem.smiles import canonicalise_many
from molvae.generator import Generator, load
from molvae.latent.ascent import climb
from molvae.models.batch import Batch
from molvae.models.codebook import Codebook
from molvae.models.config import BottleneckConfig, ModelConfig
from molvae.models.matching import Discriminator, contest, mmd
from molvae.models.presets import PRESETS
from molvae.models.vae import SequenceVAE
from molvae.optimize.run import optimize
from molvae.oracles.objective import Objective
from molvae.training import loop
from molvae.training.checkpoint import load_model, save_model
from molvae.training.config import TrainConfig
from molvae.training.export import export_model
from molvae.training.history import read_history
from molvae.training.job import TrainJob
from molvae.training.loop import train
from molvae.training.presets import preset_settings
from molvae.training.signals import StopRequest
from molvae.training.tensorfile import read_tensors

POINTS = {"autoencoder", "vq-vae", "aae", "wae"}


def small_config(name: str, **sections: dict[str, object]) -> TrainConfig:
    """The preset with its parts, objective and schedule, and a few units of each."""
    named = preset_settings(name)
    parts = named.model.bottleneck
    sizes: dict[str, object] = {
        "embedding_dim": 8,
        "encoder_hidden": 12,
        "latent_dim": 8,
        "decoder_hidden": 16,
        "latent_discriminator": min(16, named.model.latent_discriminator),
        "decoder_discriminator": min(16, named.model.decoder_discriminator),
        "bottleneck": parts.replace(codes=32, code_dim=2).to_dict(),
        **sections.pop("model", {}),
    }
    if named.model.conditions is not None:  # on a column that the corpus has
        told = named.model.conditions.to_dict()
        sizes["conditions"] = {**told, "properties": [{"name": "length"}], "drop_all": 0.5}
    values = {
        "model": {**named.model.to_dict(), **sizes},
        "objective": {**named.objective.to_dict(), **sections.pop("objective", {})},
        "schedule": {**named.schedule.to_dict(), "warmup_steps": 4, **sections.pop("schedule", {})},
        "optimiser": {"learning_rate": 0.03, **sections.pop("optimiser", {})},
        **sections,
    }
    return tiny_config(**values)


def same_weights(a: Path, b: Path) -> bool:
    first, second = (read_tensors(path / "model.safetensors")[0] for path in (a, b))
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@pytest.fixture(scope="module", params=list(PRESETS))
def variant(request, tmp_path_factory):
    """The name of a preset, and a model of it after a dozen steps."""
    out = tmp_path_factory.mktemp("variants") / request.param
    return request.param, train(
        tiny_corpus(),
        out,
        small_config(request.param, run={"steps": 12, "save_every": 50}),
        progress=False,
    )


def test_its_loss_falls_and_every_term_is_finite(variant):
    name, path = variant
    history = read_history(path / "history.csv")
    nats = history["train_reconstruction"]
    assert nats[-1] < 0.9 * nats[0]
    terms = {k.removeprefix("train_") for k in history if k.startswith("train_")}
    assert ("kl" in terms) == (name not in POINTS)
    assert ("commitment" in terms) == ("perplexity" in terms) == (name == "vq-vae")
    assert ("latent_adversarial" in terms) == (name == "aae")
    assert ("decoder_adversarial" in terms) == (name == "vae-gan")
    assert ("mmd" in terms) == (name == "wae")
    for key in history:
        if key.startswith("train_"):
            kept = [value for value in history[key] if not math.isnan(value)]
            assert len(kept) == 3, key
            assert np.isfinite(kept).all(), key


def test_it_is_saved_and_loaded_as_it_was(variant, tmp_path):
    _, path = variant
    loaded = load_model(path)
    save_model(tmp_path / "copy", loaded.model, loaded.tokenizer, loaded.config)
    assert same_weights(path, tmp_path / "copy")
    smiles = list(sample_smiles(n=6))
    assert np.array_equal(
        load(path, "cpu").encode(smiles), load(tmp_path / "copy", "cpu").encode(smiles)
    )


def test_its_export_in_half_precision_is_nearly_the_same_model(variant, tmp_path):
    _, path = variant
    export_model(path, tmp_path / "half", half=True)
    smiles = list(sample_smiles(n=6))
    whole, half = (load(p, "cpu").encode(smiles) for p in (path, tmp_path / "half"))
    assert np.allclose(whole, half, atol=0.02)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights_also_after_an_interruption(
    variant, tmp_path, monkeypatch
):
    name, path = variant
    out, config = tmp_path / "cut", small_config(name, run={"steps": 12, "save_every": 50})

    class StopAt(StopRequest):
        """A wish to stop that comes after some steps."""

        left = 7

        @property
        def signal_number(self):
            self.left -= 1
            return 15 if self.left == 0 else 0

        @signal_number.setter
        def signal_number(self, value):
            pass

    monkeypatch.setattr(loop, "StopRequest", StopAt)
    with pytest.raises(InterruptedRun):
        train(tiny_corpus(), out, config, progress=False)
    monkeypatch.undo()
    train(tiny_corpus(), out, config, resume=True, progress=False)
    assert same_weights(path, out)


def test_what_it_answers_belongs_to_what_it_was_asked(variant):
    name, path = variant
    generator = load(path, "cpu")
    smiles = ["CCO", "no molecule", "c1ccccc1", None, "CCN"]
    found = generator.posterior(smiles)
    assert [reason is None for reason in found.reasons] == [True, False, True, False, True]
    alone = np.concatenate([generator.encode([s]) for s in smiles])
    assert np.allclose(found.mean, alone, atol=1e-5, equal_nan=True)
    back = generator.decode(found.mean)
    assert back == [generator.decode(z[None])[0] for z in found.mean]
    assert [text is None for text in back] == [False, True, False, True, False]
    assert (found.std[0] == 0).all() == (name in POINTS)
    bounds, lost = generator.score(smiles), np.array([False, True, False, True, False])
    assert np.array_equal(np.isnan(bounds), lost | (name in POINTS))
    assert np.array_equal(np.isnan(found.kl()), lost | (name in POINTS))
    if name in POINTS:
        assert np.array_equal(found.sample(seed=1), found.mean, equal_nan=True)


def test_its_samples_are_molecules_the_same_for_a_seed(variant):
    _, path = variant
    generator = load(path, "cpu")
    drawn = generator.sample(8, seed=3)
    assert drawn == generator.sample(8, seed=3)
    assert canonicalise_many(drawn) == drawn


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["local", "conditional", "moses", "autoencoder", "aae", "vq-vae", "vae-gan"]
)
def test_it_learns_a_handful_of_molecules_by_heart(name, tmp_path):
    smiles = tuple(sorted(sample_smiles(n=200), key=len)[:4])
    weak = {"kl_weight": 0.001, "mmd_weight": 0.1, "free_bits": 0.0}
    weak |= {"latent_adversarial_weight": 0.1, "decoder_adversarial_weight": 0.1}
    config = small_config(
        name,
        model={
            "encoder_hidden": 32,
            "decoder_hidden": 48,
            "embedding_dim": 16,
            "latent_dim": 16,
            "token_dropout": 0.0,
            "forget": 0.0,
            "min_std": 0.0,
        },
        objective={k: v for k, v in weak.items() if k != "mmd_weight" or name == "wae"},
        optimiser={"batch_size": 8, "learning_rate": 0.02, "average": 0.0},
        run={"steps": 120, "evaluate_every": 120, "log_every": 60},
    )
    lengths = {"length": np.array([len(text) for text in smiles], np.float32)}
    corpus = corpus_of(smiles, lengths, held_out=0.0)
    out = train(corpus, tmp_path / "m", config, progress=False)
    generator = load(out, "cpu")
    assert generator.reconstruct(smiles) == list(smiles)


# --- presets ---------------------------------------------------------------------------------


def test_a_preset_brings_its_objective_and_what_is_given_changes_it():
    job = TrainJob.parse(
        {"preset": "vq-vae", "model": {"bottleneck": {"codes": 64}}, "run": {"steps": 3}}
    )
    bottleneck = job.training().model.bottleneck
    assert (bottleneck.kind, bottleneck.codes, bottleneck.code_dim) == ("vq", 64, 8)
    beta = TrainJob.parse({"preset": "beta-vae", "objective": {"free_bits": 3.0}}).training()
    assert (beta.objective.kl_weight, beta.objective.free_bits) == (2.0, 3.0)
    assert beta.schedule.kl_rise == 0.5


# --- codes -----------------------------------------------------------------------------------


def test_codes_are_running_means_of_what_they_stand_for():
    book = Codebook(
        BottleneckConfig(kind="vq", codes=2, code_dim=1, decay=0.5, revive=0.0), torch.Generator()
    )
    book.codes.copy_(torch.tensor([[1.0], [-1.0]]))
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):  # two parts of one step count as one
        book.note(torch.tensor([[2.0, -3.0], [4.0, 0.0]]), generator)
    book.learn(lambda values: values, first=True)
    assert book.codes.flatten().tolist() == [3.0, -3.0]
    assert book.counts.tolist() == [2.0, 1.0]
    book.note(torch.tensor([[5.0, -3.0]]), generator)
    book.learn(lambda values: values, first=True)
    # counts 1.5, 1; sums 0.5 * 6 + 0.5 * 5, 0.5 * -3 + 0.5 * -3
    assert book.codes.flatten().tolist() == pytest.approx([5.5 / 1.5, -3.0])


def test_a_code_that_nothing_uses_begins_anew_in_the_batch():
    book = Codebook(BottleneckConfig(kind="vq", codes=8, code_dim=2), torch.Generator())
    book.codes.fill_(100.0)
    z = torch.randn(16, 4, generator=torch.Generator().manual_seed(1))
    before = float(book.perplexity(z))
    for seed in range(20):
        book.note(z, torch.Generator().manual_seed(seed))
        book.learn(lambda values: values, first=True)
    assert before == pytest.approx(1)
    assert float(book.perplexity(z)) > 5
    assert float(book.commitment(z).mean()) < float(z.square().sum(1).mean())


def test_the_gradient_passes_the_codes_as_if_they_were_not_there():
    book = Codebook(BottleneckConfig(kind="vq", codes=4, code_dim=2), torch.Generator())
    z = torch.randn(3, 4, requires_grad=True)
    weights = torch.arange(12.0).view(3, 4)
    (book(z) * weights).sum().backward()
    assert torch.equal(z.grad, weights)
    assert not book.codes.requires_grad


def test_micro_batches_move_the_codes_as_one_batch_does(tmp_path):
    whole, parts = (
        train(
            tiny_corpus(),
            tmp_path / str(count),
            small_config(
                "vq-vae",
                model={"token_dropout": 0.0, "bottleneck": {**VQ, "revive": 0.0}},
                optimiser={"micro_batches": count, "batch_size": 32},
                run={"steps": 6},
            ),
            progress=False,
        )
        for count in (1, 3)
    )
    first, second = (read_tensors(p / "model.safetensors")[0] for p in (whole, parts))
    assert torch.allclose(
        first["bottleneck.codebook.codes"], second["bottleneck.codebook.codes"], atol=1e-4
    )


VQ = {"kind": "vq", "codes": 8, "code_dim": 2}


def test_bf16_training_moves_codes_in_single_precision(tmp_path):
    config = small_config("vq-vae", run={"steps": 6, "precision": "bf16"})
    model = load_model(train(tiny_corpus(), tmp_path / "m", config, progress=False)).model
    assert model.bottleneck.codebook.codes.dtype == torch.float32
    assert bool(model.bottleneck.codebook.codes.isfinite().all())


def test_a_space_that_rests_keeps_its_codes(tmp_path):
    start = train(tiny_corpus(), tmp_path / "a", small_config("vq-vae"), progress=False)
    config = small_config("vq-vae", schedule={"encoder": 0.0})
    after = train(tiny_corpus(), tmp_path / "b", config, start=start, progress=False)
    codes = [load_model(p).model.bottleneck.codebook.codes for p in (start, after)]
    assert torch.equal(*codes)


def test_a_decoder_of_codes_sees_nothing_but_the_codes():
    generator = untrained({"bottleneck": VQ, "latent_dim": 8})
    z = generator.encode(list(sample_smiles(n=5)))
    book = generator.model.bottleneck.codebook
    codes = book(torch.from_numpy(z)).numpy()
    assert not np.allclose(z, codes)
    assert generator.decode(z) == generator.decode(codes)
    nats = [generator.likelihood(list(sample_smiles(n=5)), part).nats for part in (z, codes)]
    assert np.allclose(*nats)


def untrained(sizes: dict[str, object]) -> Generator:
    tokenizer = tiny_corpus().tokenizer
    config = ModelConfig.parse({"embedding_dim": 8, "decoder_hidden": 16, **sizes})
    return Generator(SequenceVAE(config, tokenizer.vocab_size, tokenizer.max_length), tokenizer)


def test_a_climb_from_points_is_refused_in_one_sentence():
    head = {"targets": [{"name": "logp"}]}
    generator = untrained({"bottleneck": VQ, "latent_dim": 8, "head": head})
    with pytest.raises(ConfigError, match="encodes to points"):
        climb(generator, ["CCO"], "logp", "maximize")


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"bottleneck": VQ, "latent_dim": 7}, "code_dim is 2, and latent_dim 7"),
        ({"bottleneck": VQ, "window": 2, "window_dim": 3}, "or window_dim 3"),
        ({"bottleneck": {"kind": "deterministic"}, "min_std": 0.1}, "min_std is a width"),
    ],
)
def test_parts_that_do_not_fit_are_named(sizes, message):
    with pytest.raises(ConfigError, match=message):
        ModelConfig.parse(sizes)


# --- matching --------------------------------------------------------------------------------


def test_the_discrepancy_is_zero_on_average_for_draws_alike_and_grows_with_the_distance():
    generator = torch.Generator().manual_seed(0)
    alike = [
        float(mmd(*(torch.randn(40, 4, generator=generator) for _ in range(2)))) for _ in range(200)
    ]
    assert abs(np.mean(alike)) < 3 * np.std(alike) / math.sqrt(200)
    x, y = (torch.randn(40, 4, generator=generator) for _ in range(2))
    assert float(mmd(x, y + 1)) > 5 * np.std(alike)
    assert float(mmd(x, y + 2)) > float(mmd(x, y + 1))
    assert float(mmd(x[:1], y[:1])) == 0


def test_each_side_of_a_contest_has_the_gradient_of_its_own_loss():
    generator = torch.Generator().manual_seed(0)
    judge = Discriminator(3, 8, generator)
    real = torch.randn(6, 3, generator=generator)
    fake = torch.randn(5, 3, generator=generator, requires_grad=True)
    fool, own = contest(judge, real, fake)
    assert torch.autograd.grad(own, fake, allow_unused=True, retain_graph=True)[0] is None
    weights = list(judge.parameters())
    grads = torch.autograd.grad(fool, weights, allow_unused=True, retain_graph=True)
    assert all(grad is None for grad in grads)
    (away,) = torch.autograd.grad(fool, fake)
    with torch.no_grad():
        assert float(contest(judge, real, fake - 0.1 * away)[0]) < float(fool)


@pytest.mark.slow
def test_a_discriminator_draws_the_encoder_towards_the_prior():
    """Points that start far from N(0, 1) and away from its centre end with its moments."""
    generator = torch.Generator().manual_seed(0)
    z = torch.nn.Parameter(3 + 0.1 * torch.randn(256, 2, generator=generator))
    judge = Discriminator(2, 32, generator)
    optimizer = torch.optim.Adam([z, *judge.parameters()], lr=0.01, betas=(0.5, 0.99))
    for _ in range(1500):
        fool, own = contest(judge, torch.randn(256, 2, generator=generator), z)
        optimizer.zero_grad()
        (256 * fool / 10 + own).backward()
        optimizer.step()
    assert z.mean(0).abs().max() < 0.3
    assert 0.6 < float(z.std(0).mean()) < 1.4


def test_windows_that_a_molecule_does_not_reach_look_like_the_prior_to_a_discriminator():
    sizes = {"bottleneck": {"kind": "deterministic"}, "window": 2, "window_dim": 2}
    generator = untrained({**sizes, "latent_dim": 4})
    z = torch.from_numpy(generator.encode(["CCO"]))
    assert (z == 0).any()
    batch = Batch.collate([[5], [6]])
    settings = preset_settings("wae").objective
    terms = generator.model.losses(batch, settings, torch.Generator().manual_seed(0))
    assert math.isfinite(terms.log()["mmd"])


@pytest.mark.slow
def test_optimisation_works_on_what_the_codes_stand_for():
    """Codes are chosen by the decoder alone, so the search has a continuous space."""
    generator = untrained({"bottleneck": {**VQ, "codes": 64}, "latent_dim": 8})
    objective = Objective("length", lambda smiles: float(len(smiles)), "maximize")
    in_space = {"edit": 0.0, "recombination": 0.0}
    found = optimize(
        generator, objective, budget=14, batch_size=4, candidates=32, routes=in_space, seed=0
    )
    assert len(found.observations) == 14
    assert all(np.isfinite(o.suggestion.z).all() for o in found.observations)
