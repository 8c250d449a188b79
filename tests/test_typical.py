"""Search kept to molecules that the model would write itself."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import molvae
from molvae.base.errors import ConfigError, ModelError
from molvae.chem.tokenizer import Tokenizer
from molvae.cli.app import app
from molvae.generator import Generator
from molvae.latent import typicality
from molvae.latent.anomaly import score
from molvae.latent.typicality import surprisal, typical_surprisal
from molvae.models.presets import preset
from molvae.models.vae import SequenceVAE
from molvae.optimize.filtered import SaneGenerator, TypicalGenerator, filtered, only
from molvae.optimize.proposals import local
from molvae.optimize.run import optimize
from molvae.oracles.objective import Objective

ORDINARY = [
    "O=C(Nc1ccccc1Cl)N1CCOCC1",
    "COc1ccc(S(=O)(=O)N2CCCCC2)cc1",
    "Cc1ccc(C(=O)NCc2cccnc2)cc1F",
]
ODD = [  # what a search on graphs comes upon where nothing holds it
    "C=C1CN(CCO)CCN1c1pccc2ccccc12",
    "CCC=C1N(CCO)CC=CN1c1cnnc2ccccc12",
    "C=C1CN(CCO)CON1C=Cc1nccc2ccccc12",
]


@pytest.fixture(scope="module", autouse=True)
def few_samples() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typicality, "SAMPLES", 60)
        yield


@pytest.fixture(scope="module")
def druglike() -> Generator:
    return molvae.load("druglike", "cpu")


def untrained(name: str) -> Generator:
    tokenizer = Tokenizer.from_smiles([*ORDINARY, "CCO"])
    model = SequenceVAE(preset(name), tokenizer.vocab_size, tokenizer.max_length)
    return Generator(model, tokenizer)


def test_what_no_chemist_would_order_surprises_the_model(druglike: Generator) -> None:
    assert max(surprisal(druglike, ORDINARY)) + 0.3 < min(surprisal(druglike, ODD))
    assert (surprisal(druglike, ORDINARY) < typical_surprisal(druglike, 0.75)).all()
    assert (surprisal(druglike, ODD) > typical_surprisal(druglike, 0.95)).all()


def test_the_surprise_of_a_symbol_is_that_of_anomaly_detection(druglike: Generator) -> None:
    texts = [*ORDINARY, *ODD, "C1CC", None]
    found = surprisal(druglike, texts)
    np.testing.assert_allclose(found, score(druglike, texts).likelihood, rtol=1e-5)
    assert np.isnan(found[-2:]).all()
    assert not np.isnan(found[:-2]).any()
    bounded = untrained("tiny")  # its decoder has not learnt to write alone
    np.testing.assert_allclose(
        surprisal(bounded, ORDINARY), score(bounded, ORDINARY).bound, rtol=1e-5
    )


def test_half_of_the_samples_are_as_typical_as_the_better_half(druglike: Generator) -> None:
    limits = [typical_surprisal(druglike, share) for share in (0.5, 1.0)]
    assert limits[0] < limits[1]
    assert typical_surprisal(druglike, 0.5) == limits[0]
    others = surprisal(druglike, druglike.sample(100, seed=123))
    assert np.mean(others <= limits[0]) == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5])
def test_a_share_that_is_none_is_refused(share: float, druglike: Generator) -> None:
    with pytest.raises(ConfigError, match="give a share of the model's samples, above 0"):
        typical_surprisal(druglike, share)


def test_a_model_without_a_likelihood_says_so() -> None:
    with pytest.raises(ModelError, match="no likelihood that could tell"):
        filtered(untrained("vq-vae"), sane=False, typical=0.5)


def test_a_generator_kept_to_typical_molecules_writes_no_others(druglike: Generator) -> None:
    typical = TypicalGenerator(SaneGenerator(druglike), druglike, 0.75)
    assert local(typical) is not None
    assert typical.windows == druglike.windows
    assert typical.fingerprint.endswith("sane molecules only, typical molecules only (0.75)")
    assert typical.admit([ORDINARY[0], ODD[0], None, "C1=C=C1"]) == [ORDINARY[0], None, None, None]
    drawn = typical.sample(20, seed=1)
    assert len(drawn) == 20
    assert drawn == typical.sample(20, seed=1)
    assert (surprisal(druglike, drawn) <= typical.limit + 1e-6).all()
    z = druglike.encode([*ORDINARY, *ODD])
    assert typical.decode(z)[len(ORDINARY) :] == [None] * len(ODD)
    assert None not in typical.decode(z)[: len(ORDINARY)]


def test_samples_that_hardly_exist_are_fewer_instead_of_endless(
    druglike: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("molvae.optimize.filtered.LEAST", 60)
    few = TypicalGenerator(druglike, druglike, 0.2)
    assert len(few.sample(2, seed=0)) == 2  # rarer than two in two, but there
    monkeypatch.setattr(TypicalGenerator, "limit", -1.0)
    assert TypicalGenerator(druglike, druglike, 0.5).sample(3, seed=0) == []


def test_who_only_tells_results_does_not_wait_for_what_is_typical(
    druglike: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typicality, "SAMPLES", 10**9)
    typical = filtered(druglike, sane=True, typical=0.5)
    assert typical.encode(ORDINARY).shape == (len(ORDINARY), druglike.latent_dim)
    assert typical.fingerprint.endswith("typical molecules only (0.5)")


def test_a_search_that_ends_says_to_which_molecules_it_was_kept(
    druglike: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TypicalGenerator, "limit", -1.0)
    kept = TypicalGenerator(SaneGenerator(druglike), druglike, 0.3)
    assert only(druglike) == ""
    assert only(kept) == ", among sane and typical (0.3) molecules"
    length = Objective("length", lambda smiles: float(len(smiles)), "maximize")
    found = optimize(kept, length, budget=5, start=ORDINARY, progress=False, candidates=16)
    assert found.stopped == (
        "the generator has no more new molecules, among sane and typical (0.3) molecules"
    )


@pytest.mark.slow
def test_every_molecule_of_a_search_is_typical_whatever_its_route(druglike: Generator) -> None:
    length = Objective("length", lambda smiles: float(len(smiles)), "maximize")
    typical = filtered(druglike, sane=True, typical=0.5)
    assert isinstance(typical, TypicalGenerator)
    found = optimize(typical, length, budget=18, candidates=64, progress=False)
    smiles = [o.suggestion.smiles for o in found.observations]
    assert len(smiles) == 18
    assert len({o.suggestion.origin for o in found.observations}) > 2
    assert (surprisal(druglike, smiles) <= typical.limit + 1e-6).all()
    free = optimize(SaneGenerator(druglike), length, budget=18, candidates=64, progress=False)
    others = [o.suggestion.smiles for o in free.observations]
    assert np.mean(surprisal(druglike, others) > typical.limit) > 0.3


@pytest.mark.slow
def test_optimize_and_campaigns_take_it_as_a_flag_and_remember_it(
    tmp_path: Path,
) -> None:
    run = CliRunner().invoke
    out = tmp_path / "best.csv"
    search = ["optimize", "druglike", "--maximize", "qed", "--budget", "6", "-o", str(out)]
    search += ["--candidates", "64"]
    done = run(app, [*search, "--typical", "0.5"])
    assert done.exit_code == 0, done.output
    assert "among typical (0.5) molecules" in done.output
    assert len(list(csv.DictReader(out.open()))) == 6
    other = run(app, [*search, "--typical", "0.6", "--resume"])
    assert "typical molecules only (0.6)" in str(other.exception)
    wrong = run(app, [*search, "--typical", "2"])
    assert "typical" in str(wrong.exception)
    assert "less than or equal to 1" in str(wrong.exception)

    place = str(tmp_path / "campaign.sqlite")
    new = ["campaign", "new", place, "--model", "druglike", "--assay", "pIC50"]
    begun = run(app, [*new, "--direction", "maximize", "--typical", "0.5"])
    assert begun.exit_code == 0, begun.output
    batch = tmp_path / "batch.csv"
    asked = run(app, ["campaign", "ask", place, "-o", str(batch)])
    assert asked.exit_code == 0, asked.output
    smiles = [row["smiles"] for row in csv.DictReader(batch.open())]
    assert len(smiles) == 10
    model = molvae.load("druglike", "cpu")
    assert (surprisal(model, smiles) <= typical_surprisal(model, 0.5) + 1e-6).all()
