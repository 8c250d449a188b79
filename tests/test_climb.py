"""A climb along the property head: where the optimum is known, on a tiny model, on the command."""

from __future__ import annotations

import csv
import inspect
import io
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from beads import BEADS, STEP, BeadGenerator, levels, molecules
from typer.testing import CliRunner

import molvae
import molvae.generator
from molvae.base.errors import ConfigError, ModelError
from molvae.cli.app import app
from molvae.cli.settings import ClimbSettings
from molvae.generator import Generator
from molvae.latent.ascent import climb
from molvae.latent.paths import columns_of
from molvae.latent.posteriors import Posteriors
from molvae.models.heads import Prediction

TARGET = (4, 0, 3, 1, 4)
TOP = STEP * (np.array(TARGET, np.float32) - len(BEADS) // 2)


class BeadModel:
    """A head with one property: the distance to a point, or its straight continuation ``slope``."""

    def __init__(self, slope: float = 0.0) -> None:
        self.slope = slope
        self.head = SimpleNamespace(scale=torch.ones(1))

    def predict(self, z: torch.Tensor) -> Prediction:
        away = -(z - torch.from_numpy(TOP)).square().sum(1)
        values = (self.slope * z.sum(1) if self.slope else away)[:, None]
        return Prediction(("closeness",), ("regression",), values, torch.ones_like(values))


class Beads(BeadGenerator):
    """Beads with what a climb needs of a :class:`Generator`; beyond the last bead is the last."""

    targets = ("closeness",)
    device = torch.device("cpu")

    def __init__(self, slope: float = 0.0) -> None:
        self.model = BeadModel(slope)

    def posterior(self, smiles: Sequence[str | None]) -> Posteriors:
        mean = self.encode([text or "" for text in smiles]).astype(np.float32)
        lost = np.isnan(mean).any(1)
        reasons: list[str | None] = ["not made of beads" if gone else None for gone in lost]
        std = np.where(np.isnan(mean), mean, np.float32(0.3))
        return Posteriors(mean, std, reasons)


def beads(slope: float = 0.0) -> Generator:
    return cast(Generator, Beads(slope))


@pytest.fixture(scope="module")
def generator(tiny_model: Path) -> Generator:
    return molvae.load(tiny_model, "cpu")


@pytest.mark.parametrize("penalty", [0.0, 0.03])
def test_the_molecule_that_the_head_likes_best_is_reached_from_anywhere(penalty: float) -> None:
    start = list(levels())[::500]
    for path in climb(beads(), start, "closeness", "maximize", steps=120, penalty=penalty):
        assert path.best is not None
        assert path.smiles[path.best] == molecules()[TARGET]
        assert path.own_value[path.best] == pytest.approx(0, abs=1e-6)


def test_minimising_leads_away_and_a_wanted_value_is_reached_and_kept() -> None:
    start = [molecules()[(2, 2, 2, 2, 2)]]
    (away,) = climb(beads(), start, "closeness", "minimize", steps=60)
    assert away.own_value[-1] < away.own_value[0] - 5
    (path,) = climb(beads(), start, "closeness", -3.0, steps=150, rate=0.02, penalty=0.0)
    assert path.asked_value[0] < -6
    assert path.own_value[path.best] == pytest.approx(-3.0, abs=0.6)
    # Beads are too coarse for it to rest there, so it swings about it.
    assert abs(path.own_value[-15:].mean() + 3.0) < 1
    assert abs(path.asked_value[-15:].mean() + 3.0) < 1


class Faithful(Beads):
    """Of what lies at z it says z again: the head is as right about z as about the molecule."""

    def decode(self, z: np.ndarray) -> list[str | None]:
        self.last = np.asarray(z, np.float32)
        return super().decode(z)

    def posterior(self, smiles: Sequence[str | None]) -> Posteriors:
        found = super().posterior(smiles)
        return Posteriors(getattr(self, "last", found.mean), found.std, found.reasons)


def test_where_latent_and_molecule_agree_a_climb_rests_at_the_wanted_value() -> None:
    start = [molecules()[(2, 2, 2, 2, 2)]]
    faithful = cast(Generator, Faithful())
    (path,) = climb(faithful, start, "closeness", -3.0, steps=150, rate=0.02, penalty=0.0)
    assert path.asked_value[0] < -6
    np.testing.assert_allclose(path.asked_value[-3:], -3.0, atol=0.1)


class Reluctant(Beads):
    """Decodes what lies half as far from ``start`` as z does: less comes than was asked."""

    def __init__(self, start: str) -> None:
        super().__init__(slope=1.0)
        self.start = self.encode([start])

    def decode(self, z: np.ndarray) -> list[str | None]:
        return super().decode(self.start + 0.5 * (z - self.start))


def test_a_wanted_value_is_that_of_the_molecule_and_not_of_the_latent_asked() -> None:
    start = molecules()[(0, 0, 1, 1, 1)]
    generator = cast(Generator, Reluctant(start))
    (path,) = climb(generator, [start], "closeness", 1.4, steps=150, penalty=0.0)
    assert path.own_value[0] < -4
    assert path.best is not None
    assert abs(path.own_value[path.best] - 1.4) <= STEP + 1e-6  # beads are that far apart
    assert path.asked_value[path.best] > 4


def test_the_penalty_keeps_what_is_asked_and_what_is_found_together() -> None:
    """The slope goes on for ever, but there is no bead beyond the last."""
    start = list(levels())[::500]

    def disagreement(penalty: float) -> float:
        paths = climb(beads(slope=1.0), start, "closeness", "maximize", steps=100, penalty=penalty)
        assert np.mean([path.own_value[-1] - path.own_value[0] for path in paths]) > 3
        return float(np.mean([abs(p.asked_value[-1] - p.own_value[-1]) for p in paths]))

    assert disagreement(0.3) < 0.3 * disagreement(0.0)


class Mistaken(Beads):
    """Its first bead is always decoded as the next one, and all beads as ``always`` where given."""

    def __init__(self, always: str | None = None) -> None:
        super().__init__()
        self.always = always

    def decode(self, z: np.ndarray) -> list[str | None]:
        if self.always is not None:
            return [self.always] * len(z)
        return super().decode(z + STEP * np.eye(len(TARGET))[0])


def test_a_wrong_reconstruction_of_the_start_is_no_gain_and_step_0_is_the_start() -> None:
    start, best = molecules()[(2, 2, 2, 2, 2)], molecules()[TARGET]
    (path,) = climb(cast(Generator, Mistaken(best)), [start], "closeness", "maximize", steps=10)
    assert path.smiles == (start, best, best)
    assert (path.lost, path.back, path.best) == (True, best, 0)
    assert path.back_gain > path.gain[0]
    columns = columns_of([path], "closeness")
    assert (columns["smiles"], columns["start_decoded"]) == ([start], [best])
    assert columns["step"] == [0]
    assert columns["closeness"] == columns["closeness_start"] == [path.asked_value[0]]


def test_from_a_start_that_is_lost_what_is_better_than_its_reconstruction_counts() -> None:
    start = molecules()[(2, 2, 2, 2, 2)]
    (path,) = climb(cast(Generator, Mistaken()), [start], "closeness", "maximize", steps=60)
    assert path.lost
    assert path.best
    assert path.gain[path.best] > path.back_gain
    assert path.smiles[path.best] not in (start, path.back)


def test_a_start_that_comes_back_and_is_best_itself_stays_at_step_0() -> None:
    (path,) = climb(beads(), [molecules()[TARGET]], "closeness", "maximize", steps=10)
    assert (path.lost, path.best, path.back) == (False, 0, molecules()[TARGET])


def test_a_dimension_that_says_nothing_of_the_molecule_stays_where_it_is() -> None:
    class Deaf(Beads):
        def posterior(self, smiles: Sequence[str | None]) -> Posteriors:
            found = super().posterior(smiles)
            found.std[:, 0] = 1.0
            return found

    start = [molecules()[(2, 2, 2, 2, 2)]]
    (path,) = climb(cast(Generator, Deaf()), start, "closeness", "maximize", steps=20)
    assert (path.z[:, 0] == path.z[0, 0]).all()
    assert (path.z[-1, 1:] != path.z[0, 1:]).all()


def test_paths_belong_to_their_starts_and_what_cannot_be_encoded_has_a_reason(
    generator: Generator, zinc: list[str]
) -> None:
    start = [zinc[0], "C1CC", None, zinc[1]]
    paths = climb(generator, start, "logp", "maximize", steps=12)
    assert [path.start for path in paths] == start
    assert [path.reason is None for path in paths] == [True, False, False, True]
    assert (paths[1].best, paths[1].lost, len(paths[1].steps)) == (None, False, 0)
    for path in (paths[0], paths[3]):
        assert path.steps.tolist() == [0, 5, 10, 12]
        np.testing.assert_allclose(path.z[0], generator.encode([path.start])[0], atol=1e-5)
        back, *after = generator.decode(path.z)
        assert (list(path.smiles), path.back) == ([path.start, *after], back)
        np.testing.assert_allclose(path.own, generator.encode(path.smiles), rtol=1e-4, atol=1e-5)
        for z, values in ((path.z, path.asked_value), (path.own, path.own_value)):
            np.testing.assert_allclose(values, generator.predict(z)["logp"], rtol=1e-4, atol=1e-4)
        assert path.asked_value[-1] > path.asked_value[0]


def test_nothing_that_can_be_encoded_is_no_climb(generator: Generator) -> None:
    (path,) = climb(generator, ["C1CC"], "logp", "maximize")
    assert path.reason is not None
    assert climb(generator, [], "logp", "maximize") == []


def test_the_same_seed_gives_the_same_paths_and_another_seed_others(generator: Generator) -> None:
    def found(seed: int) -> list[Any]:
        paths = climb(generator, None, "polar", "maximize", n=5, steps=10, seed=seed)
        return [(path.start, path.smiles, path.z.tobytes()) for path in paths]

    assert found(1) == found(1)
    assert [one[0] for one in found(1)] != [one[0] for one in found(2)]


def test_the_model_and_the_global_random_state_stay_as_they_are(generator: Generator) -> None:
    before, state = generator.model.state_dict(), torch.random.get_rng_state()
    weights = {name: tensor.clone() for name, tensor in before.items()}
    climb(generator, None, "logp", "minimize", n=3, steps=5)
    assert all(torch.equal(before[name], tensor) for name, tensor in weights.items())
    assert all(p.grad is None and not p.requires_grad for p in generator.model.parameters())
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"target": "log_p"}, "does not predict 'log_p'; did you mean 'logp'?"),
        ({"target": "zzz"}, "it predicts logp, polar"),
        ({"direction": "up"}, "the direction is 'up'"),
        ({"direction": float("nan")}, "give a finite number"),
        ({"steps": 0}, "take at least 1"),
        ({"rate": 0.0}, "give a length above 0"),
        ({"penalty": -1.0}, "give a weight of 0 or more"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    generator: Generator, changed: dict[str, Any], said: str
) -> None:
    given = {"target": "logp", "direction": "maximize", **changed}
    with pytest.raises(ConfigError, match=said.replace("?", r"\?")):
        climb(generator, ["CCO"], **given)


def test_a_model_without_a_head_is_refused(generator: Generator) -> None:
    from molvae.models.presets import preset
    from molvae.models.vae import SequenceVAE

    tokenizer = generator.tokenizer
    bare = SequenceVAE(preset("tiny"), tokenizer.vocab_size, tokenizer.max_length)
    with pytest.raises(ModelError, match="no property head"):
        climb(Generator(bare, tokenizer), ["CCO"], "logp", "maximize")


def test_columns_are_the_best_of_each_path_or_all_of_it(generator: Generator) -> None:
    paths = climb(generator, ["CCO", "C1CC"], "logp", "maximize", steps=10)
    best = columns_of(paths, "logp")
    assert best["start_smiles"] == ["CCO", "C1CC"]
    assert best["logp"][0] == paths[0].own_value[paths[0].best or 0]
    assert best["smiles"][1] is None
    whole = columns_of(paths, "logp", whole=True)
    assert whole["step"] == [0, 5, 10, None]


# --- the command ---------------------------------------------------------------------------------


def run(*arguments: object, stdin: str | None = None) -> Any:
    result = CliRunner().invoke(app, ["climb", *map(str, arguments)], input=stdin)
    if isinstance(result.exception, molvae.MolvaeError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def test_the_command_writes_a_row_for_each_start(tiny_model: Path, zinc: list[str]) -> None:
    given = "\n".join(["smiles", zinc[0], "C1CC"])
    flags = ("--target", "logp", "--direction", "maximize", "--steps", 10)
    result = run(tiny_model, *flags, "--start", "-", stdin=given)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert list(rows[0]) == [
        "smiles", "start_smiles", "start_decoded", "step", "logp", "logp_asked", "logp_start"
    ]  # fmt: skip
    assert [row["start_smiles"] for row in rows] == [zinc[0], "C1CC"]
    assert rows[0]["smiles"]
    assert not rows[1]["smiles"]
    assert "row 3 'C1CC'" in result.stderr
    assert "1 of 2 starts did not come back from this model's latent space" in result.stderr
    back = molvae.load(tiny_model, "cpu").reconstruct([zinc[0]])[0]
    assert f"row 2 {zinc[0][:60]!r}: it decodes to {back}" in result.stderr
    assert [row["start_decoded"] for row in rows] == [back, ""]
    climbed = int(rows[0]["step"] != "0")
    said = f"{climbed} of 2 climbed to another molecule, {1 - climbed} stayed unchanged"
    assert said in result.stderr


def test_the_command_counts_what_climbed_and_what_stayed_apart(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(molvae.generator, "load", lambda *_: beads())
    file = tmp_path / "beads.csv"
    starts = [molecules()[TARGET], molecules()[(2, 2, 2, 2, 2)]]
    file.write_text("\n".join(["smiles", *starts]))
    flags = ("--target", "closeness", "--direction", "maximize", "--start", file)
    result = run(tiny_model, *flags)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert (rows[0]["smiles"], rows[0]["step"]) == (starts[0], "0")
    assert rows[0]["closeness"] == rows[0]["closeness_start"]
    assert "1 of 2 climbed to another molecule, 1 stayed unchanged" in result.stderr
    assert "did not come back" not in result.stderr


def test_the_command_climbs_as_the_function_does_by_default() -> None:
    record = ClimbSettings(target="logp", direction="maximize")
    for name, parameter in inspect.signature(climb).parameters.items():
        if name in ("steps", "rate", "penalty", "seed"):
            assert getattr(record, name) == parameter.default, name
    assert record.samples == inspect.signature(climb).parameters["n"].default


def test_the_command_samples_and_prints_json(tiny_model: Path, tmp_path: Path) -> None:
    flags = (tiny_model, "--target", "logp", "--value", 2.5, "--steps", 5, "-n", 3, "-q")
    told = json.loads(run(*flags, "--json").stdout)
    assert len(told["smiles"]) == 3
    run(*flags, "--paths", "-o", tmp_path / "all.csv")
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 1 + 2 * 3
    (tmp_path / "run.toml").write_text('target = "logp"\nvalue = 2.5\nsteps = 5\nmolecules = 3\n')
    again = json.loads(run(tiny_model, "--config", tmp_path / "run.toml", "--json").stdout)
    assert again == told


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--direction", "maximize"], "key 'target' is missing"),
        (["--target", "logp"], "either direction"),
        (["--target", "logp", "--direction", "up"], "direction"),
        (["--target", "logp", "--direction", "maximize", "--value", 1], "either direction"),
        (["--target", "logp", "--value", 1, "--start", "a.smi", "-n", 5], "either start or"),
    ],
)
def test_the_command_refuses_settings_that_contradict(
    tiny_model: Path, flags: list[object], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        run(tiny_model, *flags)
