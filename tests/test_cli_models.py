"""The commands around a model: pipes, tables, settings from TOML, reasons on standard error."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import molvae
from molvae.base.errors import ConfigError, InputError, ModelError
from molvae.bulk import Exhausted
from molvae.cli.app import app
from molvae.generator import Generator
from molvae.latent.files import read_latents, write_latents


@pytest.fixture(scope="module")
def generator(tiny_model: Path) -> Generator:
    return molvae.load(tiny_model, "cpu")


def run(*arguments: object, stdin: str | None = None) -> Any:
    """Run a command in this process; its errors of molvae's own are raised."""
    result = CliRunner().invoke(app, [str(a) for a in arguments], input=stdin)
    if isinstance(result.exception, molvae.MolvaeError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_generate_writes_a_table_with_properties(tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "new.csv"
    flags = ["-n", 25, "-o", out, "--property", "qed", "--property", "logp", "--seed", 2]
    result = run("generate", tiny_model, *flags)
    found = rows(out.read_text())
    assert len({row["smiles"] for row in found}) == 25
    assert list(found[0]) == ["smiles", "qed", "logp"]
    assert result.stdout == ""
    assert "25 molecules of" in result.stderr
    again = tmp_path / "again.csv"
    run("generate", tiny_model, *flags[:3], again, *flags[4:], "-q")
    assert again.read_bytes() == out.read_bytes()


def test_flags_are_keys_of_a_toml_file_and_win_over_it(tiny_model: Path, tmp_path: Path) -> None:
    config = tmp_path / "generate.toml"
    config.write_text('molecules = 7\nproperties = ["qed"]\ntemperature = 0.8\nseed = 5\n')
    by_file = run("generate", tiny_model, "--config", config, "-q").stdout
    by_flags = run(
        *["generate", tiny_model, "-n", 7, "--property", "qed"],
        *["--temperature", 0.8, "--seed", 5, "-q"],
    ).stdout
    assert by_file == by_flags
    assert len(rows(by_file)) == 7
    fewer = run("generate", tiny_model, "--config", config, "-n", 3, "--set", "seed=6", "-q")
    assert len(rows(fewer.stdout)) == 3
    config.write_text("temprature = 0.8\n")
    with pytest.raises(ConfigError, match="did you mean 'temperature'"):
        run("generate", tiny_model, "--config", config)


def test_generate_in_shards_and_its_summary_as_json(tiny_model: Path, tmp_path: Path) -> None:
    flags = ["-n", 30, "--where", "heavy_atoms>=2", "--seed", 1, "--set", "block=40"]
    result = run("generate", tiny_model, *flags, "--shards", tmp_path / "job", "--json", "-q")
    summary = json.loads(result.stdout)
    assert summary["molecules"] == 30
    table = pq.read_table(tmp_path / "job")
    assert len(table) == 30
    assert min(table.column("heavy_atoms").to_pylist()) >= 2
    single = run("generate", tiny_model, *flags, "-q").stdout
    assert [row["smiles"] for row in rows(single)] == table.column("smiles").to_pylist()


def test_encode_keeps_bad_rows_and_counts_them(
    tiny_model: Path, generator: Generator, zinc: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "some.csv"
    file.write_text(f"name,smiles\na,{zinc[0]}\nb,C1CC\nc,[U]\nd,{zinc[1]}\n")
    result = run("encode", tiny_model, file)
    found = rows(result.stdout)
    assert [row["name"] for row in found] == ["a", "b", "c", "d"]
    assert [row["z0"] == "" for row in found] == [False, True, True, False]
    z = np.array([[float(row[f"z{i}"]) for i in range(8)] for row in (found[0], found[3])])
    np.testing.assert_array_equal(z.astype(np.float32), generator.encode(zinc[:2]))
    assert "2 of 4 rows could not be encoded" in result.stderr
    assert "row 3 'C1CC': not valid SMILES (ring 1 is not closed)" in result.stderr
    assert "symbols outside the alphabet ([U])" in result.stderr


@pytest.mark.parametrize("ending", ["npy", "csv", "parquet", "tsv", "csv.gz"])
def test_encode_and_decode_meet_in_every_format(
    tiny_model: Path, generator: Generator, zinc: list[str], tmp_path: Path, ending: str
) -> None:
    file, latents = tmp_path / "some.smi", tmp_path / f"z.{ending}"
    file.write_text("\n".join([*zinc[:6], "C1CC"]))
    run("encode", tiny_model, file, "-o", latents, "-q")
    result = run("decode", tiny_model, latents)
    expected = [s or "" for s in [*generator.reconstruct(zinc[:6]), None]]
    assert [row["smiles"] for row in rows(result.stdout)] == expected
    assert "its latent vector is not finite" in result.stderr


def test_decode_takes_a_strategy_and_turns_down_what_is_not_sane(
    tiny_model: Path, generator: Generator, tmp_path: Path
) -> None:
    z = generator.sample_prior(20, seed=1)
    write_latents(tmp_path / "z.npy", z, {})
    flags = ["--strategy", "sample", "--temperature", 0.7, "--seed", 3, "--sane"]
    found = rows(run("decode", tiny_model, tmp_path / "z.npy", *flags).stdout)
    expected = generator.decode(z, strategy="sample", temperature=0.7, seed=3, sane=True)
    assert [row["smiles"] for row in found] == [s or "" for s in expected]
    with pytest.raises(ConfigError, match="temperature"):
        run("decode", tiny_model, tmp_path / "z.npy", "--temperature", 0.7)


def test_predict_has_a_column_for_each_target(
    tiny_model: Path, generator: Generator, zinc: list[str]
) -> None:
    given = "\n".join(["smiles", *zinc[:3], "C1CC"])
    result = run("predict", tiny_model, "-", stdin=given)
    found = rows(result.stdout)
    assert list(found[0]) == ["smiles", "logp", "logp_std", "polar"]
    expected = generator.predict(zinc[:3])["logp"]
    np.testing.assert_allclose([float(row["logp"]) for row in found[:3]], expected, rtol=1e-6)
    assert found[3]["logp"] == found[3]["polar"] == ""
    as_json = json.loads(run("predict", tiny_model, "-", "--json", stdin=given).stdout)
    assert as_json["logp"][3] is None


@pytest.mark.parametrize("output", ["-", "out.csv"])
@pytest.mark.parametrize(
    ("command", "what"),
    [
        (("encode", "MODEL", "bad.csv"), "encoded"),
        (("predict", "MODEL", "bad.csv"), "encoded"),
        (("climb", "MODEL", "--start", "bad.csv", "--target", "logp", "--value", 1), "encoded"),
        (("anomalies", "bad.csv", "-r", "MODEL", "--data", "known.smi"), "judged"),
    ],
)
def test_a_file_in_which_no_row_is_a_molecule_ends_in_an_error_with_its_rows_listed(
    tiny_model: Path,
    zinc: list[str],
    command: tuple[object, ...],
    what: str,
    output: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.csv").write_text("name,smiles\na,xx\nb,C1CC\n")
    Path("known.smi").write_text("\n".join(zinc[600:700]))
    given = [str(tiny_model) if word == "MODEL" else str(word) for word in command]
    result = CliRunner().invoke(app, [*given, "-o", output])
    assert isinstance(result.exception, InputError)
    assert str(result.exception) == (
        f"no row of 2 could be {what} (row 2 'xx': not valid SMILES); mend the file, or name "
        "the column of its molecules with --smiles-column"
    )
    assert f"2 of 2 rows could not be {what} and are blank" in result.stderr
    assert "row 3 'C1CC': not valid SMILES (ring 1 is not closed)" in result.stderr
    assert "climbed" not in result.stderr
    assert "anomalies" not in result.stdout
    written = rows(result.stdout if output == "-" else Path(output).read_text())
    assert [row.get("start_smiles") or row["smiles"] for row in written] == ["xx", "C1CC"]


def test_health_prints_a_verdict_json_and_a_figure(tiny_model: Path, tmp_path: Path) -> None:
    few = ["--held-out", 20, "--samples", 20, "--parents", 5, "--set", "steps=[0.0, 0.5]"]
    figure = tmp_path / "health.png"
    result = run("health", tiny_model, *few, "-o", figure)
    assert "Verdict: not yet trained" in result.stdout
    assert "Heritability" in result.stdout
    assert "the test part of" in result.stderr
    assert figure.read_bytes().startswith(b"\x89PNG")
    values = json.loads(run("health", tiny_model, *few, "--json", "-q").stdout)
    assert values["verdict"]["status"] == "not yet trained"
    assert values["reconstruction"]["molecules"] == 20
    assert [quality["name"] for quality in values["head"]] == ["logp", "polar"]


def test_health_on_molecules_of_a_file(tiny_model: Path, zinc: list[str], tmp_path: Path) -> None:
    file = tmp_path / "new.csv"
    file.write_text("\n".join(["smiles,logp", *(f"{s},1.5" for s in zinc[-10:])]))
    few = ["--samples", 10, "--parents", 3, "--set", "steps=[0.0, 0.5]"]
    flags = ["--data", file, "--label", "logp", "--json", "-q"]
    values = json.loads(run("health", tiny_model, *few, *flags).stdout)
    assert values["reconstruction"]["molecules"] == 10
    assert values["head"][0]["molecules"] == 10


def test_info_describes_models_corpora_and_versions(
    tiny_model: Path, tiny_corpus: Path, generator: Generator
) -> None:
    model = json.loads(run("info", tiny_model, "--json").stdout)
    assert model["fingerprint"] == generator.fingerprint
    assert model["latent dimensions"] == 8
    assert model["predicts"] == ["logp", "polar"]
    assert model["settings"]["run"]["epochs"] == 8
    corpus = json.loads(run("info", tiny_corpus, "--json").stdout)
    assert corpus["molecules"] == corpus["train"] + corpus["validation"] + corpus["test"]
    assert json.loads(run("info", "--json").stdout)["molvae"] == molvae.__version__
    assert "latent dimensions" in run("info", tiny_model).stdout


def test_what_is_no_model_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model at"):
        run("generate", tmp_path / "none")
    with pytest.raises(ModelError, match="not a molvae model"):
        run("info", tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("z.csv", b"smiles,z0,z2\nC,1,2\n", "without a gap"),
        ("z.csv", b"z0,z1\n1,high\n", "row 2 has 'high'"),
        ("z.csv", b"", "is empty"),
        ("z.npy", b"\x80\x04\x95pickle", "not a whole .npy"),
        ("z.npy", b"\x93NUMPY\x01\x00", "not a whole .npy"),
        ("z.parquet", b"PAR1 no", "not a table of latents"),
    ],
)
def test_latents_that_cannot_be_read_are_one_sentence(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_latents(tmp_path / name)


def test_latents_of_another_shape_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", np.zeros(8))
    with pytest.raises(InputError, match="latents are numbers"):
        run("decode", tiny_model, tmp_path / "flat.npy")
    np.save(tmp_path / "wide.npy", np.zeros((2, 9)))
    with pytest.raises(InputError, match=r"takes \(n, 8\)"):
        run("decode", tiny_model, tmp_path / "wide.npy")


@pytest.mark.slow
def test_commands_join_in_a_pipe(tiny_model: Path) -> None:
    python = f"{sys.executable} -m molvae"
    command = f"{python} generate {tiny_model} -n 10 -q -o - | {python} encode {tiny_model} -"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = rows(done.stdout)
    assert len(found) == 10
    assert all(row["z7"] for row in found)


@pytest.mark.slow
def test_an_error_is_one_sentence_and_an_exit_code(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.smi").touch()
    command = [sys.executable, "-m", "molvae", "encode", str(tiny_model)]
    done = subprocess.run([*command, str(tmp_path / "empty.smi")], capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.startswith("molvae: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    [
        "predict MODEL FILE",
        "encode MODEL FILE",
        "decode MODEL FILE",
        "anomalies FILE --reference MODEL",
        "climb MODEL --target logp --direction maximize --start FILE",
        "explore arithmetic MODEL FILE --smarts c",
        "optimize MODEL --maximize qed --start FILE",
        "optimize MODEL --maximize qed --known FILE",
        "synthesize FILE --model MODEL",
    ],
)
def test_no_command_writes_over_the_file_that_it_reads(
    tiny_model: Path, tmp_path: Path, command: str
) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text("smiles,measured\nCCO,1.5\n")
    words = command.replace("MODEL", str(tiny_model)).replace("FILE", str(mine)).split()
    result = CliRunner().invoke(app, [*words, "-o", str(mine)])
    assert isinstance(result.exception, ConfigError), result.output
    assert "the file that is read" in str(result.exception)
    assert mine.read_text() == "smiles,measured\nCCO,1.5\n"


def test_generate_prints_its_molecules_as_json_where_no_file_takes_them(tiny_model: Path) -> None:
    found = json.loads(run("generate", tiny_model, "-n", "5", "--property", "qed", "--json").stdout)
    assert found["molecules"] == 5
    assert [len(found["columns"][name]) for name in ("smiles", "qed")] == [5, 5]


def test_generate_writes_what_it_found_before_it_gave_up(tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "few.csv"
    single_atoms = ["--where", "heavy_atoms<=1", "--workers", 1, "--set", "block=1000"]
    arguments = ["generate", tiny_model, "-n", 50, *single_atoms, "-o", out]
    result = CliRunner().invoke(app, [str(word) for word in arguments])
    assert isinstance(result.exception, Exhausted)
    kept = [row["smiles"] for row in rows(out.read_text())]
    assert 0 < len(set(kept)) == len(kept) < 50
