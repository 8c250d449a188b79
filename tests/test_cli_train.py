"""`molvae train`: flags, files, exit codes; the training itself is tested elsewhere."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tiny import sample_smiles
from typer.testing import CliRunner

from molvae.base.errors import MolvaeError
from molvae.base.records import read_toml
from molvae.cli.app import app
from molvae.datasets.corpus import build_corpus
from molvae.datasets.options import CorpusOptions
from molvae.training.checkpoint import load_model
from molvae.training.job import TrainJob

RECIPES = Path(__file__).parents[1] / "scripts" / "recipes"
SMALL = ["--preset", "tiny", "--steps", "4", "--batch-size", "16", "--device", "cpu", "-q"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    lines = [f"{smiles},{len(smiles)}" for smiles in sample_smiles(n=60)]
    (folder / "molecules.csv").write_text("\n".join(["smiles,length", *lines]) + "\n")
    options = CorpusOptions(labels=("length",))
    build_corpus(folder / "molecules.csv", folder / "corpus", options=options, workers=1)
    return folder / "corpus"


def run(*arguments):
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


def fails(*arguments):
    """The error of a command that must fail."""
    result = run(*arguments)
    assert isinstance(result.exception, MolvaeError), result.output
    return result.exception


def test_a_model_from_flags_alone(corpus, tmp_path):
    out = tmp_path / "model"
    result = run("-c", corpus, "-o", out, *SMALL, "--latent-dim", 5, "--beta", 0.1, "--seed", 7,
                 "--label", "length", "--set", "optimiser.clip_norm=2")  # fmt: skip
    assert result.exit_code == 0, result.output
    config = load_model(out).config
    assert config.model.latent_dim == 5
    assert config.model.decoder_hidden == 32
    assert config.objective.kl_weight == 0.1
    assert config.optimiser.clip_norm == 2.0
    assert (config.run.seed, config.run.steps) == (7, 4)
    assert [target.name for target in config.model.head.targets] == ["length"]


def test_every_setting_can_come_from_a_file_and_flags_win(corpus, tmp_path):
    file = tmp_path / "run.toml"
    file.write_text(
        f'corpus = "{corpus}"\noutput = "{tmp_path / "model"}"\npreset = "tiny"\n'
        '[model]\nlatent_dim = 3\n[run]\nsteps = 9\ndevice = "cpu"\n'
        "[optimiser]\nbatch_size = 16\n"
    )
    assert run(file, "--steps", 3, "-q").exit_code == 0
    loaded = load_model(tmp_path / "model")
    assert loaded.provenance["steps"] == 3
    assert loaded.config.model.latent_dim == 3
    assert loaded.config.model.encoder_hidden == 24


def test_the_config_of_a_model_makes_it_again(corpus, tmp_path):
    assert run("-c", corpus, "-o", tmp_path / "a", *SMALL).exit_code == 0
    again = run(tmp_path / "a" / "config.json", "-c", corpus, "-o", tmp_path / "b", "-q")
    assert again.exit_code == 0, again.output
    files = [tmp_path / name / "model.safetensors" for name in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_what_to_type_next_is_said_unless_quiet(corpus, tmp_path):
    loud = [flag for flag in SMALL if flag != "-q"]
    result = run("-c", corpus, "-o", tmp_path / "a", *loud)
    assert f"molvae health {tmp_path / 'a'}" in result.output
    assert run("-c", corpus, "-o", tmp_path / "b", *SMALL).output == ""


@pytest.mark.parametrize("has_amx", [True, False])
def test_bf16_on_a_processor_without_it_is_advised_against(corpus, tmp_path, monkeypatch, has_amx):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: has_amx, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False, raising=False)
    loud = [flag for flag in SMALL if flag != "-q"]
    result = run("-c", corpus, "-o", tmp_path / "a", *loud, "--set", "run.precision=bf16")
    assert result.exit_code == 0, result.output
    assert ("--set run.precision=fp32" in result.stderr) != has_amx
    assert "run.precision" not in run("-c", corpus, "-o", tmp_path / "b", *loud).output


def test_of_many_processes_one_says_it(corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    result = run("-c", corpus, "-o", tmp_path / "loud", *SMALL[:-1])
    assert result.exit_code == 0, result.output
    assert "Next: molvae health" not in result.stderr


def test_a_head_alone_and_fine_tuning(corpus, tmp_path):
    base, headed, tuned = (tmp_path / name for name in ("base", "headed", "tuned"))
    assert run("-c", corpus, "-o", base, *SMALL).exit_code == 0
    result = run("-c", corpus, "-o", headed, "--from", base, "--head-only", "--label", "length",
                 "--epochs", 2, "-q")  # fmt: skip
    assert (headed / "history.csv").read_bytes() == (base / "history.csv").read_bytes()
    assert result.exit_code == 0, result.output
    assert load_model(headed).model.head.names == ("length",)
    assert run("-c", corpus, "-o", tuned, "--from", headed, "--steps", 2, "-q").exit_code == 0
    assert load_model(tuned).model.head.names == ("length",)


def test_what_is_missing_is_named(corpus, tmp_path):
    assert "--output" in str(fails("-c", corpus))
    assert "--corpus" in str(fails("-o", tmp_path / "x"))
    assert "--from" in str(fails("-c", corpus, "-o", tmp_path / "x", "--head-only"))


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["--set", "run.stepz=3"], ["'run.stepz'", "did you mean 'steps'"], 4),
        (["--set", "optimiser.learning_rate=fast"], ["optimiser.learning_rate", "'fast'"], 4),
        (["--set", "run.steps"], ["key=value"], 4),
        (["--preset", "huge"], ["no preset 'huge'", "small"], 4),
        (["--label", "logp"], ["no label 'logp'", "length"], 3),
        (["--device", "cuda:99"], ["run.device"], 4),
    ],
)
def test_a_wrong_setting_is_one_sentence_and_writes_nothing(
    corpus, tmp_path, arguments, words, code
):
    error = fails("-c", corpus, "-o", tmp_path / "out", *arguments)
    assert all(word in str(error) for word in words), error
    assert "\n" not in str(error)
    assert error.exit_code == code
    assert not (tmp_path / "out").exists()


def test_a_corpus_that_is_not_there_or_a_model_that_is_none(corpus, tmp_path):
    assert fails("-c", tmp_path / "none", "-o", tmp_path / "x").exit_code == 6
    assert fails("-c", corpus, "-o", tmp_path / "x", "--from", corpus).exit_code == 5
    (tmp_path / "bad.toml").write_text("[run\nsteps=3")
    error = fails(tmp_path / "bad.toml")
    assert error.exit_code == 4
    assert "line 1" in str(error)


def test_an_output_that_exists_is_left_alone(corpus, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert fails("-c", corpus, "-o", tmp_path, *SMALL).exit_code == 6
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*.toml")), ids=lambda file: file.stem)
def test_recipes_are_valid(file):
    job = TrainJob.parse(read_toml(file), where=file.name)
    assert job.training().model.encoder_hidden >= 128
    assert job.training().run == job.run


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_with_its_code_and_it_can_go_on(corpus, tmp_path, number):
    out = tmp_path / "model"
    arguments = ["-m", "molvae", "train", "-c", corpus, "-o", out, *SMALL[:-1], "--steps", 100_000]
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)], stderr=subprocess.PIPE, text=True
    )
    while not (out / "history.csv").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(number)
    _, text = process.communicate()
    assert process.returncode == 128 + number, text
    assert text.startswith("molvae: stopped at step ")
    assert "--resume" in text
    assert "Traceback" not in text
    state = json.loads((out / "provenance.json").read_text())
    assert state["finished"] is None
    load_model(out)


def test_resume_needs_the_output_alone(corpus, tmp_path, monkeypatch):
    from molvae.base.errors import InterruptedRun
    from molvae.training.trainer import Trainer

    step = Trainer.step
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", lambda self: (step(self), signal.raise_signal(2)))
        assert isinstance(fails("-c", corpus, "-o", tmp_path / "m", *SMALL), InterruptedRun)
    result = run("-o", tmp_path / "m", "--resume", "-q")
    assert result.exit_code == 0, result.output
    assert load_model(tmp_path / "m").provenance["steps"] == 4
