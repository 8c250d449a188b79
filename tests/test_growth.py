"""A start with a narrower decoder: widened without a change in what it writes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from molvae.base.errors import ConfigError
from molvae.datasets.corpus import Corpus, build_corpus
from molvae.datasets.sources import Source
from molvae.models.batch import Batch
from molvae.models.config import ModelConfig
from molvae.models.vae import SequenceVAE
from molvae.training.checkpoint import load_model
from molvae.training.config import TrainConfig
from molvae.training.growth import widened
from molvae.training.loop import train
from molvae.training.weights import get_weights, set_weights

SMALL = ModelConfig(
    embedding_dim=8, encoder_hidden=12, decoder_hidden=16, latent_dim=3, window=2, window_dim=4
)
BATCH = Batch.collate([[5, 6, 7, 8], [9, 10]])


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("tied", [False, True])
def test_a_widened_decoder_writes_what_the_narrow_one_did(layers: int, tied: bool) -> None:
    config = SMALL.replace(decoder_layers=layers, tie_embeddings=tied)
    narrow = SequenceVAE(config, 12, 9, seed=1)
    wide = SequenceVAE(config.replace(decoder_hidden=24), 12, 9, seed=2)
    z = torch.randn(2, narrow.latent_dim, generator=torch.Generator().manual_seed(0))
    before = narrow.logits(BATCH.tokens, BATCH.lengths, z)
    assert not torch.allclose(wide.logits(BATCH.tokens, BATCH.lengths, z), before, atol=1e-3)
    set_weights(wide, widened(get_weights(narrow), wide))
    torch.testing.assert_close(wide.logits(BATCH.tokens, BATCH.lengths, z), before)


def test_new_units_learn() -> None:
    """They must not stand still because nothing hears them yet."""
    narrow = SequenceVAE(SMALL, 12, 9, seed=1)
    wide = SequenceVAE(SMALL.replace(decoder_hidden=24), 12, 9, seed=2)
    set_weights(wide, widened(get_weights(narrow), wide))
    z = torch.randn(2, narrow.latent_dim, generator=torch.Generator().manual_seed(0))
    (-wide.log_likelihood(BATCH.tokens, BATCH.lengths, z).sum()).backward()
    gradient = wide.decoder.output.weight.grad
    assert gradient is not None
    assert float(gradient[:, 16:].abs().max()) > 0


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    smiles = [f"{'C' * i}{s}" for s in ("CCO", "c1ccccc1", "CC(=O)N", "CCCl") for i in range(6)]
    return build_corpus(Source.molecules(smiles), tmp_path_factory.mktemp("corpus"), workers=1)


def job(**model: object) -> TrainConfig:
    run = {"steps": 2, "device": "cpu"}
    return TrainConfig.parse({"model": model, "run": run, "optimiser": {"batch_size": 8}})


def test_training_goes_on_with_a_wider_decoder_and_refuses_a_narrower(
    corpus: Corpus, tmp_path: Path
) -> None:
    start = train(corpus, tmp_path / "start", job(**SMALL.to_dict()), progress=False)
    wide = train(corpus, tmp_path / "wide", job(decoder_hidden=24), start=start, progress=False)
    assert load_model(wide).model.config.decoder_hidden == 24
    with pytest.raises(ConfigError, match="decoder_hidden is 8 but that of the model"):
        train(corpus, tmp_path / "narrow", job(decoder_hidden=8), start=start, progress=False)


def test_new_symbols_in_molecules_longer_than_the_windows_are_refused(
    corpus: Corpus, tmp_path: Path
) -> None:
    start = train(corpus, tmp_path / "start", job(**SMALL.to_dict()), progress=False)
    extend = TrainConfig.parse(
        {"run": {"steps": 2, "device": "cpu"}, "data": {"new_symbols": "extend"}}
    )

    def extended(name: str, smiles: list[str]) -> Path:
        more = build_corpus(Source.molecules(smiles * 4), tmp_path / f"corpus {name}", workers=1)
        return train(more, tmp_path / name, extend, start=start, progress=False)

    assert load_model(extended("short", ["CCF", "CCCF"])).tokenizer.encode_one("CF")
    with pytest.raises(ConfigError, match=r"of 31 symbols, and the windows .* --max-symbols"):
        extended("long", ["C" * 30 + "F"])
