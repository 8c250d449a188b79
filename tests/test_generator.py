"""The generator's contract: aligned, seeded, valid, and the same from any thread."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import Descriptors

import molvae
from molvae.base.errors import ConfigError, InputError, ModelError
from molvae.chem.alerts import SanityOptions, insane_reason
from molvae.chem.smiles import canonicalise, parse, randomise
from molvae.chem.standardise import saturate
from molvae.chem.tokenizer import Tokenizer
from molvae.generator import NOT_FINITE, Generator
from molvae.models.batch import Batch
from molvae.models.presets import preset
from molvae.models.sampling import Sequences
from molvae.models.vae import SequenceVAE


@pytest.fixture(scope="module")
def generator(tiny_model: Path) -> Generator:
    return molvae.load(tiny_model, "cpu")


def test_encode_is_aligned_and_says_what_was_wrong(generator: Generator, zinc: list[str]) -> None:
    given = [zinc[0], "C1CC", None, "[U]", "", zinc[1]]
    found = generator.posterior(given)
    assert found.mean.shape == found.std.shape == (6, generator.latent_dim)
    assert [reason is None for reason in found.reasons] == [True, False, False, False, False, True]
    assert np.isnan(found.mean).all(1).tolist() == [False, True, True, True, True, False]
    assert "ring 1" in str(found.reasons[1])
    assert "[U]" in str(found.reasons[3])
    np.testing.assert_allclose(found.mean[5], generator.encode([zinc[1]])[0], atol=1e-5)


def test_encode_does_not_depend_on_the_spelling(generator: Generator, zinc: list[str]) -> None:
    spellings = randomise(zinc[3], seed=1, n=5)
    z = generator.encode([zinc[3], *spellings])
    np.testing.assert_allclose(z, np.repeat(z[:1], 6, axis=0), atol=1e-5)


def test_encode_does_not_depend_on_the_batch(tiny_model: Path, zinc: list[str]) -> None:
    whole = molvae.load(tiny_model, "cpu")
    small = Generator(whole.model, whole.tokenizer, batch_size=7)
    np.testing.assert_allclose(whole.encode(zinc[:50]), small.encode(zinc[:50]), atol=1e-5)


def test_encode_is_the_models_posterior_mean(generator: Generator, zinc: list[str]) -> None:
    ids = generator.tokenizer.encode_one(canonicalise(zinc[0]))
    batch = Batch.collate([ids])
    with torch.no_grad():
        expected = generator.model.encode(batch.tokens, batch.lengths)
    found = generator.posterior(zinc[:1])
    np.testing.assert_allclose(found.mean, expected.mean.numpy(), atol=1e-6)
    np.testing.assert_allclose(found.std, expected.std.numpy(), rtol=1e-5)


def test_what_is_decoded_is_canonical_and_can_be_encoded_again(generator: Generator) -> None:
    z = generator.sample_prior(200, seed=3)
    smiles, reasons = generator.decode_with_reasons(z, strategy="sample", seed=4)
    molecules = [s for s in smiles if s is not None]
    assert len(molecules) > 50
    assert all((s is None) == (r is not None) for s, r in zip(smiles, reasons, strict=True))
    for text in molecules:
        assert Chem.MolToSmiles(Chem.MolFromSmiles(text)) == text
    assert np.isfinite(generator.encode(molecules)).all()


def test_rows_that_cannot_be_decoded_leave_the_others_alone(generator: Generator) -> None:
    z = generator.sample_prior(8, seed=0)
    broken = z.copy()
    broken[[0, 5]] = np.nan
    smiles, reasons = generator.decode_with_reasons(broken, strategy="sample", seed=1)
    expected = generator.decode(z, strategy="sample", seed=1)
    assert [smiles[0], smiles[5]] == [None, None]
    assert [reasons[0], reasons[5]] == [NOT_FINITE, NOT_FINITE]
    assert [s for i, s in enumerate(smiles) if i not in (0, 5)] == [
        s for i, s in enumerate(expected) if i not in (0, 5)
    ]


def test_molecules_beyond_the_alphabet_are_not_let_out() -> None:
    # This alphabet writes molecules whose canonical spelling needs symbols that it lacks.
    tokenizer = Tokenizer.from_symbols(["[O]", "[=C]", "[Branch1]"], max_length=12)
    model = SequenceVAE(preset("tiny"), tokenizer.vocab_size, tokenizer.max_length)
    small = Generator(model, tokenizer)
    smiles, reasons = small.decode_with_reasons(
        small.sample_prior(60, seed=0), strategy="sample", seed=0
    )
    refused = [r for r in reasons if r is not None]
    assert any("[C]" in r for r in refused)
    for text in filter(None, smiles):
        tokenizer.encode_one(text)


def test_sane_turns_down_with_a_reason(generator: Generator) -> None:
    z = generator.sample_prior(200, seed=0)
    options = SanityOptions(max_atoms=12)
    smiles, reasons = generator.decode_with_reasons(z, sane=options)
    freely = generator.decode(z)
    refused = [i for i, s in enumerate(freely) if s is not None and smiles[i] is None]
    assert refused
    for i in refused:
        assert reasons[i] == insane_reason(parse(str(freely[i])), options)
    assert all(insane_reason(parse(s), options) is None for s in smiles if s is not None)


def test_sane_true_means_the_usual_limits(generator: Generator) -> None:
    z = generator.sample_prior(50, seed=0)
    assert generator.decode(z, sane=True) == generator.decode(z, sane=SanityOptions())
    assert generator.decode(z, sane=False) == generator.decode(z)


def test_the_same_seed_gives_the_same_molecules(generator: Generator) -> None:
    assert generator.sample(30, seed=5) == generator.sample(30, seed=5)
    assert generator.sample(30, seed=5) != generator.sample(30, seed=6)


def test_the_global_random_state_plays_no_part(generator: Generator) -> None:
    torch.manual_seed(1)
    first, state = generator.sample(20, seed=0), torch.random.get_rng_state()
    np.random.seed(3)  # noqa: NPY002
    assert generator.sample(20, seed=0) == first
    assert torch.equal(torch.random.get_rng_state(), state)


def test_sample_gives_as_many_as_wanted_and_distinct_ones(generator: Generator) -> None:
    assert generator.sample(0) == []
    for ask in (generator.sample, generator.draw, generator.sample_prior):
        with pytest.raises(ConfigError, match="0 molecules or more"):
            ask(-1)
    found = generator.sample(150, seed=1, unique=True)
    assert len(set(found)) == 150
    assert all(canonicalise(s) == s for s in found)


def test_a_model_that_repeats_itself_cannot_give_distinct_molecules() -> None:
    tokenizer = Tokenizer.from_smiles(["CC", "CO"])
    one_word = Generator(
        SequenceVAE(preset("tiny"), tokenizer.vocab_size, tokenizer.max_length), tokenizer
    )
    with pytest.raises(ModelError, match="of 50 molecules came out of"):
        one_word.sample(50, unique=True)


def test_reconstruct_is_decode_of_encode(generator: Generator, zinc: list[str]) -> None:
    assert generator.reconstruct(zinc[:20]) == generator.decode(generator.encode(zinc[:20]))
    sampled = generator.reconstruct([zinc[0], None], sampled=True, seed=1)
    assert sampled[1] is None


def test_any_thread_gets_the_same_answers(generator: Generator, zinc: list[str]) -> None:
    def work(i: int) -> tuple[list[str | None], bytes]:
        part = zinc[i * 20 : i * 20 + 20]
        return generator.decode(generator.encode(part)), generator.score(part).tobytes()

    alone = [work(i) for i in range(8)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(8))) == alone


def test_likelihood_is_the_models(generator: Generator, zinc: list[str]) -> None:
    smiles = [canonicalise(s) for s in zinc[:6]]
    batch = Batch.collate([generator.tokenizer.encode_one(s) for s in smiles])
    z = generator.sample_prior(6, seed=2)
    with torch.no_grad():
        expected = generator.model.log_likelihood(batch.tokens, batch.lengths, torch.from_numpy(z))
    found = generator.likelihood(smiles, z)
    np.testing.assert_allclose(found.nats, expected.numpy(), rtol=1e-4)
    assert (found.symbols == (batch.lengths - 1).numpy()).all()
    assert ((found.correct >= 0) & (found.correct <= found.symbols)).all()


def test_score_is_the_evidence_lower_bound(generator: Generator, zinc: list[str]) -> None:
    found = generator.score([*zinc[:5], "C1"], samples=50)
    assert np.isnan(found[5])
    smiles = [canonicalise(s) for s in zinc[:5]]
    batch = Batch.collate([generator.tokenizer.encode_one(s) for s in smiles])
    noise = torch.randn(50, 5, generator.latent_dim, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = generator.model.elbo(batch.tokens, batch.lengths, noise).numpy()
    np.testing.assert_allclose(found[:5], expected, atol=5.0)  # two Monte Carlo estimates


def test_predict_takes_molecules_or_latents(generator: Generator, zinc: list[str]) -> None:
    assert generator.targets == ("logp", "polar")
    by_smiles = generator.predict([*zinc[:10], "C1"])
    assert list(by_smiles) == ["logp", "logp_std", "polar"]
    assert all(np.isnan(column[10]) for column in by_smiles.values())
    by_latent = generator.predict(generator.encode(zinc[:10]))
    for name, column in by_latent.items():
        np.testing.assert_allclose(column, by_smiles[name][:10], atol=1e-4)
    assert (by_latent["logp_std"] > 0).all()
    assert ((by_latent["polar"] >= 0) & (by_latent["polar"] <= 1)).all()


def test_predict_without_a_head_is_an_error() -> None:
    tokenizer = Tokenizer.from_smiles(["CCO"])
    headless = Generator(SequenceVAE(preset("tiny"), tokenizer.vocab_size, 5), tokenizer)
    assert headless.targets == ()
    with pytest.raises(ModelError, match="no property head"):
        headless.predict(["CCO"])


def test_latents_of_another_size_are_refused(generator: Generator) -> None:
    with pytest.raises(InputError, match=r"takes \(n, 8\)"):
        generator.decode(np.zeros((3, 5)))
    with pytest.raises(InputError, match="one for each"):
        generator.likelihood(["CCO"], np.zeros((2, 8)))


def test_no_molecules_give_nothing(generator: Generator) -> None:
    assert generator.encode([]).shape == (0, generator.latent_dim)
    assert generator.decode(np.zeros((0, generator.latent_dim))) == []
    assert generator.score([]).shape == (0,)


def test_an_unknown_setting_of_sampling_is_refused(generator: Generator) -> None:
    z = generator.sample_prior(1)
    with pytest.raises(ConfigError):
        generator.decode(z, strategy="hottest")  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        generator.decode(z, strategy="greedy", temperature=0.5)
    with pytest.raises(ConfigError, match="at least 1"):
        generator.score(["CCO"], samples=0)


def test_the_fingerprint_tells_models_apart(tiny_model: Path) -> None:
    first, again = molvae.load(tiny_model, "cpu"), molvae.load(tiny_model, "cpu")
    assert first.fingerprint == again.fingerprint
    tokenizer = first.tokenizer
    other = SequenceVAE(preset("tiny"), tokenizer.vocab_size, tokenizer.max_length)
    assert Generator(other, tokenizer).fingerprint != first.fingerprint


def test_a_generator_travels_to_other_processes(generator: Generator, zinc: list[str]) -> None:
    # Bulk generation hands it to worker processes; nothing on disk is ever pickled.
    copy = pickle.loads(pickle.dumps(generator))
    assert copy.fingerprint == generator.fingerprint
    assert copy.reconstruct(zinc[:5]) == generator.reconstruct(zinc[:5])


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "cuda:one", "auto:1"])
def test_a_device_that_is_not_there_is_a_clear_error(tiny_model: Path, device: str) -> None:
    with pytest.raises(ConfigError, match=device.split(":")[0]):
        molvae.load(tiny_model, device)


def test_provenance_comes_with_the_model(generator: Generator, tiny_corpus: Path) -> None:
    assert generator.provenance["corpus"]["path"] == str(tiny_corpus)


def test_a_stereocentre_with_too_few_neighbours_is_filled_not_left_a_radical(
    generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = generator.tokenizer.selfies_ids("[C][C][C@@H1][O]")
    assert Descriptors.NumRadicalElectrons(parse(generator.tokenizer.decode([ids])[0])) == 1
    written = Sequences(torch.tensor([ids]), torch.tensor([len(ids)]), torch.zeros(1))
    monkeypatch.setattr("molvae.generator.generate", lambda *_, **__: written)
    smiles, reasons = generator.decode_with_reasons(np.zeros((1, generator.latent_dim)))
    assert (smiles, reasons) == (["CCCO"], [None])


@pytest.mark.parametrize(
    ("radical", "filled"),
    [("C[CH]C", "CCC"), ("[CH3]", "C"), ("C[NH+]C", "C[NH2+]C"), ("CC[O]", "CCO"), ("CCO", "CCO")],
)
def test_unpaired_electrons_become_hydrogens(radical: str, filled: str) -> None:
    assert Chem.MolToSmiles(saturate(Chem.MolFromSmiles(radical))) == filled


def test_a_job_of_some_thousand_draws_has_work_for_several_cores() -> None:
    from molvae.bulk import BulkOptions

    assert BulkOptions(molecules=10_000).draws_per_block() <= 10_000 // 4
    assert BulkOptions(molecules=100).draws_per_block() < 200
    assert BulkOptions(molecules=10_000, block=7).draws_per_block() == 7


def test_a_column_of_pandas_is_a_list_of_molecules_and_its_missing_cells_are_none(
    generator: Generator,
) -> None:
    column = pd.Series(["CCO", None, float("nan"), pd.NA], dtype=object)
    z = generator.encode(column)
    assert np.isfinite(z).all(1).tolist() == [True, False, False, False]
    assert generator.predict(column)["logp"][0] == generator.predict(["CCO"])["logp"][0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("CCO", "a list of SMILES, not one text"),
        (b"CCO", "a list of SMILES, not one text"),
        (pd.DataFrame({"smiles": ["CCO"]}), "one column"),
        (np.array([["CCO"], ["CC"]]), "one column"),
        (["CCO", Chem.MolFromSmiles("CC")], "molecule 2 is Mol"),
        ([[0.1, 0.2]], "molecule 1 is list"),
        (5, "a list of SMILES, not int"),
    ],
)
def test_what_is_no_list_of_molecules_is_refused_and_not_read_letter_by_letter(
    generator: Generator, given: Any, message: str
) -> None:
    for method in (generator.encode, generator.predict, generator.score, generator.reconstruct):
        with pytest.raises(InputError, match=message):
            method(given)


def test_a_salt_and_atom_maps_are_called_by_their_names(generator: Generator) -> None:
    reasons = generator.posterior(["CCN.Cl", "[CH3:1][CH2:2]O", "CCO"]).reasons
    assert "salt" in str(reasons[0])
    assert "atom map" in str(reasons[1])
    assert reasons[2] is None
