"""What to test next, whoever tests it: the initial design first, then the search.

Everything here depends on its arguments alone, so that a campaign that was killed asks for what it
would have asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from molvae.chem.similarity import nearest_molecules
from molvae.optimize.config import SearchConfig
from molvae.optimize.goals import Goals
from molvae.optimize.memory import Memory
from molvae.optimize.multi import Several
from molvae.optimize.proposals import MoleculeGenerator
from molvae.optimize.restricted import RestrictedGenerator
from molvae.optimize.standing import Standing
from molvae.optimize.store import Observation, Suggestion
from molvae.optimize.strategy import first_batch, next_batch

INITIAL_BATCHES = 3
"""Batches of prior samples before anything is learnt, unless the caller says otherwise."""


def plan(
    generator: MoleculeGenerator,
    goals: Goals,
    config: SearchConfig,
    observations: Sequence[Observation],
    pending: Sequence[Suggestion] = (),
    *,
    size: int,
    start: Sequence[str] = (),
    initial: int = 0,
    memory: Memory | None = None,
) -> list[Suggestion]:
    """At most ``size`` new molecules: those of the design that are left, then those of the search.

    The design is the ``start`` molecules and as many samples of the prior as make the molecules
    known, told or ``pending``, ``initial`` in number. The search begins when one is tested.

    No molecule is proposed that misses what ``goals`` say of it without measuring; those of
    ``start`` are the user's choice.
    """
    if goals.filters:
        generator = RestrictedGenerator(generator, goals)
    known = [*(o.suggestion for o in observations), *pending]
    usable = [s for s in known if s.usable]
    missing = max(0, initial - sum(s.origin != "start" for s in usable))
    step = max((s.step for s in known), default=0)
    seen = {s.smiles for s in known}
    design = first_batch(generator, start, min(missing, size), config, seen, step)[:size]
    if len(design) == size or not any(o.suggestion.usable for o in observations):
        return design
    learnt = Standing.of(goals, [o for o in observations if o.suggestion.usable])
    others = next_batch(
        generator,
        goals.objectives[0].direction,
        observations,
        config,
        pending=[*pending, *design],
        size=size - len(design),
        several=None if goals.plain else Several(learnt, config),
        memory=memory,
    )
    return design + others


def with_neighbours(
    suggestions: Sequence[Suggestion], observations: Sequence[Observation]
) -> list[Suggestion]:
    """The suggestions, each with the most similar molecule that was tested."""
    tested = [o.suggestion.smiles for o in observations]
    found, alike = nearest_molecules(
        [s.smiles for s in suggestions], tested, workers=1, progress=False
    )
    return [
        replace(s, reason=replace(s.reason, nearest=nearest, similarity=float(similarity)))
        for s, nearest, similarity in zip(suggestions, found, alike, strict=True)
    ]
