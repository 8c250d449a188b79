"""Synthetic sets: none of the table's molecules, its spreads, and a report that tells of leaks."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from molvae.base.errors import FileError, InputError, MolvaeError
from molvae.chem.properties import compute
from molvae.chem.similarity import fingerprints, nearest
from molvae.chem.smiles import parse_many
from molvae.cli.app import app
from molvae.metrics.profile import profile
from molvae.oracles.fitted.labels import Refused
from molvae.synthesis.draw import PARTS, resampled
from molvae.synthesis.judge import privacy
from molvae.synthesis.labels import LabelModel
from molvae.synthesis.run import Synthesis
from molvae.synthesis.table import read_private, without_text


def run(*arguments: object) -> Any:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if isinstance(result.exception, MolvaeError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def table(zinc: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 molecules with a computed descriptor, a label and a grade with gaps, and a class; two bad
    rows."""
    path = tmp_path_factory.mktemp("private") / "private.csv"
    smiles = zinc[:150]
    logp, tpsa = compute(smiles, ["logp", "tpsa"], progress=False).T
    rows = [
        f"{s},{a:.4f},{'' if i % 5 == 0 else f'{b / 10:.1f}'},{int(b > 60)},{i % 8 or ''}"
        for i, (s, a, b) in enumerate(zip(smiles, logp, tpsa, strict=True))
    ]
    bad = ["CSecretC1,1,1,0,1", "CCO,1,CSecretO,0,1"]
    path.write_text("\n".join(["smiles,logp,assay,polar,grade", *rows, *bad]) + "\n")
    return path


@pytest.mark.slow
def test_a_synthetic_set_holds_none_of_the_table_and_says_what_it_kept(
    table: Path, tiny_model: Path, tmp_path: Path
) -> None:
    out, page, report = tmp_path / "new.csv", tmp_path / "r.html", tmp_path / "r.json"
    names = ("logp", "assay", "polar", "grade")
    labels = [text for name in names for text in ("--label", name)]
    flags = (
        *labels,
        "--property",
        "mw",
        "--model",
        tiny_model,
        "--epochs",
        1,
        "--no-fcd",
        "-n",
        60,
        "--workers",
        1,
    )
    flags = (*flags, "--set", "trees=10", "--set", "oversample=2", "--max-similarity", "0.6")
    told = run("synthesize", table, "-o", out, "--html", page, "--report", report, *flags).stderr
    rows = list(csv.DictReader(out.open()))
    assert 0 < len(rows) <= 40
    assert f"{60 - len(rows)} fewer than the 60 asked for" in told
    assert f"draw more (--set oversample={math.ceil(2 * 60 / len(rows))})" in told
    smiles, private = [row["smiles"] for row in rows], read_private(table, ()).smiles
    near = nearest(fingerprints(parse_many(smiles), 2, 1024),
                   fingerprints(parse_many(private), 2, 1024))[1]  # fmt: skip
    assert near.max() <= 0.6
    logp = compute(smiles, ["logp"], progress=False)[:, 0]
    np.testing.assert_allclose([float(row["logp"]) for row in rows], logp.round(4))
    assert {row["polar"] for row in rows} <= {"0", "1"}
    assert {row["grade"] for row in rows} <= {"", *"1234567"}
    found = json.loads(report.read_text())
    assert found["table"]["refused"] == [
        {"row": 152, "reason": "not valid SMILES"},
        {"row": 153, "reason": "label assay is not a number"},
    ]
    assert "row 152 is left out: not valid SMILES (ring 1 is not closed) 'CSecretC1'" in told
    assert not any("Secret" in file.read_text() for file in (page, report, out))
    assert found["table"]["held_out"] == 30
    assert found["privacy"]["copies"] == 0
    assert {*names, "mw"} <= found["fidelity"]["wasserstein"].keys()
    assert not any(text in page.read_text() for text in private)


def test_fewer_molecules_than_asked_for_are_explained() -> None:
    def told(made: int, oversample: float) -> str | None:
        report = {"molecules": made, "asked": 20, "options": {"oversample": oversample}}
        return Synthesis({}, report, (), []).shortfall

    assert told(20, 2) is None
    assert "7 fewer than the 20 asked for" in str(told(13, 2))
    assert "--set oversample=4" in str(told(13, 2))
    assert "raise max_similarity" in str(told(1, 6))  # 120 times as many cannot be drawn


def test_a_row_that_is_left_out_is_named_without_its_text() -> None:
    refused = [
        Refused(2, "C1CC", "not valid SMILES (ring 1 is not closed)"),
        Refused(3, "CCO", 'label IC50 (nM) is not a number ("CCN (a salt)")'),
        Refused(4, "", "no SMILES"),
    ]
    assert without_text(refused) == [
        {"row": 2, "reason": "not valid SMILES"},
        {"row": 3, "reason": "label IC50 (nM) is not a number"},
        {"row": 4, "reason": "no SMILES"},
    ]


def test_too_small_a_table_is_refused_and_nothing_is_written(
    tiny_model: Path, tmp_path: Path
) -> None:
    file, out = tmp_path / "few.csv", tmp_path / "new.csv"
    file.write_text("smiles,y\nCCO,1\nCCC,2\nC1CC,3\n")
    with pytest.raises(InputError, match="statistics need at least 100"):
        run("synthesize", file, "-o", out, "--model", tiny_model, "--label", "y")
    with pytest.raises(InputError, match="no column"):
        read_private(file, ("z",))
    with pytest.raises(FileError):
        run("synthesize", tmp_path / "none.csv", "-o", out, "--model", tiny_model)
    assert [p.name for p in tmp_path.iterdir()] == ["few.csv"]


def test_resampling_moves_a_distribution_onto_another() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(0, 1, (5000, 2)), rng.normal([0.8, 0], [0.6, 1], (1000, 2))
    chosen = ours[resampled(ours, theirs, 1000, seed=0)]
    assert len(np.unique(chosen[:, 0])) == 1000
    assert chosen.mean(0) == pytest.approx([0.8, 0], abs=0.12)
    assert chosen[:, 0].std() == pytest.approx(0.6, abs=0.1)


def test_drawn_labels_are_spread_like_the_true_ones_and_not_like_the_means() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(600, 4)).astype(np.float32)
    values = np.round(matrix[:, 0] + rng.normal(size=600), 1)
    values[::4] = np.nan
    found = LabelModel.fit(matrix, values, 1, trees=30, seed=0, workers=1)
    fresh = rng.normal(size=(2000, 4)).astype(np.float32)
    mean, std = found.predict(fresh)
    drawn = found.draw(mean, std, 0)
    assert np.nanstd(drawn) == pytest.approx(np.nanstd(values), rel=0.15)
    assert mean.std() < 0.85 * np.nanstd(values)
    assert np.isnan(drawn).mean() == pytest.approx(0.25, abs=0.03)
    np.testing.assert_array_equal(drawn, np.round(drawn, 1))


def test_grades_stay_whole_and_within_their_range() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(400, 3)).astype(np.float32)
    grades = np.clip(np.round(2 + matrix[:, 0] + rng.normal(size=400)), 0, 6)
    grades[0] = 5.5  # the average of two rows
    found = LabelModel.fit(matrix, grades, 0, trees=20, seed=0, workers=1)
    drawn = found.draw(*found.predict(rng.normal(size=(3000, 3)).astype(np.float32)), 0)
    assert set(drawn.tolist()) <= set(range(7))
    assert [(drawn == end).mean() for end in (0, 6)] == pytest.approx(
        [(grades == end).mean() for end in (0, 6)], abs=0.05
    )


def test_repeats_that_are_averaged_leave_a_column_its_decimals(
    zinc: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "repeated.csv"
    lines = [f"{smiles},{grade}" for smiles in zinc[:100] for grade in (1, 2, 2)]
    file.write_text("\n".join(["smiles,grade", *lines]) + "\n")
    found = read_private(file, ("grade",))
    assert found.values[0, 0] == pytest.approx(5 / 3)
    assert found.decimals == found.take(np.arange(10)).decimals == (0,)


def test_a_set_that_copies_its_table_is_found_out(zinc: list[str]) -> None:
    members, others = (
        profile(part, PARTS, workers=1, progress=False) for part in (zinc[:100], zinc[100:200])
    )
    copied, honest = (
        privacy(given, members, others, {}, seed=0, progress=False)
        for given in (members, profile(zinc[200:300], PARTS, workers=1, progress=False))
    )
    (attack,), (none,) = (found["membership"].values() for found in (copied, honest))
    assert copied["copies"] == 100
    assert attack["auc"] > 0.99
    assert honest["copies"] == 0
    assert abs(none["auc"] - 0.5) < 3 * none["standard_error"]
