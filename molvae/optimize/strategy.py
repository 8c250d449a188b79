"""From everything observed so far to the next batch: one step of the search.

Both functions depend on their arguments alone, so that a resumed campaign proposes what the
uninterrupted one would have.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

import numpy as np
import torch

from molvae.base.seeds import derive_seed
from molvae.chem.similarity import fingerprints, similarity
from molvae.chem.smiles import parse_many
from molvae.optimize import proposals
from molvae.optimize.acquisition import greedy_batch
from molvae.optimize.config import SearchConfig
from molvae.optimize.proposals import Candidates, MoleculeGenerator
from molvae.optimize.store import Observation, Suggestion
from molvae.optimize.surrogates import (
    FIT_ROWS,
    fit,
    latent_kernel,
    latent_scale,
    molecule_kernel,
    posterior,
)
from molvae.optimize.trust_region import TrustRegion, replay
from molvae.oracles.objective import Objective

ELITE = 20
"""Best molecules of the trust region that have children."""
MEMORY = 1000
"""Observations the surrogates see at most: the best half, and a random half of the others."""
LEARNABLE = 5
"""Observations before a surrogate is of any use."""
PRIOR_SHARE = 0.125
"""Share of the candidates that comes from the prior, wherever the search stands."""
ROUNDS = 4
"""Attempts to find enough new molecules, each with twice the step of the one before."""


def first_batch(
    generator: MoleculeGenerator, start: Sequence[str], initial: int, config: SearchConfig
) -> list[Suggestion]:
    """The initial design: the start molecules that can be encoded, and ``initial`` samples."""
    found = proposals.known(generator, start, ["start"] * len(start))
    chosen = _suggestions(found, range(len(found)), 0)
    for attempt in range(ROUNDS):
        missing = initial + len(found) - len(chosen)
        if missing <= 0:
            break
        seen = {s.smiles for s in chosen}
        seed = derive_seed(config.seed, "initial", attempt)
        more = proposals.from_prior(generator, 2 * missing, seen, seed)
        chosen += _suggestions(more, range(min(missing, len(more))), 0)
    return chosen


def next_batch(
    generator: MoleculeGenerator,
    objective: Objective,
    observations: Sequence[Observation],
    config: SearchConfig,
) -> list[Suggestion]:
    """The ``config.batch_size`` molecules to evaluate next; fewer or none if no more are found."""
    step = observations[-1].suggestion.step + 1
    seed = derive_seed(config.seed, "step", step)
    seen = {o.suggestion.smiles for o in observations}
    steps = np.array([o.suggestion.step for o in observations])
    utility = np.array([objective.utility(o.outcome.value) for o in observations])
    region = replay(steps, utility)

    usable = _memory(utility, seed)
    smiles = [observations[i].suggestion.smiles for i in usable]
    z = np.stack([observations[i].suggestion.z for i in usable])
    steps, utility = steps[usable], utility[usable]
    # A molecule that failed is as bad as the worst: the search moves away from it.
    failed = np.isnan(utility)
    utility = np.where(failed, np.nanmin(utility), utility)
    inside = np.flatnonzero(~failed & (steps >= region.begun))
    elite = inside[np.argsort(-utility[inside], kind="stable")][:ELITE]

    learnable = len(utility) >= LEARNABLE and len(elite) > 0
    peaks = _ascend(z, utility, elite, region, seed) if learnable else None
    pool = _pool(generator, z[elite], peaks, region, seen, config, seed)
    if learnable and len(pool):
        picks = _rank(smiles, z, utility, elite, pool, config.batch_size, seed)
    else:
        picks = list(range(min(config.batch_size, len(pool))))
    return _suggestions(pool, picks, step)


def _memory(utility: np.ndarray, seed: int) -> np.ndarray:
    """The rows the surrogates see, in order: all of them up to ``MEMORY``."""
    return _best_and_random(utility, MEMORY, derive_seed(seed, "memory"))


def _best_and_random(utility: np.ndarray, limit: int, seed: int) -> np.ndarray:
    if len(utility) <= limit:
        return np.arange(len(utility))
    order = np.argsort(-np.where(np.isnan(utility), -np.inf, utility), kind="stable")
    best, others = order[: limit // 2], order[limit // 2 :]
    rng = np.random.default_rng(seed)
    return np.sort(np.concatenate([best, rng.choice(others, limit - len(best), replace=False)]))


def _ascend(
    z: np.ndarray, utility: np.ndarray, elite: np.ndarray, region: TrustRegion, seed: int
) -> np.ndarray:
    """Latents where a surrogate of the latent space alone expects most, inside the region.

    It sees ``FIT_ROWS`` observations at most: every step of the ascent costs their square.
    """
    rows = _best_and_random(utility, FIT_ROWS, derive_seed(seed, "fit"))
    scale = latent_scale(z)
    inputs, targets = torch.as_tensor(z[rows] / scale), torch.as_tensor(utility[rows])
    model = fit(inputs, targets, latent_kernel(z.shape[1]), np.arange(len(rows)), seed)
    best, centre = float(utility[elite[0]]), z[elite[0]] / scale
    return scale * proposals.ascents(model, centre, region.length / scale, best, seed)


def _pool(
    generator: MoleculeGenerator,
    parents: np.ndarray,
    peaks: np.ndarray | None,
    region: TrustRegion,
    seen: Set[str],
    config: SearchConfig,
    seed: int,
) -> Candidates:
    """New molecules: from the peaks of the surrogate, around the parents, and from the prior."""
    n = config.candidates
    fresh = n if not len(parents) else round(PRIOR_SHARE * n)
    pool = proposals.from_prior(generator, fresh, seen, derive_seed(seed, "prior"))
    if not len(parents):
        return pool
    if peaks is not None:
        found = proposals.decoded(generator, peaks, ["gradient"] * len(peaks), seen)
        pool = Candidates.join([found, pool])
    for attempt in range(ROUNDS):
        # Where nearly every step leads back to a known molecule, steps have to be longer.
        length = region.length * 2**attempt
        asked, origin = proposals.children(
            parents, n - fresh, length, derive_seed(seed, "round", attempt)
        )
        pool = Candidates.join([proposals.decoded(generator, asked, origin, seen), pool])
        if len(pool) >= fresh + 4 * config.batch_size:
            break
    return pool


def _rank(
    smiles: Sequence[str],
    z: np.ndarray,
    utility: np.ndarray,
    elite: np.ndarray,
    pool: Candidates,
    size: int,
    seed: int,
) -> list[int]:
    """The candidates to evaluate, by what they are: their own latents and their structures."""
    prints = fingerprints(parse_many([*smiles, *pool.smiles]))
    alike = torch.as_tensor(similarity(prints, prints), dtype=torch.float64)
    everything = np.concatenate([z, pool.z])
    numbers = np.arange(len(everything), dtype=float)[:, None]
    inputs = torch.as_tensor(np.hstack([everything / latent_scale(z), numbers]))
    rows = _best_and_random(utility, FIT_ROWS, derive_seed(seed, "fit"))
    model = fit(
        inputs[: len(z)],
        torch.as_tensor(utility),
        molecule_kernel(z.shape[1], alike),
        rows,
        seed,
    )
    judged = torch.cat([inputs[elite], inputs[len(z) :]])
    return greedy_batch(posterior(model, judged), len(elite), size, derive_seed(seed, "batch"))


def _suggestions(pool: Candidates, picks: Iterable[int], step: int) -> list[Suggestion]:
    return [
        Suggestion(
            pool.smiles[i],
            step,
            pool.origin[i],
            pool.z[i],
            None if np.isnan(pool.asked[i]).any() else pool.asked[i],
        )
        for i in picks
    ]
