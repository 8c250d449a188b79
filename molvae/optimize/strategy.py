"""From everything observed so far to the next batch: one step of the search.

Both functions depend on their arguments alone, so that a resumed campaign proposes what the
uninterrupted one would have.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace
from functools import partial

import numpy as np

from molvae.base.seeds import derive_seed
from molvae.optimize import proposals
from molvae.optimize.acquisition import choose, expected_improvements
from molvae.optimize.ascent import ascents
from molvae.optimize.config import SearchConfig
from molvae.optimize.described import Described
from molvae.optimize.learners import fit, fit_rows
from molvae.optimize.memory import Memory
from molvae.optimize.multi import Several
from molvae.optimize.observed import Observed, best_and_others
from molvae.optimize.parts import Learner, Part
from molvae.optimize.posterior import Surrogate
from molvae.optimize.proposals import Candidates, MoleculeGenerator
from molvae.optimize.regions import Place, places, shared_out
from molvae.optimize.renewal import moved, renewed, returned
from molvae.optimize.routes import Climb, Parents, by_rank, offspring
from molvae.optimize.store import Observation, Reason, Suggestion
from molvae.optimize.trust_region import TrustRegion
from molvae.oracles.objective import Direction

ELITE = 20
"""Best molecules over which an improvement is counted."""
PARENTS = 100
"""Molecules that have children, at most: the best tested, and the best of those expected."""
EARLIER = 0.3
"""Share of the parents' weight that is with the best of all, where the region is a new one."""
LEARNABLE = 5
"""Observations before a surrogate is of any use."""
ALIKE = 50
"""Observations of which all are worth the same, after which the prior is drawn from instead."""
REFIT = 1.3
"""Hyperparameters are fitted anew when there are so many times as many observations."""
SHORTLIST = 300
"""Candidates among which a batch is chosen jointly, at least three times the batch."""
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
    memory: Memory | None = None,
    place: Place | None = None,
) -> list[Suggestion]:
    """The ``size`` molecules (``config.batch_size`` if None) to evaluate next.

    With ``several`` objectives or constraints, that says what is best, and not ``direction``.

    Fewer or none if no more are found. At least one of the ``observations`` is usable. Those
    ``pending`` are out for testing: no molecule comes twice, and what they promise is not looked
    for again. ``memory`` saves work from step to step, and changes nothing. With several
    ``config.regions`` each has its ``place`` in the step, and is a search of its own.
    """
    size = config.batch_size if size is None else size
    step = 1 + max(s.step for s in (*pending, *(o.suggestion for o in observations)))
    seed = derive_seed(config.seed, "step", step)
    if place is not None:  # the others' part of the same step may be pending
        step, seed = place.step, derive_seed(config.seed, "step", place.step, place.number)
    memory = memory or Memory()
    seen = {o.suggestion.smiles for o in observations} | {s.smiles for s in pending}
    sign = 1.0 if direction == "maximize" else -1.0
    usable = [o for o in observations if o.suggestion.usable]
    observed = Observed.of(usable, sign) if several is None else several.observed()
    if place is None and config.regions > 1:
        found = places(observed, config.regions, step, observed.unfinished(pending))
        part = config.replace(candidates=max(16, config.candidates // len(found)))
        alone = partial(next_batch, generator, direction, observations, part, several=several)
        return shared_out(found, size, pending, partial(alone, memory=memory))
    region = observed.region(pending) if place is None else place.trust
    if config.fixed_length:
        region = TrustRegion()
    # A molecule that failed is as bad as the worst: the search moves away from it.
    failed = np.isnan(observed.utility)
    observed = observed.without_gaps()
    own, another = generator, False
    if config.refresh:
        space = bool(config.refresh_space)
        generator = renewed(own, observed, config.refresh, config.seed, memory, space)
        another = space and generator is not own
    if another:  # from here on all latents are of its space
        observed, pending = moved(generator, observed, pending, memory)
    told_apart = bool(np.ptp(observed.utility) > 0)
    # Around molecules that are all worth the same there is no more to be found than elsewhere.
    lost = not told_apart and len(failed) >= ALIKE
    inside = None if place is None else place.rows
    parents = None if lost else _parents(observed, failed, region, inside)
    surrogate = None
    if len(failed) >= LEARNABLE and told_apart:
        learner, parts = config.learner, config.surrogate
        surrogate = _learn(observed, learner, parts, config, seed, memory)
    climb = None
    if surrogate is not None and config.routes.gradient:
        # Whatever learns besides, an ascent is one of latents alone.
        landscape = _learn(observed, "gp", ("latent",), config, seed, memory)
        climb = partial(ascents, landscape, length=region.length)
    pool = _pool(generator, parents, surrogate, climb, region, seen, config, size, seed)
    reasons: list[Reason] | None = None
    if surrogate is None or not len(pool):
        picks = list(range(min(size, len(pool))))
    elif several is not None:
        remembered = _remembered(observed, config, seed)
        picks, reasons = several.rank(remembered, pending, pool, size, seed)
    else:
        best = np.argsort(-np.where(failed, -np.inf, observed.utility), kind="stable")[:ELITE]
        elite = observed.rows(best)
        # Like the others of a batch, what other regions propose in this step bars nothing.
        pending = sorted(pending, key=lambda s: s.step < step)
        waiting = sum(s.step < step for s in pending)
        acquisition = config.acquisition
        picks, reasons = _choose(surrogate, elite, pending, waiting, pool, acquisition, size, seed)
        reasons = [replace(reason, predicted=sign * reason.predicted) for reason in reasons]
    chosen = _suggestions(pool, picks, step, reasons)
    return returned(own, chosen) if another else chosen


def _parents(
    observed: Observed, failed: np.ndarray, region: TrustRegion, rows: np.ndarray | None = None
) -> Parents | None:
    """The best of the region, and with less weight the best of all; None where nothing is known.

    Of one of several regions, its own ``rows``, best first.
    """
    utility = np.where(failed, -np.inf, observed.utility)
    order = np.argsort(-utility, kind="stable")
    order = order[np.isfinite(utility[order])]
    inside = order[observed.steps[order] >= region.begun][:PARENTS]
    shares = [(inside, 1.0)]
    if rows is not None:
        shares = [(rows[:PARENTS], 1.0)]
    elif region.begun and len(inside):
        shares = [(inside, 1.0 - EARLIER), (order[:PARENTS], EARLIER)]
    chosen = [(rows, share) for rows, share in shares if len(rows)]
    if not chosen:
        return None
    rows = np.concatenate([rows for rows, _ in chosen])
    weight = np.concatenate([share * by_rank(len(rows)) for rows, share in chosen])
    return Parents(tuple(observed.smiles[i] for i in rows), observed.z[rows], weight)


def _learn(
    observed: Observed,
    learner: Learner,
    parts: tuple[Part, ...],
    config: SearchConfig,
    seed: int,
    memory: Memory,
) -> Surrogate:
    """A surrogate that sees ``parts`` of molecules, conditioned on what is worth remembering.

    Its fit is of the first observations alone, as many as there were at the last fit, so that it
    follows from the observations and not from when one asks.
    """
    first = observed.rows(np.arange(_refitted(len(observed.utility))))
    # The same molecules have other latents once the space has moved.
    key = (first.smiles, first.utility.tobytes(), first.z.tobytes())
    rows = best_and_others(first.utility, fit_rows(learner), 1 / 2, config.seed)
    conditioning = memory.recall(
        (learner, parts), key, lambda: fit(learner, first.rows(rows), parts, config.seed)
    )
    return conditioning(_remembered(observed, config, seed))


def _remembered(observed: Observed, config: SearchConfig, seed: int) -> Observed:
    """The observations that the surrogates see."""
    return observed.rows(best_and_others(observed.utility, config.memory, 2 / 3, seed))


def _refitted(n: int) -> int:
    """The number of observations at the last fit of hyperparameters, of ``n``.

    >>> [_refitted(n) for n in (4, 5, 30, 31, 1000)]
    [4, 5, 29, 29, 839]
    """
    size = at = min(n, LEARNABLE)
    while at <= n:
        size, at = at, max(at + 1, int(REFIT * at))
    return size


def _pool(
    generator: MoleculeGenerator,
    parents: Parents | None,
    surrogate: Surrogate | None,
    climb: Climb | None,
    region: TrustRegion,
    seen: Set[str],
    config: SearchConfig,
    size: int,
    seed: int,
) -> Candidates:
    """New molecules: bred from the parents over some generations, or from the prior alone."""
    n = config.candidates if size <= config.batch_size else max(config.candidates, 4 * size)
    if parents is None:
        n = n if surrogate is not None else 2 * size
        return proposals.from_prior(generator, n, seen, derive_seed(seed, "prior"))
    pool: Candidates | None = None
    bred = parents
    rounds = 1 if surrogate is None else config.rounds
    for attempt in range(rounds + ROUNDS):
        # Where nearly every step leads back to a known molecule, steps have to be longer.
        length = region.length * 2 ** max(0, attempt + 1 - rounds)
        known = seen if pool is None else seen | set(pool.smiles)
        seed_of = derive_seed(seed, "round", attempt)
        found = offspring(
            generator, bred, n // rounds, config.routes, length, known, seed_of, climb
        )
        pool = found if pool is None else Candidates.join([pool, found])
        if attempt + 1 >= rounds and len(pool) >= max(4 * config.batch_size, size):
            break
        if surrogate is not None and len(pool) and attempt + 1 < rounds:
            bred = _bred(parents, pool, surrogate)
    assert pool is not None
    if len(pool) < size:  # the neighbourhood is exhausted
        seen = seen | set(pool.smiles)
        more = proposals.from_prior(generator, n, seen, derive_seed(seed, "prior"))
        pool = Candidates.join([pool, more])
    return pool


def _bred(parents: Parents, pool: Candidates, surrogate: Surrogate) -> Parents:
    """The next generation's parents: of those before and their children, the most promising."""
    smiles = (*parents.smiles, *pool.smiles)
    z = np.concatenate([parents.z, pool.z])
    hopes = surrogate.hopes(Described.of(smiles, z))
    _, first = np.unique(smiles, return_index=True)  # a parent may stand there twice
    order = first[np.argsort(-hopes[first], kind="stable")][:PARENTS]
    return Parents(tuple(smiles[i] for i in order), z[order], by_rank(len(order)))


def _choose(
    surrogate: Surrogate,
    elite: Observed,
    pending: Sequence[Suggestion],
    waiting: int,
    pool: Candidates,
    acquisition: str,
    size: int,
    seed: int,
) -> tuple[list[int], list[Reason]]:
    """The candidates to evaluate, by what they are, and in utility what is expected of each.

    What the last ``waiting`` of those ``pending`` promise is not looked for again.
    """
    described = Described.of(pool.smiles, pool.z)
    hopes = surrogate.hopes(described)
    short = np.argsort(-hopes, kind="stable")[: max(SHORTLIST, 3 * size)]
    z = np.concatenate([elite.z, *(s.z[None] for s in pending), pool.z[short]])
    names = [*elite.smiles, *(s.smiles for s in pending), *(pool.smiles[i] for i in short)]
    joint = surrogate.joint(Described.of(names, z))
    # What is out for testing has an unknown value, like the best so far: a candidate is worth
    # what it adds to both.
    baseline = len(elite.smiles) + len(pending)
    seed = derive_seed(seed, "batch")
    picks = choose(acquisition, joint, baseline, size, seed, pending=waiting)
    chosen = joint.of([*range(baseline), *(baseline + i for i in picks)])
    gains = expected_improvements(chosen, baseline, seed)
    spread = chosen.covariance.diagonal().clamp_min(0.0).sqrt()
    means, spreads = chosen.mean[baseline:].tolist(), spread[baseline:].tolist()
    reasons = [Reason(*facts) for facts in zip(means, spreads, gains, strict=True)]
    return [int(short[i]) for i in picks], reasons


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
