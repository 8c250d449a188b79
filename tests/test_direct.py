"""What z says of symbols directly, and a decoder that goes on after mistakes of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from molvae.base.errors import ConfigError
from molvae.datasets.corpus import Corpus, build_corpus
from molvae.datasets.sources import Source
from molvae.models.batch import Batch
from molvae.models.config import ModelConfig
from molvae.models.decoder import Writer
from molvae.models.packing import Packing
from molvae.models.vae import SequenceVAE
from molvae.training.checkpoint import load_model
from molvae.training.config import TrainConfig
from molvae.training.loop import train

VOCAB, MAX_LENGTH = 12, 9
SMALL = ModelConfig(
    embedding_dim=8, encoder_hidden=12, decoder_hidden=16, latent_dim=3, window=2, window_dim=4
)
BATCH = Batch.collate([[5, 6, 7, 8, 9], [8], [4, 5, 6]])


def make(config: ModelConfig, *, outspoken: bool = True) -> SequenceVAE:
    """A model whose direct reading, if it has one, says something."""
    model = SequenceVAE(config, VOCAB, MAX_LENGTH, seed=1)
    if model.decoder.direct is not None and outspoken:
        random = torch.Generator().manual_seed(2)
        torch.nn.init.normal_(model.decoder.direct.read.bias, generator=random)
        torch.nn.init.normal_(model.decoder.direct.say.weight, generator=random)
    return model


def latents(model: SequenceVAE, rows: int = 3) -> torch.Tensor:
    return torch.randn(rows, model.latent_dim, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize(("window", "rest"), [(1, 0), (2, 3), (0, 8)])
def test_writing_and_training_hear_the_same(window: int, rest: int, alone: bool) -> None:
    sizes = SMALL.replace(window=window, latent_dim=rest, direct=6, direct_alone=alone)
    model = make(sizes.replace(decoder_layers=2))
    z = latents(model)
    trained = model.logits(BATCH.tokens, BATCH.lengths, z).detach()
    with torch.inference_mode():
        writer = Writer(model.decoder, z)
        for step in range(4):
            written = writer.write(BATCH.tokens[:, step])
            on = BATCH.lengths - 1 > step
            torch.testing.assert_close(written[on], trained[on, step])
        writer.keep(torch.tensor([2, 0]))
        written = writer.write(BATCH.tokens[[2, 0], 4])
        torch.testing.assert_close(written[1], trained[0, 4])


def test_it_changes_what_is_written_but_not_where_z_is_zero() -> None:
    model, silent = make(SMALL.replace(direct=6)), make(SMALL.replace(direct=6), outspoken=False)
    z = latents(model)

    def logits(of: SequenceVAE, z: torch.Tensor) -> torch.Tensor:
        return of.logits(BATCH.tokens, BATCH.lengths, z)

    assert (logits(model, z) - logits(silent, z)).abs().max() > 0.1
    assert torch.equal(logits(model, torch.zeros_like(z)), logits(silent, torch.zeros_like(z)))


def test_it_needs_no_history() -> None:
    """Whatever has been written, z says the same of what comes next."""
    model = make(SMALL.replace(direct=6))
    assert model.decoder.direct is not None
    packing = Packing.of(BATCH.lengths - 1)
    z = latents(model)
    seen = packing.pack(BATCH.tokens)
    other = torch.where(packing.step > 0, seen.flip(0), seen)

    def said(tokens: torch.Tensor) -> torch.Tensor:
        states = model.decoder.states(packing, tokens, z)
        return model.decoder.answers(packing, states, z) - model.decoder.logits(states)

    torch.testing.assert_close(said(seen), said(other))
    assert not torch.equal(seen, other)


def test_read_directly_alone_z_says_nothing_to_the_gru() -> None:
    model = make(SMALL.replace(direct=6, direct_alone=True))
    packing = Packing.of(BATCH.lengths - 1)
    seen, z = packing.pack(BATCH.tokens), latents(model)
    states = [model.decoder.states(packing, seen, at) for at in (z, torch.zeros_like(z))]
    assert torch.equal(*states)
    with pytest.raises(ConfigError, match="direct_alone needs units"):
        SMALL.replace(direct_alone=True)


def test_own_mistakes_are_what_the_decoder_would_have_written() -> None:
    model = make(SMALL.replace(own_mistakes=1.0, direct=6)).train()
    packing = Packing.of(BATCH.lengths - 1)
    seen, z = packing.pack(BATCH.tokens), latents(model)
    whole = torch.tensor([True, True, False])

    def shown(model: SequenceVAE) -> torch.Tensor:
        told = model.told(z)
        return model._own_mistakes(packing, seen, told, whole, torch.Generator().manual_seed(3))

    own = shown(model)
    some = packing.row == 2  # it has forgotten something: what stands there is right
    assert torch.equal(own[some], seen[some])
    assert torch.equal(own[packing.step == 0], seen[packing.step == 0])
    with torch.inference_mode():
        guess = int(model.logits(BATCH.tokens, BATCH.lengths, z)[0, 0].argmax())
    written = own[(packing.row == 0) & (packing.step > 0)]
    assert int(written[0]) == guess != BATCH.tokens[0, 1]
    assert int(written.min()) > 2  # no start, end or padding in the midst of a molecule
    assert torch.equal(shown(model.eval()), seen)
    assert torch.equal(shown(make(SMALL).train()), seen)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    smiles = [f"{'C' * i}{s}" for s in ("CCO", "c1ccccc1", "CC(=O)N", "CCCl") for i in range(6)]
    return build_corpus(Source.molecules(smiles), tmp_path_factory.mktemp("corpus"), workers=1)


def job(**model: object) -> TrainConfig:
    parts = {"model": model, "optimiser": {"batch_size": 8, "learning_rate": 0.1}}
    return TrainConfig.parse(
        {**parts, "run": {"steps": 3, "device": "cpu"}, "schedule": {"decoder": 0.0}}
    )


def test_a_trained_model_is_given_one_and_goes_on_writing_as_before_from_nothing(
    corpus: Corpus, tmp_path: Path
) -> None:
    first = train(corpus, tmp_path / "first", job(**SMALL.to_dict()), progress=False)
    grown = train(
        corpus, tmp_path / "grown", job(direct=6, own_mistakes=0.5), start=first, progress=False
    )
    before, after = load_model(first).model, load_model(grown).model
    assert after.decoder.direct is not None
    assert after.decoder.direct.say.weight.detach().any()
    batch = Batch.collate([np.arange(3, 6)])
    blank = torch.zeros(1, before.latent_dim)
    assert torch.equal(
        after.logits(batch.tokens, batch.lengths, blank),
        before.logits(batch.tokens, batch.lengths, blank),
    )
    with pytest.raises(ConfigError, match="direct is 8 but that of the model"):
        train(corpus, tmp_path / "other", job(direct=8), start=grown, progress=False)
