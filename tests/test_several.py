"""Campaigns with several assays, constraints, restrictions; on molecules whose best are known."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from beads import IN_SPACE, BeadGenerator, distance_to, levels, molecules

from molvae.base.errors import ConfigError, InputError, OracleError
from molvae.optimize.campaign import Campaign
from molvae.optimize.config import Routes, SearchConfig
from molvae.optimize.feasibility import shortfalls
from molvae.optimize.goals import Goals
from molvae.optimize.pareto import fronts, hypervolume
from molvae.optimize.restricted import RestrictedGenerator, shortage
from molvae.optimize.result import Result
from molvae.optimize.run import optimize
from molvae.optimize.standing import Standing
from molvae.optimize.store import Store, Suggestion
from molvae.oracles.answers import Outcome
from molvae.oracles.objective import Objective

FIRST, SECOND = (4, 0, 3, 1, 4), (1, 3, 0, 1, 2)
near, far = distance_to(FIRST), distance_to(SECOND)
CONFIG = SearchConfig(batch_size=5, candidates=32, routes=Routes.parse(IN_SPACE))
BOTH = Goals.of({"near": "minimize", "far": "minimize"})
KNOWN = list(levels())[::400]
SMALL = {"batch_size": 5, "candidates": 32, "initial": 10, "routes": IN_SPACE}


def aims() -> list[Objective]:
    return [Objective("near", near, "minimize"), Objective("far", far, "minimize")]


def both(smiles: str) -> dict[str, float]:
    return {"near": near(smiles), "far": far(smiles)}


def share(smiles: Sequence[str]) -> float:
    """The share of the whole Pareto set's hypervolume that molecules reach."""
    every = np.array([[-near(s), -far(s)] for s in levels()])
    found = np.array([[-near(s), -far(s)] for s in smiles])
    reference = np.array([-60.0, -60.0])
    return hypervolume(found, reference) / hypervolume(every, reference)


def new(path: Path | None = None, **options: Any) -> Campaign:
    return Campaign.new(path, BeadGenerator(), **{"goals": BOTH, "config": CONFIG, **options})


def warm(path: Path | None = None, **options: Any) -> Campaign:
    campaign = new(path, **options)
    campaign.tell({s: both(s) for s in KNOWN})
    return campaign


def smiles_of(batch: Any) -> list[str]:
    return [getattr(s, "suggestion", s).smiles for s in batch]


# --- several objectives ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("scalarisation", [None, "weighted", "chebyshev"])
def test_the_front_is_found_sooner_than_by_chance(scalarisation: Any) -> None:
    generator, budget = BeadGenerator(), 45
    found, drawn = [], []
    for seed in range(2):
        result = optimize(
            generator, aims(), budget=budget, seed=seed, scalarisation=scalarisation, **SMALL
        )
        found.append(share(smiles_of(result.observations)))
        for part in range(5):
            samples = dict.fromkeys(generator.sample(200, seed=100 * seed + part))
            drawn.append(share(list(samples)[:budget]))
    assert np.mean(found) > max(np.mean(drawn), 0.9)
    # Directions drawn anew at every step are the least efficient way along the front.
    margin = 0.005 if scalarisation == "chebyshev" else 0.02
    assert np.mean(found) > np.mean(drawn) + margin


def test_a_result_has_its_pareto_set_hypervolume_and_table() -> None:
    result = optimize(BeadGenerator(), aims(), budget=20, **SMALL)
    values = np.array([[near(s), far(s)] for s in smiles_of(result.observations)])
    np.testing.assert_array_equal(result.values, values)
    best = np.flatnonzero(fronts(-values) == 0)
    assert {o.order for o in result.pareto()} == set(best + 1)
    assert result.hypervolume == pytest.approx(hypervolume(-values, -result.reference))
    assert result.hypervolume == result.curve[-1]
    assert (np.diff(result.curve) >= 0).all()
    table = result.table()
    assert list(table.columns) == [
        "rank", "smiles", "near", "far", "order", "step", "origin", "failure", "feasible", "pareto"
    ]  # fmt: skip
    assert list(table["pareto"][: len(best)]) == ["yes"] * len(best)
    assert (table["pareto"] == "yes").sum() == len(best)


def test_every_suggestion_has_what_is_expected_of_each_assay(tmp_path: Path) -> None:
    goals = Goals.of({"near": "minimize", "far": "maximize"}, measured=["carbons >= 3"])
    with new(tmp_path / "c.sqlite", goals=goals) as campaign:
        told = {s: {**both(s), "carbons": s.count("C")} for s in [*KNOWN, *list(levels())[::300]]}
        campaign.tell(told)
        batch = campaign.ask(4)
    for s in batch:
        for assay in range(3):
            value, spread = s.reason.expected(assay)
            assert math.isfinite(value)
            assert spread > 0
        assert 0 <= s.reason.feasible <= 1
        assert s.reason.acquisition >= 0
    true = np.array([far(s.smiles) for s in batch])
    assert np.median(np.abs([s.reason.expected(1)[0] for s in batch] - true)) < 15
    with Campaign.open(tmp_path / "c.sqlite") as campaign:
        assert [s.reason for s in campaign.pending()] == [s.reason for s in batch]
        assert campaign.goals == goals


def test_assays_are_told_one_now_and_another_later_in_any_order() -> None:
    with new() as campaign:
        first, second = smiles_of(campaign.ask(2))
        told = campaign.tell([(first, {"far": 2.0}), (second, {"near": "failed: lost", "far": ""})])
        assert (told.measured, told.failed, told.blank) == (1, 1, 1)
        assert campaign.pending() == []
        assert campaign.status().partial == 2
        one, two = campaign.observations()
        assert (one.of(0).told, one.of(1).values, two.outcome.failure) == (
            False,
            (2.0,),
            "failed: lost",
        )
        assert campaign.standing().pareto() == []
        campaign.tell({first: {"near": 4.0, "far": 3.0}})
        assert campaign.observations()[0].of(1).outcome == Outcome(2.5)
        status = campaign.status()
        assert status.pareto == ((first, {"near": 4.0, "far": 2.5}),)
        assert (status.measurements, status.partial, status.failed) == (3, 1, 1)
        assert len(campaign.ask(5)) == 5


def test_contradictory_and_equal_tells_are_measurements_and_told_again_are_known() -> None:
    with new() as campaign:
        campaign.tell([(KNOWN[0], {"near": 1.0}), (KNOWN[0], {"near": 5.0, "far": 1.0})])
        again = campaign.tell([(KNOWN[0], {"near": 5.0, "far": 1.0})], skip_known=True)
        assert (again.known, again.measured) == (2, 0)
        assert campaign.tell({KNOWN[0]: {"far": 5.0}}, skip_known=True).measured == 1
        (found,) = campaign.observations()
        assert (found.of(0).values, found.of(1).values) == ((1.0, 5.0), (1.0, 5.0))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (1.0, "say of which assay it is: near, far"),
        ({"nere": 1.0}, "there is no assay 'nere'; did you mean 'near'?"),
        ({"far": "much"}, "'much' is no number"),
    ],
)
def test_what_cannot_be_told_is_one_sentence_and_nothing_is_recorded(
    said: Any, message: str
) -> None:
    with new() as campaign:
        with pytest.raises(InputError, match="nothing was recorded") as error:
            campaign.tell([(KNOWN[0], {"near": 1.0}), (KNOWN[1], said)])
        assert message in str(error.value)
        assert campaign.observations() == []


def test_constant_objectives_and_assays_without_any_value_do_no_harm() -> None:
    goals = Goals.of({"near": "minimize", "one": "maximize"}, measured=["never < 3"])
    with new(goals=goals) as campaign:
        campaign.tell({s: {"near": near(s), "one": 1.0} for s in KNOWN})
        batch = campaign.ask(4)
        assert len(batch) == 4
        assert math.isnan(batch[0].reason.expected(2)[0])
    with new() as campaign:
        campaign.tell({s: {"far": far(s)} for s in KNOWN})
        assert len(campaign.ask(4)) == 4
        assert campaign.status().hypervolume == 0.0
    with new() as campaign:
        campaign.tell({s: {"far": "failed", "near": "failed"} for s in KNOWN})
        assert len(campaign.ask(4)) == 4


# --- constraints and restrictions --------------------------------------------------------------


def test_nothing_is_proposed_that_misses_a_computed_constraint() -> None:
    goals = Goals.of({"near": "minimize"}, ["hba <= 2 and heavy_atoms in 9 to 11"])
    with new(goals=goals, config=CONFIG.replace(initial=6)) as campaign:
        first = campaign.ask(6)
        campaign.tell({s.smiles: near(s.smiles) for s in first})
        second = campaign.ask(6)
    assert len(first) == len(second) == 6
    assert (shortfalls(goals, smiles_of([*first, *second])) == 0).all()
    assert {s.origin for s in second} != {"prior"}


def test_molecules_to_begin_with_are_the_users_own_choice() -> None:
    goals = Goals.of({"near": "minimize"}, ["hba <= 2"])
    many = next(s for s in levels() if shortfalls(goals, [s])[0, 0] > 0)
    with new(goals=goals, start=[many]) as campaign:
        assert smiles_of(campaign.ask(1)) == [many]
        campaign.tell({many: 0.0, KNOWN[0]: 9.0})
        assert campaign.status().best != (many, 0.0)
        assert smiles_of(campaign.best(2))[-1] == many


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_the_best_feasible_molecule_is_found_where_the_best_is_not_feasible(seed: int) -> None:
    goals = Goals.of({"near": "minimize"}, ["hba <= 3 and hbd < 1"])
    met = [s for s in levels() if shortfalls(goals, [s]).sum() == 0]
    assert molecules()[FIRST] not in met
    result = optimize(
        BeadGenerator(),
        aims()[0],
        constraints=["hba <= 3 and hbd < 1"],
        budget=60,
        seed=seed,
        **{**SMALL, "candidates": 64},
    )
    assert result.top(1)[0][1] == min(map(near, met))


@pytest.mark.slow
def test_a_measured_constraint_leads_to_the_best_that_meets_it() -> None:
    limit = 8.0
    best = min(near(s) for s in levels() if far(s) <= limit)
    with Campaign.new(
        None,
        BeadGenerator(),
        goals=Goals.of({"near": "minimize"}, measured=[f"far <= {limit}"]),
        config=CONFIG.replace(candidates=64, initial=10),
    ) as campaign:
        for size in (10, *[5] * 6):
            campaign.tell({s: both(s) for s in smiles_of(campaign.ask(size))})
        found = campaign.best(1)[0]
        later = campaign.observations()[20:]
    assert found.of(1).outcome.value <= limit
    assert found.outcome.value <= best + 2
    chance = np.mean([far(s) <= limit for s in BeadGenerator().sample(500, seed=0)])
    assert np.mean([o.of(1).outcome.value <= limit for o in later]) > 2 * chance


def test_a_search_stays_near_its_lead_and_where_its_scaffold_is() -> None:
    lead = molecules()[FIRST]
    goals = Goals.of(
        {"far": "minimize"},
        restriction={"similar_to": lead, "similarity": [0.3, 0.95], "keep_smarts": "C(F)N"},
    )
    generator = BeadGenerator()
    assert (shortfalls(goals, generator.sample(500, seed=3)).sum(axis=1) == 0).mean() < 0.05
    with Campaign.new(None, generator, goals=goals, config=CONFIG) as campaign:
        asked = campaign.ask(5)
        campaign.tell({s.smiles: far(s.smiles) for s in asked})
        asked += campaign.ask(5)
    assert len(asked) >= 8
    assert (shortfalls(goals, smiles_of(asked)) == 0).all()
    assert lead not in smiles_of(asked)


@pytest.mark.slow
def test_constraints_that_nothing_meets_are_one_sentence_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    goals = Goals.of({"near": "minimize"}, ["hbd >= 0 and mw < 20"])
    with new(tmp_path / "c.sqlite", goals=goals) as campaign:
        campaign.tell({s: near(s) for s in KNOWN})
        message = "none of the molecules generated .*256 meet hbd >= 0; 0 meet mw < 20"
        with pytest.raises(InputError, match=message):
            campaign.ask(3)
        assert (campaign.status().tested, campaign.status().feasible) == (8, 0)
        assert campaign.pending() == []
    with pytest.raises(InputError, match="meets all constraints"):
        optimize(BeadGenerator(), aims()[0], constraints=["mw < 20"], budget=5)
    started = optimize(
        BeadGenerator(), aims()[0], constraints=["mw < 20"], budget=9, start=KNOWN[:3]
    )
    assert len(started.observations) == 3
    assert "none of the molecules generated meets all constraints" in started.stopped
    assert started.top() == []
    with pytest.raises(ConfigError, match="no value meets"):
        optimize(BeadGenerator(), aims()[0], constraints=["3 < logp < 1"], budget=5)


def test_what_the_prior_never_makes_is_searched_for_from_the_lead() -> None:
    kept = {"similar_to": molecules()[FIRST], "similarity": [0.4, 0.95], "keep_smarts": "FCN"}
    goals, generator = Goals.of({"far": "minimize"}, restriction=kept), BeadGenerator()
    every = (shortfalls(goals, list(levels())).sum(axis=1) == 0).sum()
    assert every == 10
    assert (shortfalls(goals, generator.sample(500, seed=3)).sum(axis=1) == 0).sum() <= 1
    assert len(RestrictedGenerator(generator, goals).sample(10, seed=0)) >= 5


def test_a_rare_pattern_is_found_without_a_lead_however_few_are_asked_for() -> None:
    goals = Goals.of({"far": "minimize"}, restriction={"keep_smarts": "NC(F)NC(F)"})
    assert (shortfalls(goals, BeadGenerator().sample(256, seed=2)) == 0).mean() < 0.01
    assert len(RestrictedGenerator(BeadGenerator(), goals).sample(2, seed=0)) == 2


def test_a_restricted_generator_is_a_function_of_its_seed() -> None:
    goals = Goals.of({"a": "maximize"}, ["hba <= 1"])
    generator = RestrictedGenerator(BeadGenerator(), goals)
    found = generator.sample(20, seed=1)
    assert found == generator.sample(20, seed=1)
    assert (shortfalls(goals, found) == 0).all()
    assert len(set(found)) == len(found)
    assert shortage(BeadGenerator(), goals, 0) is None


# --- standing ----------------------------------------------------------------------------------


def test_feasible_molecules_stand_before_others_and_fronts_in_order() -> None:
    goals = Goals.of({"a": "maximize", "b": "minimize"}, measured=["c > 0"])
    told = [(1, 1, 1), (2, 2, 1), (9, 0, -1), (1, 2, 1), (5, None, 1), (3, 3, None)]
    with Store(None, {}) as store:
        names = ["C" * n for n in range(1, 7)]
        z = np.zeros(2)
        store.record(
            [Suggestion(s, 0, "told", z) for s in names],
            [
                (s, assay, Outcome(float(value)))
                for s, row in zip(names, told, strict=True)
                for assay, value in enumerate(row)
                if value is not None
            ],
        )
        standing = Standing.of(goals, store.observations())
    assert standing.feasible.tolist() == [True, True, False, True, False, False]
    assert smiles_of(standing.pareto()) == ["CC", "C"]
    assert smiles_of(standing.ranked())[:3] in (["C", "CC", "CCCC"], ["CC", "C", "CCCC"])
    assert smiles_of(standing.ranked())[3:] == ["CCCCCC", "CCC", "CCCCC"]
    np.testing.assert_allclose(standing.utility[0], [1.0, -1.0])
    said = standing.marks(standing.observations)["feasible"]
    assert said == ["yes", "yes", "no", "yes", "unknown", "unknown"]


@pytest.mark.parametrize(
    ("assay", "outcome", "said"),
    [(0, Outcome(1.0), "unknown"), (0, Outcome(math.nan, "lost"), "no"), (1, Outcome(-1.0), "no"),
     (1, Outcome(1.0), "unknown"), (1, Outcome(math.nan, "lost"), "no")],
)  # fmt: skip
def test_a_molecule_is_neither_feasible_nor_not_until_what_decides_it_is_measured(
    assay: int, outcome: Outcome, said: str
) -> None:
    goals = Goals.of({"a": "maximize"}, measured=["c > 0"])
    with Store(None, {}) as store:
        store.record([Suggestion("C", 0, "told", np.zeros(2))], [("C", assay, outcome)])
        standing = Standing.of(goals, store.observations())
    assert standing.marks(standing.observations)["feasible"] == [said]


# --- the file and resuming ---------------------------------------------------------------------


def test_killed_and_opened_again_the_next_proposal_is_the_same(tmp_path: Path) -> None:
    with warm(tmp_path / "c.sqlite") as campaign:
        campaign.ask(3)
        proposed = smiles_of(campaign.propose(3))
    with Campaign.open(tmp_path / "c.sqlite", BeadGenerator()) as campaign:
        assert smiles_of(campaign.ask(3)) == proposed


class Killed(BaseException):
    """Stands for a process that ends in the middle of an evaluation."""


@pytest.mark.parametrize("calls", [3, 14, 21, 26])
def test_a_run_killed_between_two_objectives_goes_on_as_if_it_had_not_been(
    tmp_path: Path, calls: int
) -> None:
    whole = optimize(BeadGenerator(), aims(), budget=15, **SMALL)
    seen: list[tuple[str, str]] = []

    def counted(name: str, limit: int) -> Objective:
        def function(smiles: str) -> float:
            if len(seen) >= limit:
                raise Killed
            seen.append((name, smiles))
            return both(smiles)[name]

        return Objective(name, function, "minimize")

    path = tmp_path / "run.sqlite"
    for limit in (calls, 1000):
        goals = [counted("near", limit), counted("far", limit)]
        try:
            found = optimize(BeadGenerator(), goals, budget=15, store=path, resume=True, **SMALL)
        except Killed:
            continue
    assert smiles_of(found.observations) == smiles_of(whole.observations)
    assert len(seen) == len(set(seen)) == 30, "nothing is evaluated twice"


def test_an_objective_that_is_broken_keeps_what_the_other_gave(tmp_path: Path) -> None:
    def broken(smiles: str) -> float:
        raise RuntimeError("licence expired")

    path = tmp_path / "run.sqlite"
    goals = [aims()[0], Objective("far", broken, "minimize")]
    with pytest.raises(OracleError, match="licence expired"):
        optimize(BeadGenerator(), goals, budget=12, store=path, **SMALL)
    with Campaign.open(path) as campaign:
        assert campaign.status().partial == 10
    found = optimize(BeadGenerator(), aims(), budget=4, store=path, resume=True, **SMALL)
    assert (len(found.observations), found.stopped) == (10, "budget used")
    found = optimize(BeadGenerator(), aims(), budget=12, store=path, resume=True, **SMALL)
    assert len(found.observations) == 12
    assert np.isfinite(found.values).all()


def test_other_goals_are_another_campaign(tmp_path: Path) -> None:
    path = tmp_path / "run.sqlite"
    optimize(BeadGenerator(), aims(), budget=5, store=path, **SMALL)
    for changed in ({"constraints": ["sa < 9"]}, {"restriction": {"keep_smarts": "C"}}):
        with pytest.raises(ConfigError, match="was started with goals ="):
            optimize(BeadGenerator(), aims(), budget=5, store=path, resume=True, **SMALL, **changed)


def test_a_file_of_the_second_format_is_carried_over(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    with Campaign.new(path, BeadGenerator(), assay="a", direction="maximize") as campaign:
        settings = dict(campaign._store.settings)
    path.unlink()
    old = sqlite3.connect(path)
    old.executescript(
        """
        CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
        CREATE TABLE suggestions (id INTEGER PRIMARY KEY, smiles TEXT NOT NULL UNIQUE,
            step INTEGER NOT NULL, origin TEXT NOT NULL, z BLOB NOT NULL, asked BLOB,
            predicted REAL, uncertainty REAL, acquisition REAL, nearest TEXT, similarity REAL);
        CREATE TABLE outcomes (suggestion INTEGER NOT NULL REFERENCES suggestions (id),
            repeat INTEGER NOT NULL DEFAULT 0, value REAL, failure TEXT,
            PRIMARY KEY (suggestion, repeat), CHECK ((value IS NULL) = (failure IS NOT NULL)));
        INSERT INTO settings VALUES ('model', '"beads"'), ('batch_size', '5'), ('seed', '0'),
            ('objective', '{"name": "a", "direction": "maximize"}'), ('start', '[]');
        INSERT INTO suggestions VALUES
            (1, 'CCO', 1, 'prior', x'0000000000000000', NULL, 0.5, 0.1, 0.2, 'CC', 0.3),
            (2, 'CCN', 1, 'prior', x'0000000000000000', NULL, 0.5, 0.1, 0.2, NULL, NULL);
        INSERT INTO outcomes VALUES (1, 0, 0.25, NULL), (1, 1, 0.75, NULL), (1, 2, NULL, 'lost');
        PRAGMA application_id = 0x6D6F6C76;
        PRAGMA user_version = 2;
        """
    )
    old.close()
    assert settings["goals"] is None
    for _ in range(2):
        with Campaign.open(path, BeadGenerator()) as campaign:
            (told,) = campaign.observations()
            assert (told.outcome, told.values, told.failures) == (
                Outcome(0.5),
                (0.25, 0.75),
                ("lost",),
            )
            assert told.suggestion.reason.predicted == 0.5
            assert smiles_of(campaign.pending()) == ["CCN"]
            assert campaign.goals == Goals.of({"a": "maximize"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"assay": "a"}, "give either an assay and its direction, or goals"),
        ({"goals": Goals.of({"a b": "maximize", "a_b": "minimize"})}, "the same column"),
        (
            {"goals": Goals.of({"a": "maximize", "spread a": "minimize"})},
            "assay 'spread a': a table has that column already",
        ),
        (
            {"config": CONFIG.replace(scalarisation="weighted", weights=[1.0])},
            "there are 1 weights for 2 objectives",
        ),
    ],
)
def test_goals_that_a_campaign_cannot_have_are_refused(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        new(tmp_path / "c.sqlite", **options)
    assert not (tmp_path / "c.sqlite").exists()


def test_a_result_of_one_objective_is_as_it_was() -> None:
    result = optimize(BeadGenerator(), aims()[0], budget=12, **SMALL)
    assert isinstance(result, Result)
    assert result.goals is None
    assert "feasible" not in result.columns()
