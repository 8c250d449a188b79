"""Campaigns: ask, tell, resume; whatever a laboratory says, and whenever the process dies."""

from __future__ import annotations

import math
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from beads import IN_SPACE, BeadGenerator, distance_to, levels, molecules

from molvae.base.errors import ConfigError, FileError, InputError, ModelError
from molvae.chem.similarity import nearest_molecules
from molvae.optimize.campaign import Campaign
from molvae.optimize.config import Routes, SearchConfig
from molvae.optimize.measurements import Measurement
from molvae.optimize.observed import Observed, repeat_variance
from molvae.optimize.store import Store, Suggestion
from molvae.oracles.answers import Outcome

TARGET = (4, 0, 3, 1, 4)
measure = distance_to(TARGET)
CONFIG = SearchConfig(batch_size=5, candidates=32, routes=Routes.parse(IN_SPACE))
KNOWN = list(levels())[::400]
"""Eight molecules to begin with."""


def new(path: Path | None = None, **options: Any) -> Campaign:
    settings = {"assay": "distance", "direction": "minimize", "config": CONFIG, **options}
    return Campaign.new(path, BeadGenerator(), **settings)


def reopen(path: Path) -> Campaign:
    return Campaign.open(path, BeadGenerator())


def smiles_of(batch: list[Suggestion]) -> list[str]:
    return [s.smiles for s in batch]


def warm(path: Path | None = None, **options: Any) -> Campaign:
    """A campaign that has been told of the eight known molecules."""
    campaign = new(path, **options)
    campaign.tell({s: measure(s) for s in KNOWN})
    return campaign


# --- asking ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_loop_of_asking_and_telling_finds_the_best_and_asks_for_nothing_twice() -> None:
    with warm() as campaign:
        asked: list[str] = []
        for _ in range(6):
            batch = smiles_of(campaign.ask())
            asked += batch
            campaign.tell({s: measure(s) for s in batch})
        best = campaign.best(1)[0]
    assert len(asked) == len(set(asked)) == 30
    assert not set(asked) & set(KNOWN)
    assert best.outcome.value <= 1.0


def test_every_suggestion_has_its_reason() -> None:
    with warm() as campaign:
        batch = campaign.ask(4)
        tested = [o.suggestion.smiles for o in campaign.observations()]
    assert len(batch) == 4
    for s in batch:
        assert s.origin in set(Routes().names)
        assert 0 < s.reason.uncertainty < 50
        assert math.isfinite(s.reason.predicted)
        assert s.reason.acquisition >= 0
        nearest, alike = nearest_molecules([s.smiles], tested, workers=1)
        assert (s.reason.nearest, s.reason.similarity) == (nearest[0], alike[0])
    assert max(s.reason.acquisition for s in batch) > 0


def test_predictions_are_in_the_assays_own_unit_in_both_directions() -> None:
    sample = list(levels())[::60]
    with new() as down, new(direction="maximize") as up:
        for campaign, sign in ((down, 1.0), (up, -1.0)):
            campaign.tell({s: sign * measure(s) + 100 for s in sample})
            batch = campaign.ask(5)
            predicted = np.array([s.reason.predicted for s in batch])
            true = np.array([sign * measure(s.smiles) + 100 for s in batch])
            assert np.median(np.abs(predicted - true)) < 15


def test_pending_molecules_are_not_asked_for_again_and_change_what_is() -> None:
    with warm() as one, warm() as two:
        first, second = one.ask(5), one.ask(5)
        ten = two.ask(10)
        assert [s.number for s in first + second] == list(range(9, 19))
        assert not set(smiles_of(first)) & set(smiles_of(second))
        assert smiles_of(one.pending()) == smiles_of(first + second)
        assert len(set(smiles_of(ten))) == 10


def test_all_of_a_generators_molecules_are_asked_for_once_while_none_comes_back() -> None:
    class Tiny(BeadGenerator):
        """Makes 25 molecules only: the first three beads are always the same."""

        def decode(self, z: np.ndarray) -> list[str | None]:
            return super().decode(z * [0, 0, 0, 1, 1])

    with Campaign.new(None, Tiny(), assay="d", direction="minimize", config=CONFIG) as campaign:
        campaign.tell({s: measure(s) for s in KNOWN})
        asked = [s.smiles for _ in range(4) for s in campaign.ask(10)]
    assert len(asked) == len(set(asked)) >= 20
    assert len(asked) <= 25


@pytest.mark.parametrize("n", [1, 3, 40])
def test_batches_of_any_size(n: int) -> None:
    with warm() as campaign:
        assert len(set(smiles_of(campaign.ask(n)))) == n


def test_start_molecules_are_asked_for_first_then_samples_until_something_is_known() -> None:
    start = KNOWN[:3]
    with new(start=[*start, "c1ccccc1"]) as campaign:
        assert smiles_of(campaign.ask(2)) == start[:2]
        batch = campaign.ask(4)
        assert [s.origin for s in batch] == ["start", "prior", "prior", "prior"]
        assert {s.origin for s in campaign.ask(3)} == {"prior"}
        assert len(set(smiles_of(campaign.pending()))) == 9
        campaign.tell({start[0]: 3.0})
        assert {s.origin for s in campaign.ask(20)} != {"prior"}


def test_the_initial_design_is_as_long_as_it_is_told_to_be() -> None:
    with new(config=CONFIG.replace(initial=6)) as campaign:
        campaign.tell({s.smiles: measure(s.smiles) for s in campaign.ask(4)})
        batch = campaign.ask(6)
        assert [s.origin for s in batch[:2]] == ["prior"] * 2
        assert [s.step for s in batch] == [0, 0, 1, 1, 1, 1]
        assert {s.origin for s in batch[2:]} != {"prior"}


@pytest.mark.parametrize("n", [0, -1])
def test_asking_for_nothing_is_refused(n: int) -> None:
    with new() as campaign:
        with pytest.raises(InputError, match=rf"^{n} molecules were asked for; ask for at least 1"):
            campaign.ask(n)
        assert campaign.pending() == []


def test_a_generator_that_has_no_more_gives_what_it_has() -> None:
    class One(BeadGenerator):
        def decode(self, z: np.ndarray) -> list[str | None]:
            return super().decode(0 * np.asarray(z))

    with Campaign.new(None, One(), assay="d", direction="minimize", config=CONFIG) as campaign:
        assert len(campaign.ask(4)) == 1
        assert campaign.ask(4) == []


# --- telling -----------------------------------------------------------------------------------


def test_results_come_in_any_order_partly_and_with_molecules_of_ones_own() -> None:
    own = molecules()[TARGET]
    with new() as campaign:
        batch = smiles_of(campaign.ask(5))
        told = campaign.tell([(batch[3], 1.5), (own, "0"), (batch[0], None), (batch[1], "")])
        assert (told.measured, told.blank, told.own, told.known) == (2, 2, 1, 0)
        assert smiles_of(campaign.pending()) == [batch[0], batch[1], batch[2], batch[4]]
        assert [(o.suggestion.smiles, o.outcome.value) for o in campaign.best(2)] == [
            (own, 0.0),
            (batch[3], 1.5),
        ]
        assert own not in smiles_of(campaign.ask(30))


def test_any_spelling_of_a_molecule_is_that_molecule() -> None:
    with new() as campaign:
        told = campaign.tell([("ClCOOOOOCBr", 1.0), ("BrCOOOOOCCl", 3.0)])
        assert told.own == 1
        assert [o.values for o in campaign.observations()] == [(1.0, 3.0)]


def test_repeated_measurements_are_averaged_and_teach_the_noise() -> None:
    with new() as campaign:
        campaign.tell([(KNOWN[0], 4.0), (KNOWN[1], 1.0), (KNOWN[0], 6.0)])
        campaign.tell({KNOWN[0]: 8.0, KNOWN[2]: 9.0})
        first = campaign.observations()[0]
        assert (first.values, first.outcome) == ((4.0, 6.0, 8.0), Outcome(6.0))
        assert campaign.status().measurements == 5
        assert campaign.status().repeat_sd == pytest.approx(2.0)  # variance 8 / 2 degrees
        observed = Observed.of(campaign.observations(), -1.0)
        np.testing.assert_allclose(observed.noise(), [4 / 3, 4.0, 4.0])
    assert math.isnan(repeat_variance([]))


def test_a_failure_is_recorded_and_a_later_value_counts_instead() -> None:
    with new() as campaign:
        batch = smiles_of(campaign.ask(2))
        told = campaign.tell({batch[0]: "Failed: no product", batch[1]: Outcome(math.nan, "lost")})
        assert (told.measured, told.failed) == (0, 2)
        assert [o.outcome.failure for o in campaign.observations()] == [
            "Failed: no product",
            "lost",
        ]
        assert campaign.best() == []
        campaign.tell({batch[0]: 2.0})
        assert campaign.best()[0].outcome == Outcome(2.0)
        assert campaign.status().failed == 1


def test_a_campaign_of_failures_only_goes_on() -> None:
    with new() as campaign:
        for _ in range(2):
            campaign.tell(dict.fromkeys(smiles_of(campaign.ask(6)), "failed"))
        assert len(campaign.ask(6)) == 6


def test_what_cannot_be_encoded_or_parsed_still_counts_for_the_best() -> None:
    with warm() as campaign:
        told = campaign.tell({"c1ccccc1": -5.0, "C1CC": -7.0, "C(": "failed"})
        assert dict(told.unusable) == {
            "c1ccccc1": "the model cannot encode it",
            "C1CC": "not valid SMILES (ring 1 is not closed)",
            "C(": dict(told.unusable)["C("],
        }
        assert "not valid SMILES" in dict(told.unusable)["C("]
        assert [o.suggestion.smiles for o in campaign.best(2)] == ["C1CC", "c1ccccc1"]
        assert campaign.status().unusable == 3
        assert len(campaign.ask(5)) == 5
    with new() as campaign:
        campaign.tell({"c1ccccc1": 1.0})
        assert {s.origin for s in campaign.ask(5)} == {"prior"}


BAD = {
    "NaN": "'NaN' is not a finite number; leave the cell blank",
    "-inf": "'-inf' is not a finite number",
    "1e999": "'1e999' is not a finite number",
    "6,5": "has a decimal comma; write 6.5",
    ">50": "'>50' is no number; write one, 'failed' with the reason, or nothing",
    math.nan: "nan is not a finite number",
    10**400: "inf is not a finite number",
    "1e308": "1e+308 is beyond the largest value of 1e+100; write the measured value",
    -1e101: "-1e+101 is beyond the largest value of 1e+100",
    Outcome(1e200): "1e+200 is beyond the largest value of 1e+100",
    True: "True is no number",
    (1.0,): "is no number",
}


@pytest.mark.parametrize(("cell", "message"), BAD.items())
def test_a_bad_value_is_named_with_its_place_and_nothing_is_recorded(
    cell: Any, message: str
) -> None:
    with new() as campaign:
        with pytest.raises(InputError, match="nothing was recorded; mend ") as error:
            campaign.tell([(KNOWN[0], 1.0), (KNOWN[1], cell)])
        assert f"result 2 ({KNOWN[1]}): " in str(error.value)
        assert message in str(error.value)
        assert campaign.observations() == []


def test_a_value_without_a_molecule_and_an_id_of_another_are_refused() -> None:
    with new() as campaign:
        first, second = campaign.ask(2)
        shifted = Measurement(second.smiles, "1", "row 3 of a.csv", "ask-1")
        with pytest.raises(InputError) as error:
            campaign.tell([shifted, Measurement("", 2.0, "row 4 of a.csv")])
        assert f"row 3 of a.csv ({second.smiles}): ask-1 was {first.smiles}" in str(error.value)
        assert "row 4 of a.csv (no molecule): a value without a molecule" in str(error.value)
        campaign.tell([Measurement(first.smiles, "1", "row 2", "ask-1")])
        assert campaign.status().measurements == 1


def test_a_table_told_again_when_more_is_filled_in_is_told_once() -> None:
    first = [(KNOWN[0], 1.0), (KNOWN[0], 1.0), (KNOWN[1], "failed"), (KNOWN[2], None)]
    again = [*first[:3], (KNOWN[2], 3.0), (KNOWN[0], 2.0)]
    with new() as campaign:
        campaign.tell(first, skip_known=True)
        told = campaign.tell(again, skip_known=True)
        assert (told.measured, told.known) == (2, 3)
        assert [o.values for o in campaign.observations()] == [(1.0, 1.0, 2.0), (), (3.0,)]


# --- the file ----------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for a process that ends."""


class Dying:
    """A connection of a process that dies before its statement ``last``, and does nothing more."""

    def __init__(self, connection: sqlite3.Connection, last: int) -> None:
        self.connection, self.left = connection, last

    def __getattr__(self, name: str) -> Any:
        if name in ("execute", "executemany"):
            if self.left == 0:
                raise Killed
            self.left -= 1
        return getattr(self.connection, name)


Begin = Callable[[Path | None], Campaign]


def tell_two(campaign: Campaign) -> None:
    campaign.tell({s.smiles: measure(s.smiles) for s in campaign.pending()[:2]})


@cache
def undisturbed(begin: Begin) -> tuple[list[str], list[str]]:
    """What is asked for first, and what is proposed once two of the three are told."""
    with begin(None) as campaign:
        asked = smiles_of(campaign.ask(3))
        tell_two(campaign)
        return asked, smiles_of(campaign.propose(3))


@pytest.mark.parametrize("begin", [new, pytest.param(warm, marks=pytest.mark.slow)])
def test_killed_between_any_two_statements_nothing_is_lost_and_the_next_is_the_same(
    tmp_path: Path, begin: Begin
) -> None:
    asked, proposed = undisturbed(begin)
    ends = set()
    for last in range(100):
        path = tmp_path / f"{last}.sqlite"
        campaign = begin(path)
        before = len(campaign.observations())
        file = campaign._store._file
        real = file.connection
        file.connection = Dying(real, last)  # type: ignore[assignment]
        done = False
        try:
            campaign.ask(3)
            tell_two(campaign)
            done = True
        except Killed:
            pass
        real.close()
        with reopen(path) as campaign:
            pending, told = len(campaign.pending()), len(campaign.observations()) - before
            ends.add((pending, told))
            if pending == 0:
                assert smiles_of(campaign.ask(3)) == asked
            if told == 0:
                tell_two(campaign)
            assert smiles_of(campaign.propose(3)) == proposed
        if done:
            break
    assert ends == {(0, 0), (3, 0), (1, 2)}, "each step happens whole or not at all"


def test_the_same_told_is_the_same_asked_and_another_seed_asks_otherwise(tmp_path: Path) -> None:
    with warm(tmp_path / "run.sqlite") as campaign:
        proposed = smiles_of(campaign.propose(3))
    with reopen(tmp_path / "run.sqlite") as campaign:
        assert smiles_of(campaign.ask(3)) == proposed
    with warm(config=CONFIG.replace(seed=1)) as campaign:
        assert smiles_of(campaign.ask(3)) != proposed


@pytest.mark.slow
def test_a_process_killed_without_warning_has_the_same_next_proposal(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    script = f"""
        import os, signal, sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_campaign import tell_two, warm
        campaign = warm(Path({str(path)!r}))
        campaign.ask(3)
        tell_two(campaign)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert done.returncode == -signal.SIGKILL
    with reopen(path) as campaign:
        assert smiles_of(campaign.propose(3)) == undisturbed(warm)[1]


def test_reasons_come_back_from_the_file(tmp_path: Path) -> None:
    with warm(tmp_path / "run.sqlite") as campaign:
        batch = campaign.ask(3)
    with Campaign.open(tmp_path / "run.sqlite") as campaign:
        assert [s.reason for s in campaign.pending()] == [s.reason for s in batch]
        assert campaign.assay == "distance"
        assert campaign.direction == "minimize"
        with pytest.raises(ConfigError, match="is open without its model; open it with the model"):
            campaign.ask(1)


def test_a_campaign_of_another_model_is_refused(tmp_path: Path) -> None:
    class Other(BeadGenerator):
        fingerprint = "other"

    new(tmp_path / "run.sqlite").close()
    with pytest.raises(ConfigError, match="was started with model = 'beads', not 'other'"):
        Campaign.open(tmp_path / "run.sqlite", Other())


def test_a_campaign_in_use_missing_empty_foreign_or_cut_short_is_one_sentence(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.sqlite"
    with warm(path), pytest.raises(FileError, match="in use by another run"):
        reopen(path)
    with pytest.raises(FileError, match="exists already"):
        new(path)
    with pytest.raises(FileError, match=r"there is no campaign .*none\.sqlite; begin it"):
        reopen(tmp_path / "none.sqlite")
    assert not (tmp_path / "none.sqlite").exists()
    whole = path.read_bytes()
    for content in (b"", b"smiles,value\nCCO,1\n", whole[: len(whole) // 2], whole[:100]):
        path.write_bytes(content)
        with pytest.raises(ModelError, match="is damaged or no campaign"):
            reopen(path)
        assert path.read_bytes() == content


def test_a_file_of_the_first_format_is_carried_over(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    old = sqlite3.connect(path)
    old.executescript(
        """
        CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
        CREATE TABLE suggestions (id INTEGER PRIMARY KEY, smiles TEXT NOT NULL UNIQUE,
            step INTEGER NOT NULL, origin TEXT NOT NULL, z BLOB NOT NULL, asked BLOB);
        CREATE TABLE outcomes (suggestion INTEGER PRIMARY KEY REFERENCES suggestions (id),
            value REAL, failure TEXT, CHECK ((value IS NULL) = (failure IS NOT NULL)));
        INSERT INTO settings VALUES ('seed', '0');
        INSERT INTO suggestions VALUES (1, 'CCO', 0, 'prior', x'0000000000000000', NULL);
        INSERT INTO suggestions VALUES (2, 'CCN', 0, 'prior', x'0000000000000000', NULL);
        INSERT INTO outcomes VALUES (1, 0.25, NULL);
        PRAGMA application_id = 0x6D6F6C76;
        PRAGMA user_version = 1;
        """
    )
    old.close()
    for _ in range(2):
        with Store(path, {"seed": 0}, resume=True) as store:
            (told,) = store.observations()
            assert (told.suggestion.smiles, told.values) == ("CCO", (0.25,))
            assert smiles_of(store.pending()) == ["CCN"]


@pytest.mark.parametrize("name", ["", " a", "=1+1", "-log IC50", "smiles", "ID", "Route", "a\nb"])
def test_an_assay_that_cannot_head_a_column_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"^assay "):
        new(tmp_path / "run.sqlite", assay=name)
    assert os.listdir(tmp_path) == []


def test_a_direction_that_is_none_and_start_molecules_of_another_kind_are_refused() -> None:
    with pytest.raises(ConfigError, match="say 'maximize' or 'minimize'"):
        new(direction="up")
    with pytest.raises(InputError, match="none of the start molecules can be used"):
        new(start=["c1ccccc1"])
