"""Several trust regions: their centres, their counters, what they share out, what they find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from beads import BeadGenerator, distance_to, molecules

from molvae.base.errors import ConfigError
from molvae.chem.counts import Counts
from molvae.optimize import strategy
from molvae.optimize.acquisition import choose
from molvae.optimize.config import SearchConfig
from molvae.optimize.described import count_columns_of
from molvae.optimize.observed import Observed
from molvae.optimize.proposals import Candidates
from molvae.optimize.records import Suggestion
from molvae.optimize.regions import UNLIKE, Place, places, shared_out
from molvae.optimize.result import Result
from molvae.optimize.run import optimize
from molvae.optimize.trust_region import FAILURES, LENGTH, SUCCESSES, TrustRegion
from molvae.oracles.objective import Objective

ALKANE, PHENOL, ACID = "CCCCCCCC", "Oc1ccccc1", "NCC(=O)O"
NEARLY = {ALKANE: "CCCCCCCCC", PHENOL: "Oc1ccccc1C", ACID: "NC(C)C(=O)O"}


def observed(*told: tuple[int, str, float]) -> Observed:
    """Of (step, molecule, utility)."""
    steps, smiles, utility = zip(*told, strict=True)
    once = Observed.once(smiles, np.zeros((len(told), 2)), np.array(utility, float))
    return replace(once, steps=np.array(steps))


def members(found: Sequence[Place], seen: Observed) -> list[list[str]]:
    return [[seen.smiles[i] for i in place.rows] for place in found]


def similarity(smiles: Sequence[str]) -> np.ndarray:
    counts = Counts.of(count_columns_of(smiles))
    return counts.similarity(counts)


# --- centres and counters ------------------------------------------------------------------------


def test_centres_are_the_best_molecules_that_are_unlike_each_other() -> None:
    seen = observed(
        (0, PHENOL, 3.0), (0, NEARLY[PHENOL], 2.9), (0, ALKANE, 1.0), (0, ACID, 2.0),
        (0, NEARLY[ALKANE], float("nan")),
    )  # fmt: skip
    found = places(seen, 3, step=1)
    assert members(found, seen) == [[PHENOL, NEARLY[PHENOL]], [ACID], [ALKANE]]
    assert members(places(seen, 2, step=1), seen)[0][:1] == [PHENOL]
    assert [place.trust for place in found] == [TrustRegion()] * 3


def test_places_without_a_molecule_are_the_priors() -> None:
    seen = observed((0, PHENOL, 3.0), (0, NEARLY[PHENOL], 2.9))
    assert members(places(seen, 3, step=1), seen) == [[PHENOL, NEARLY[PHENOL]], [], []]
    failed = observed((0, PHENOL, float("nan")))
    assert members(places(failed, 2, step=1), failed) == [[], []]


def test_each_region_grows_and_shrinks_by_its_own_molecules() -> None:
    """The phenols get better and better, the alkanes do not."""
    told = [(0, PHENOL, 3.0), (0, ALKANE, 2.0)]
    for step in range(1, 1 + max(SUCCESSES, FAILURES)):
        told += [(step, f"Oc1ccccc1{'C' * step}", 3.0 + step), (step, "C" * (8 + step), 1.0)]
    trust = {seen[0][0]: place for place in places(observed(*told), 2, step=9)
             if (seen := members([place], observed(*told)))}  # fmt: skip
    lengths = {first in "CCCCCCCC": place.trust.length for first, place in trust.items()}
    assert sorted(lengths.values()) == [LENGTH / 2, 2 * LENGTH]


def test_a_step_that_brings_a_region_nothing_is_a_failure_if_there_was_enough_for_all() -> None:
    told = [(0, PHENOL, 3.0), (0, ALKANE, 2.0)]
    told += [(step, "C" * (8 + step), 1.0) for step in range(1, 3)]
    assert [place.trust.failures for place in places(observed(*told), 2, step=3)] == [0, 2]
    told += [(step, "C" * (18 + step), 1.0) for step in range(1, 3)]
    assert [place.trust.failures for place in places(observed(*told), 2, step=3)] == [2, 2]


def test_what_is_unlike_every_centre_belongs_to_none_unless_it_is_the_best_of_all() -> None:
    told = [(0, PHENOL, 3.0), (0, ALKANE, 2.0)]
    worse, best = observed(*told, (1, ACID, 2.5)), observed(*told, (1, ACID, 3.5))
    assert members(places(worse, 2, step=2), worse) == [[PHENOL], [ALKANE]]
    assert members(places(best, 2, step=2), best)[0] == [ACID]


def test_a_step_that_is_not_finished_is_no_failure_yet() -> None:
    seen = observed((0, ALKANE, 2.0), (1, NEARLY[ALKANE], 1.0))
    assert places(seen, 2, step=2)[0].trust.failures == 1
    assert places(seen, 2, step=2, unfinished={1})[0].trust.failures == 0


def failing(steps: int) -> list[tuple[int, str, float]]:
    """Alkanes that never get better, and in the first step a phenol and an acid."""
    told = [(0, ALKANE, 5.0), (0, PHENOL, 3.0), (0, ACID, 2.0)]
    return told + [(step, "C" * (8 + step % 30), 1.0) for step in range(1, steps)]


def test_a_region_that_fails_too_often_makes_way_for_the_next_unlike_molecule() -> None:
    early, late = observed(*failing(10)), observed(*failing(60))
    assert [names[0] for names in members(places(early, 2, step=10), early)] == [ALKANE, PHENOL]
    found = members(places(late, 2, step=60), late)
    assert [names[0] for names in found] == [PHENOL, ACID]
    assert not any(set(names) & {"C" * n for n in range(8, 38)} for names in found)


def test_regions_that_come_upon_like_molecules_become_one() -> None:
    bridge = "Oc1ccccc1CCCCCCCC"
    told = [(0, PHENOL, 3.0), (0, ALKANE, 2.0), (1, bridge, 4.0)]
    seen = observed(*told)
    centres = [names[0] for names in members(places(seen, 2, step=2), seen) if names]
    table = similarity(centres)
    assert (table[np.triu_indices(len(centres), 1)] < UNLIKE).all()
    assert centres[0] == bridge


def test_regions_follow_from_the_observations_in_whatever_order_they_come() -> None:
    told = failing(40)
    there, back = observed(*told), observed(*told[20:], *told[:20])
    one, other = places(there, 3, step=40), places(back, 3, step=40)
    assert [place.trust for place in one] == [place.trust for place in other]
    assert [set(names) for names in members(one, there)] == [
        set(names) for names in members(other, back)
    ]


# --- sharing out ---------------------------------------------------------------------------------


def suggestion(place: Place, i: int) -> Suggestion:
    return Suggestion(f"{place.number}.{i}", place.step, "edit", np.zeros(2))


@pytest.mark.parametrize("step", [7, 8, 9])
@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_a_batch_is_shared_out_evenly_and_the_odd_ones_in_turn(size: int, step: int) -> None:
    three = [Place(np.empty(0, int), TrustRegion(), step, i) for i in range(3)]

    def propose(*, place: Place, size: int, pending: Sequence[Suggestion]) -> list[Suggestion]:
        return [suggestion(place, i) for i in range(size)]

    found = shared_out(three, size, (), propose)
    shares = [sum(s.smiles.startswith(f"{i}.") for s in found) for i in range(3)]
    assert sum(shares) == size
    assert max(shares) - min(shares) <= 1
    assert shares[step % 3] == max(shares)


def test_what_one_place_cannot_find_the_next_makes_up_for_and_knows_of_the_others() -> None:
    two = [Place(np.empty(0, int), TrustRegion(), 4, i) for i in range(2)]
    told: list[int] = []

    def propose(*, place: Place, size: int, pending: Sequence[Suggestion]) -> list[Suggestion]:
        told.append(len(pending))
        return [suggestion(place, i) for i in range(size if place.number else 1)]

    assert len(shared_out(two, 10, (), propose)) == 10
    assert told == [0, 1]


# --- the search ----------------------------------------------------------------------------------

FIRST, SECOND = (4, 4, 4, 4, 4), (0, 0, 0, 0, 0)
LEADS = [(4, 3, 3, 3, 4), (0, 1, 2, 1, 1)]
IN_SPACE = {"edit": 0.0, "recombination": 0.0}
SMALL = {"batch_size": 6, "candidates": 96, "routes": IN_SPACE, "initial": 0}


def two_tops() -> Objective:
    """The best molecule is ``FIRST``; ``SECOND``, unlike it, is the top of the other half."""
    near, far = distance_to(FIRST), distance_to(SECOND)
    return Objective("tops", lambda s: max(10 - near(s), 9.5 - far(s)), "maximize")


def run(regions: int, objective: Objective | None = None, **options: Any) -> Result:
    start = [molecules()[lead] for lead in LEADS]
    given = {"budget": 50, "start": start, **SMALL, "regions": regions, **options}
    return optimize(BeadGenerator(), objective or two_tops(), **given)


def smiles_of(result: Result) -> list[str]:
    return [o.suggestion.smiles for o in result.observations]


def test_the_two_tops_are_unlike_each_other_and_so_are_the_leads() -> None:
    for pair in ([FIRST, SECOND], LEADS):
        assert similarity([molecules()[beads] for beads in pair])[0, 1] < UNLIKE


@pytest.mark.slow
def test_two_regions_find_both_tops_where_one_finds_one() -> None:
    """The second lead is far worse than the first: a search that has one centre forgets it."""
    for seed in (0, 1, 2):
        one, two = set(smiles_of(run(1, seed=seed))), set(smiles_of(run(2, seed=seed)))
        assert molecules()[FIRST] in one & two
        assert molecules()[SECOND] in two - one


def test_the_same_seed_gives_the_same_molecules_and_none_comes_twice() -> None:
    found = smiles_of(run(3, budget=48))
    assert smiles_of(run(3, budget=48)) == found
    assert len(set(found)) == len(found) == 48


def test_what_other_regions_propose_in_a_step_is_of_its_batch_and_waits_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[int, int]] = []

    def looking(
        acquisition: str, joint: Any, baseline: int, size: int, seed: int, pending: int
    ) -> list[int]:
        seen.append((baseline, pending))
        return choose(acquisition, joint, baseline, size, seed, pending)

    monkeypatch.setattr(strategy, "choose", looking)
    run(2, budget=30)
    assert len({baseline for baseline, _ in seen}) > 1  # they are there, for improvement
    assert {pending for _, pending in seen} == {0}


def test_without_a_region_steps_keep_their_length_and_nothing_begins_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lengths: dict[int, set[float]] = {}

    def looking(*arguments: Any) -> Candidates:
        region = next(each for each in arguments if isinstance(each, TrustRegion))
        lengths.setdefault(number, set()).add(region.length)
        assert number or not region.begun
        return pool(*arguments)

    pool = strategy._pool
    monkeypatch.setattr(strategy, "_pool", looking)
    for number in (0, 1):
        run(1, budget=60, fixed_length=not number)
    assert lengths[0] == {LENGTH}
    assert len(lengths[1]) > 1


class Killed(BaseException):
    """Stands for a process that ends in the middle of an evaluation."""


def test_killed_and_resumed_is_the_uninterrupted_run(tmp_path: Path) -> None:
    true, calls = two_tops().function, [0]

    def dies(smiles: str) -> float:
        calls[0] += 1
        if calls[0] in (20, 27, 34):
            raise Killed
        return float(true(smiles))  # type: ignore[arg-type]

    dying = Objective("tops", dies, "maximize")
    given = {"budget": 42, "store": tmp_path / "c.sqlite", "resume": True}
    for _ in range(3):
        with pytest.raises(Killed):
            run(3, dying, **given)
    assert smiles_of(run(3, dying, **given)) == smiles_of(run(3, budget=42))


def test_no_region_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="regions"):
        SearchConfig.parse({"regions": 0})
