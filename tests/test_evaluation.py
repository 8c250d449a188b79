"""Judging molecules: the values of MOSES, what is kept of a reference, the command and its page."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from molvae.base.errors import ConfigError, FileError, InputError, ModelError
from molvae.cli.app import app
from molvae.generator import load
from molvae.metrics.evaluation import Evaluation, EvaluationOptions, evaluate
from molvae.metrics.reference import Molecules, Reference, open_reference
from molvae.metrics.statistics import Statistics
from molvae.report.evaluation import evaluation_page

SAMPLES = Path(__file__).parents[1] / "data" / "samples"
INVALID = ["C1CC", "CCO)", "c1ccccc1C(", "N(C)(C)(C)C"]

# molsets 0.3.1 on the molecules of `mixed` and `parts`, with rdkit 2026.9.1, by
# scripts/bench/_peer_metrics.py.
GOLDEN = {
    "valid": 0.9649122807017544,
    "FCD/Test": 21.356507572539137,
    "SNN/Test": 0.29785118197852917,
    "Frag/Test": 0.924576138575088,
    "Scaf/Test": 0.01720052290384455,
    "FCD/TestSF": 23.138591119143385,
    "SNN/TestSF": 0.2760878179561008,
    "Frag/TestSF": 0.9364977070444649,
    "Scaf/TestSF": 0.0,
    "IntDiv": 0.855969298181455,
    "IntDiv2": 0.825886736221103,
    "Filters": 0.7454545454545455,
    "logP": 0.35352629090909116,
    "SA": 0.6132822302754923,
    "QED": 0.0334391550636,
    "weight": 27.223777727272754,
    "Novelty": 0.8,
}
QUICK = EvaluationOptions(yardstick=False, copies=50, alerts=50, workers=1)


@pytest.fixture(scope="module")
def moses() -> list[str]:
    return (SAMPLES / "moses_2000.smi").read_text().split()


@pytest.fixture(scope="module")
def mixed(moses: list[str], zinc: list[str]) -> list[str]:
    """40 molecules of MOSES, 60 of ZINC250k, 4 that are none, and 10 repeats."""
    return [*moses[1000:1040], *zinc[:60], *INVALID, *moses[1000:1010]]


@pytest.fixture(scope="module")
def parts(moses: list[str], tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """A reference of three parts, like that of MOSES."""

    def held(name: str, smiles: list[str]) -> Molecules:
        return Molecules(name, name, lambda: smiles)

    sets = {"Test": held("test", moses[:200]), "TestSF": held("scaffolds", moses[200:300])}
    cache = tmp_path_factory.mktemp("references")
    learnt = held("train", moses[900:1020])
    return Reference("parts", sets, learnt, cache, workers=1, progress=False)


@pytest.fixture(scope="module")
def found(mixed: list[str], parts: Reference) -> Evaluation:
    options = QUICK.replace(yardstick=True)
    return evaluate(mixed, parts, options=options, progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", GOLDEN)
def test_measures_are_those_of_molsets(name: str, found: Evaluation) -> None:
    assert found[name] == pytest.approx(GOLDEN[name], rel=1e-4, abs=1e-6)


def test_what_cannot_be_measured_on_so_few_is_missing_and_not_guessed(found: Evaluation) -> None:
    assert math.isnan(found["unique@1000"])
    assert math.isnan(found["unique@10000"])
    assert found.to_dict()["measures"][1]["value"] is None
    json.dumps(found.to_dict(), allow_nan=False)


def test_copies_and_known_rings_are_counted(found: Evaluation) -> None:
    # 20 of the 40 molecules of MOSES are training molecules, 10 of them given twice.
    assert found["copies"] == pytest.approx(30 / 110)
    assert found["GuacaMol novelty"] == pytest.approx(80 / 100)
    assert found["GuacaMol uniqueness"] == pytest.approx(100 / 110)
    assert found["nearest training molecule, 95 %"] == 1.0
    assert 0.3 < found["known ring systems"] < 1
    assert found["sane rings"] == 1.0
    assert 0 < found["alerts"] < 1


def test_the_training_molecules_stand_beside_the_sample(found: Evaluation) -> None:
    beside = {measure.name: measure.reference for measure in found.measures}
    assert found.yardstick == 100
    assert beside["valid"] == 1.0
    assert beside["Filters"] == 1.0
    assert beside["FCD/Test"] < found["FCD/Test"]
    assert beside["SNN/Test"] > found["SNN/Test"]
    assert math.isnan(beside["Novelty"])
    assert math.isnan(beside["copies"])


def test_a_reference_is_measured_once_and_then_read(
    found: Evaluation, mixed: list[str], parts: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = Reference(parts.name, parts.sets, parts.learnt, parts.cache, workers=1)
    for name in ("build_statistics", "build_training", "nearest_others"):
        monkeypatch.setattr(
            f"molvae.metrics.reference.{name}", lambda *_, **__: pytest.fail("measured again")
        )
    assert again.missing() == []
    second = evaluate(mixed, again, options=QUICK.replace(yardstick=True), progress=False).to_dict()
    first = found.to_dict()
    del first["seconds"], second["seconds"]
    assert first == second


def test_what_is_kept_holds_no_pickles_and_damage_is_named(parts: Reference) -> None:
    path = parts.statistics["Test"].path
    for file in path.glob("*.npy"):
        np.load(file, allow_pickle=False)
    kept = (path / "mean.npy").read_bytes()
    try:
        (path / "mean.npy").write_bytes(kept[:40])
        with pytest.raises(ModelError, match=r"mean\.npy is no array"):
            Statistics.open(path)
    finally:
        (path / "mean.npy").write_bytes(kept)


def test_a_reference_of_other_molecules_is_another_one(moses: list[str], tmp_path: Path) -> None:
    a, b = open_reference(moses[:60], cache=tmp_path), open_reference(moses[:61], cache=tmp_path)
    assert a.fingerprint != b.fingerprint
    assert a.trained_on_itself
    assert a.missing() == ["the given molecules", "the given molecules"]


def test_a_corpus_is_compared_by_its_test_part(tiny_corpus: Path, tmp_path: Path) -> None:
    reference = open_reference(tiny_corpus, cache=tmp_path)
    assert not reference.trained_on_itself
    assert len(reference.sets["Test"].read()) == 60
    assert len(reference.learnt.read()) == 480


@pytest.mark.slow
def test_training_molecules_that_are_also_the_reference_do_not_find_themselves(
    moses: list[str], tmp_path: Path
) -> None:
    reference = open_reference(moses[:150], cache=tmp_path, workers=1, progress=False)
    options = QUICK.replace(yardstick=True)
    found = evaluate(moses[100:200], reference, options=options, progress=False)
    beside = {measure.name: measure.reference for measure in found.measures}
    assert math.isnan(beside["SNN/Test"])
    assert found["copies"] == 0.5


@pytest.mark.slow
def test_a_model_is_measured_with_its_samples(
    mixed: list[str], parts: Reference, tiny_model: Path, zinc: list[str]
) -> None:
    found = evaluate(
        mixed,
        parts,
        generator=load(tiny_model, "cpu"),
        held_out=zinc[:30],
        options=QUICK,
        progress=False,
    )
    model = {m.name: m.value for m in found.measures if m.group == "model"}
    assert set(model) >= {"reconstruction", "KL, nats", "active units", "heritability", "midpoints"}
    assert 0 <= model["reconstruction"] <= 1
    assert model["active units"] >= 0


def test_the_page_holds_everything_in_one_file(found: Evaluation) -> None:
    page = evaluation_page(found, "samples.smi").html()
    assert "FCD/TestSF" in page
    assert "samples.smi" in page
    assert page.count("<svg") == len(found.examples) == 24
    assert 'src="data:image/svg+xml;base64,' in page
    assert "<link" not in page
    assert "<script" not in page


# --- the command ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(
    moses: list[str], mixed: list[str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """A file of 110 molecules, and one of a reference."""
    folder = tmp_path_factory.mktemp("files")
    sample, reference = folder / "sample.csv", folder / "reference.smi"
    sample.write_text("id,SMILES\n" + "".join(f"{i},{s}\n" for i, s in enumerate(mixed)))
    reference.write_text("\n".join(moses[:120]))
    return sample, reference


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


def run(data: Path, *arguments: object) -> tuple[str, str]:
    result = CliRunner().invoke(
        app, ["evaluate", *map(str, arguments)], env={"MOLVAE_DATA": str(data)}
    )
    if result.exception is not None:
        raise result.exception
    return result.stdout, result.stderr


@pytest.mark.slow
def test_the_command_prints_tables_and_writes_json_and_a_page(
    files: tuple[Path, Path], data: Path, tmp_path: Path
) -> None:
    sample, reference = files
    out, page = tmp_path / "out.json", tmp_path / "page.html"
    arguments = (sample, "-r", reference, "--no-yardstick", "--workers", 1)
    stdout, stderr = run(data, *arguments, "-o", out, "--html", page)
    assert "FCD/Test" in stdout
    assert "GuacaMol KL score" in stdout
    assert "ours (110)" in stdout
    assert "the first time, reference.smi must be measured" in stderr
    kept = json.loads(out.read_text())
    assert kept["molecules"] == 114
    assert page.read_text().startswith("<!doctype html>")
    stdout, stderr = run(data, *arguments, "--json")
    assert "the first time" not in stderr
    again = json.loads(stdout)
    assert again["measures"] == kept["measures"]


@pytest.mark.slow
def test_the_command_draws_from_a_model(
    files: tuple[Path, Path], data: Path, tiny_model: Path, zinc: list[str], tmp_path: Path
) -> None:
    _, reference = files
    held_out = tmp_path / "held_out.smi"
    held_out.write_text("\n".join(zinc[:30]))
    arguments = ("--model", tiny_model, "-n", 80, "-r", reference, "--held-out", held_out)
    stdout, _ = run(data, *arguments, "--no-yardstick", "--workers", 1, "--json")
    found = json.loads(stdout)
    assert found["molecules"] == 80
    assert any(m["name"] == "reconstruction" for m in found["measures"])


def test_too_few_molecules_or_none_that_are_valid_are_refused(
    files: tuple[Path, Path], data: Path, tmp_path: Path
) -> None:
    few, none = tmp_path / "few.smi", tmp_path / "none.smi"
    few.write_text("CCO\nCCC\n")
    none.write_text("C1CC\n" * 60)
    with pytest.raises(InputError, match="2 molecules are too few"):
        run(data, few, "-r", files[1])
    with pytest.raises(InputError, match="only 0 of 60 texts are valid molecules"):
        run(data, none, "-r", files[1])


def test_a_file_without_molecules_an_unknown_reference_and_no_input_are_refused(
    files: tuple[Path, Path], data: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_text("smiles\n")
    with pytest.raises(InputError, match="holds no molecules"):
        run(data, empty, "-r", files[1])
    with pytest.raises(InputError, match="there is no data set called 'mosis'; did you mean moses"):
        run(data, files[0], "-r", "mosis")
    with pytest.raises(InputError, match=r"there is no reference nowhere\.smi"):
        run(data, files[0], "-r", "nowhere.smi")
    with pytest.raises(FileError, match="missing"):
        run(data, "missing.smi", "-r", files[1])
    with pytest.raises(ConfigError, match="nothing to judge"):
        run(data, "-r", files[1])
    with pytest.raises(ConfigError, match="name it with --model"):
        run(data, files[0], "-r", files[1], "--held-out", files[0])


def test_a_place_that_cannot_be_written_is_refused_first(
    files: tuple[Path, Path], data: Path, tmp_path: Path
) -> None:
    with pytest.raises(FileError, match="it is a directory"):
        run(data, files[0], "-r", files[1], "--html", tmp_path)
