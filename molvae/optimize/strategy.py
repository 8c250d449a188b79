"""From everything observed so far to the next batch: one step of the search.

Both functions depend on their arguments alone, so that a resumed campaign proposes what the
uninterrupted one would have.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace

import numpy as np
import torch

from molvae.base.seeds import derive_seed
from molvae.chem.similarity import fingerprints, similarity
from molvae.chem.smiles import parse_many
from molvae.optimize import proposals
from molvae.optimize.acquisition import expected_improvements, greedy_batch
from molvae.optimize.config import SearchConfig
from molvae.optimize.multi import Several
from molvae.optimize.observed import Observed
from molvae.optimize.proposals import Candidates, MoleculeGenerator
from molvae.optimize.store import Observation, Reason, Suggestion
from molvae.optimize.surrogates import (
    FIT_ROWS,
    fit,
    latent_kernel,
    latent_scale,
    molecule_kernel,
    posterior,
)
from molvae.optimize.trust_region import TrustRegion
from molvae.oracles.objective import Direction

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
    generator: MoleculeGenerator,
    start: Sequence[str],
    initial: int,
    config: SearchConfig,
    seen: Set[str] = frozenset(),
    step: int = 0,
) -> list[Suggestion]:
    """The initial design: the start molecules that can be encoded, and ``initial`` samples.

    None of them is in ``seen``.
    """
    found = proposals.known(generator, start, ["start"] * len(start), seen)
    chosen = _suggestions(found, range(len(found)), step)
    for attempt in range(ROUNDS):
        missing = initial + len(found) - len(chosen)
        if missing <= 0:
            break
        known = seen | {s.smiles for s in chosen}
        # Another part of a design that is asked for in parts is another draw.
        seed = derive_seed(config.seed, "initial", attempt, *([len(seen)] if seen else []))
        more = proposals.from_prior(generator, 2 * missing, known, seed)
        chosen += _suggestions(more, range(min(missing, len(more))), step)
    return chosen


def next_batch(
    generator: MoleculeGenerator,
    direction: Direction,
    observations: Sequence[Observation],
    config: SearchConfig,
    *,
    pending: Sequence[Suggestion] = (),
    size: int | None = None,
    several: Several | None = None,
) -> list[Suggestion]:
    """The ``size`` molecules (``config.batch_size`` if None) to evaluate next.

    With ``several`` objectives or constraints, that says what is best, and not ``direction``.

    Fewer or none if no more are found. At least one of the ``observations`` is usable. Those
    ``pending`` are out for testing: no molecule comes twice, and what they promise is not looked
    for again.
    """
    size = config.batch_size if size is None else size
    step = 1 + max(s.step for s in (*pending, *(o.suggestion for o in observations)))
    seed = derive_seed(config.seed, "step", step)
    seen = {o.suggestion.smiles for o in observations} | {s.smiles for s in pending}
    sign = 1.0 if direction == "maximize" else -1.0
    usable = [o for o in observations if o.suggestion.usable]
    observed = Observed.of(usable, sign) if several is None else several.observed()
    region = observed.region(pending)

    observed = observed.rows(_memory(observed.utility, seed))
    # A molecule that failed is as bad as the worst: the search moves away from it.
    failed = np.isnan(observed.utility)
    inside = np.flatnonzero(~failed & (observed.steps >= region.begun))
    observed = observed.without_gaps()
    elite = inside[np.argsort(-observed.utility[inside], kind="stable")][:ELITE]

    learnable = len(failed) >= LEARNABLE and len(elite) > 0
    peaks = _ascend(observed, elite, region, seed) if learnable else None
    pool = _pool(generator, observed.z[elite], peaks, region, seen, config, size, seed)
    if not learnable or not len(pool):
        return _suggestions(pool, range(min(size, len(pool))), step)
    if several is not None:
        picks, reasons = several.rank(observed, pending, pool, size, seed)
        return _suggestions(pool, picks, step, reasons)
    picks, reasons = _rank(observed, elite, pending, pool, size, seed)
    reasons = [replace(reason, predicted=sign * reason.predicted) for reason in reasons]
    return _suggestions(pool, picks, step, reasons)


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


def _ascend(observed: Observed, elite: np.ndarray, region: TrustRegion, seed: int) -> np.ndarray:
    """Latents where a surrogate of the latent space alone expects most, inside the region.

    It sees ``FIT_ROWS`` observations at most: every step of the ascent costs their square.
    """
    seen = observed.rows(_best_and_random(observed.utility, FIT_ROWS, derive_seed(seed, "fit")))
    scale = latent_scale(observed.z)
    inputs, targets = torch.as_tensor(seen.z / scale), torch.as_tensor(seen.utility)
    kernel = latent_kernel(seen.z.shape[1])
    model = fit(inputs, targets, kernel, np.arange(len(targets)), seed, seen.noise())
    best, centre = float(observed.utility[elite[0]]), observed.z[elite[0]] / scale
    return scale * proposals.ascents(model, centre, region.length / scale, best, seed)


def _pool(
    generator: MoleculeGenerator,
    parents: np.ndarray,
    peaks: np.ndarray | None,
    region: TrustRegion,
    seen: Set[str],
    config: SearchConfig,
    size: int,
    seed: int,
) -> Candidates:
    """New molecules: from the peaks of the surrogate, around the parents, and from the prior."""
    n = config.candidates if size <= config.batch_size else max(config.candidates, 4 * size)
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
        if len(pool) >= fresh + max(4 * config.batch_size, size):
            break
    return pool


def _rank(
    observed: Observed,
    elite: np.ndarray,
    pending: Sequence[Suggestion],
    pool: Candidates,
    size: int,
    seed: int,
) -> tuple[list[int], list[Reason]]:
    """The candidates to evaluate, by what they are: their own latents and their structures.

    With them, what the surrogate expects of each, in utility.
    """
    out = [s.smiles for s in pending]
    prints = fingerprints(parse_many([*observed.smiles, *out, *pool.smiles]))
    alike = torch.as_tensor(similarity(prints, prints), dtype=torch.float64)
    everything = np.concatenate([observed.z, *(s.z[None] for s in pending), pool.z])
    numbers = np.arange(len(everything), dtype=float)[:, None]
    inputs = torch.as_tensor(np.hstack([everything / latent_scale(observed.z), numbers]))
    rows = _best_and_random(observed.utility, FIT_ROWS, derive_seed(seed, "fit"))
    known = len(observed.utility)
    model = fit(
        inputs[:known],
        torch.as_tensor(observed.utility),
        molecule_kernel(observed.z.shape[1], alike),
        rows,
        seed,
        observed.noise(),
    )
    # What is out for testing has an unknown value, like the best so far: a candidate is worth
    # what it adds to both.
    baseline = len(elite) + len(pending)
    joint = posterior(model, torch.cat([inputs[elite], inputs[known:]]))
    picks = greedy_batch(joint, baseline, size, derive_seed(seed, "batch"))
    chosen = joint.of([*range(baseline), *(baseline + i for i in picks)])
    gains = expected_improvements(chosen, baseline, derive_seed(seed, "batch"))
    spread = chosen.covariance.diagonal().clamp_min(0.0).sqrt()
    means, spreads = chosen.mean[baseline:].tolist(), spread[baseline:].tolist()
    return picks, [Reason(*facts) for facts in zip(means, spreads, gains, strict=True)]


def _suggestions(
    pool: Candidates, picks: Sequence[int], step: int, reasons: Sequence[Reason] | None = None
) -> list[Suggestion]:
    return [
        Suggestion(
            pool.smiles[i],
            step,
            pool.origin[i],
            pool.z[i],
            None if np.isnan(pool.asked[i]).any() else pool.asked[i],
            Reason() if reasons is None else reasons[place],
        )
        for place, i in enumerate(picks)
    ]
