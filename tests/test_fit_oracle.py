"""Oracles fitted to measurements: what is read, what is learnt, how sure it is, what is stored."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct, WhiteKernel
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

from molvae.base.errors import ConfigError, FileError, InputError, ModelError
from molvae.chem.properties import compute
from molvae.cli.app import app
from molvae.oracles.answers import packed, unpack
from molvae.oracles.evaluator import Evaluator
from molvae.oracles.fitted.evidence import signal_and_noise
from molvae.oracles.fitted.features import FeatureSpace
from molvae.oracles.fitted.fit import fit_oracle
from molvae.oracles.fitted.folds import random_folds, scaffold_folds
from molvae.oracles.fitted.forest import Forest
from molvae.oracles.fitted.labels import read_labels
from molvae.oracles.fitted.linear import Linear
from molvae.oracles.fitted.objective import model_objective
from molvae.oracles.fitted.options import FitOptions
from molvae.oracles.fitted.store import load_oracle
from molvae.oracles.fitted.tanimoto import TanimotoProcess, _kernel

SMALL = FitOptions(trees=15, folds=3)


@pytest.fixture(scope="module")
def measured(zinc: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 molecules with a number that a model can learn, ``logp``, and a class, ``greasy``."""
    smiles = zinc[:120]
    logp = compute(smiles, ["logp"], progress=False)[:, 0]
    noise = np.random.default_rng(0).normal(0, 0.1, len(logp))
    path = tmp_path_factory.mktemp("labels") / "labels.csv"
    rows = [f"{s},{x + e:.4f},{int(x > 2.5)}" for s, x, e in zip(smiles, logp, noise, strict=True)]
    path.write_text("\n".join(["smiles,logp,greasy", *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def forest(measured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("oracle") / "forest"
    fit_oracle(measured, "logp", out, SMALL, workers=1, progress=False)
    return out


def table(path: Path, *rows: str) -> Path:
    filler = [f"{'C' * n},{n}" for n in range(1, 13)]
    path.write_text("\n".join(["smiles,y", *filler, *rows]) + "\n")
    return path


def test_good_rows_are_kept_bad_ones_listed_with_their_reasons(tmp_path: Path) -> None:
    rows = ["CCO,high", "C1CC,2", "CO,", ",3", "[Na+].[Cl-],1"]
    found = read_labels(table(tmp_path / "a.csv", *rows), "y")
    assert len(found.smiles) == 12
    assert [(r.row, r.reason) for r in found.refused] == [
        (14, 'label y is not a number ("high")'),
        (15, "not valid SMILES (ring 1 is not closed)"),
        (16, "no y"),
        (17, "no SMILES"),
        (18, "no organic fragment"),
    ]


def test_salts_and_spellings_are_one_molecule_whose_measurements_are_averaged(
    tmp_path: Path,
) -> None:
    rows = ["OCCN,1.0", "NCCO,2.0", "[Cl-].[NH3+]CCO,6.0"]
    found = read_labels(table(tmp_path / "a.csv", *rows), "y")
    assert found.labels[found.smiles.index("NCCO")] == 3.0
    assert found.joined == 2
    assert found.spread == pytest.approx(np.std([1, 2, 6], ddof=1))


def test_classes_go_by_majority_and_a_tie_is_refused(tmp_path: Path) -> None:
    rows = [f"{'C' * n},{n % 2}" for n in range(1, 13)]
    rows += ["OC,1", "CO,1", "CO,0", "CN,1", "NC,0"]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["smiles,y", *rows]))
    found = read_labels(path, "y")
    assert found.task == "classification"
    assert found.labels[found.smiles.index("CO")] == 1.0
    assert "CN" not in found.smiles
    assert [r.row for r in found.refused] == [17, 18]
    assert read_labels(path, "y", task="regression").task == "regression"


@pytest.mark.parametrize(
    ("text", "options", "error", "message"),
    [
        ("smiles,y\nC,1\nCC,2\n", {}, InputError, "at least 10 different molecules"),
        ("smiles,z\nC,1\n", {}, InputError, 'no column "y"'),
        ("equal", {}, InputError, "all labels are 1"),
        ("numbers", {"task": "classification"}, InputError, "the label 2 is no class"),
        ("numbers", {"folds": 10}, InputError, "too few for 10 folds"),
        ("rare", {}, InputError, "only 1 molecules are of the rarer class"),
        ("classes", {"kind": "gp"}, ConfigError, "a gp does not take classes"),
    ],
)
def test_a_table_that_cannot_be_learnt_says_why(
    text: str, options: Any, error: type[Exception], message: str, tmp_path: Path
) -> None:
    values = {
        "equal": lambda n: 1,
        "numbers": lambda n: n,
        "rare": lambda n: int(n == 1),
        "classes": lambda n: n % 2,
    }
    if text in values:
        rows = [f"{'C' * n},{values[text](n)}" for n in range(1, 13)]
        text = "\n".join(["smiles,y", *rows])
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(error, match=message):
        fit_oracle(path, "y", tmp_path / "out", FitOptions(**options), progress=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "gp", "features": "both"}, "a gp compares fingerprints"),
        ({"kind": "gp", "task": "classification"}, "a gp is for measured quantities"),
        ({"kind": "forrest"}, "key 'kind'"),
        ({"folds": 1}, "key 'folds'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FitOptions.parse(options)


@pytest.mark.parametrize("classes", [False, True])
def test_a_forest_predicts_what_scikit_learn_does_to_the_ninth_digit(
    zinc: list[str], classes: bool
) -> None:
    _, matrix = FeatureSpace.of("both", zinc[:150])
    labels = compute(zinc[:150], ["tpsa"], progress=False)[:, 0]
    labels = (labels > 60).astype(float) if classes else labels
    kind = RandomForestClassifier if classes else RandomForestRegressor
    grown = kind(20, max_features=0.1, random_state=0).fit(matrix[:100], labels[:100])
    mean, std = Forest.of(grown).predict(matrix)
    if classes:
        each = np.stack([tree.predict_proba(matrix)[:, 1] for tree in grown.estimators_])
        np.testing.assert_allclose(mean, grown.predict_proba(matrix)[:, 1], rtol=0, atol=1e-12)
    else:
        each = np.stack([tree.predict(matrix) for tree in grown.estimators_])
        np.testing.assert_allclose(mean, grown.predict(matrix), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(std, each.std(0), rtol=0, atol=1e-9)


def test_evidence_finds_the_variances_that_made_the_labels() -> None:
    rng = np.random.default_rng(1)
    values = rng.exponential(5.0, 4000)
    squares = np.square(rng.normal(0, np.sqrt(2.0 * values + 0.5)))
    signal, noise = signal_and_noise(values, squares)
    assert signal == pytest.approx(2.0, rel=0.1)
    assert noise == pytest.approx(0.5, rel=0.2)


def test_a_gaussian_process_is_the_posterior_of_its_kernel(zinc: list[str]) -> None:
    _, matrix = FeatureSpace.of("morgan", zinc[:60])
    y = compute(zinc[:60], ["logp"], progress=False)[:, 0]
    process = TanimotoProcess.fit(matrix[:50], y[:50], "regression", FitOptions(kind="gp"), 1)
    mean, std = process.predict(matrix[50:])
    centre, signal, noise = process.constants
    prints = np.packbits(matrix > 0, axis=1)
    kernel = signal * _kernel(prints, prints)
    inverse = np.linalg.inv(kernel[:50, :50] + noise * np.eye(50))
    across = kernel[50:, :50]
    np.testing.assert_allclose(mean, centre + across @ inverse @ (y[:50] - centre), atol=1e-8)
    variance = signal + noise - np.einsum("ij,jk,ik->i", across, inverse, across)
    np.testing.assert_allclose(std, np.sqrt(variance), atol=1e-6)


@pytest.mark.parametrize("n", [25, 80])  # fewer rows than features, and more
def test_ridge_is_the_gaussian_process_of_its_linear_kernel(n: int) -> None:
    rng = np.random.default_rng(2)
    matrix = rng.normal(3, 2, (n + 10, 40)).astype(np.float32)
    y = matrix @ rng.normal(0, 1, 40) + rng.normal(0, 0.5, n + 10)
    model = Linear.fit(matrix[:n], y[:n], "regression", FitOptions(kind="ridge"), 1)
    x = (matrix - model.centre) / model.scale
    exact = GaussianProcessRegressor(
        ConstantKernel(1.0, (1e-4, 1e4)) * DotProduct(0.0, "fixed") + WhiteKernel(1.0, (1e-4, 1e4)),
        n_restarts_optimizer=3,
        random_state=0,
    ).fit(x[:n], y[:n] - y[:n].mean())
    expected, std = exact.predict(x[n:], return_std=True)
    mean, ours = model.predict(matrix[n:])
    np.testing.assert_allclose(mean - y[:n].mean(), expected, atol=0.02 * y.std())
    np.testing.assert_allclose(ours, std, rtol=0.05)


def test_logistic_regression_predicts_what_scikit_learn_does() -> None:
    rng = np.random.default_rng(3)
    matrix = rng.normal(0, 1, (90, 5)).astype(np.float32)
    matrix[:, 4] = 7.0  # a column without variation
    y = (matrix[:, 0] + 0.3 * rng.normal(0, 1, 90) > 0).astype(float)
    model = Linear.fit(matrix, y, "classification", FitOptions(kind="ridge"), 1)
    mean, std = model.predict(matrix)
    x = (matrix - model.centre) / model.scale
    found = [
        LogisticRegression(C=C, max_iter=500, tol=1e-8).fit(x, y).predict_proba(x)[:, 1]
        for C in np.logspace(-4, -1, 4)
    ]
    assert min(np.abs(mean - p).max() for p in found) < 1e-4
    assert ((std > 0) & (std < 0.5)).all()


def test_folds_are_by_molecule_not_by_place_and_share_the_classes(zinc: list[str]) -> None:
    smiles = zinc[:90]
    labels = np.arange(90) % 3 == 0
    folds = random_folds(smiles, labels, 5, 0, stratify=True)
    assert np.bincount(folds).tolist() == [18] * 5
    assert np.bincount(folds[labels]).tolist() == [6] * 5
    back = random_folds(smiles[::-1], labels[::-1], 5, 0, stratify=True)[::-1]
    assert (back == folds).all()
    assert (random_folds(smiles, labels, 5, 1, stratify=True) != folds).any()


def test_scaffold_folds_never_divide_a_scaffold() -> None:
    rings = ["c1ccccc1", "C1CCCC1", "c1ccncc1", "C1CCNCC1"]
    smiles = [ring + "C" * n for ring in rings for n in range(6)]
    folds = scaffold_folds(smiles, 4, 0)
    assert folds is not None
    assert [len(set(folds[i : i + 6].tolist())) for i in range(0, 24, 6)] == [1] * 4
    assert sorted(np.bincount(folds).tolist()) == [6] * 4
    assert scaffold_folds(["CC", "CCC", "C1CC1"], 3, 0) is None


def test_cross_validation_of_noise_says_that_nothing_was_learnt(
    zinc: list[str], tmp_path: Path
) -> None:
    noise = np.random.default_rng(5).normal(0, 1, 100)
    path = tmp_path / "a.csv"
    path.write_text("smiles,y\n" + "".join(f"{s},{v}\n" for s, v in zip(zinc, noise, strict=False)))
    options = FitOptions(kind="gp", folds=4)
    report = fit_oracle(path, "y", tmp_path / "out", options, progress=False).report
    for measures in report["cross_validation"].values():
        assert measures["r2"] < 0.1
        assert measures["rmse"] > 0.9 * measures["baseline"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["forest", "gp", "ridge"])
def test_every_kind_learns_says_how_well_and_comes_back_from_disk(
    kind: Any, zinc: list[str], measured: Path, tmp_path: Path
) -> None:
    options = SMALL.replace(kind=kind)
    made = fit_oracle(measured, "logp", tmp_path / "out", options, workers=1, progress=False)
    loaded, _ = load_oracle(tmp_path / "out")
    new = [*zinc[200:230], "not a molecule"]
    for ours, theirs in zip(loaded.predict(new), made.predict(new), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
        assert math.isnan(ours[-1])
    mean, std = loaded.predict(zinc[200:300])
    truth = compute(zinc[200:300], ["logp"], progress=False)[:, 0]
    assert np.sqrt(np.mean((mean - truth) ** 2)) < truth.std()
    assert (std > 0).all()
    random = json.loads((tmp_path / "out" / "report.json").read_text())["cross_validation"][
        "random"
    ]
    assert random["rmse"] < random["baseline"]
    assert random["r2"] == pytest.approx(1 - (random["rmse"] / random["baseline"]) ** 2)
    assert 0.85 < random["inside_95%"] <= 1.0


def test_an_oracle_is_arrays_and_json_and_no_pickle(forest: Path) -> None:
    assert sorted(p.name for p in forest.iterdir()) == ["arrays.npz", "oracle.json", "report.json"]
    with np.load(forest / "arrays.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype != object for name in arrays.files)


def damaged_copy(forest: Path, target: Path, **changes: Any) -> Path:
    """A copy with some arrays changed and the checksum made right: a malicious stranger's."""
    from molvae.base.files import sha256_file

    target.mkdir()
    with np.load(forest / "arrays.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    for name, value in changes.items():
        arrays[name] = value(arrays[name].copy())
    np.savez(target / "arrays.npz", **arrays)
    card = json.loads((forest / "oracle.json").read_text())
    card["sha256"] = sha256_file(target / "arrays.npz")
    (target / "oracle.json").write_text(json.dumps(card))
    (target / "report.json").write_text("{}")
    return target


def set_to(place: int, value: Any) -> Any:
    def change(array: np.ndarray) -> np.ndarray:
        array[place] = value
        return array

    return change


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"left": set_to(0, 0)}, "does not lead downward"),
        ({"right": set_to(0, 10**8)}, "does not lead downward"),
        ({"feature": set_to(0, 10**6)}, "a feature that is not there"),
        ({"roots": set_to(0, -5)}, "no trees"),
        ({"value": lambda a: a[:-1]}, "differ in length"),
        ({"value": lambda a: a.astype(object)}, "allow_pickle"),
        ({"fill": lambda a: a[:-1]}, "not what they were"),
    ],
)
def test_arrays_that_are_no_forest_are_refused(
    forest: Path, changes: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=message):
        load_oracle(damaged_copy(forest, tmp_path / "x", **changes))


def test_damage_and_absence_are_told_apart(forest: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="make one with molvae fit-oracle"):
        load_oracle(tmp_path)
    copy = damaged_copy(forest, tmp_path / "x")
    load_oracle(copy)
    data = bytearray((copy / "arrays.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "arrays.npz").write_bytes(bytes(data))
    with pytest.raises(ModelError, match="not what was written"):
        load_oracle(copy)
    (copy / "oracle.json").write_text('{"format": 99}')
    with pytest.raises(ModelError, match="format 99, newer"):
        load_oracle(copy)
    (copy / "oracle.json").write_text('{"format": 1}')
    with pytest.raises(ModelError, match="damaged"):
        load_oracle(copy)


def test_an_oracle_is_an_objective_and_pessimism_takes_off_its_doubt(
    forest: Path, zinc: list[str]
) -> None:
    smiles = zinc[300:305]
    mean, std = load_oracle(forest)[0].predict(smiles)
    plain = model_objective(forest, "maximize")
    np.testing.assert_allclose(plain.function(smiles), mean)
    np.testing.assert_allclose(
        model_objective(forest, "maximize", pessimism=2.0).function(smiles), mean - 2 * std
    )
    np.testing.assert_allclose(
        model_objective(forest, "minimize", pessimism=2.0).function(smiles), mean + 2 * std
    )
    assert all(o.ok for o in Evaluator(plain, 9).evaluate(smiles))
    np.testing.assert_array_equal(unpack(packed(plain)).function(smiles), plain.function(smiles))
    with pytest.raises(ConfigError, match="pessimism is -1"):
        model_objective(forest, "maximize", pessimism=-1.0)


def test_another_oracle_at_the_same_place_is_another_objective(
    forest: Path, tmp_path: Path
) -> None:
    one = damaged_copy(forest, tmp_path / "x", value=set_to(0, 1.0))
    first = model_objective(one, "maximize").describe()
    (tmp_path / "x").rename(tmp_path / "old")
    two = damaged_copy(forest, tmp_path / "x", value=set_to(0, 2.0))
    assert model_objective(two, "maximize").describe() != first


def test_other_files_are_not_replaced(measured: Path, forest: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(FileError, match="holds other files"):
        fit_oracle(measured, "logp", tmp_path, SMALL, progress=False)
    assert (tmp_path / "thesis.tex").read_text() == "x"


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["fit-oracle", *arguments])


def test_the_command_prints_the_validation_and_the_rows_left_out(
    measured: Path, tmp_path: Path
) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(measured.read_text() + "C1CC,2.0,1\n")
    out = str(tmp_path / "oracle")
    small = ("--kind", "gp", "--folds", "3")
    result = run(str(path), "--label", "logp", "-o", out, *small)
    assert result.exit_code == 0, result.output
    assert "row 122 is left out: not valid SMILES" in result.stderr
    for word in ("random", "scaffold", "rmse", "r2", "mae", "inside_95%"):
        assert word in result.stdout
    again = run(str(path), "--label", "logp", "-o", out, *small, "--json", "-q")
    report = json.loads(again.stdout)
    assert report == json.loads(Path(out, "report.json").read_text())
    assert report["refused"][0]["row"] == 122


def test_classes_are_reported_by_their_own_measures(measured: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "oracle")
    small = ("--trees", "15", "--folds", "3", "--features", "descriptors")
    result = run(str(measured), "--label", "greasy", "-o", out, *small, "--json", "-q")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["task"] == "classification"
    assert report["cross_validation"]["random"]["auroc"] > 0.8
    objective = model_objective(out, "maximize")
    assert objective.name.startswith("probability of greasy")
    assert all(0 <= value <= 1 for value in objective.function(["CCO", "CCCCCCCC"]))


def test_a_wrong_kind_is_one_sentence(measured: Path, tmp_path: Path) -> None:
    result = run(str(measured), "--label", "logp", "-o", str(tmp_path / "x"), "--kind", "tree")
    assert isinstance(result.exception, ConfigError)
    assert "'forest', 'gp' or 'ridge'" in str(result.exception)
