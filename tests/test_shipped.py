"""Models by name, models made ready to hand on, and every model that the package carries."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rdkit import Chem
from typer.testing import CliRunner

import molvae
from molvae.base.errors import FileError, InputError, ModelError, MolvaeError
from molvae.cli.app import app
from molvae.datasets.corpus import Corpus
from molvae.estimator import MolVAE
from molvae.training import shipped
from molvae.training.checkpoint import load_model
from molvae.training.config import TrainConfig
from molvae.training.export import add_facts, export_model
from molvae.training.loop import train
from molvae.training.shipped import model_card, model_path, shipped_models
from molvae.training.tensorfile import read_tensors
from molvae.training.weights import get_weights, halved

ROOT = Path(__file__).parents[1]
LIMIT = 16_000_000  # bytes
FACTS = {"about": "A tiny model.", "recipe": "recipes/tiny.toml", "figures": {"valid": 1.0}}


def run(*arguments: object, code: int = 0) -> Any:
    """Run a command in this process; its errors of molvae's own are raised."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if isinstance(result.exception, MolvaeError):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def halves(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, exported in half precision; read only."""
    return export_model(tiny_model, tmp_path_factory.mktemp("x") / "t", half=True, facts=FACTS)


@pytest.fixture
def ships(halves: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation that ships one model, ``mini``, seen from an empty directory."""
    shutil.copytree(halves, tmp_path / "package" / "mini")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(shipped, "SHIPPED", tmp_path / "package")
    return tmp_path / "package" / "mini"


# --- names ------------------------------------------------------------------------------------


def test_a_name_is_the_shipped_model_wherever_one_is(ships: Path) -> None:
    assert shipped_models() == ("mini",)
    assert model_path("mini") == model_path(Path("mini")) == ships
    Path("mini").mkdir()  # of something else, such as a corpus
    assert model_path("mini") == ships


def test_a_model_of_ones_own_goes_before_a_shipped_one(ships: Path, tiny_model: Path) -> None:
    shutil.copytree(tiny_model, "mini")
    assert model_path("mini") == Path("mini")
    assert load_model("mini").provenance["corpus"]["path"].startswith("/")


@pytest.mark.parametrize("text", ["./mini", "mini/", "sub/mini", "../mini", "."])
def test_what_has_a_separator_is_a_path(ships: Path, text: str) -> None:
    assert model_path(text) == Path(text)
    with pytest.raises(ModelError, match=r"no model at|not a molvae model"):
        molvae.load(text)


def test_an_unknown_name_is_told_the_shipped_ones(ships: Path) -> None:
    with pytest.raises(ModelError, match=r"no model at mimi.*one of: mini"):
        molvae.load("mimi")
    with pytest.raises(ModelError, match="no model at mimi"):
        run("generate", "-m", "mimi")
    Path("data").mkdir()
    with pytest.raises(ModelError, match="data is not a molvae model"):
        molvae.load("data")


def test_an_installation_without_models_says_so(ships: Path, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shipped, "SHIPPED", tmp_path / "none")
    assert shipped_models() == ()
    with pytest.raises(ModelError, match="ships none"):
        molvae.load("mini")
    assert "ships no models" in run("models", "list").stderr


def test_fine_tuning_and_heads_start_from_a_name(ships: Path, tiny_corpus: Path) -> None:
    config = TrainConfig.parse({"run": {"steps": 2, "device": "cpu"}})
    out = train(Corpus.open(tiny_corpus), "tuned", config, start="mini", progress=False)
    assert load_model(out).provenance["started_from"]["about"] == "A tiny model."
    flags = ["-c", tiny_corpus, "--epochs", 1, "--device", "cpu", "-q"]
    run("train", "--from", "mini", "-o", "again", "--steps", 2, *flags)
    run("train", "--from", "mini", "-o", "head", "--head-only", "-l", "logp", *flags)
    assert load_model("head").model.head.names == ("logp",)
    with pytest.raises(ModelError, match=r"no model at mini; check"):  # a path, not the name
        run("train", "--from", "./mini", "-o", "more", *flags)


def test_the_estimator_takes_names(ships: Path, zinc: list[str]) -> None:
    model = MolVAE.load("mini", device="cpu")
    assert model.transform(zinc[:3]).shape == (3, 8)
    assert model.target_names_ == ("logp", "polar")
    tuned = MolVAE(start="mini", epochs=1, device="cpu")
    tuned.fit([*zinc[:40], "[U]"], np.arange(41.0))
    assert tuned.transform(zinc[:3]).shape == (3, 8)
    assert tuned.target_names_ == ("y",)
    assert tuned.generator_.tokenizer.alphabet == model.generator_.tokenizer.alphabet


@pytest.mark.parametrize(
    "command",
    [
        ("generate", "-n", "5"),
        ("encode", "some.smi"),
        ("predict", "some.smi"),
        ("decode", "z.npy"),
        ("optimize", "--maximize", "qed", "--budget", "5", "--initial", "3", "--candidates", "16"),
        ("health", "--data", "some.smi", "--samples", "5", "--parents", "3"),
    ],
    ids=lambda command: command[0],
)
def test_commands_take_the_model_as_argument_and_as_option(
    ships: Path, zinc: list[str], command: tuple[str, ...]
) -> None:
    Path("some.smi").write_text("\n".join(zinc[:5]))
    np.save("z.npy", np.zeros((2, 8), np.float32))
    name, *rest = command
    first = run(name, "mini", *rest, "--device", "cpu", "-q").stdout
    assert first
    assert run(name, "--model", "mini", *rest, "--device", "cpu", "-q").stdout == first
    assert run(name, *rest, "-m", "mini", "--device", "cpu", "-q").stdout == first


def test_a_model_given_twice_or_not_at_all_is_wrong_usage(ships: Path) -> None:
    assert "given twice" in run("generate", "mini", "-m", "mini", code=2).output
    assert "give a model" in run("generate", code=2).output
    assert "given twice" in run("encode", "mini", "some.smi", "-m", "mini", code=2).output
    assert "give the file" in run("encode", "mini", code=2).output
    assert "give the file" in run("encode", "-m", "mini", code=2).output


def test_a_new_corpus_takes_the_alphabet_of_a_shipped_model(ships: Path, zinc: list[str]) -> None:
    Path("some.smi").write_text("\n".join(zinc[:20]))
    run("data", "prepare", "some.smi", "-o", "corpus", "--tokenizer", "mini", "-q")
    alphabet = load_model("mini").tokenizer.alphabet
    assert Corpus.open("corpus").tokenizer.alphabet == alphabet


# --- export -----------------------------------------------------------------------------------


def test_half_precision_is_half_the_bytes_and_the_same_molecules(
    tiny_model: Path, halves: Path, zinc: list[str]
) -> None:
    weights, stored = (read_tensors(p / "model.safetensors")[0] for p in (tiny_model, halves))
    assert {w.dtype for w in stored.values() if w.ndim > 1} == {torch.float16}
    assert {w.dtype for w in stored.values() if w.ndim < 2} == {torch.float32}
    matrices = sum(w.nbytes for w in weights.values() if w.ndim > 1)
    assert sum(w.nbytes for w in weights.values()) - sum(w.nbytes for w in stored.values()) == (
        matrices / 2
    )
    whole, half = molvae.load(tiny_model, "cpu"), molvae.load(halves, "cpu")
    assert all(w.dtype == torch.float32 for w in get_weights(half.model).values())
    torch.testing.assert_close(half.model.head.scale, whole.model.head.scale, rtol=0, atol=0)
    z = whole.encode(zinc[:100])
    np.testing.assert_allclose(half.encode(zinc[:100]), z, atol=0.01)
    same = sum(a == b for a, b in zip(whole.decode(z), half.decode(z), strict=True))
    assert same >= 90


def test_an_export_without_half_is_exact(tiny_model: Path, tmp_path: Path) -> None:
    out = export_model(tiny_model, tmp_path / "out", history=False)
    mine, theirs = (get_weights(load_model(p).model) for p in (tiny_model, out))
    assert all(torch.equal(value, theirs[name]) for name, value in mine.items())
    assert not (out / "history.csv").exists()
    again = export_model(export_model(tiny_model, tmp_path / "a", half=True), tmp_path / "b")
    first = get_weights(load_model(tmp_path / "a").model)
    assert all(torch.equal(v, first[k]) for k, v in get_weights(load_model(again).model).items())


def test_only_matrices_that_fit_are_halved() -> None:
    stored = halved(
        {
            "tokens": torch.ones(3, 4, dtype=torch.int64),
            "scale": torch.tensor([1e-9, 1e9]),
            "large": torch.full((2, 2), 1e5),
            "broken": torch.full((2, 2), float("nan")),
            "brain": torch.ones(2, 2, dtype=torch.bfloat16),
            "seen": torch.ones(2, 2, dtype=torch.bool),
        }
    )
    assert [str(value.dtype).partition(".")[2] for value in stored.values()] == [
        *("int64", "float32", "float32", "float32", "float16", "bool")
    ]


def test_an_export_holds_what_others_need_and_no_places(
    tiny_model: Path, halves: Path, tmp_path: Path
) -> None:
    run_of = shutil.copytree(tiny_model, tmp_path / "run")
    (run_of / "resume").mkdir()
    (run_of / "resume" / "state.safetensors").write_bytes(b"large")
    out = export_model(run_of, tmp_path / "out", facts=FACTS)
    names = {"config.json", "tokenizer.json", "model.safetensors", "provenance.json", "history.csv"}
    assert {file.name for file in out.iterdir()} == names
    provenance = load_model(halves).provenance
    assert provenance["corpus"]["path"] == "tiny"
    assert not re.search(r'"/|[A-Z]:\\\\', (halves / "provenance.json").read_text())
    assert provenance["exported"]["stored_as"] == "float16"
    assert provenance["figures"] == {"valid": 1.0}
    assert provenance["versions"] == load_model(tiny_model).provenance["versions"]
    add_facts(out, {"figures": {"valid": 0.5}})
    assert load_model(out).provenance["figures"] == {"valid": 0.5}


def test_public_data_is_named_with_licence_and_citation(tiny_model: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_model, tmp_path / "copy")
    pin = "f900b46bb42b77aab37cd827d1ea474e2a037ecab2bd7def2b6027492216d36a"
    sources = [{"name": "zinc250k.smi", "sha256": pin}, {"name": "mine.csv", "sha256": "0" * 64}]
    add_facts(copy, {"corpus": {"path": "C:\\data\\z", "meta": {"sources": sources}}})
    provenance = load_model(export_model(copy, tmp_path / "out")).provenance
    public, own = provenance["data"]
    assert public["name"] == "zinc250k"
    assert "Irwin" in public["citation"]
    assert public["files"] == [{"name": "zinc250k.smi", "sha256": pin}]
    assert own == {"name": "mine.csv", "files": [{"name": "mine.csv", "sha256": "0" * 64}]}
    assert provenance["corpus"]["path"] == "z"


def test_an_export_replaces_neither_its_source_nor_other_files(
    tiny_model: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(tiny_model, tmp_path / "copy")
    with pytest.raises(FileError, match="the model itself"):
        export_model(copy, os.path.relpath(copy), half=True)
    assert load_model(copy)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "one.txt").write_text("years of work")
    with pytest.raises(FileError, match="holds other files"):
        export_model(copy, tmp_path / "thesis")
    with pytest.raises(ModelError, match="no model at"):
        export_model(tmp_path / "none", tmp_path / "out")


# --- the commands -----------------------------------------------------------------------------


def test_models_are_listed_and_described(ships: Path) -> None:
    listed = json.loads(run("models", "list", "--json").stdout)
    assert [row["name"] for row in listed] == ["mini"]
    assert listed[0]["figures"] == {"valid": 1.0}
    assert listed[0]["molecules"] == 480
    assert listed[0]["parameters"] == sum(p.numel() for p in load_model("mini").model.parameters())
    table = run("models", "list").stdout
    assert "mini" in table
    assert "valid 1" in table
    described = run("models", "info", "mini").stdout
    for text in ("A tiny model.", "recipes/tiny.toml", "float16", "SHA-256", "torch", "kl_weight"):
        assert text in described, text
    values = json.loads(run("models", "info", "mini", "--json").stdout)
    assert values["provenance"]["recipe"] == "recipes/tiny.toml"
    assert values["fingerprint"] == json.loads(run("info", "mini", "--json").stdout)["fingerprint"]


def test_any_model_is_described(tiny_model: Path, tmp_path: Path) -> None:
    assert "latent dimensions" in run("models", "info", tiny_model).stdout
    assert "latent dimensions" in run("info", tiny_model).stdout
    copy = shutil.copytree(tiny_model, tmp_path / "copy")
    (copy / "provenance.json").unlink()
    assert model_card(copy).figures == {}
    run("models", "info", copy)


def test_a_model_is_exported_with_facts_from_files(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"about": "Mine.", "figures": {"valid": 1}}')
    (tmp_path / "b.json").write_text('{"hardware": "a laptop"}')
    flags = ["--half", "--facts", tmp_path / "a.json", "--facts", tmp_path / "b.json"]
    result = run("models", "export", tiny_model, "-o", tmp_path / "out", *flags)
    assert "MB" in result.stderr
    provenance = load_model(tmp_path / "out").provenance
    assert (provenance["about"], provenance["hardware"]) == ("Mine.", "a laptop")
    (tmp_path / "b.json").write_text("[]")
    with pytest.raises(InputError, match="JSON object"):
        run("models", "export", tiny_model, "-o", tmp_path / "more", *flags)
    assert not (tmp_path / "more").exists()


def test_listing_models_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom molvae.cli.app import app\n"
        "assert CliRunner().invoke(app, ['models', 'list']).exit_code == 0\n"
        "print(sorted({'torch', 'rdkit', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


# --- what the package carries -----------------------------------------------------------------


def test_both_models_are_shipped() -> None:
    assert shipped_models() == ("druglike", "moses")


@pytest.mark.parametrize("name", shipped_models())
def test_a_shipped_model_is_small_whole_and_at_work(name: str) -> None:
    card = model_card(name)
    assert card.bytes < LIMIT
    generator = molvae.load(name, "cpu")
    assert card.parameters == sum(p.numel() for p in generator.model.parameters())
    found = generator.sample(100, seed=1)
    assert len(found) == 100
    assert all(Chem.MolFromSmiles(smiles) is not None for smiles in found)


@pytest.mark.parametrize("name", shipped_models())
def test_a_shipped_model_says_where_it_comes_from(name: str) -> None:
    card = model_card(name)
    provenance = card.provenance
    assert card.about
    assert card.figures
    assert card.molecules
    for data in card.data:
        assert data["licence"]
        assert data["citation"]
        assert all(re.fullmatch("[0-9a-f]{64}", file["sha256"]) for file in data["files"])
    assert card.data
    assert re.fullmatch("[0-9a-f]{64}", provenance["corpus"]["sha256"])
    recipes = provenance["recipe"]
    for recipe in [recipes] if isinstance(recipes, str) else recipes:
        assert (ROOT / recipe).is_file()
    assert {"molvae", "torch", "rdkit"} <= provenance["versions"].keys()
    for key in ("started", "finished", "seconds", "device", "hardware", "metrics"):
        assert provenance[key], key
    trained = provenance["started_from"] if provenance.get("head_only") else provenance
    assert trained["steps"]
    assert provenance["exported"]["stored_as"] == "float16"
    for file in card.path.glob("*.json"):
        assert not re.search(r'"/|[A-Z]:\\\\', file.read_text()), file


def test_wheels_hold_every_file_of_the_shipped_models() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    package = Path(molvae.__file__).parent
    patterns = settings["tool"]["setuptools"]["package-data"]["molvae"]
    packed = {file for pattern in patterns for file in package.glob(pattern)}
    there = {file for file in (package / "shipped").rglob("*") if file.is_file()}
    assert there <= packed, sorted(there - packed)
    names = {"config.json", "tokenizer.json", "model.safetensors", "provenance.json"}
    assert all(names <= {file.name for file in model_path(m).iterdir()} for m in shipped_models())
