"""The critic: counts of parts, the choice among candidates, and what it brings a bad sampler."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rdkit import Chem
from typer.testing import CliRunner

from molvae.base.errors import ConfigError, InputError, InterruptedRun, ModelError
from molvae.base.files import read_json
from molvae.chem.features import _generators, feature_count, part_counts
from molvae.cli.app import app
from molvae.datasets.corpus import Corpus, build_corpus
from molvae.datasets.sources import Source
from molvae.generator import Generator, load
from molvae.latent.critic import (
    as_given,
    counts_of,
    fit_critic,
    learn_critic,
    scaffold_weights,
)
from molvae.latent.draws import choose
from molvae.models.config import CriticConfig
from molvae.models.critic import Critic
from molvae.training.checkpoint import load_model
from molvae.training.config import TrainConfig
from molvae.training.head import fit_head
from molvae.training.loop import train
from molvae.training.prior import with_critic
from molvae.training.trainer import Trainer
from molvae.training.weights import get_weights

BITS = 256
SAMPLE = Path(__file__).parents[1] / "data" / "samples" / "moses_2000.smi"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    smiles = SAMPLE.read_text().split()[:600]
    labels = {"size": np.array([float(len(s)) for s in smiles])}
    return build_corpus(
        Source.molecules(smiles, labels), tmp_path_factory.mktemp("corpus"), workers=1
    )


@pytest.fixture(scope="module")
def model(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A decoder that has seen too little: it knows the symbols and hardly any chemistry."""
    config = TrainConfig.parse(
        {
            "model": {"encoder_hidden": 16, "decoder_hidden": 48, "latent_dim": 4},
            "optimiser": {"batch_size": 32, "learning_rate": 0.01, "average": 0.0},
            "run": {"steps": 60, "device": "cpu"},
        }
    )
    return train(corpus, tmp_path_factory.mktemp("run") / "model", config, progress=False)


@pytest.fixture(scope="module")
def judged(model: Path, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("judged") / "model"
    quality = fit_critic(
        model, out, corpus, CriticConfig(bits=BITS), draws=500, workers=1, progress=False
    )
    assert quality.samples == 500
    assert quality.roc_auc > 0.75  # samples of such a model are easily told from molecules
    assert quality.nats > -np.log(2)
    return out


def test_parts_are_counted() -> None:
    mols = [Chem.MolFromSmiles(s) for s in ("c1ccccc1", "C1CC1CC2CC2")]
    rows = np.expm1(part_counts([*mols, None], BITS).toarray()).round(3)
    assert rows.shape == (3, feature_count(BITS))
    rings = rows[:, BITS + BITS // 2 : BITS + BITS // 2 + 16]
    assert rings[0, 6] == 1
    assert rings[1, 3] == 2
    assert rings.sum() == 3
    assert [int(row[-64:].argmax()) for row in rows[:2]] == [6, 7]
    assert not rows[2].any()
    around = rows[0, :BITS]  # six equal atoms have one environment of each radius
    assert sorted(around[around > 0].tolist()) == [6, 6, 6]


def test_counts_are_those_of_rdkits_own_fingerprints() -> None:
    mols = [Chem.MolFromSmiles(s) for s in SAMPLE.read_text().split()[:200]]
    rows = np.expm1(part_counts(mols, BITS).toarray()).round(3)
    around, pairs = _generators(BITS)
    for mol, row in zip(mols, rows, strict=True):
        found = {
            **around.GetCountFingerprint(mol).GetNonzeroElements(),
            **{
                BITS + column: count
                for column, count in pairs.GetCountFingerprint(mol).GetNonzeroElements().items()
            },
        }
        there = np.flatnonzero(row[: BITS + BITS // 2])
        assert {int(column): int(row[column]) for column in there} == found


def test_a_critic_learns_how_much_too_often_something_is_written() -> None:
    """Known truth: sulphur comes four times as often in the samples as in the data."""
    smiles = SAMPLE.read_text().split()
    sulphur = np.array(["S" in s or "s" in s for s in smiles])
    random = np.random.default_rng(0)
    odds = np.where(sulphur, 4.0, 1.0)
    odds[: len(smiles) // 2] = 0  # the first half is the data
    odds /= odds.sum()
    counts = counts_of(smiles, BITS, workers=1, progress=False)
    sizes = CriticConfig(bits=BITS, features=feature_count(BITS))
    drawn = random.choice(len(smiles), 1000, p=odds)
    critic, quality = learn_critic(
        counts[: len(smiles) // 2], counts[drawn], sizes, seed=0, progress=False
    )
    assert quality.nats > -np.log(2)
    with torch.inference_mode():
        logit = critic(*as_given(counts)).numpy()
    several = random.choice(len(smiles), (3000, 8), p=odds)
    race = logit[several] + random.gumbel(size=several.shape)
    chosen = several[np.arange(3000), race.argmax(1)]
    usual, too_often, mended = (
        float(sulphur[rows].mean()) for rows in (slice(None), several[:, 0], chosen)
    )
    assert too_often > 1.6 * usual
    assert abs(mended - usual) < 0.35 * (too_often - usual)


def test_no_scaffold_counts_for_more_than_its_share() -> None:
    smiles = [
        "Cc1ccccc1",
        "CCc1ccccc1",
        "Oc1ccccc1",
        "Nc1ccccc1",
        "C1CCCC1C",
        "CCO",
        "CCN",
        "C1CC1",
    ]
    weights = scaffold_weights(smiles, 0.25, workers=1, progress=False)
    assert weights.mean() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(weights / weights[4], [0.5] * 4 + [1] * 4, rtol=1e-6)
    assert scaffold_weights(smiles, 1, workers=1, progress=False).tolist() == [1] * 8


def test_what_counts_less_in_the_data_is_chosen_less_often() -> None:
    """Known truth: samples are as the data, of which those with sulphur count a quarter."""
    smiles = SAMPLE.read_text().split()
    sulphur = np.array(["S" in s or "s" in s for s in smiles])
    counts = counts_of(smiles, BITS, workers=1, progress=False)
    half = len(smiles) // 2
    quarter = np.where(sulphur[:half], 0.25, 1.0)
    sizes = CriticConfig(bits=BITS, features=feature_count(BITS))

    def apart(weights: np.ndarray | None) -> float:
        critic, _ = learn_critic(
            counts[:half], counts[half:], sizes, weights=weights, seed=0, progress=False
        )
        with torch.inference_mode():
            logit = critic(*as_given(counts)).numpy()
        return float(logit[~sulphur].mean() - logit[sulphur].mean())

    weighed = apart((quarter / quarter.mean()).astype(np.float32))
    assert weighed - apart(None) == pytest.approx(np.log(4), abs=0.5)


def silent(sizes: CriticConfig) -> Critic:
    critic = Critic(sizes, torch.Generator().manual_seed(0))
    for weight in critic.parameters():
        weight.data.zero_()
    return critic


def test_the_choice_follows_the_critic(model: Path) -> None:
    loaded = load_model(model)
    plain = Generator(loaded.model, loaded.tokenizer).sample(60, seed=2)

    def ringed(drawn: list[str]) -> float:
        mols = [Chem.MolFromSmiles(s) for s in drawn]  # held while asked
        return float(np.mean([mol.GetRingInfo().NumRings() > 0 for mol in mols]))

    sizes = CriticConfig(bits=BITS, features=feature_count(BITS), candidates=16)
    critic = silent(sizes)
    critic.parts.data[BITS + BITS // 2 : BITS + BITS // 2 + 16, -1] = -50.0  # no rings, please
    made = with_critic(loaded, sizes, critic)
    chosen = Generator(made.model, made.tokenizer).sample(60, seed=2)
    assert ringed(plain) > 0.2
    assert ringed(chosen) < 0.1 * ringed(plain) + 0.02


def noise(n: int) -> np.ndarray:
    return np.random.default_rng(1).gumbel(size=n)


def test_a_critic_that_knows_nothing_changes_no_frequencies() -> None:
    place = choose(np.zeros(4000), np.zeros(4000), noise(4000), 0.0, 2)
    assert np.mean(np.array(place) % 2) == pytest.approx(0.5, abs=0.05)
    none = np.nan
    assert choose(np.array([0, none, none, 0]), np.zeros(4), noise(4), 0.0, 2) == [0, 3]


def test_with_a_discount_what_the_decoder_is_surest_of_is_chosen_less_often() -> None:
    log_prob = np.tile([-2.0, -4.0], 4000)  # of the two, the first is surer by two nats
    place = choose(np.zeros(8000), log_prob, noise(8000), 0.5, 2)
    odds = np.exp(0.5 * 2)
    assert np.mean(np.array(place) % 2) == pytest.approx(odds / (1 + odds), abs=0.03)


def test_draws_are_discounted_by_what_they_cost(model: Path) -> None:
    """A model that is often sure of short molecules writes longer ones with a discount."""
    loaded = load_model(model)

    def length(discount: float) -> float:
        sizes = CriticConfig(
            bits=BITS, features=feature_count(BITS), candidates=8, discount=discount
        )
        made = with_critic(loaded, sizes, silent(sizes))
        return float(np.mean([len(s) for s in Generator(made.model, made.tokenizer).sample(300)]))

    assert length(0.9) > 1.1 * length(0.0)


def test_draws_repeat_and_need_a_critic_for_candidates(judged: Path, model: Path) -> None:
    generator = load(judged, "cpu")
    assert generator.draw(20, seed=3) == generator.draw(20, seed=3)
    assert generator.draw(20, seed=3, candidates=1) != generator.draw(20, seed=3)
    plain = load(model, "cpu")
    assert plain.draw(5, seed=3)[0] == plain.draw(5, seed=3, candidates=1)[0]
    with pytest.raises(ConfigError, match="no critic to choose"):
        plain.draw(5, candidates=2)
    with pytest.raises(ConfigError, match="at least 1"):
        plain.draw(5, candidates=0)
    with pytest.raises(ModelError, match="no critic"):
        plain.realism(["CCO"])


def test_what_a_draw_is_chosen_by_is_the_realism_of_its_candidates(judged: Path) -> None:
    generator = load(judged, "cpu")
    reader, written = generator.reader, generator.write(30, seed=4, candidates=3)
    each, _ = reader.molecules(replace(written, candidates=1))
    score, discount = generator.realism(each), generator.model.config.critic.discount
    assert np.isfinite(score).sum() > 30
    chosen = choose(score, written.log_prob, written.noise(), discount, 3)
    assert reader.molecules(written)[0] == [each[i] for i in chosen]
    assert len(set(np.array(chosen) % 3)) == 3


def test_realism_is_aligned_and_nan_for_what_is_no_molecule(
    judged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["CCO", None, "not one", "c1ccccc1"]
    found = load(judged, "cpu").realism(given)
    assert np.isnan(found).tolist() == [False, True, True, False]
    assert load(judged, "cpu").realism([]).shape == (0,)
    monkeypatch.setattr("molvae.latent.reading.TOGETHER", 3)
    few_at_a_time = load(judged, "cpu").realism(given)
    np.testing.assert_allclose(few_at_a_time, found, rtol=1e-5)


def test_fine_tuning_leaves_the_critic_behind_and_a_new_head_keeps_it(
    judged: Path, corpus: Corpus, tmp_path: Path
) -> None:
    short = TrainConfig.parse({"run": {"steps": 2, "device": "cpu"}})
    tuned = train(corpus, tmp_path / "tuned", short, start=str(judged), progress=False)
    assert load_model(tuned).model.critic is None
    config = TrainConfig.parse(
        {"data": {"labels": ["size"]}, "run": {"epochs": 1, "device": "cpu"}}
    )
    head = fit_head(corpus, tmp_path / "head", config, start=str(judged), progress=False)
    kept, before = load_model(head).model.critic, load_model(judged).model.critic
    assert kept is not None
    assert before is not None
    assert torch.equal(kept.parts, before.parts)
    asked = TrainConfig.parse({"model": {"critic": {"bits": 64}}, "run": {"steps": 2}})
    with pytest.raises(ConfigError, match="molvae models critic"):
        train(corpus, tmp_path / "asked", asked, start=str(judged), progress=False)


def test_learning_the_space_keeps_the_critic_of_draws_from_nothing_also_when_interrupted(
    judged: Path, model: Path, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(name: str, start: Path, **parts: object) -> Path:
        config = TrainConfig.parse({"run": {"steps": 2, "device": "cpu"}, **parts})
        return train(corpus, tmp_path / name, config, start=str(start), progress=False)

    rests = {"decoder": 0.0}
    from_z = trained("from z", judged, schedule=rests)
    assert load_model(from_z).model.critic is None  # draws start from N(0, I), and change
    blank = trained("blank", model, model={"prior": {"kind": "blank"}})
    fit_critic(blank, tmp_path / "told", corpus, CriticConfig(bits=BITS), draws=100, progress=False)
    kept = trained("kept", tmp_path / "told", schedule=rests)
    assert load_model(kept).model.critic is not None
    assert read_json(kept / "provenance.json")["critic"]["samples"] == 100
    before, after = (load(tmp_path / name, "cpu").draw(20, seed=3) for name in ("told", "kept"))
    assert before == after

    step = Trainer.step
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", lambda self: (step(self), signal.raise_signal(15)))
        with pytest.raises(InterruptedRun):
            trained("cut", tmp_path / "told", schedule=rests)
    train(corpus, tmp_path / "cut", resume=True, progress=False)
    one, two = (get_weights(load_model(tmp_path / name).model) for name in ("kept", "cut"))
    assert any(name.startswith("critic.") for name in one)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_critic_needs_something_to_learn_from(
    model: Path, corpus: Corpus, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="at least 100"):
        fit_critic(model, tmp_path / "out", corpus, draws=10, workers=1, progress=False)
    with pytest.raises(ConfigError, match="most is 0"):
        fit_critic(model, tmp_path / "out", corpus, most=0, workers=1, progress=False)
    assert not (tmp_path / "out").exists()


def test_the_command_fits_a_critic_and_generate_uses_it(
    model: Path, corpus: Corpus, tmp_path: Path
) -> None:
    def run(*words: str) -> str:
        done = CliRunner().invoke(app, [*words, "--quiet"])
        assert done.exit_code == 0, done.output
        return done.stdout

    out = str(tmp_path / "judged")
    run("models", "critic", str(model), "-o", out, "--corpus", str(corpus.path), "--draws", "200",
        "--bits", "64", "--candidates", "3", "--most", "0.1", "--discount", "0.05", "--workers",
        "1")  # fmt: skip
    assert load_model(out).model.config.critic == CriticConfig(
        bits=64, candidates=3, features=feature_count(64), discount=0.05
    )
    assert load_model(out).provenance["critic"]["most"] == 0.1
    with_it = run("generate", out, "-n", "20", "-o", "-")
    without = run("generate", out, "-n", "20", "--candidates", "1", "-o", "-")
    assert len(with_it.split()) == len(without.split()) == 21
    assert with_it != without
