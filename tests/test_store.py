"""The campaign file: nothing told is lost, nothing foreign or damaged is opened."""

from __future__ import annotations

import math
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from molvae.base.errors import ConfigError, FileError, ModelError
from molvae.optimize.database import FORMAT
from molvae.optimize.store import Store, Suggestion
from molvae.oracles.evaluator import Outcome

SETTINGS = {"objective": {"name": "qed"}, "seed": 0}


def suggestion(smiles: str, step: int = 0) -> Suggestion:
    z = np.array([0.1 * len(smiles), -1 / 3, 1e-300])
    return Suggestion(smiles, step, "prior", z, z + np.pi if step else None)


def test_everything_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    first, second = suggestion("CCO"), suggestion("CCN", step=1)
    with Store(path, SETTINGS) as store:
        store.suggest([first, second])
        store.tell([("CCN", Outcome(1 / 3)), ("CCO", Outcome(math.nan, "broke"))])
    with Store(path, SETTINGS, resume=True) as store:
        failed, fine = store.observations()
        assert store.pending() == []
    assert [failed.order, fine.order] == [1, 2]
    assert (fine.outcome, failed.outcome.failure) == (Outcome(1 / 3), "broke")
    for observation, original in ((failed, first), (fine, second)):
        assert observation.suggestion.smiles == original.smiles
        assert observation.suggestion.step == original.step
        np.testing.assert_array_equal(observation.suggestion.z, original.z)
    assert failed.suggestion.asked is None
    np.testing.assert_array_equal(fine.suggestion.asked, second.asked)


def test_suggestions_stay_pending_until_told_in_their_order() -> None:
    with Store(None, SETTINGS) as store:
        store.suggest([suggestion(s) for s in ("C", "CC", "CCC")])
        store.tell([("CC", Outcome(1.0))])
        assert [s.smiles for s in store.pending()] == ["C", "CCC"]


def test_a_molecule_can_neither_be_suggested_nor_told_twice() -> None:
    with Store(None, SETTINGS) as store:
        store.suggest([suggestion("C"), suggestion("CC")])
        with pytest.raises(ModelError):
            store.suggest([suggestion("CCC"), suggestion("C")])
        assert [s.smiles for s in store.pending()] == ["C", "CC"], "all or none"
        store.tell([("C", Outcome(1.0))])
        with pytest.raises(ModelError):
            store.tell([("CC", Outcome(2.0)), ("C", Outcome(3.0))])
        assert [o.outcome.value for o in store.observations()] == [1.0]


def test_a_process_killed_without_warning_loses_nothing_told(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    script = f"""
        import os, signal, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_store import SETTINGS, suggestion
        from molvae.optimize.store import Store
        from molvae.oracles.evaluator import Outcome
        store = Store({str(path)!r}, SETTINGS)
        store.suggest([suggestion(s) for s in ("C", "CC", "CCC")])
        store.tell([("C", Outcome(1.0))])
        store.tell([("CC", Outcome(2.0))])
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert done.returncode == -signal.SIGKILL
    with Store(path, SETTINGS, resume=True) as store:
        assert [o.outcome.value for o in store.observations()] == [1.0, 2.0]
        assert [s.smiles for s in store.pending()] == ["CCC"]


def test_an_existing_campaign_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    with Store(path, SETTINGS) as store:
        store.suggest([suggestion("C")])
    before = path.read_bytes()
    with pytest.raises(FileError, match="exists already; resume it, or choose another file"):
        Store(path, SETTINGS)
    assert path.read_bytes() == before


def test_a_campaign_open_elsewhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    with Store(path, SETTINGS), pytest.raises(FileError, match="in use by another run"):
        Store(path, SETTINGS, resume=True)
    Store(path, SETTINGS, resume=True).close()


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    Store(path, SETTINGS).close()
    with pytest.raises(ConfigError, match="was started with seed = 0, not 1"):
        Store(path, {**SETTINGS, "seed": 1}, resume=True)
    with pytest.raises(ConfigError, match="was started with seed = 0, not None"):
        Store(path, {"objective": {"name": "qed"}}, resume=True)


@pytest.mark.parametrize("content", [b"smiles,value\nCCO,1\n" * 100, b"\x00" * 4096, b"x"])
def test_a_file_that_is_no_campaign_is_refused_and_left_alone(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "run.sqlite"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"run\.sqlite is damaged or no campaign"):
        Store(path, SETTINGS, resume=True)
    assert path.read_bytes() == content


def test_a_database_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE people (name TEXT)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(ModelError, match="is a database, but no molvae campaign"):
        Store(path, SETTINGS, resume=True)
    assert path.read_bytes() == before


def test_a_campaign_of_a_newer_format_says_to_update(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    Store(path, SETTINGS).close()
    newer = sqlite3.connect(path)
    newer.execute(f"PRAGMA user_version = {FORMAT + 1}")
    newer.close()
    with pytest.raises(ModelError, match=f"format {FORMAT + 1}, newer than this molvae's {FORMAT}"):
        Store(path, SETTINGS, resume=True)


@pytest.mark.parametrize("damage", ["truncated", "scribbled"])
def test_a_damaged_campaign_is_one_clear_error(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "run.sqlite"
    with Store(path, SETTINGS) as store:
        store.suggest([suggestion("C" * n) for n in range(1, 400)])
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(
        data[:middle]
        if damage == "truncated"
        else data[:middle] + os.urandom(64) * 128 + data[middle + 8192 :]
    )
    with pytest.raises(ModelError, match="damaged") as error:
        Store(path, SETTINGS, resume=True)
    assert "\n" not in str(error.value)


def test_settings_that_are_digests_are_told_apart_by_their_first_digits(tmp_path: Path) -> None:
    with Store(tmp_path / "run.sqlite", {"model": 64 * "a"}):
        pass
    message = r"model = 'aaaaaaaaaaaa\.\.\.', not 'bbbbbbbbbbbb\.\.\.'; resume"
    with pytest.raises(ConfigError, match=message):
        Store(tmp_path / "run.sqlite", {"model": 64 * "b"}, resume=True)


def test_a_place_that_cannot_be_written_is_a_file_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileError, match="cannot use"):
        Store(tmp_path / "file" / "run.sqlite", SETTINGS)
    with pytest.raises(FileError, match="it is a directory"):
        Store(tmp_path, SETTINGS, resume=True)
