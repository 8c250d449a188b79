"""A run that begins with values known already: it learns from them, and does not pay for them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from beads import IN_SPACE, BeadGenerator, distance_to, levels, molecules
from typer.testing import CliRunner

import molvae.generator
from molvae.base.errors import ConfigError, InputError, OracleError
from molvae.cli.app import app
from molvae.optimize import run as runs
from molvae.optimize.campaign import Campaign
from molvae.optimize.result import Result
from molvae.optimize.run import optimize
from molvae.oracles.objective import Objective

TARGET = (4, 0, 3, 1, 4)
SMALL: dict[str, Any] = {
    "batch_size": 5,
    "candidates": 64,
    "routes": IN_SPACE,
    "surrogate": ("latent",),
}
AWAY = distance_to(TARGET)


def known(n: int = 40) -> dict[str, float]:
    """Values of molecules that are not near the best."""
    every = [s for s in levels() if AWAY(s) > 12]
    chosen = np.random.default_rng(0).permutation(len(every))[:n]
    return {every[i]: AWAY(every[i]) for i in chosen}


def run(asked: list[str] | None = None, **options: Any) -> Result:
    def function(smiles: str) -> float:
        if asked is not None:
            asked.append(smiles)
        return AWAY(smiles)

    objective = Objective("distance", function, "minimize")
    return optimize(BeadGenerator(), objective, **{"budget": 20, **SMALL, **options})


def smiles_of(result: Result) -> list[str]:
    return [o.suggestion.smiles for o in result.observations]


def test_what_is_known_is_learnt_from_costs_nothing_and_is_not_asked_again() -> None:
    asked: list[str] = []
    result = run(asked, known=known())
    assert len(asked) == len(result.observations) == 20
    assert not set(asked) & known().keys()
    assert [o.order for o in result.observations] == list(range(1, 21))
    # Even the first batch is better than everything known: it is no sample of the prior.
    first = [o for o in result.observations[:5] if o.suggestion.origin != "prior"]
    assert len(first) == 5
    assert min(o.outcome.value for o in first) < min(known().values())


def test_too_little_known_is_filled_up_with_samples() -> None:
    result = run(known=known(2))
    assert {o.suggestion.origin for o in result.observations[:4]} == {"prior"}


def test_start_molecules_come_first_and_one_that_is_known_is_not_asked_for() -> None:
    told = known()
    start = [molecules()[(2, 2, 2, 2, 2)], next(iter(told))]
    result = run(known=told, start=start)
    assert smiles_of(result)[0] == start[0]
    assert start[1] not in smiles_of(result)
    assert len(result.observations) == 20


def test_interrupted_and_resumed_it_is_the_same_run_and_nothing_is_told_twice(
    tmp_path: Path,
) -> None:
    whole = run(known=known())
    path = tmp_path / "run.sqlite"
    run(known=known(), store=path, budget=10)
    resumed = run(known=known(), store=path, resume=True)
    assert smiles_of(resumed) == smiles_of(whole)
    with Campaign.open(path) as campaign:
        assert campaign.status().measurements == 40 + 20
    with pytest.raises(ConfigError, match="was started with known ="):
        run(known=known(39), store=path, resume=True)


def test_several_objectives_are_known_each_by_its_name_and_what_is_missing_is_not_evaluated() -> (
    None
):
    asked: list[str] = []

    def nitrogens(smiles: Sequence[str]) -> list[float]:
        asked.extend(smiles)
        return [float(s.count("N")) for s in smiles]

    aims = [
        Objective("distance", AWAY, "minimize"),
        Objective("nitrogens", nitrogens, "maximize", batch=True),
    ]
    told: dict[str, dict[str, Any]] = {
        s: {"distance": value, "nitrogens": s.count("N")} for s, value in known(10).items()
    }
    half = molecules()[(0, 0, 0, 0, 0)]
    told[half] = {"distance": AWAY(half)}
    result = optimize(BeadGenerator(), aims, budget=10, known=told, **SMALL)
    assert len(result.observations) == len(asked) == 10
    assert not set(asked) & told.keys()


def test_a_known_value_that_cannot_be_read_is_named_and_nothing_is_left_behind(
    tmp_path: Path,
) -> None:
    with pytest.raises(InputError, match=r"mend result 1 .*: 'high' is no number"):
        run(known={next(iter(levels())): "high"}, store=tmp_path / "run.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_what_was_told_of_a_run_that_was_killed_is_kept_when_its_resumption_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed outright before its first value; then somebody tells what was measured by hand."""
    path = tmp_path / "run.sqlite"

    def fails(*_: Any) -> None:
        raise OracleError("not today")

    with monkeypatch.context() as killed:
        killed.setattr(Campaign, "discard", Campaign.close)  # as after SIGKILL: the file stays
        killed.setattr(runs, "_evaluate", fails)
        with pytest.raises(OracleError):
            run(store=path)
    smiles = next(iter(levels()))
    with Campaign.open(path, BeadGenerator()) as campaign:
        campaign.tell({smiles: 3.0})
    monkeypatch.setattr(runs, "_evaluate", fails)
    with pytest.raises(OracleError):
        run(store=path, resume=True)
    with Campaign.open(path) as campaign:
        assert [o.outcome.value for o in campaign.observations()] == [3.0]


def test_the_command_reads_them_from_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(molvae.generator, "load", lambda path, device: BeadGenerator())
    lines = [f"{s},{s.count('N')}" for s in known(20)]
    Path("known.csv").write_text("\n".join(["smiles,counted", *lines, "c1ccccc1,3"]) + "\n")
    Path("assay.py").write_text("def nitrogens(smiles):\n    return smiles.count('N')\n")
    command = ["optimize", "model", "--objective", "assay:nitrogens", "--direction", "maximize",
               "--budget", "8", "--batch-size", "4", "--candidates", "32", "-o", "out.csv",
               "--known", "known.csv"]  # fmt: skip
    result = CliRunner().invoke(app, [*command, "--known-column", "counted"])
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    assert "21 known values, of known.csv, cost no evaluation" in result.stderr
    assert "known molecule c1ccccc1 is not learnt from: the model cannot encode it" in result.stderr
    with Path("out.csv").open() as stream:
        found = [row["smiles"] for row in csv.DictReader(stream)]
    assert len(found) == 8
    assert not set(found) & known(20).keys()
    missing = CliRunner().invoke(app, [*command, "--store", "other.sqlite"])
    assert isinstance(missing.exception, InputError)
    assert "assay:nitrogens" in str(missing.exception)
