"""Docking: receptors that are what they were, scores that come again, failures with reasons."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from molvae.base.errors import ConfigError, FileError, InputError
from molvae.oracles.docking import score
from molvae.oracles.docking.cache import ScoreCache
from molvae.oracles.docking.receptors import (
    dockstring_card,
    dockstring_names,
    dockstring_receptor,
    receptor_file,
)
from molvae.oracles.docking.score import DockingOptions, docking_objective
from molvae.oracles.evaluator import Evaluator, EvaluatorOptions

ATOM = "ATOM  {n:5d}  C   ALA A   1    {x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00     0.000 C \n"


@pytest.fixture
def pocket(tmp_path: Path) -> Path:
    """A protein of a few dozen carbons around a hollow: no biology, but it docks in no time."""
    lines, n = [], 0
    for x in (-6, -2, 2, 6):
        for y in (-6, -2, 2, 6):
            for z in (-6, -2, 2, 6):
                if max(abs(x), abs(y), abs(z)) == 6:
                    n += 1
                    lines.append(ATOM.format(n=n, x=x, y=y, z=z))
    path = tmp_path / "pocket.pdbqt"
    path.write_text("".join(lines))
    return path


def test_there_are_58_receptors_each_pinned_and_with_its_box() -> None:
    card = dockstring_card()
    assert len(dockstring_names()) == len(card.members) == 58
    assert card.wheel is not None
    assert all(len(member.sha256) == 64 for member in card.members)
    with pytest.raises(InputError, match="did you mean DRD2"):
        dockstring_receptor("DRD22")


@pytest.mark.parametrize(
    ("text", "box", "error", "message"),
    [
        (None, (20, 20, 20), FileError, "does not exist"),
        ("REMARK nothing\n", (20, 20, 20), InputError, "holds no atoms"),
        ("pocket", (20, 0, 20), ConfigError, "give Å above 0"),
        ("pocket", (20, 20), ConfigError, "box"),
    ],
)
def test_a_receptor_that_cannot_be_docked_into_is_refused(
    pocket: Path, text: str | None, box: Any, error: type[Exception], message: str
) -> None:
    if text is None:
        pocket.unlink()
    elif text != "pocket":
        pocket.write_text(text)
    with pytest.raises(error, match=message):
        receptor_file(pocket, (0, 0, 0), box)


def test_without_the_extra_it_says_what_to_install(
    pocket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score, "PACKAGES", ("no_such_package",))
    receptor = receptor_file(pocket, (0, 0, 0), (15, 15, 15))
    with pytest.raises(ConfigError, match=r"pip install 'molvae\[docking\]'"):
        docking_objective(receptor, "minimize")


def test_scores_of_a_damaged_file_are_an_error_not_a_score(tmp_path: Path) -> None:
    path = tmp_path / "scores.sqlite"
    path.write_bytes(b"no database at all, but long enough to be looked at" * 10)
    with pytest.raises(FileError, match="cannot use the scores"):
        ScoreCache(path)


@pytest.fixture
def tools() -> None:
    for name in score.PACKAGES:
        pytest.importorskip(name, reason="needs molvae[docking]")


@pytest.mark.slow
def test_a_score_comes_again_whatever_was_docked_before(
    tools: None, pocket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receptor = receptor_file(pocket, (0, 0, 0), (15, 15, 15))
    options = DockingOptions(exhaustiveness=1, seed=3)
    first = score.dock(receptor, "CCO", options)
    score.dock(receptor, "c1ccccc1", options)
    assert score.dock(receptor, "CCO", options) == first
    score._vina.cache_clear()
    assert score.dock(receptor, "CCO", options) == first

    objective = docking_objective(receptor, "minimize", options, cache=tmp_path)
    assert objective.function("OCC") == first
    monkeypatch.setattr(score, "dock", None)
    assert objective.function("CCO") == first, "the score was not kept"
    other = docking_objective(
        receptor, "minimize", options.replace(exhaustiveness=2), cache=tmp_path
    )
    with pytest.raises(TypeError):
        other.function("CCO")
    assert other.describe() != objective.describe()


@pytest.mark.slow
def test_workers_dock_and_what_cannot_be_docked_says_why(
    tools: None, pocket: Path, tmp_path: Path
) -> None:
    receptor = receptor_file(pocket, (0, 0, 0), (15, 15, 15))
    objective = docking_objective(
        receptor, "minimize", DockingOptions(exhaustiveness=1), cache=tmp_path
    )
    with Evaluator(objective, 9, options=EvaluatorOptions(workers=2, timeout=60.0)) as judge:
        outcomes = judge.evaluate(["CCO", "CC.O", "CCC"])
    assert outcomes[0].ok
    assert outcomes[2].ok
    assert "several molecules cannot be docked as one" in str(outcomes[1].failure)


@pytest.mark.slow
@pytest.mark.network
def test_paracetamol_in_drd2(tools: None, tmp_path: Path) -> None:
    objective = docking_objective(
        "DRD2", "minimize", DockingOptions(exhaustiveness=1), cache=tmp_path
    )
    assert -7.5 < objective.function("CC(=O)Nc1ccc(O)cc1") < -5.5
    shutil.rmtree(tmp_path / "dockstring")
