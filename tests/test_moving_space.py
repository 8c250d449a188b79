"""Searches whose latent space moves: all of a step is in one space, and what is kept in another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from beads import IN_SPACE, BeadGenerator, distance_to

import molvae
from molvae.base.errors import ConfigError
from molvae.latent import refresh
from molvae.optimize import renewal
from molvae.optimize.campaign import Campaign
from molvae.optimize.config import SearchConfig
from molvae.optimize.described import Described
from molvae.optimize.filtered import SaneGenerator
from molvae.optimize.memory import Memory
from molvae.optimize.observed import Observed
from molvae.optimize.records import Observation
from molvae.optimize.run import optimize
from molvae.optimize.store import Store
from molvae.optimize.strategy import next_batch
from molvae.oracles.objective import Objective

TARGET = (4, 0, 3, 1, 4)
AWAY = 100.0
"""How far a refreshed toy's latents are from those before: nothing of both can be mistaken."""
SEARCH: dict[str, Any] = {
    "batch_size": 5,
    "initial": 10,
    "candidates": 64,
    "refresh": 10,
    "refresh_space": True,
}


class Elsewhere(BeadGenerator):
    """Beads in a space of its own, away from others and of another width; it must be asked for
    nothing outside."""

    def __init__(self, learnt: int) -> None:
        self.away, self.width = AWAY * (1 + learnt % 7), 1 + learnt % 5 / 4
        self.fingerprint = f"beads at {self.away}, {self.width} wide"

    def encode(self, smiles: Sequence[str]) -> np.ndarray:
        return self.width * super().encode(smiles) + self.away

    def decode(self, z: np.ndarray) -> list[str | None]:
        assert np.abs(z - self.away).max(initial=0.0) < AWAY / 2
        return super().decode((z - self.away) / self.width)

    def sample(self, n: int, *, seed: int) -> list[str]:
        return BeadGenerator().sample(n, seed=seed)


@pytest.fixture
def moving(monkeypatch: pytest.MonkeyPatch) -> None:
    def refreshed(generator: BeadGenerator, smiles: Sequence[str], *_: Any, **how: Any) -> Any:
        assert how["space"]
        return Elsewhere(how["seed"])

    monkeypatch.setattr(renewal, "Generator", BeadGenerator)
    monkeypatch.setattr(renewal, "refreshed", refreshed)
    monkeypatch.setattr(renewal, "check_space", lambda generator: None)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """All latents that surrogates are shown together."""
    seen: list[np.ndarray] = []
    of = Described.of

    def watched(smiles: Sequence[str], z: np.ndarray) -> Described:
        seen.append(z)
        return of(smiles, z)

    monkeypatch.setattr(Described, "of", staticmethod(watched))
    return seen


def assert_each_in_one_of_several_spaces(seen: Sequence[np.ndarray]) -> None:
    assert all(np.ptp(np.round(z / AWAY)) == 0 for z in seen)
    assert len({float(np.round(z.mean() / AWAY)) for z in seen}) > 1


def distance() -> Objective:
    return Objective("distance", distance_to(TARGET), "minimize")


def names(observations: Sequence[Observation]) -> list[str]:
    return [o.suggestion.smiles for o in observations]


@pytest.mark.usefixtures("moving")
@pytest.mark.parametrize("regions", [1, 2])
@pytest.mark.parametrize("surrogate", [["latent"], ["structure", "latent"]])
def test_all_of_a_step_is_in_the_space_of_the_renewed_generator(
    regions: int, surrogate: list[str], looked_at: list[np.ndarray]
) -> None:
    routes = {**IN_SPACE, "gradient": 1.0}
    how = {**SEARCH, "routes": routes, "surrogate": surrogate, "regions": regions}
    result = optimize(BeadGenerator(), distance(), budget=40, **how)
    assert_each_in_one_of_several_spaces(looked_at)
    found = [o.suggestion for o in result.observations]
    np.testing.assert_array_equal(
        [s.z for s in found], BeadGenerator().encode([s.smiles for s in found])
    )
    # What was asked of a renewed generator says nothing in the space of the first.
    assert all(s.asked is None for s in found)
    assert result.top(1)[0][1] <= 2.0


@pytest.mark.usefixtures("moving")
def test_several_objectives_are_learnt_in_the_renewed_space(looked_at: list[np.ndarray]) -> None:
    objectives = [distance(), Objective("other", distance_to((0, 0, 0, 0, 0)), "minimize")]
    how = {**SEARCH, "routes": IN_SPACE, "surrogate": ["latent"]}
    result = optimize(BeadGenerator(), objectives, budget=30, regions=2, **how)
    assert_each_in_one_of_several_spaces(looked_at)
    found = [o.suggestion for o in result.observations]
    np.testing.assert_array_equal(
        [s.z for s in found], BeadGenerator().encode([s.smiles for s in found])
    )


@pytest.mark.usefixtures("moving")
def test_a_molecule_that_cannot_be_read_any_more_stays_where_it_was() -> None:
    lost = ["CCO"]
    known = BeadGenerator().sample(1, seed=0)
    z = np.zeros((2, 5))
    observed = Observed.once([*lost, *known], z, np.arange(2.0))
    there, _ = renewal.moved(Elsewhere(0), observed, [], Memory())
    np.testing.assert_array_equal(there.z[0], z[0])
    np.testing.assert_array_equal(there.z[1:], BeadGenerator().encode(known) + AWAY)


@pytest.mark.usefixtures("moving")
def test_what_was_learnt_in_one_space_is_not_remembered_in_another() -> None:
    generator = BeadGenerator()
    how = {**SEARCH, "routes": IN_SPACE, "surrogate": ["latent"], "refresh": 15}
    observations = optimize(generator, distance(), budget=45, **how).observations
    config, memory = SearchConfig.parse(how), Memory()
    for n in (40, 45):  # a renewal is between them, and no fit is due
        known = observations[:n]
        remembered = next_batch(generator, "minimize", known, config, memory=memory)
        alone = next_batch(generator, "minimize", known, config)
        assert [s.reason for s in remembered] == [s.reason for s in alone]
        assert [s.smiles for s in remembered] == [s.smiles for s in alone]


def test_a_search_of_the_real_model_goes_on_as_if_it_had_not_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "STEPS", 2)
    monkeypatch.setattr(refresh, "BATCH", 16)
    generator = SaneGenerator(molvae.load("druglike", "cpu"))
    objective = Objective("length", lambda smiles: float(len(smiles)), "minimize")

    def search(budget: int, store: Path, resume: bool = False) -> list[Observation]:
        result = optimize(
            generator,
            objective,
            budget=budget,
            store=store,
            resume=resume,
            **SEARCH,
        )
        return list(result.observations)

    whole = search(25, tmp_path / "whole.sqlite")
    search(20, tmp_path / "parts.sqlite")
    parts = search(25, tmp_path / "parts.sqlite", resume=True)
    assert names(whole) == names(parts)
    z = np.stack([o.suggestion.z for o in whole])
    np.testing.assert_allclose(z, generator.encode(names(whole)), atol=1e-4)
    np.testing.assert_array_equal(z, np.stack([o.suggestion.z for o in parts]))
    assert all(o.suggestion.asked is None for o in whole[10:])


def test_a_space_is_refreshed_only_where_something_is() -> None:
    with pytest.raises(ConfigError, match="refresh_space says what is refreshed, but refresh is 0"):
        SearchConfig.parse({"refresh_space": True})


@pytest.mark.parametrize("said", [{}, {"refresh_space": False}])
def test_a_file_that_says_nothing_of_it_is_gone_on_with(
    said: dict[str, Any], tmp_path: Path
) -> None:
    how = {"batch_size": 5, "candidates": 64, "routes": IN_SPACE, "initial": 5}
    optimize(BeadGenerator(), distance(), budget=10, store=tmp_path / "a.sqlite", **how)
    with Store(tmp_path / "a.sqlite", {}, resume=True, partial=True) as store:
        settings = {k: v for k, v in store.settings.items() if k != "refresh_space"}
        observations = store.observations()
    with Store(tmp_path / "before.sqlite", settings) as before:
        before.record(
            [o.suggestion for o in observations],
            [(o.suggestion.smiles, 0, o.outcome) for o in observations],
        )
    path = tmp_path / "before.sqlite"
    more = optimize(BeadGenerator(), distance(), budget=15, store=path, resume=True, **how, **said)
    assert len(more.observations) == 15
    with Campaign.open(path) as campaign:
        assert not campaign.config.refresh_space
