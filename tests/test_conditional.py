"""Conditional models: what is unknown counts for nothing, and what is asked for comes."""

from __future__ import annotations

import importlib
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from tiny import corpus_of, tiny_config
from typer.testing import CliRunner

from molvae.base.errors import ConfigError, InputError, InterruptedRun, ModelError
from molvae.bulk import BulkOptions, collect, every_draw, generate_shards
from molvae.chem.properties import compute
from molvae.cli.app import app
from molvae.datasets.corpus import Corpus
from molvae.generator import Generator, load
from molvae.latent.conditions import condition_table, outside
from molvae.models.batch import Batch
from molvae.models.conditions import Conditioner, drop
from molvae.models.config import ConditionConfig, ConditionProperty, ModelConfig
from molvae.models.decoder import Writer
from molvae.models.guidance import GuidedWriter
from molvae.models.objective import ObjectiveConfig
from molvae.models.presets import preset
from molvae.models.sampling import SamplingOptions, generate
from molvae.models.vae import SequenceVAE
from molvae.training.checkpoint import load_model, save_model
from molvae.training.config import TrainConfig
from molvae.training.export import export_model
from molvae.training.loop import train
from molvae.training.prepare import prepare
from molvae.training.trainer import Trainer
from molvae.training.weights import get_weights

TWO = {
    "properties": [
        {"name": "size"},
        {"name": "end", "kind": "category", "levels": {"carbon": 0, "nitrogen": 1}},
    ],
    "dim": 16,
    "hidden": 32,
}
SIZES = {"embedding_dim": 8, "encoder_hidden": 8, "latent_dim": 4, "decoder_hidden": 48}
MODEL = {**SIZES, "forget": 1.0, "forget_all": 1.0, "prior": {"kind": "blank"}}


def chains() -> Corpus:
    """Chains of 2 to 13 atoms, half of which end in nitrogen; a tenth of the sizes are missing."""
    smiles = tuple("C" * (1 + i % 12) + "CN"[i // 12 % 2] for i in range(480))
    size = np.array([float(len(text)) for text in smiles])
    size[::10] = np.nan
    return corpus_of(smiles, {"size": size, "end": np.array([float("N" in s) for s in smiles])})


def settings(steps: int = 250, **sections: dict[str, object]) -> TrainConfig:
    return tiny_config(
        model={**MODEL, "conditions": TWO, "token_dropout": 0.0, **sections.pop("model", {})},
        optimiser={"batch_size": 32, "learning_rate": 0.01, "average": 0.9},
        run={"steps": steps, "log_every": 4, "evaluate_every": 250, "save_every": 5},
        **sections,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learnt the chains; read only."""
    return train(chains(), tmp_path_factory.mktemp("run") / "model", settings(), progress=False)


@pytest.fixture(scope="module")
def generator(trained: Path) -> Generator:
    return load(trained, "cpu")


def untrained(**changes: object) -> SequenceVAE:
    config = ModelConfig.parse({**SIZES, "conditions": {**TWO, **changes}})
    return SequenceVAE(config, vocab_size=9, max_length=12, seed=3).eval()


def atoms(smiles: list[str]) -> float:
    return float(np.mean([len(text) for text in smiles]))


def nitrogen(smiles: list[str]) -> float:
    return float(np.mean(["N" in text for text in smiles]))


# --- the network ------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [0, 2])
def test_all_missing_is_the_unconditional_model_to_the_last_bit(window: int) -> None:
    config = ModelConfig.parse({**SIZES, "window": window, "conditions": TWO})
    model = SequenceVAE(config, vocab_size=9, max_length=12).eval()
    z = torch.randn(5, model.latent_dim, generator=torch.Generator().manual_seed(0))
    nothing = torch.full((5, 2), torch.nan)
    assert torch.equal(model.told(z, nothing), model.told(z))
    assert not torch.equal(model.told(z, torch.ones(5, 2)), model.told(z))
    for weight in (1.0, 2.0):
        options = SamplingOptions(guidance=weight)
        written = generate(model, z, options, seed=1, conditions=nothing)
        assert written.rows() == generate(model, z, seed=1).rows()


def test_what_is_missing_counts_for_nothing_beside_what_is_known() -> None:
    model = untrained()
    assert model.conditions is not None
    given = torch.tensor([[5.0, torch.nan], [5.0, 7.0], [5.0, 1.0]])  # 7 is no level
    told = model.conditions(given)
    assert torch.equal(told[0], told[1])
    assert not torch.equal(told[0], told[2])


def test_a_model_without_conditions_has_the_weights_and_draws_the_numbers_that_it_had() -> None:
    plain = SequenceVAE(ModelConfig.parse(SIZES), vocab_size=9, max_length=12, seed=3)
    weights, own = get_weights(plain), get_weights(untrained())
    assert not any(name.startswith("conditions") for name in weights)
    assert all(torch.equal(own[k], v) for k, v in weights.items() if k.startswith("encoder."))
    batch = Batch.collate([[4, 5], [6]])
    told = replace(batch, conditions=torch.ones(2, 2))
    random = [torch.Generator().manual_seed(0) for _ in range(2)]
    for given, draws in zip((batch, told), random, strict=True):
        plain.train().losses(given, ObjectiveConfig(), draws)
    assert torch.equal(random[0].get_state(), random[1].get_state())


@pytest.mark.parametrize("window", [0, 2])
@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
def test_guided_logits_are_the_formula_of_the_two_decoders(window: int, weight: float) -> None:
    config = ModelConfig.parse({**SIZES, "window": window, "conditions": TWO})
    model = SequenceVAE(config, vocab_size=9, max_length=12, seed=2).double().eval()
    z = torch.randn(3, model.latent_dim, dtype=torch.float64)
    given = torch.tensor([[3.0, 0.0], [8.0, torch.nan], [torch.nan, 1.0]], dtype=torch.float64)
    tokens = torch.tensor([[1, 4, 5, 6], [1, 7, 4, 4], [1, 8, 5, 3]])
    lengths = torch.full((3,), 5)
    with torch.inference_mode():
        plain, known = (model.logits(tokens, lengths, z, c) for c in (None, given))
        writer = GuidedWriter(model, model.told(z, given), model.told(z), weight)
        for step in range(2):
            wanted = plain[:, step] + weight * (known[:, step] - plain[:, step])
            torch.testing.assert_close(writer.write(tokens[:, step]), wanted)
        rows = torch.tensor([2, 0])
        writer.keep(rows)
        wanted = plain[rows, 2] + weight * (known[rows, 2] - plain[rows, 2])
        torch.testing.assert_close(writer.write(tokens[rows, 2]), wanted)


def test_any_subset_of_the_conditions_is_met_in_training() -> None:
    config = ConditionConfig.parse(
        {"properties": [{"name": n} for n in "abc"], "drop_all": 0.2, "drop": 0.7}
    )
    values = torch.ones(4000, 3)
    values[:1000, 0] = torch.nan
    left = ~drop(values, config, torch.Generator().manual_seed(0)).isnan()
    assert not left[:1000, 0].any()
    counts = {tuple(row): n for row, n in zip(*_distinct(left[1000:]), strict=True)}
    assert len(counts) == 8
    assert min(counts.values()) > 30
    assert 0.2 < counts[False, False, False] / 3000 < 0.5


def _distinct(rows: torch.Tensor) -> tuple[list[list[bool]], list[int]]:
    values, counts = rows.unique(dim=0, return_counts=True)
    return values.tolist(), counts.tolist()


def test_the_encoder_is_told_only_where_that_is_asked_for() -> None:
    tokens, lengths = torch.tensor([[1, 4, 5, 2]]), torch.tensor([4])
    known = torch.tensor([[6.0, 1.0]])
    for encoder in (False, True):
        model = untrained(encoder=encoder)
        same = torch.equal(
            model.encode(tokens, lengths).mean, model.encode(tokens, lengths, known).mean
        )
        assert same is not encoder


def test_every_part_of_a_model_whose_encoder_is_told_too_learns_in_windows() -> None:
    config = ModelConfig.parse({**SIZES, "window": 2, "conditions": {**TWO, "encoder": True}})
    model = SequenceVAE(config, vocab_size=9, max_length=12).train()
    batch = Batch.collate([[4, 5, 6], [7, 8]])
    batch = replace(batch, conditions=torch.tensor([[3.0, 1.0], [2.0, 0.0]]))
    model.losses(batch, ObjectiveConfig(), torch.Generator().manual_seed(5)).total.backward()
    still = [name for name, p in model.named_parameters() if p.grad is None]
    assert still == []


def test_a_resting_decoder_writes_as_before_where_nothing_is_known(trained: Path) -> None:
    config = TrainConfig.parse(
        {"schedule": {"decoder": 0.0}, "run": {"steps": 3, "device": "cpu"}, "optimiser": FAST}
    )
    before = load_model(trained).model
    out = trained.parent / "rested"
    after = load_model(train(chains(), out, config, start=trained, progress=False)).model
    z = torch.zeros(2, 4)
    tokens, lengths, known = torch.tensor([[1, 3], [1, 4]]), torch.tensor([3, 3]), torch.ones(2, 2)
    tokens = torch.cat([tokens, torch.full((2, 1), 2)], 1)
    assert torch.equal(before.logits(tokens, lengths, z), after.logits(tokens, lengths, z))
    assert not torch.equal(
        before.logits(tokens, lengths, z, known), after.logits(tokens, lengths, z, known)
    )


FAST = {"batch_size": 32, "learning_rate": 0.01, "average": 0.0}


# --- what is asked for comes ------------------------------------------------------------------


@pytest.mark.slow
def test_conditions_move_what_is_drawn_the_right_way(generator: Generator) -> None:
    few = generator.sample(200, conditions={"size": 4})
    many = generator.sample(200, conditions={"size": 11})
    assert abs(atoms(few) - 4) < 1
    assert abs(atoms(many) - 11) < 1
    assert nitrogen(generator.sample(200, conditions={"end": "nitrogen"})) > 0.85
    assert nitrogen(generator.sample(200, conditions={"end": "carbon"})) < 0.15
    both = generator.sample(200, conditions={"SIZE": 9, "End": "Nitrogen"})
    assert abs(atoms(both) - 9) < 1
    assert nitrogen(both) > 0.85
    free = generator.sample(200)
    assert np.std([len(text) for text in free]) > 2
    assert 0.2 < nitrogen(free) < 0.8


@pytest.mark.slow
def test_guidance_comes_nearer_and_1_is_the_conditional_model(generator: Generator) -> None:
    asked = {"size": 9}
    plain = generator.draw(300, seed=4, conditions=asked)[0]
    assert plain == generator.draw(300, seed=4, conditions=asked, guidance=1.0)[0]
    guided = generator.draw(300, seed=4, conditions=asked, guidance=2.0)[0]
    off = [np.mean([abs(len(s) - 9) for s in found if s]) for found in (plain, guided)]
    assert off[1] < 0.9 * off[0]
    none = generator.draw(300, seed=4)[0]
    assert none == generator.draw(300, seed=4, conditions=asked, guidance=0.0)[0]


def test_a_molecule_is_decoded_for_the_condition_of_its_row(generator: Generator) -> None:
    z = np.zeros((4, 4), np.float32)
    found = generator.decode(z, conditions={"size": [3, 12, None, 12], "end": [0, 0, None, 1]})
    assert found[0] is not None
    assert found[1] is not None
    assert len(found[0]) < len(found[1])
    assert found[2] == generator.decode(z[:1])[0]
    assert found[3] is not None
    assert "N" in found[3]
    beam = generator.decode(z[:1], strategy="beam", conditions={"size": 12}, guidance=2.0)[0]
    assert beam is not None
    assert len(beam) > 8


def test_own_values_are_those_that_can_be_computed() -> None:
    config = ModelConfig.parse(
        {**SIZES, "conditions": {"properties": [{"name": "mw"}, {"name": "x"}]}}
    )
    made = Generator(SequenceVAE(config, 9, 12), corpus_of(("CCO", "CCN")).tokenizer)
    own = made.conditions_of(["O", None])
    assert list(own) == ["mw"]
    np.testing.assert_allclose(own["mw"], [18.015, np.nan])


@pytest.mark.slow
def test_seeds_reproduce_and_processes_change_nothing(generator: Generator) -> None:
    options = BulkOptions(
        molecules=60, block=40, unique=False, seed=2, guidance=1.5,
        conditions={"size": 6, "end": "carbon"},
    )  # fmt: skip
    alone = collect(generator, options, workers=1, progress=False).smiles
    assert alone == collect(generator, options, workers=2, progress=False).smiles
    asked = options.replace(conditions={"size": 9})
    other = collect(generator, asked, progress=False).smiles
    assert every_draw(generator, asked) != every_draw(generator, options)
    assert atoms(other) > atoms(alone) + 1


def test_a_directory_of_shards_from_before_there_were_conditions_is_completed(
    generator: Generator, tmp_path: Path
) -> None:
    options = BulkOptions(molecules=5, block=20, unique=False)
    generate_shards(generator, tmp_path, options, workers=1, progress=False)
    file = tmp_path / "_settings.json"
    job = json.loads(file.read_text())
    del job["options"]["conditions"], job["options"]["guidance"]
    file.write_text(json.dumps(job))
    more = options.replace(molecules=30)
    assert generate_shards(generator, tmp_path, more, workers=1, progress=False).molecules == 30
    with pytest.raises(ConfigError, match="conditions"):
        generate_shards(generator, tmp_path, more.replace(conditions={"size": 3}), progress=False)


# --- files and training -----------------------------------------------------------------------


def test_saved_and_exported_in_half_it_is_told_the_same(trained: Path, tmp_path: Path) -> None:
    loaded = load_model(trained)
    save_model(tmp_path / "copy", loaded.model, loaded.tokenizer, loaded.config)
    export_model(trained, tmp_path / "half", half=True)
    own = loaded.model.conditions
    assert own is not None
    for name in ("copy", "half"):
        again = load(tmp_path / name, "cpu")
        assert again.conditions == ("size", "end")
        found = again.model.conditions
        assert found is not None
        for buffer in ("mean", "scale", "low", "high"):
            assert torch.equal(getattr(found, buffer), getattr(own, buffer)), buffer
        assert abs(atoms(again.sample(50, conditions={"size": 11})) - 11) < 2


def test_an_interrupted_run_resumes_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, config = chains(), settings(steps=8)
    whole = train(corpus, tmp_path / "whole", config, progress=False)
    original = Trainer.step

    def stepping(self: Trainer) -> None:
        original(self)
        if self.state.step == 3:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", stepping)
        with pytest.raises(InterruptedRun):
            train(corpus, tmp_path / "cut", config, progress=False)
    again = train(corpus, tmp_path / "cut", config, resume=True, progress=False)
    weights = get_weights(load_model(again).model)
    for name, value in get_weights(load_model(whole).model).items():
        assert torch.equal(value, weights[name]), name


def test_conditions_named_alone_are_numbers_and_categories_as_their_values_show() -> None:
    config = tiny_config(model={"conditions": {**TWO, "drop": 0.3}}, data={"conditions": ["End"]})
    model = prepare(chains(), config).config.model.conditions
    assert model is not None
    assert [(p.name, p.kind, p.levels) for p in model.properties] == [
        ("end", "category", {"carbon": 0.0, "nitrogen": 1.0})
    ]
    assert model.drop == 0.3
    seen = prepare(chains(), tiny_config(data={"conditions": ["size", "end"]})).config.model
    assert seen.conditions is not None
    assert [(p.kind, p.levels) for p in seen.conditions.properties] == [
        ("number", {}),
        ("category", {"0": 0.0, "1": 1.0}),
    ]


@pytest.mark.parametrize("window", [0, 2])
def test_a_model_gains_conditions_and_writes_as_before_until_it_learns(
    tmp_path: Path, window: int
) -> None:
    short = {"steps": 2, "device": "cpu"}
    plain = tiny_config(run=short, model={**MODEL, "window": window})
    start = load_model(train(chains(), tmp_path / "plain", plain, progress=False))
    config = tiny_config(data={"conditions": ["size"]}, run=short, model={"forget": 0.5})
    config = config.model_copy(update={"model": ModelConfig(forget=0.5)})
    grown = prepare(chains(), config, start)
    assert grown.config.model.conditions is not None
    z = torch.randn(2, start.model.latent_dim)
    tokens, lengths = torch.tensor([[1, 3, 2], [1, 4, 2]]), torch.tensor([3, 3])
    before = start.model.logits(tokens, lengths, z)
    known = torch.tensor([[3.0], [9.0]])
    torch.testing.assert_close(grown.model.logits(tokens, lengths, z, known), before)
    out = train(chains(), tmp_path / "tuned", config, start=start, progress=False)
    tuned = load_model(out).model
    assert not torch.equal(
        tuned.logits(tokens, lengths, z, known), tuned.logits(tokens, lengths, z)
    )


def test_fine_tuning_keeps_the_scales_and_may_change_how_much_is_dropped(trained: Path) -> None:
    start = load_model(trained)
    changed = {**TWO, "drop": 0.9}
    config = TrainConfig.parse({"model": {"conditions": changed}})
    tuned = prepare(corpus_of(("CCN", "CCCC"), TWO_LABELS, start.tokenizer, 0.0), config, start)
    assert tuned.config.model.conditions is not None
    assert tuned.config.model.conditions.drop == 0.9
    assert tuned.model.conditions is not None
    assert start.model.conditions is not None
    assert torch.equal(tuned.model.conditions.mean, start.model.conditions.mean)


TWO_LABELS = {"size": np.array([3.0, 4.0]), "end": np.array([1.0, 0.0])}


# --- what cannot be done ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "error", "message"),
    [
        ({"siz": 3}, ConfigError, "no condition 'siz'; did you mean 'size'. it takes size, end"),
        ({"end": "oxygen"}, ConfigError, "no level 'oxygen'; it takes carbon, nitrogen"),
        ({"end": 2}, ConfigError, "no level 2"),
        ({"size": "long"}, ConfigError, "it takes a number"),
        ({"size": float("inf")}, ConfigError, "it takes a number"),
        ({"size": [1, 2, 3]}, InputError, "3 values for 2 molecules"),
        ({"size": 3, "SIZE": 4}, ConfigError, "given twice"),
    ],
)
def test_conditions_that_the_model_does_not_know_are_refused(
    conditions: dict, error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        condition_table(untrained().conditions, conditions, 2)


def test_a_model_without_conditions_says_how_to_train_one(tiny_model: Path) -> None:
    plain = load(tiny_model, "cpu")
    with pytest.raises(ModelError, match="molvae train --preset conditional"):
        plain.sample(1, conditions={"logp": 1})
    with pytest.raises(ConfigError, match="no conditions are given"):
        plain.sample(1, guidance=2.0)
    with pytest.raises(InputError, match="takes no conditions"):
        generate(plain.model, torch.zeros(1, 8), conditions=torch.zeros(1, 1))


def test_values_outside_the_training_data_are_warned_about(generator: Generator) -> None:
    assert outside(generator.model.conditions, {"size": 8, "end": 1}) == []
    with pytest.warns(UserWarning, match="size = 40 is outside the training data, which have 2 to"):
        generator.sample(2, conditions={"size": 40})


@pytest.mark.parametrize(
    ("properties", "column", "message"),
    [
        ([{"name": "size"}], [np.nan, np.nan], "has no values"),
        ([{"name": "size"}], [1.0, np.inf], "has infinite values"),
    ],
)
def test_labels_that_cannot_be_conditioned_on_are_named(
    properties: list, column: list[float], message: str
) -> None:
    config = ConditionConfig.parse({"properties": properties})
    with pytest.raises(InputError, match=message):
        Conditioner(config, torch.Generator()).fit_scaling(np.array(column)[:, None])


def test_labels_that_are_no_level_of_a_category_are_counted_also_in_fine_tuning(
    trained: Path,
) -> None:
    labels = {"size": np.ones(4), "end": np.array([0.0, 3.0, np.nan, 3.0])}
    start = load_model(trained)
    corpus = corpus_of(("CCN", "CCC", "CC", "CCCC"), labels, start.tokenizer, 0.0)
    message = r"2 molecules .* 'end' that is none of its levels \(carbon, nitrogen\): 3 \(2\);"
    for config, model in ((settings(), None), (TrainConfig(), start)):
        with pytest.raises(InputError, match=message):
            prepare(corpus, config, model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"conditions": ["mass"]}}, "no label 'mass' to condition on; it has size, end"),
        ({"model": {"conditions": {"properties": []}}}, "properties"),
        ({"model": {"conditions": {"properties": [{"name": "a"}, {"name": "A"}]}}}, "named twice"),
    ],
)
def test_settings_that_make_no_conditions_are_refused(changes: dict, message: str) -> None:
    with pytest.raises((InputError, ConfigError), match=message):
        prepare(chains(), TrainConfig.parse(changes))


def test_other_conditions_than_those_of_the_model_to_start_from_are_refused(trained: Path) -> None:
    config = TrainConfig.parse({"data": {"conditions": ["size"]}})
    with pytest.raises(ConfigError, match="conditioned on size, end, which its weights fix"):
        prepare(chains(), config, load_model(trained))


def test_the_command_line_takes_conditions_by_name(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    line = ["generate", str(trained), "-n", "20", "--repeats", "--condition", "SIZE=14"]
    line += ["--condition", "end=nitrogen", "--guidance", "1.5", "-o", str(out)]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    assert "size = 14 is outside the training data" in done.output
    assert np.mean(["N" in row for row in out.read_text().split()[1:]]) > 0.5
    facts = CliRunner().invoke(app, ["info", str(trained), "--json"])
    assert json.loads(facts.stdout)["takes"] == ["size (2 to 13)", "end (carbon, nitrogen)"]


@pytest.mark.parametrize(
    ("flags", "error", "message"),
    [
        (["--condition", "logp"], ConfigError, "write NAME=VALUE"),
        (["--condition", "=3"], ConfigError, "write NAME=VALUE"),
        (["--condition", "logp=2"], ConfigError, "it takes size, end"),
        (
            ["--condition", "size=3", "--condition", "Size=4"],
            ConfigError,
            "the condition Size is given twice, as 'size=3' and as 'Size=4'",
        ),
        (["--condition", "end=1", "--condition", "end=1"], ConfigError, "end is given twice"),
        (["--guidance", "2"], ConfigError, "no conditions are given"),
        (["--condition", "size=3", "--guidance", "-1"], ConfigError, "guidance"),
    ],
)
def test_the_command_line_refuses_what_makes_no_sense(
    trained: Path, flags: list[str], error: type, message: str
) -> None:
    done = CliRunner().invoke(app, ["generate", str(trained), "-n", "2", "-o", "-", *flags])
    assert isinstance(done.exception, error)
    assert message in str(done.exception)


def test_the_preset_takes_other_conditions_than_its_own() -> None:
    assert preset("conditional").conditions is not None
    config = TrainConfig.parse(
        {
            "model": preset("conditional").model_dump(exclude_unset=True),
            "data": {"conditions": ["size"]},
        }
    )
    found = prepare(chains(), config).model.conditions
    assert found is not None
    assert found.names == ("size",)
    with pytest.raises(InputError, match="no label 'logp'"):
        prepare(chains(), config.model_copy(update={"data": config.data.replace(conditions=None)}))


def test_a_writer_without_guidance_is_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    original = Writer.__init__

    def counted(self: Writer, decoder: torch.nn.Module, z: torch.Tensor) -> None:
        rows.append(len(z))
        original(self, decoder, z)  # type: ignore[arg-type]

    monkeypatch.setattr(Writer, "__init__", counted)
    model, known = untrained(), torch.ones(3, 2)
    generate(model, torch.zeros(3, 4), seed=1, conditions=known)
    generate(model, torch.zeros(3, 4), SamplingOptions(guidance=2.0), seed=1, conditions=known)
    assert rows == [3, 6]


# --- the measurement --------------------------------------------------------------------------


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "scripts"))
    return importlib.import_module("conditional")


NUMBERS = [ConditionProperty(name=name) for name in "abc"]
MIXED = ConditionConfig.parse(TWO).properties


def test_the_script_asks_for_every_kind_at_every_weight_and_judges_by_hand_checked_numbers(
    script: ModuleType,
) -> None:
    known = np.random.default_rng(0).normal(size=(500, 3))
    jobs = script.jobs(NUMBERS, known, known[:20])
    kinds = [kind for kind, _, _ in jobs]
    assert kinds == [k for k in ("a", "b", "c", "a + b", "a + b + c") for _ in script.WEIGHTS]
    assert [len(asked) for _, weight, asked in jobs if weight == 1] == [5, 5, 5, 9, 10]
    asked = [script.Question({"b": 2.0})]
    drawn = {"smiles": ["C", "C", None, "CC"], "values": [[0, 2], [0, 2], [None, None], [0, 5]]}
    prior = {"smiles": ["C"], "values": [[0, 4]]}
    spread = np.array([[0.0, -2.0], [0.0, 2.0]])  # b: 2
    row = script.judged("b", 1.0, asked, [drawn], prior, NUMBERS[:2], spread)
    assert row["error of b"] == pytest.approx(1.0)
    assert row["relative"] == pytest.approx(0.5)
    assert row["relative, prior"] == pytest.approx(1.0)
    assert row["valid"] == 0.75
    assert row["unique"] == pytest.approx(2 / 3)
    assert row["draws"] == 2.0
    assert row["draws, prior"] == np.inf
    assert not any(key.startswith("right") for key in row)


def test_the_script_asks_for_a_category_at_each_level_and_for_common_ones_with_a_number(
    script: ModuleType,
) -> None:
    known = np.array([[float(i), float(i == 7)] for i in range(150)], np.float32)
    asked = {kind: questions for kind, _, questions in script.jobs(MIXED, known, known)}
    assert list(asked) == ["size", "end = carbon", "end = nitrogen", "size + end"]
    assert [q.asked for q in asked["end = nitrogen"]] == [{"end": "nitrogen"}]
    assert [q.asked["end"] for q in asked["size + end"]] == ["carbon"] * 3  # 1 of 150 is rare
    whole = [*MIXED, ConditionProperty(name="a")]
    known = np.array([[3.0, 1.0, 0.5], [3.0, np.nan, 0.5]])
    _, _, questions = script.jobs(whole, known, known)[-1]
    assert [q.asked for q in questions] == [{"size": 3.0, "end": "nitrogen", "a": 0.5}]


def test_the_script_counts_draws_of_the_right_level_and_those_with_the_right_number_too(
    script: ModuleType,
) -> None:
    drawn = {"smiles": ["C", "N", None, "CN"], "values": [[2, 0], [9, 1], [None, None], [2, 1]]}
    prior = {"smiles": ["C"] * 5, "values": [[2, 0]] * 4 + [[6, 1]]}
    known = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 1.0], [4.0, np.nan]])  # a spread of 2
    alone = script.Question({"end": "nitrogen"})
    row = script.judged(alone.kind, 1.0, [alone], [drawn], prior, MIXED, known)
    assert (row["right"], row["right, prior"], row["right, data"]) == (0.5, 0.2, 0.25)
    assert (row["draws"], row["draws, prior"]) == (2.0, 5.0)
    assert row["valid"] == 0.75
    assert "relative" not in row
    both = script.Question({"size": 2.0, "end": "nitrogen"})
    row = script.judged(both.kind, 1.0, [both], [drawn], prior, MIXED, known)
    assert row["relative"] == pytest.approx((0 + 3.5 + 0) / 3)
    assert row["right"] == 0.5
    assert (row["draws"], row["draws, prior"]) == (4.0, np.inf)


@pytest.mark.parametrize("names", [["heteroatoms"], ["heavy_atoms", "heteroatoms"]])
def test_the_script_writes_its_part_of_the_page_for_categories_and_leaves_the_rest(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    smiles = tuple("C" * (1 + i % 12) + "CN"[i // 12 % 2] for i in range(48))
    values = compute(smiles, names, progress=False)
    corpus = corpus_of(smiles, dict(zip(names, values.T, strict=True)))
    config = tiny_config(data={"conditions": names}, run={"steps": 1})
    model = train(corpus, tmp_path / "told", config, progress=False)
    monkeypatch.setattr(script, "WEIGHTS", (1.0, 2.0))
    monkeypatch.setattr(script.Corpus, "open", lambda _: corpus)
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "conditional.md"
    page.write_text("before\n<!-- told -->\nold\n<!-- /told -->\nafter\n")
    line = ["conditional.py", "corpora/c", str(model), "--samples", "3", "--prior", "9", "-o", "."]
    monkeypatch.setattr(sys, "argv", line)
    script.main()
    text = page.read_text()
    assert text.startswith("before\n<!-- told -->\n")
    assert text.endswith("<!-- /told -->\nafter\n")
    assert "old\n<" not in text
    rows = [line for line in text.splitlines() if line.startswith("| heteroatoms = ")]
    assert len(rows) == 2 * len(script.WEIGHTS)
    assert ("error of heavy_atoms" in text) is (len(names) == 2)
    assert "| right | right, prior | right, data |" in text
    assert (tmp_path / "images" / "told.png").exists()
    assert (tmp_path / "runs" / "told" / "heteroatoms=1_2_0.json").exists()
