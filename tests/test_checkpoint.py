"""Model directories: they come back exactly, and whatever is wrong with one is said plainly."""

import json
import pickle
import shutil
import subprocess
import sys

import pytest
import torch
from tiny import sample_smiles, tiny_config

from molvae.base.errors import ConfigError, FileError, ModelError
from molvae.chem.tokenizer import Tokenizer
from molvae.models.batch import Batch
from molvae.training.checkpoint import build_model, load_model, save_model
from molvae.training.config import TrainConfig
from molvae.training.tensorfile import read_tensors, write_tensors
from molvae.training.weights import get_weights, set_weights

HEAD = {"targets": [{"name": "length"}, {"name": "aromatic", "kind": "classification"}]}


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.from_smiles(sample_smiles(n=20))


@pytest.fixture(scope="module")
def original(tokenizer, tmp_path_factory):
    """A saved model with a head and tied embeddings: ``(directory, model)``."""
    config = tiny_config(model={"head": HEAD, "tie_embeddings": True})
    model = build_model(config, tokenizer, seed=3)
    labels = torch.tensor([[20.0, 0.0], [30.0, 1.0]])
    model.fit_scaling(labels)
    path = tmp_path_factory.mktemp("models") / "model"
    save_model(path, model, tokenizer, config, {"corpus": "none"})
    return path, model


@pytest.fixture
def saved(original, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(original[0], tmp_path / "model")


def rewrite_config(path, **changes):
    file = path / "config.json"
    values = json.loads(file.read_text()) | changes
    file.write_text(json.dumps(values))


def test_a_model_comes_back_exactly(original, tokenizer):
    path, model = original
    loaded = load_model(path)
    assert not loaded.model.training
    assert loaded.config.model == model.config
    assert loaded.tokenizer.alphabet == tokenizer.alphabet
    assert loaded.provenance == {"corpus": "none"}
    weights = get_weights(loaded.model)
    assert weights.keys() == get_weights(model).keys()
    assert all(torch.equal(value, weights[name]) for name, value in get_weights(model).items())
    z = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(loaded.model.predict(z).values, model.predict(z).values)
    batch = Batch.collate([tokenizer.encode_one(sample_smiles()[0])])
    mine = model.eval().log_likelihood(batch.tokens, batch.lengths, z[:1])
    assert torch.equal(loaded.model.log_likelihood(batch.tokens, batch.lengths, z[:1]), mine)


def test_a_directory_holds_what_the_design_says_and_no_pickle(original):
    path, _ = original
    names = {file.name for file in path.iterdir()}
    assert names == {"config.json", "tokenizer.json", "model.safetensors", "provenance.json"}
    values = json.loads((path / "config.json").read_text())
    assert values.pop("format") == 1
    assert TrainConfig.parse(values).model.latent_dim == 4


@pytest.mark.slow
def test_loading_needs_neither_rdkit_nor_selfies(original):
    code = (
        "import sys; sys.modules.update({'rdkit': None, 'selfies': None, 'pandas': None})\n"
        "from molvae.training.checkpoint import load_model\n"
        f"print(load_model({str(original[0])!r}).config.model.latent_dim)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "4"


def test_saving_again_replaces_the_whole_model(saved, original, tokenizer):
    (saved / "history.csv").write_text("step\n")
    save_model(saved, original[1], tokenizer, tiny_config(model={"head": HEAD}), {"again": True})
    assert load_model(saved).provenance == {"again": True}
    assert not (saved / "history.csv").exists()


def test_saving_does_not_replace_other_files(tmp_path, original, tokenizer):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileError, match="holds other files"):
        save_model(tmp_path, original[1], tokenizer)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def refused(path, *words, error=ModelError):
    with pytest.raises(error) as caught:
        load_model(path)
    text = str(caught.value)
    assert all(word in text for word in words), text
    assert "\n" not in text


def test_a_missing_directory_a_file_and_a_foreign_directory_are_refused(tmp_path):
    refused(tmp_path / "nowhere", "no model at", "check the path")
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file", "is a file", "directory")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "not a molvae model", "config.json")


@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(saved, name):
    (saved / name).unlink()
    refused(saved, name)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("kept", [0, 5, 60, -1])
def test_a_truncated_file_is_refused_by_name(saved, name, kept):
    data = (saved / name).read_bytes()
    # The last byte of a JSON file is its line end; take the bracket before it as well.
    (saved / name).write_bytes(data[: kept if kept >= 0 else -2])
    refused(saved, name)


def test_a_flipped_bit_anywhere_in_the_weights_is_noticed(saved):
    file = saved / "model.safetensors"
    data = file.read_bytes()
    places = [*range(0, 200, 9), *range(200, len(data), len(data) // 60), len(data) - 1]
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 0x04
        file.write_bytes(changed)
        with pytest.raises(ModelError, match=r"model\.safetensors"):
            load_model(saved)


def test_a_changed_setting_or_symbol_is_noticed(saved):
    rewrite_config(saved, data={"labels": ["other"], "new_symbols": "error"})
    refused(saved, "config.json", "damaged or edited")


def test_the_tokenizer_of_another_model_is_noticed(saved, tokenizer):
    Tokenizer.from_symbols(
        [*tokenizer.alphabet[:-1], "[Br]"], max_length=tokenizer.max_length
    ).save(saved / "tokenizer.json")
    refused(saved, "tokenizer.json")


def test_a_newer_format_says_to_update(saved):
    rewrite_config(saved, format=99)
    refused(saved, "format 99", "pip install --upgrade molvae")


@pytest.mark.parametrize("format_", [None, "1", 0])
def test_a_config_of_something_else_is_refused(saved, format_):
    rewrite_config(saved, format=format_)
    refused(saved, "config.json", "no format version")


def test_a_misspelt_key_names_the_nearest(saved):
    values = json.loads((saved / "config.json").read_text())
    values["model"]["latent_dimm"] = values["model"].pop("latent_dim")
    rewrite_config(saved, model=values["model"])
    refused(saved, "model.latent_dimm", "did you mean 'latent_dim'?")


class Bomb:
    def __reduce__(self):
        return (print, ("boom",))


@pytest.mark.parametrize("writer", ["pickle", "torch", "torch-legacy"])
def test_a_pickle_in_disguise_is_not_opened(saved, writer, capsys):
    file = saved / "model.safetensors"
    if writer == "pickle":
        file.write_bytes(pickle.dumps(Bomb()))
    else:
        torch.save({"w": Bomb()}, file, _use_new_zipfile_serialization=writer == "torch")
    refused(saved, "pickle", "not opened")
    assert "boom" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"hello, world, this is text", b"\xff" * 100])
def test_garbage_for_weights_is_refused(saved, content):
    (saved / "model.safetensors").write_bytes(content)
    refused(saved, "model.safetensors")


def test_weights_of_other_sizes_are_refused(saved, original, tokenizer):
    other = build_model(tiny_config(model={"latent_dim": 7}), tokenizer)
    _, texts = read_tensors(saved / "model.safetensors")
    write_tensors(saved / "model.safetensors", get_weights(other), texts)
    refused(saved, "does not fit")


def test_set_weights_names_what_does_not_fit():
    layer = torch.nn.Linear(2, 1)
    with pytest.raises(KeyError, match=r"'bias' is missing"):
        set_weights(layer, {"weight": torch.zeros(1, 2)})
    with pytest.raises(KeyError, match=r"'weight' has the shape \(1, 3\), not \(1, 2\)"):
        set_weights(layer, {"weight": torch.zeros(1, 3), "bias": torch.zeros(1)})


def test_a_misspelt_setting_of_a_run_names_the_nearest():
    with pytest.raises(ConfigError, match=r"'optimiser.batchsize'; did you mean 'batch_size'"):
        TrainConfig.parse({"optimiser": {"batchsize": 3}})
