"""Searches whose best molecule is known, one for each way of proposing and of choosing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from beads import (
    BEADS,
    IN_SPACE,
    LENGTH,
    STEP,
    BeadGenerator,
    ChainGenerator,
    distance_to,
    levels,
    molecules,
)

from molvae.models.windows import Windows
from molvae.optimize import renewal
from molvae.optimize.config import Routes
from molvae.optimize.result import Result
from molvae.optimize.run import optimize
from molvae.oracles.objective import Objective

TARGET = (4, 0, 3, 1, 4)
NEAR = (3, 1, 3, 2, 1)  # one in a thousand samples of the prior
SMALL: dict[str, Any] = {"batch_size": 5, "candidates": 64, "surrogate": ("latent",)}


class WindowedBeads(BeadGenerator):
    """A window for each bead, which is forgotten where it is 0: then any bead may be there."""

    fingerprint = "windowed beads"
    windows = Windows(count=LENGTH, size=1, width=1, rest=0)

    def encode(self, smiles: Sequence[str]) -> np.ndarray:
        nothing = (np.nan,) * LENGTH
        beads = np.array([levels().get(s, nothing) for s in smiles], float)
        return STEP * (beads.reshape(-1, LENGTH) + 1)

    def decode(self, z: np.ndarray) -> list[str | None]:
        return super().decode(np.asarray(z) - STEP * (1 + len(BEADS) // 2))

    def sample(self, n: int, *, seed: int) -> list[str]:
        return BeadGenerator().sample(n, seed=seed)

    def symbols(self, smiles: Sequence[str | None]) -> np.ndarray:
        return np.full(len(smiles), LENGTH)

    def rewrite(self, z: np.ndarray, *, seed: int) -> list[str | None]:
        beads = np.random.default_rng(seed).integers(0, len(BEADS), z.shape)
        return self.decode(np.where(z == 0, STEP * (beads + 1), z))


@dataclass(frozen=True)
class Refreshed(BeadGenerator):
    """Samples around the molecules that it learnt last."""

    learnt: np.ndarray

    def sample(self, n: int, *, seed: int) -> list[str]:
        rng = np.random.default_rng(seed)
        z = self.learnt[rng.integers(0, len(self.learnt), n)]
        return [s for s in self.decode(z + STEP * rng.standard_normal(z.shape)) if s is not None]


def only(**shares: float) -> Routes:
    """These routes alone."""
    return Routes.parse({**dict.fromkeys(Routes().names, 0.0), **shares})


def search(generator: BeadGenerator, target: tuple[int, ...] = TARGET, **options: Any) -> Result:
    objective = Objective("distance", distance_to(target), "minimize")
    return optimize(generator, objective, **{"budget": 60, **SMALL, **options})


@pytest.mark.parametrize("acquisition", ["thompson", "logei", "ucb"])
@pytest.mark.parametrize("seed", range(2))
def test_the_one_best_of_3125_molecules_is_found_however_batches_are_chosen(
    acquisition: str, seed: int
) -> None:
    result = search(BeadGenerator(), acquisition=acquisition, seed=seed, routes=IN_SPACE)
    assert result.top(1) == [(molecules()[TARGET], 0.0)]


# Gradient and rewriting may not be alone: the route beside them is hardly ever taken. Crossing
# makes no new beads: now and then a sample brings one.
@pytest.mark.parametrize(
    ("generator", "routes"),
    [
        (BeadGenerator(), only(perturbation=1)),
        (BeadGenerator(), only(crossover=1)),
        (BeadGenerator(), only(gradient=1, prior=0.05)),
        (WindowedBeads(), only(crossover=1, prior=0.2)),
        (WindowedBeads(), only(rewriting=1, prior=0.01)),
    ],
    ids=["perturbation", "crossover", "gradient", "crossover of windows", "rewriting"],
)
def test_the_one_best_of_3125_molecules_is_found_by_a_route_of_the_latent_space(
    generator: BeadGenerator, routes: Routes
) -> None:
    result = search(generator, routes=routes, candidates=200, budget=80)
    assert result.top(1) == [(molecules()[TARGET], 0.0)]


def test_among_samples_of_the_prior_the_best_is_found_as_soon_as_it_is_drawn() -> None:
    result = search(BeadGenerator(), NEAR, routes=only(prior=1), candidates=600)
    assert result.top(1) == [(molecules()[NEAR], 0.0)]


def test_moves_of_graphs_make_a_molecule_of_the_composition_that_is_wanted() -> None:
    wanted = np.array([9.0, 3.0, 2.0, 1.0, 2.0])  # C, O, N, F and double bonds

    def away(smiles: str) -> float:
        return float(np.abs(ChainGenerator().encode([smiles])[0] - wanted).sum())

    for routes in (only(edit=1), only(edit=1, recombination=1)):
        objective = Objective("distance", away, "minimize")
        result = optimize(ChainGenerator(), objective, budget=60, routes=routes, **SMALL)
        assert result.top(1)[0][1] == 0.0


def test_a_prior_that_is_refreshed_on_the_best_leads_to_the_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The true one takes minutes to learn; this one learns at once, and the search uses it."""

    def refreshed(
        generator: BeadGenerator, smiles: Sequence[str], weight: np.ndarray, **_: Any
    ) -> Refreshed:
        return Refreshed(generator.encode(smiles[:10]))

    monkeypatch.setattr(renewal, "Generator", BeadGenerator)
    monkeypatch.setattr(renewal, "refreshed", refreshed)
    found = []
    for refresh in (0, 10):
        result = search(BeadGenerator(), routes=only(prior=1), refresh=refresh)
        found.append(result.top(1)[0][1])
    assert found[1] == 0.0 < found[0]
