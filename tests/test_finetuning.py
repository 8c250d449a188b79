"""Starting from a model: its symbols, its head, and what of it may change."""

import numpy as np
import pytest
import torch
from tiny import corpus_of, tiny_config, tiny_corpus

from molvae.base.errors import ConfigError, InputError
from molvae.chem.tokenizer import Tokenizer
from molvae.models.batch import Batch
from molvae.training.checkpoint import load_model
from molvae.training.config import TrainConfig
from molvae.training.head import fit_head
from molvae.training.loop import train
from molvae.training.prepare import prepare
from molvae.training.vocabulary import match_vocabulary
from molvae.training.weights import get_weights

LABELS = ["length", "aromatic"]
SHORT = {"steps": 3, "log_every": 2, "evaluate_every": 3, "device": "cpu"}


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A model of plain chains that has a head, trained on few symbols."""
    out = tmp_path_factory.mktemp("start") / "model"
    train(chains(), out, tiny_config(data={"labels": ["size"]}), progress=False)
    return out


def chains(count: int = 40, **options):
    smiles = tuple("C" * (2 + i % 9) + "ON"[i % 2] for i in range(count))
    labels = {"size": np.array([len(s) for s in smiles]), "acid": np.arange(count) % 2 == 0}
    return corpus_of(smiles, labels, **options)


def with_fluorine():
    smiles = ("CCO", "CCF", "CCN", "FCCO", "CCCN", "CCCCO", "CCCCCO", "CCCCCN")
    return corpus_of(smiles, {"size": np.array([len(s) for s in smiles])}, held_out=0.25)


def test_fine_tuning_starts_from_the_weights_of_the_model(start):
    loaded = load_model(start)
    prepared = prepare(chains(), TrainConfig(), loaded)
    assert prepared.config.model == loaded.config.model
    weights = get_weights(prepared.model)
    assert all(torch.equal(value, weights[k]) for k, value in get_weights(loaded.model).items())


def test_a_fine_tuned_model_says_where_it_comes_from(start, tmp_path):
    config = TrainConfig.parse({"run": SHORT})
    out = train(chains(), tmp_path / "tuned", config, start=start, progress=False)
    loaded = load_model(out)
    assert loaded.provenance["started_from"]["started"] == load_model(start).provenance["started"]
    assert loaded.config.model.latent_dim == 4


def test_the_ids_of_the_corpus_become_those_of_the_model(start):
    tokenizer = load_model(start).tokenizer
    corpus = corpus_of(("CCO", "OCC"))  # no nitrogen: other ids
    assert corpus.tokenizer.alphabet != tokenizer.alphabet
    vocabulary = match_vocabulary(corpus, tokenizer, "error")
    ids = vocabulary.ids[corpus[0]]
    assert tokenizer.decode([ids.tolist()]) == corpus.tokenizer.decode([corpus[0].tolist()])


def test_unknown_symbols_are_listed_with_the_choices(start):
    with pytest.raises(InputError) as caught:
        prepare(with_fluorine(), TrainConfig(), load_model(start))
    text = str(caught.value)
    assert "2 of 8 molecules" in text
    assert "[F]" in text
    assert "'drop'" in text
    assert "'extend'" in text


def test_a_symbol_in_the_alphabet_that_no_molecule_has_is_no_error(start):
    smiles = ("CCO", "CCN")
    wide = Tokenizer.from_symbols(["[C]", "[O]", "[N]", "[F]"], max_length=5)
    prepared = prepare(
        corpus_of(smiles * 4, tokenizer=wide),
        TrainConfig.parse({"data": {"labels": []}}),
        load_model(start),
    )
    assert prepared.tokenizer.alphabet == load_model(start).tokenizer.alphabet


def test_molecules_with_unknown_symbols_can_be_dropped(start):
    config = TrainConfig.parse({"data": {"new_symbols": "drop"}})
    corpus = with_fluorine()
    prepared = prepare(corpus, config, load_model(start))
    kept = np.concatenate([prepared.train, prepared.validation])
    texts = corpus.tokenizer.decode([corpus[i].tolist() for i in kept])
    assert len(kept) == 6
    assert not any("F" in text for text in texts)


def test_the_model_can_learn_new_symbols(start, tmp_path):
    loaded = load_model(start)
    config = TrainConfig.parse({"data": {"new_symbols": "extend"}, "run": SHORT})
    prepared = prepare(with_fluorine(), config, loaded)
    known, longer = loaded.tokenizer, prepared.tokenizer
    assert set(longer.alphabet) == {*known.alphabet, "[F]"}
    # What the model says about molecules it knew has changed by the one more choice alone: the
    # logits of all symbols known before are the same.
    ids = known.encode_one("CCO")
    batches = [Batch.collate([t.encode_one("CCO")]) for t in (known, longer)]
    z = torch.randn(1, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before, after = (
            model.eval().logits(batch.tokens, batch.lengths, z)
            for model, batch in zip((loaded.model, prepared.model), batches, strict=True)
        )
    places = [0, 1, 2, *(longer.alphabet.index(symbol) + 3 for symbol in known.alphabet)]
    torch.testing.assert_close(after[..., places], before)
    new = prepared.model.decoder.embedding.weight[longer.alphabet.index("[F]") + 3]
    torch.testing.assert_close(new, loaded.model.decoder.embedding.weight[3:].mean(0))
    assert len(ids) + 2 == batches[0].tokens.shape[1]

    out = train(with_fluorine(), tmp_path / "out", config, start=loaded, progress=False)
    assert load_model(out).tokenizer.encode_one("CF")


def test_an_interrupted_fine_tuning_resumes_with_its_longer_alphabet(start, tmp_path, monkeypatch):
    import signal

    from molvae.base.errors import InterruptedRun
    from molvae.training.trainer import Trainer

    config = TrainConfig.parse({"data": {"new_symbols": "extend"}, "run": SHORT})
    whole = train(with_fluorine(), tmp_path / "whole", config, start=start, progress=False)
    step = Trainer.step
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", lambda self: (step(self), signal.raise_signal(15)))
        with pytest.raises(InterruptedRun):
            train(with_fluorine(), tmp_path / "cut", config, start=start, progress=False)
    train(with_fluorine(), tmp_path / "cut", config, start=start, resume=True, progress=False)
    one, two = (get_weights(load_model(p).model) for p in (whole, tmp_path / "cut"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_other_constraints_are_refused(start):
    tokenizer = Tokenizer.from_symbols(["[C]", "[O]"], max_length=5, constraints="octet_rule")
    with pytest.raises(InputError, match="other SELFIES constraints"):
        match_vocabulary(
            corpus_of(("CCO", "CO"), tokenizer=tokenizer), load_model(start).tokenizer, "drop"
        )


def test_sizes_belong_to_the_model_that_one_starts_from(start):
    config = TrainConfig.parse({"model": {"latent_dim": 9}})
    with pytest.raises(ConfigError, match=r"model\.latent_dim is 9 but .* is 4"):
        prepare(chains(), config, load_model(start))


def test_token_dropout_may_change(start):
    config = TrainConfig.parse({"model": {"token_dropout": 0.5}})
    assert prepare(chains(), config, load_model(start)).model.config.token_dropout == 0.5


def test_a_discriminator_is_gained_kept_exchanged_and_lost(start, tmp_path):
    def tuned(begin, name, **sizes):
        config = TrainConfig.parse({"model": sizes, "run": SHORT})
        out = train(chains(), tmp_path / name, config, start=begin, progress=False)
        return load_model(out)

    gained = tuned(start, "gained", decoder_discriminator=8)
    rivals = {k: v for k, v in get_weights(gained.model).items() if k.startswith("rivals.")}
    assert rivals
    kept = get_weights(prepare(chains(), TrainConfig(), gained).model)
    assert all(torch.equal(value, kept[name]) for name, value in rivals.items())
    wider = tuned(tmp_path / "gained", "wider", decoder_discriminator=12)
    assert wider.config.model.decoder_discriminator == 12
    lost = tuned(tmp_path / "gained", "lost", decoder_discriminator=0)
    assert not [name for name in get_weights(lost.model) if name.startswith("rivals.")]


def test_a_head_without_its_labels_is_an_error_that_offers_the_choices(start):
    corpus = corpus_of(("CCO", "CCN", "CCCO", "CCCN", "CO"))
    with pytest.raises(InputError, match=r"no label 'size'.*data\.labels"):
        prepare(corpus, TrainConfig(), load_model(start))
    without = TrainConfig.parse({"data": {"labels": []}})
    assert prepare(corpus, without, load_model(start)).model.head is None


def test_the_head_can_be_replaced(start):
    config = TrainConfig.parse({"data": {"labels": ["acid", "size"]}})
    prepared = prepare(chains(), config, load_model(start))
    kinds = [(t.name, t.kind) for t in prepared.config.model.head.targets]
    assert kinds == [("acid", "classification"), ("size", "regression")]
    labels = chains().labels[prepared.train]
    assert prepared.model.head.mean[1] == pytest.approx(labels[:, 0].mean())
    assert prepared.molecules.labels[0].tolist() == [chains().labels[0, 1], chains().labels[0, 0]]


def test_labels_are_picked_by_name():
    config = tiny_config(data={"labels": ["aromatic"]})
    prepared = prepare(tiny_corpus(), config)
    np.testing.assert_array_equal(prepared.molecules.labels[:, 0], tiny_corpus().labels[:, 1])
    with pytest.raises(InputError, match=r"no label 'logp'.*length, aromatic"):
        prepare(tiny_corpus(), tiny_config(data={"labels": ["logp"]}))
    with pytest.raises(ConfigError, match="names a label twice"):
        prepare(tiny_corpus(), tiny_config(data={"labels": ["length", "length"]}))


def knows_nothing(corpus):
    """Nats per scaled held-out length of the Gaussian fitted to the lengths trained on."""
    trained, held_out = (corpus.labels[corpus.indices(p), 0] for p in ("train", "validation"))
    scaled = (held_out - np.nanmean(trained)) / np.nanstd(trained)
    nats = 0.5 * (scaled**2 + np.log(2 * np.pi))
    return np.nansum(nats) / np.isfinite(nats).sum()


@pytest.mark.slow
def test_a_head_learns_on_frozen_latents(tmp_path):
    config = tiny_config(
        run={"steps": 80},
        optimiser={"learning_rate": 0.02, "average": 0.0},
        objective={"kl_weight": 0.01},
        schedule={"warmup_steps": 10},
    )
    base = train(tiny_corpus(), tmp_path / "base", config, progress=False)
    head = {"targets": [{"name": "length"}], "hidden": [16]}
    settings = TrainConfig.parse(
        {
            "model": {"head": head},
            "run": {"epochs": 30, "device": "cpu"},
            "optimiser": {"batch_size": 32, "learning_rate": 0.01},
        }
    )
    out = fit_head(tiny_corpus(), tmp_path / "out", settings, start=base, progress=False)
    old, new = load_model(base), load_model(out)
    kept = get_weights(new.model)
    assert all(torch.equal(value, kept[name]) for name, value in get_weights(old.model).items())
    assert new.config.model.head.hidden == (16,)
    assert new.provenance["metrics"]["property"] < knows_nothing(tiny_corpus())
    assert new.provenance["head_only"]
    again = fit_head(tiny_corpus(), tmp_path / "again", settings, start=base, progress=False)
    second = get_weights(load_model(again).model)
    assert all(torch.equal(value, second[name]) for name, value in kept.items())


def test_a_head_needs_labels(start, tmp_path):
    config = TrainConfig.parse({"data": {"labels": []}})
    with pytest.raises(ConfigError, match=r"data\.labels"):
        fit_head(chains(), tmp_path / "out", config, start=start, progress=False)
    assert not (tmp_path / "out").exists()
