"""Posterior collapse on real molecules, what prevents it, and a model that learns all it is shown.

Collapse: a decoder that predicts the next symbol well from those before it needs no z, and the KL
term pays for every nat that z carries, so q(z|x) becomes the prior (Bowman et al. 2016).
"""

import pytest
import torch
from tiny import corpus_of, sample_smiles, tiny_config

from molvae.models.batch import Batch
from molvae.models.sampling import SamplingOptions, generate
from molvae.training.checkpoint import load_model
from molvae.training.health import latent_health
from molvae.training.loop import train

MODEL = {"embedding_dim": 32, "encoder_hidden": 48, "latent_dim": 64, "decoder_hidden": 96}
OPTIMISER = {"batch_size": 64, "learning_rate": 0.008, "average": 0.9}
RUN = {"steps": 220, "log_every": 50, "evaluate_every": 110, "save_every": 1000}


@torch.no_grad()
def measure(corpus, out, **sections):
    """Train; latent health of held-out molecules, and the nats their own z saves them.

    The saving is that over the z of another held-out molecule, per molecule.
    """
    config = tiny_config(optimiser=OPTIMISER, run=RUN, **sections)
    with torch.enable_grad():
        model = load_model(train(corpus, out, config, progress=False)).model
    batch = Batch.collate([corpus[i] for i in corpus.indices("validation")])
    posterior = model.encode(batch.tokens, batch.lengths)
    health = latent_health(posterior.mean, posterior.log_var, torch.Generator().manual_seed(0))
    own, others = (
        model.log_likelihood(batch.tokens, batch.lengths, z).mean()
        for z in (posterior.mean, posterior.mean.roll(1, 0))
    )
    return health, float(own - others)


@pytest.mark.slow
def test_the_posterior_collapses_without_remedies_and_not_with_them(tmp_path):
    corpus = corpus_of(sample_smiles(n=2000), held_out=0.1)
    bare, bare_saving = measure(
        corpus, tmp_path / "bare", model=MODEL | {"token_dropout": 0.0}, schedule={"kl": "constant"}
    )
    assert bare.kl < 0.5
    assert bare.active_units <= 8
    assert bare.mutual_information < 0.5
    assert bare_saving < 1.0

    remedied, saving = measure(
        corpus,
        tmp_path / "remedied",
        model=MODEL | {"token_dropout": 0.3},
        schedule={"kl": "linear", "kl_rise": 1.0},
        objective={"free_bits": 0.5},
    )
    assert remedied.kl > 10
    assert remedied.active_units >= 60
    assert remedied.mutual_information > 3
    assert saving > 5.0


@pytest.mark.slow
def test_fifty_molecules_are_learnt_to_the_last_symbol(tmp_path):
    corpus = corpus_of(sample_smiles(n=50), held_out=0.0)
    config = tiny_config(
        model=MODEL | {"latent_dim": 24, "decoder_hidden": 128, "token_dropout": 0.0},
        objective={"kl_weight": 0.0001},
        optimiser={"batch_size": 50, "learning_rate": 0.015, "average": 0.9},
        schedule={"warmup_steps": 10},
        run={"steps": 140, "log_every": 50, "save_every": 1000},
    )
    model = load_model(train(corpus, tmp_path / "model", config, progress=False)).model
    molecules = [corpus[i].tolist() for i in range(50)]
    batch = Batch.collate(molecules)
    with torch.no_grad():
        z = model.encode(batch.tokens, batch.lengths).mean
    assert generate(model, z, SamplingOptions(strategy="greedy")).rows() == molecules
