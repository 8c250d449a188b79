"""Health: the measures against values known otherwise, and the verdict's rules on made-up signs."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance
from sklearn.metrics import r2_score, roc_auc_score

import molvae
from molvae.base.errors import ConfigError, InputError
from molvae.chem.similarity import pairwise_similarity
from molvae.chem.smiles import canonicalise
from molvae.chem.tokenizer import Tokenizer
from molvae.datasets.corpus import Corpus
from molvae.generator import Generator
from molvae.metrics.basic import novelty, uniqueness, validity
from molvae.metrics.distribution import property_distances, wasserstein
from molvae.metrics.health import Health, HealthOptions, assess
from molvae.metrics.held_out import held_out_of
from molvae.metrics.heritability import half_way, summarise_steps
from molvae.metrics.prediction import LEVELS, classification_quality, regression_quality
from molvae.metrics.verdict import Signs, judge
from molvae.models.batch import Batch
from molvae.models.objective import ObjectiveConfig
from molvae.models.presets import preset
from molvae.models.vae import SequenceVAE

HEALTHY = Signs(
    token_accuracy=0.95,
    token_accuracy_misplaced=0.55,
    commonest_symbol=0.3,
    reconstructed=0.7,
    kl=40.0,
    active_units=60,
    dimensions=64,
    aggregate_scale=1.0,
    uniqueness=1.0,
    novelty=0.99,
    sane=0.9,
    half_similarity=0.6,
    midpoint_gain=0.15,
)


def test_a_model_with_all_signs_in_range_is_healthy() -> None:
    verdict = judge(HEALTHY)
    assert (verdict.status, verdict.reasons, verdict.advice) == ("healthy", (), ())
    assert str(verdict) == "healthy"


@pytest.mark.parametrize(
    ("change", "status", "reason", "advice"),
    [
        # Not even the commonest symbol is learnt; its KL of nothing says nothing yet.
        ({"token_accuracy": 0.35, "kl": 0.1}, "not yet trained", "35%", "run.epochs"),
        ({"token_accuracy": math.nan}, "not yet trained", "symbols", "run.epochs"),
        # A good language model that ignores z.
        ({"token_accuracy_misplaced": 0.94}, "collapsing", "listens", "objective.kl_weight"),
        ({"active_units": 0}, "collapsing", "none of 64", "objective.free_bits"),
        ({"kl": 2.0, "reconstructed": 0.0}, "collapsing", "7 molecules", "model.token_dropout"),
        ({"reconstructed": 0.02}, "not yet trained", "2.0%", "run.epochs"),
        ({"reconstructed": 0.3}, "healthy", "30%", "run.epochs"),
        ({"active_units": 3}, "healthy", "3 of 64", "latent_dim"),
        ({"aggregate_scale": 0.5}, "healthy", "spread of 0.50", "min_std"),
        ({"aggregate_scale": 1.9}, "healthy", "spread of 1.90", "kl_weight"),
        ({"half_similarity": 0.2}, "healthy", "Tanimoto 0.20", "min_std"),
        ({"midpoint_gain": 0.0}, "healthy", "midpoints", "kl_weight"),
        ({"uniqueness": 0.5}, "healthy", "50% of prior samples are distinct", "temperature"),
        ({"novelty": 0.1}, "healthy", "recites", "more molecules"),
        ({"sane": 0.2}, "healthy", "20% of prior samples are sane", "kl_weight"),
        (
            {"properties": {"qed": 1.2, "logp": 0.9, "sa": 6.5, "mw": math.nan}},
            "healthy",
            "properties far from those of held-out molecules (in standard deviations: sa 6.5, "
            "qed 1.2)",
            "kl_weight",
        ),
    ],
)
def test_each_rule_of_the_verdict(
    change: dict[str, float], status: str, reason: str, advice: str
) -> None:
    verdict = judge(replace(HEALTHY, **change))  # type: ignore[arg-type]
    assert verdict.status == status
    assert reason in str(verdict)
    assert any(advice in text for text in verdict.advice)


UNWIDE = {"kl": math.nan, "aggregate_scale": 0.33, "properties": {"sa": 6.5}}
FAULTS = {"half_similarity": 0.2, "midpoint_gain": 0.0, "uniqueness": 0.5, "sane": 0.2}


@pytest.mark.parametrize(
    ("bottleneck", "fitted", "advised"),
    [
        ("deterministic", False, ["--kind mixture", "--preset wae", "--preset aae"]),
        ("deterministic", True, ["--preset wae", "--preset aae"]),
        ("vq", False, ["--kind codes"]),
        ("vq", True, ["for longer"]),
    ],
)
def test_a_model_of_points_is_not_advised_to_change_a_kl_or_a_width_that_it_has_not(
    bottleneck: str, fitted: bool, advised: list[str]
) -> None:
    signs = replace(HEALTHY, **UNWIDE, bottleneck=bottleneck, fitted_prior=fitted)  # type: ignore[arg-type]
    verdict = judge(signs)
    assert verdict.status == "healthy"
    assert "sa 6.5" in str(verdict)
    # What a fitted prior has is not 1, and what it should be is the latents' own.
    assert ("spread of 0.33" in str(verdict)) != fitted
    assert all(any(word in advice for advice in verdict.advice) for word in advised)
    for changes in ({}, FAULTS, {"reconstructed": 0.0}, {"active_units": 0}, {"active_units": 3}):
        changed = replace(signs, **changes)  # type: ignore[arg-type]
        said = " ".join(judge(changed).advice)
        assert said
        for word in ("kl", "KL", "min_std", "free_bits"):
            assert word not in said, changes
    both = judge(replace(signs, **FAULTS)).advice  # type: ignore[arg-type]
    assert any("model.latent_noise" in advice for advice in both)
    assert any("mixture" in advice for advice in both) == (advised[0] == "--kind mixture")


def test_what_was_not_measured_is_no_reservation() -> None:
    unmeasured = replace(
        HEALTHY, novelty=math.nan, half_similarity=math.nan, midpoint_gain=math.nan
    )
    assert str(judge(unmeasured)) == "healthy"


def test_advice_names_settings_that_exist() -> None:
    from molvae.training.config import TrainConfig

    bad = [
        replace(HEALTHY, token_accuracy=0.0),
        replace(HEALTHY, kl=0.0),
        replace(HEALTHY, reconstructed=0.0),
        replace(HEALTHY, reconstructed=0.2, active_units=1, aggregate_scale=0.1, novelty=0.0),
        replace(HEALTHY, half_similarity=0.0, uniqueness=0.0, sane=0.0, midpoint_gain=0.0),
    ]
    bad += [replace(signs, bottleneck="deterministic") for signs in bad]
    words = {
        word.strip("(),")
        for signs in bad
        for advice in judge(signs).advice
        for word in advice.split()
    }
    keys = [word.split(".") for word in words if "." in word.strip(".")]
    assert len(keys) >= 6
    defaults = TrainConfig().to_dict()
    for section, key in keys:
        assert key in defaults[section], f"{section}.{key}"


# --- parts ------------------------------------------------------------------------------------


def test_validity_uniqueness_and_novelty() -> None:
    drawn = ["C", "C", None, "CC", "CCC"]
    assert validity(drawn) == 0.8
    assert uniqueness(drawn) == 0.75
    assert novelty(drawn, iter(["CC", "CCCC", "CC"])) == pytest.approx(2 / 3)
    assert math.isnan(validity([]))
    assert math.isnan(uniqueness([None]))
    assert math.isnan(novelty([None], []))


numbers = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30)


@given(numbers, numbers)
def test_wasserstein_is_scipys(a: list[float], b: list[float]) -> None:
    expected = wasserstein_distance(a, b)
    assert wasserstein(np.array(a), np.array(b)) == pytest.approx(expected, abs=1e-8)


def test_property_distances_leave_out_what_is_missing() -> None:
    sample = np.array([[1.0, np.nan], [2.0, np.nan]])
    reference = np.array([[1.0, 1.0], [2.0, 2.0], [np.nan, 3.0]])
    logp, qed = property_distances(sample, reference, ["logp", "qed"])
    assert (logp.distance, logp.relative, logp.sample_mean) == (0.0, 0.0, 1.5)
    assert math.isnan(qed.distance)
    assert qed.sample_quantiles == ()


def test_regression_quality_is_scikit_learns_and_leaves_out_missing_labels() -> None:
    random = np.random.default_rng(0)
    y = random.normal(size=400) * 3
    mean = y + random.normal(size=400)
    gaps = np.where(np.arange(400) % 4 == 0, np.nan, y)
    found = regression_quality("logp", gaps, mean, np.ones(400))
    known = ~np.isnan(gaps)
    assert found.molecules == 300
    assert found.r2 == pytest.approx(r2_score(y[known], mean[known]))
    assert found.rmse == pytest.approx(np.sqrt(np.square(y - mean)[known].mean()))
    # The errors are what the predictor says they are.
    assert found.calibration_error < 0.04


@pytest.mark.parametrize(("std", "direction"), [(0.2, -1), (5.0, 1)])
def test_calibration_tells_false_confidence_from_false_doubt(std: float, direction: int) -> None:
    random = np.random.default_rng(0)
    error = random.normal(size=2000)
    found = regression_quality("logp", np.zeros(2000), error, np.full(2000, std))
    assert found.calibration_error > 0.2
    assert (np.sign(np.array(found.coverage) - LEVELS)[1:-1] == direction).all()


def test_classification_quality_is_scikit_learns() -> None:
    random = np.random.default_rng(0)
    p = random.uniform(size=500).round(2)
    y = (random.uniform(size=500) < p).astype(float)
    found = classification_quality("active", y, p)
    assert found.auroc == pytest.approx(roc_auc_score(y, p))
    assert found.brier == pytest.approx(np.square(y - p).mean())
    assert found.calibration_error < 0.08
    overconfident = classification_quality("active", y, (p > 0.5).astype(float))
    assert overconfident.calibration_error > 0.15


def test_quality_without_labels_is_not_a_number() -> None:
    nothing = np.array([np.nan])
    assert math.isnan(regression_quality("y", nothing, np.zeros(1), np.ones(1)).r2)
    assert math.isnan(classification_quality("y", nothing, np.zeros(1)).auroc)
    assert math.isnan(regression_quality("y", np.ones(3), np.zeros(3), np.ones(3)).r2)
    assert math.isnan(classification_quality("y", np.ones(3), np.full(3, 0.5)).auroc)


def test_half_way_is_interpolated_where_half_have_changed() -> None:
    step, similarity = half_way([0.0, 0.1, 0.3], [1.0, 0.6, 0.2], [math.nan, 0.7, 0.5])
    assert step == pytest.approx(0.15)
    assert similarity == pytest.approx(0.65)
    assert all(map(math.isnan, half_way([0.0, 1.0], [1.0, 0.9], [math.nan, 0.5])))


def test_the_half_way_point_looks_at_reproduced_parents_alone() -> None:
    # 30 parents come back; at step 1 ten of them change to similarity .5, at step 2 twenty to .4.
    # The other 30 never come back, and their similarity of 0 must not weigh.
    unchanged = np.zeros((3, 60), dtype=bool)
    unchanged[0, :30], unchanged[1, :20], unchanged[2, :10] = True, True, True
    alike = np.zeros((3, 60))
    alike[1, :30], alike[2, :30] = 0.5, 0.4
    found = summarise_steps([0.0, 1.0, 2.0], unchanged, alike, np.ones((3, 60), dtype=bool))
    assert (found.parents, found.reproduced) == (60, 30)
    assert [step.unchanged for step in found.steps] == pytest.approx([1 / 2, 1 / 3, 1 / 6])
    assert found.half_step == pytest.approx(1.5)
    assert found.half_similarity == pytest.approx(0.45)
    few = summarise_steps([0.0, 1.0], unchanged[:2, 20:], alike[:2, 20:], unchanged[:2, 20:])
    assert math.isnan(few.half_step)


def test_pairwise_similarity_is_rdkits() -> None:
    from rdkit import Chem, DataStructs
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    a, b = ["CCO", "c1ccccc1O", None], ["CCCO", "c1ccccc1N", "C"]
    make = GetMorganGenerator(radius=2, fpSize=2048)
    prints = [[make.GetFingerprint(Chem.MolFromSmiles(s)) for s in side[:2]] for side in (a, b)]
    expected = [DataStructs.TanimotoSimilarity(x, y) for x, y in zip(*prints, strict=True)]
    found = pairwise_similarity(a, b)
    np.testing.assert_allclose(found[:2], expected)
    assert math.isnan(found[2])


# --- the whole --------------------------------------------------------------------------------

SMALL = HealthOptions(held_out=40, samples=60, parents=20, steps=(0.0, 0.5, 1.0))


@pytest.fixture(scope="module")
def generator(tiny_model: Path) -> Generator:
    return molvae.load(tiny_model, "cpu")


@pytest.fixture(scope="module")
def health(generator: Generator) -> Health:
    known = held_out_of(generator)
    return assess(
        generator, known.smiles, known.labels, known.training, options=SMALL, progress=False
    )


def test_held_out_molecules_are_those_of_the_corpus(
    generator: Generator, tiny_corpus: Path
) -> None:
    corpus = Corpus.open(tiny_corpus)
    known = held_out_of(generator)
    assert known.smiles == corpus.smiles(corpus.indices("test"))
    np.testing.assert_array_equal(known.labels["logp"], corpus.labels[corpus.indices("test"), 0])
    assert known.training is not None
    # A stream that can be read more than once.
    assert list(known.training) == corpus.smiles(corpus.indices("train")) == list(known.training)


def test_held_out_molecules_of_a_file(generator: Generator, tmp_path: Path) -> None:
    file = tmp_path / "new.csv"
    file.write_text("smiles,logp\nCCO,-0.1\nCCC,\n,1\n")
    known = held_out_of(generator, str(file), labels=["logp"])
    assert known.smiles == ["CCO", "CCC"]
    np.testing.assert_array_equal(known.labels["logp"], [-0.1, np.nan])
    with pytest.raises(ConfigError, match="it predicts logp, polar"):
        held_out_of(generator, str(file), labels=["logd"])


def test_a_model_whose_corpus_is_gone_asks_for_data(generator: Generator) -> None:
    lost = Generator(generator.model, generator.tokenizer, None, {"corpus": {"path": "/gone"}})
    with pytest.raises(InputError, match="--data"):
        held_out_of(lost)


def test_a_folder_that_happens_to_be_called_as_the_corpus_is_none(
    generator: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "moses").mkdir()
    lost = Generator(generator.model, generator.tokenizer, None, {"corpus": {"path": "moses"}})
    with pytest.raises(InputError, match=r"is not at moses; give .* with --held-out FILE"):
        held_out_of(lost, flag="--held-out")
    file = tmp_path / "some.smi"
    file.write_text("CCO\n")
    assert held_out_of(lost, str(file)).smiles == ["CCO"]


def test_all_signs_are_measured_together(health: Health, generator: Generator) -> None:
    back, samples = health.reconstruction, health.samples
    assert back.molecules == 40
    for share in (back.exact, back.exact_sampled, back.token_accuracy, samples.validity):
        assert 0 <= share <= 1
    assert back.token_accuracy > back.commonest_symbol
    assert back.elbo == pytest.approx(-back.nats - health.latent.kl, abs=0.01)
    assert health.latent.dimensions == generator.latent_dim == len(health.latent.kl_per_dimension)
    assert samples.novelty > 0.9
    assert [p.name for p in health.properties] == list(SMALL.properties)
    assert [step.size for step in health.heritability.steps] == [0.0, 0.5, 1.0]
    assert health.midpoints.pairs == 20
    assert [quality.name for quality in health.head] == ["logp", "polar"]
    assert health.verdict.status == "not yet trained"


def test_step_zero_is_reconstruction(health: Health, generator: Generator) -> None:
    assert health.heritability.steps[0].unchanged == pytest.approx(
        health.heritability.reproduced / health.heritability.parents
    )


def test_health_is_the_same_with_the_same_seed(health: Health, generator: Generator) -> None:
    known = held_out_of(generator)
    again = assess(
        generator, known.smiles, known.labels, known.training, options=SMALL, progress=False
    )
    assert json.dumps(again.to_dict()) == json.dumps(health.to_dict())


def test_molecules_that_cannot_be_read_are_counted_not_measured(
    generator: Generator, zinc: list[str]
) -> None:
    given = [*zinc[:10], "C1CC", "[U]", ""]
    found = assess(generator, given, options=SMALL, progress=False)
    assert (found.reconstruction.molecules, found.reconstruction.unreadable) == (10, 3)
    assert math.isnan(found.samples.novelty)
    assert found.head == ()
    with pytest.raises(InputError, match="only 1 of 2 held-out molecules"):
        assess(generator, ["CCO", "[U]"], options=SMALL, progress=False)


@pytest.fixture(scope="module", params=["deterministic", "vq"])
def points(request: pytest.FixtureRequest, zinc: list[str]) -> Health:
    """An untrained model that encodes to points."""
    tokenizer = Tokenizer.from_smiles(zinc[:1000])
    config = preset("tiny").replace(bottleneck={"kind": request.param, "code_dim": 4})
    model = SequenceVAE(config, tokenizer.vocab_size, tokenizer.max_length)
    return assess(Generator(model, tokenizer), zinc[:40], options=SMALL, progress=False)


def test_a_model_of_points_has_neither_kl_nor_bound(points: Health) -> None:
    assert math.isnan(points.latent.kl)
    assert math.isnan(points.reconstruction.elbo)
    assert math.isfinite(points.reconstruction.nats)


def test_the_verdict_is_told_the_bottleneck_the_prior_and_the_properties(
    generator: Generator, zinc: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Signs] = []
    monkeypatch.setattr(
        "molvae.metrics.health.judge", lambda signs: told.append(signs) or judge(signs)
    )
    found = assess(generator, zinc[:20], options=SMALL, progress=False)
    assert (told[0].bottleneck, told[0].fitted_prior) == ("gaussian", False)
    assert told[0].properties == {one.name: one.relative for one in found.properties}


def memorised(smiles: list[str], kl_weight: float, steps: int) -> Generator:
    """A small model that has seen nothing but ``smiles``, over and over."""
    tokenizer = Tokenizer.from_smiles(smiles)
    sizes = preset("tiny").replace(encoder_hidden=48, decoder_hidden=64)
    model = SequenceVAE(sizes, tokenizer.vocab_size, tokenizer.max_length)
    batch = Batch.collate([tokenizer.encode_one(s) for s in smiles])
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    noise = torch.Generator().manual_seed(0)
    for _ in range(steps):
        optimizer.zero_grad()
        model.losses(batch, ObjectiveConfig(kl_weight=kl_weight), noise).total.backward()
        optimizer.step()
    return Generator(model, tokenizer)


@pytest.mark.slow
def test_a_model_that_knows_its_molecules_is_healthy(zinc: list[str]) -> None:
    smiles = [canonicalise(s) for s in sorted(zinc, key=len)[:40]]
    found = assess(memorised(smiles, 0.02, 300), smiles, options=SMALL, progress=False)
    assert found.verdict.status == "healthy"
    assert found.reconstruction.exact > 0.9
    assert found.reconstruction.token_accuracy > found.reconstruction.token_accuracy_misplaced + 0.2
    assert found.heritability.reproduced == found.heritability.parents
    assert 0 < found.heritability.half_step < 1.5
    shares = [step.unchanged for step in found.heritability.steps]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < 0.5


@pytest.mark.slow
def test_a_model_whose_posterior_collapses_is_called_so(zinc: list[str]) -> None:
    smiles = [canonicalise(s) for s in sorted(zinc, key=len)[:40]]
    found = assess(memorised(smiles, 30.0, 75), smiles, options=SMALL, progress=False)
    assert found.verdict.status == "collapsing"
    assert found.latent.kl < 1
    assert any("objective.kl_weight" in advice for advice in found.verdict.advice)
