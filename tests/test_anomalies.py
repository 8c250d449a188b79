"""Anomalies: the false-alarm rate holds, the unreadable is told apart, calibrations are kept."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import molvae
from molvae.base.errors import ConfigError, InputError, ModelError, MolvaeError
from molvae.chem.tokenizer import Tokenizer
from molvae.cli.app import app
from molvae.generator import Generator
from molvae.latent.anomaly import REASONS, Detector, score
from molvae.latent.anomaly_files import NAME, load_detector, save_detector
from molvae.models.presets import preset
from molvae.models.vae import SequenceVAE
from molvae.training.shipped import model_path, shipped_models


def run(*arguments: object) -> Any:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if isinstance(result.exception, MolvaeError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def generator(tiny_model: Path) -> Generator:
    return molvae.load(tiny_model, "cpu")


@pytest.fixture(scope="module")
def detector(generator: Generator, zinc: list[str]) -> Detector:
    return Detector.fit(generator, zinc[600:900], source="zinc")


def test_of_molecules_like_the_reference_the_stated_share_is_called_anomalous(
    generator: Generator, detector: Detector, zinc: list[str]
) -> None:
    p = detector.judge(generator, zinc[900:1400], false_alarms=0.2).p
    assert np.mean(p <= 0.2) == pytest.approx(0.2, abs=0.08)
    assert np.mean(p <= 0.5) == pytest.approx(0.5, abs=0.1)


def test_the_threshold_is_the_conformal_quantile_of_the_calibration(detector: Detector) -> None:
    m = len(detector.calibrated)
    limit = detector.threshold(0.1)
    above = int((detector.calibrated > limit).sum())
    assert (above + 1) / (m + 1) <= 0.1
    assert int((detector.calibrated >= limit).sum()) + 1 > 0.1 * (m + 1)


def test_what_the_model_cannot_encode_is_an_anomaly_and_what_is_no_molecule_has_no_verdict(
    generator: Generator, detector: Detector, zinc: list[str]
) -> None:
    found = detector.judge(generator, [zinc[0], "[U]", "C1CC", None], false_alarms=0.1)
    assert found.verdict[1:] == ["anomaly", None, None]
    assert found.reasons[1:3] == [
        "symbols outside the alphabet ([U])",
        "not valid SMILES (ring 1 is not closed)",
    ]
    assert np.isinf(found.combined[1])
    assert np.isnan(found.p[2:]).all()


def test_scores_of_a_molecule_do_not_depend_on_the_others(
    generator: Generator, zinc: list[str]
) -> None:
    alone, among = score(generator, zinc[5:6]), score(generator, zinc[:20])
    for name in ("likelihood", "reconstruction", "bound", "exact"):
        assert getattr(alone, name)[0] == pytest.approx(getattr(among, name)[5], rel=1e-4)


def test_exact_says_whether_the_greedy_reconstruction_is_the_molecule(
    generator: Generator, zinc: list[str]
) -> None:
    molecules = ["CC", "CCC", "CCO", *zinc[:5]]
    same = [a == b for a, b in zip(generator.reconstruct(molecules), molecules, strict=True)]
    exact = score(generator, molecules).exact
    assert not any(e and not s for e, s in zip(exact, same, strict=True))


def test_a_model_of_points_has_no_bound_and_is_judged_by_the_scores_that_it_has(
    zinc: list[str], tmp_path: Path
) -> None:
    tokenizer = Tokenizer.from_smiles(zinc[:1000])
    config = preset("tiny").replace(bottleneck={"kind": "deterministic"})
    model = SequenceVAE(config, tokenizer.vocab_size, tokenizer.max_length)
    points = Generator(model, tokenizer)
    detector = Detector.fit(points, zinc[600:900], source="zinc")
    save_detector(detector, tmp_path / "c.json")
    found = load_detector(tmp_path / "c.json").judge(points, zinc[400:600], false_alarms=0.2)
    for name in ("likelihood", "bound"):
        assert np.isnan(getattr(found.scores, name)).all(), name
    assert np.isfinite(found.combined).all()
    assert np.mean(found.p <= 0.2) == pytest.approx(0.2, abs=0.1)
    said = {reason for reason in found.reasons if reason is not None}
    assert said <= {REASONS["reconstruction"], REASONS["distance"]}
    assert said
    fitted = {**detector.fitted, "likelihood": detector.fitted["reconstruction"]}
    with pytest.raises(ModelError, match="counts with a likelihood, and this model has none"):
        replace(detector, fitted=fitted).judge(points, zinc[:10])


@pytest.mark.parametrize("smiles", ["CCO", "CCCCCC"])
def test_the_commonest_symbols_are_not_called_unusual(smiles: str) -> None:
    """A short molecule of carbon is improbable for where it ends, not for what it is made of."""
    druglike = molvae.load("druglike", "cpu")
    (reason,) = load_detector(model_path("druglike") / NAME).judge(druglike, [smiles]).reasons
    assert reason == "an improbable row of symbols: the model finds it hard to write"


def test_windows_that_a_molecule_does_not_reach_do_not_count() -> None:
    from molvae.latent.anomaly import summary
    from molvae.latent.posteriors import Posteriors
    from molvae.models.windows import Windows

    windows = Windows(count=4, size=2, width=2, rest=0)
    z = np.arange(8.0)[None]
    changed = z.copy()
    changed[:, 6:] = 99.0
    symbols = np.array([4])
    one, other = (summary(windows, Posteriors(v, v, [None]), symbols) for v in (z, changed))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(one[0, :2], [2, 3])


def test_a_rate_that_the_calibration_cannot_hold_is_refused(detector: Detector) -> None:
    with pytest.raises(ConfigError, match="can hold no less than"):
        detector.threshold(1e-4)


def test_a_reference_that_the_model_cannot_encode_is_refused_below_its_share(
    generator: Generator, zinc: list[str]
) -> None:
    strange = [f"[U]{'C' * n}" for n in range(1, 41)]
    mixed = Detector.fit(generator, [*zinc[600:660], *strange], source="mixed")
    with pytest.raises(ConfigError, match="cannot encode"):
        mixed.threshold(0.05)
    with pytest.raises(InputError, match="too few"):
        Detector.fit(generator, zinc[:10], source="ten")


def test_a_calibration_read_back_gives_the_same_verdicts(
    generator: Generator, detector: Detector, zinc: list[str], tmp_path: Path
) -> None:
    save_detector(detector, tmp_path / "c.json")
    again = load_detector(tmp_path / "c.json")
    mine, theirs = (
        d.judge(generator, zinc[900:1000], false_alarms=0.1).p for d in (detector, again)
    )
    np.testing.assert_allclose(mine, theirs, atol=0.02)
    text = (tmp_path / "c.json").read_text()
    assert not any(smiles in text for smiles in zinc[600:900])


@pytest.mark.parametrize(
    "damage",
    [
        lambda v: v.pop("calibrated"),
        lambda v: v.update(precision=[[1.0]]),
        lambda v: v.update(format=99),
        lambda v: v.update(kind="other"),
        lambda v: v["fitted"].pop("distance"),
    ],
)
def test_a_damaged_calibration_is_refused(damage: Any, detector: Detector, tmp_path: Path) -> None:
    save_detector(detector, tmp_path / "c.json")
    values = json.loads((tmp_path / "c.json").read_text())
    damage(values)
    (tmp_path / "c.json").write_text(json.dumps(values))
    with pytest.raises(ModelError):
        load_detector(tmp_path / "c.json")


def test_a_calibration_of_another_model_is_refused(generator: Generator, tmp_path: Path) -> None:
    found = load_detector(model_path("druglike") / NAME)
    with pytest.raises(ModelError, match="another model"):
        found.judge(generator, ["CCO"])


@pytest.mark.parametrize("name", shipped_models())
def test_a_shipped_calibration_is_of_the_shipped_weights(name: str) -> None:
    found = load_detector(model_path(name) / NAME)
    assert found.model == molvae.load(name, "cpu").fingerprint
    assert len(found.calibrated) >= 1000


def test_command_writes_a_row_for_each_row_and_calibrates_once(
    tiny_model: Path, zinc: list[str], tmp_path: Path
) -> None:
    reference, file = tmp_path / "ref.smi", tmp_path / "some.csv"
    reference.write_text("\n".join(zinc[600:700]))
    file.write_text(f"name,smiles\na,{zinc[0]}\nb,C1CC\nc,[U]\n")
    kept, out = tmp_path / "kept.json", tmp_path / "out.csv"
    flags = ("--reference", tiny_model, "--false-alarms", "0.1")
    first = run(
        "anomalies", file, *flags, "--data", reference, "--save-calibration", kept, "-o", out
    )
    rows = list(csv.DictReader(out.open()))
    assert [row["name"] for row in rows] == ["a", "b", "c"]
    assert [row["verdict"] for row in rows[1:]] == ["", "anomaly"]
    assert "1 of 3 rows could not be judged" in first.stderr
    again = json.loads(run("anomalies", file, *flags, "--calibration", kept, "--json").stdout)
    assert again["molecules"]["verdict"] == [rows[0]["verdict"], None, "anomaly"]
    assert again["calibrated_on"] == 50


def test_command_refuses_what_it_cannot_do(tiny_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "some.smi"
    file.write_text("CCO\n")
    with pytest.raises(ConfigError, match="nothing to do"):
        run("anomalies", "--reference", tiny_model)
    with pytest.raises(ConfigError, match="not both"):
        run("anomalies", file, "-r", tiny_model, "--data", file, "--calibration", file)
    with pytest.raises(InputError, match="too few"):
        run("anomalies", file, "-r", tiny_model, "--data", file)
    with pytest.raises(ConfigError, match="false_alarms"):
        run("anomalies", file, "-r", tiny_model, "--false-alarms", "2")
