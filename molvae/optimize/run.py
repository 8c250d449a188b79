"""Optimisation of an objective in a generator's latent space, from first to last evaluation."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any

from molvae.base.errors import BudgetError, InputError
from molvae.base.progress import Progress
from molvae.chem.smiles import canonicalise_many
from molvae.optimize.config import SearchConfig
from molvae.optimize.plan import INITIAL_BATCHES, plan
from molvae.optimize.proposals import MoleculeGenerator
from molvae.optimize.result import Result
from molvae.optimize.store import Store, Suggestion
from molvae.oracles.evaluator import Evaluator, Outcome
from molvae.oracles.objective import Objective
from molvae.oracles.options import EvaluatorOptions


def optimize(
    generator: MoleculeGenerator,
    objective: Objective,
    *,
    budget: int,
    batch_size: int = 10,
    initial: int | None = None,
    candidates: int = 512,
    start: Sequence[str] = (),
    seed: int = 0,
    store: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool | None = None,
    evaluation: EvaluatorOptions | None = None,
    executor: Executor | None = None,
) -> Result:
    """Find the molecules that score best on ``objective`` within ``budget`` evaluations.

    Bayesian optimisation: molecules are proposed around the best ones in latent space (in a trust
    region), at the peaks of a surrogate, and from the prior; decoded; and chosen by expected
    improvement under a Gaussian process on what they really are, their own re-encoded latent and
    their structure. Nothing is added to the objective. See :class:`SearchConfig` for
    ``batch_size``, ``initial`` and ``candidates``.

    Args:
        generator: a :class:`molvae.generator.Generator`, or anything with its four members.
        budget: unique molecules evaluated at most, start molecules and failures included.
        start: molecules to begin with (all are evaluated), for instance a lead or a series.
        store: SQLite file that records the campaign; None keeps it in memory.
        resume: go on with ``store`` where it stopped. Nothing is evaluated twice, and the
            molecules are those of an uninterrupted run. The budget may be another one.
        progress: show a bar; None means only on a terminal.
        evaluation: worker processes, limits and further tries; the default is this process.
        executor: evaluates in their place, for instance on a cluster; see :class:`Evaluator`.

    Returns:
        All evaluations. Fewer than ``budget`` if the generator has no more new molecules.

    Raises:
        BudgetError: more start molecules than the budget.
        InputError: no molecule to begin with: none of ``start`` can be encoded, and no samples.
        OracleError: the objective failed on a whole batch.
        ConfigError, ModelError, FileError: the store is another campaign's, damaged or in use.

    The same seed gives the same molecules on the same machine with the same number of threads.
    """
    config = SearchConfig(batch_size=batch_size, initial=initial, candidates=candidates, seed=seed)
    start = list(dict.fromkeys(start))
    if len(start) > budget:
        raise BudgetError(
            f"there are {len(start)} start molecules, but the budget is {budget} evaluations; "
            "raise the budget or shorten the list"
        )
    if budget < 1:
        raise BudgetError(f"the budget is {budget} evaluations; give at least 1")
    with Store(store, _settings(generator, objective, config, start), resume=resume) as campaign:
        told = campaign.observations()
        known = {o.suggestion.smiles: o.outcome for o in told}
        evaluator = Evaluator(objective, budget, known, options=evaluation, executor=executor)
        with evaluator, Progress(str(objective), budget, progress) as bar:
            bar.advance(min(budget, len(told)))
            while evaluator.remaining:
                batch = campaign.pending()
                if not batch:
                    batch = _propose(generator, objective, campaign, config, start, budget)
                    campaign.suggest(batch)
                if not batch:
                    break
                _evaluate(evaluator, batch[: evaluator.remaining], campaign, bar)
        observations = tuple(campaign.observations())
    stopped = "the generator has no more new molecules" if evaluator.remaining else "budget used"
    evaluated = {o.suggestion.smiles for o in observations}
    left_out = [
        text
        for text, smiles in zip(start, canonicalise_many(start), strict=True)
        if smiles not in evaluated
    ]
    return Result(objective, observations, stopped, tuple(left_out))


def _propose(
    generator: MoleculeGenerator,
    objective: Objective,
    campaign: Store,
    config: SearchConfig,
    start: Sequence[str],
    budget: int,
) -> list[Suggestion]:
    observations = campaign.observations()
    initial = 0
    if not observations and config.initial is not None:
        initial = config.initial
    elif not observations and not start:
        initial = max(1, min(INITIAL_BATCHES * config.batch_size, budget // 3))
    size = config.batch_size if observations else len(start) + initial
    found = plan(
        generator,
        objective.direction,
        config,
        observations,
        size=min(size, budget - len(observations)),
        start=start,
        initial=initial,
    )
    if not found and not observations:
        raise InputError(
            "there is no molecule to begin with: the model can encode none of the start molecules"
            if start
            else "there is no molecule to begin with: the model's samples cannot be encoded"
        )
    return found


def _evaluate(
    evaluator: Evaluator, batch: Sequence[Suggestion], campaign: Store, bar: Progress
) -> None:
    def tell(pairs: list[tuple[int, Outcome]]) -> None:
        campaign.tell([(batch[i].smiles, outcome) for i, outcome in pairs])
        bar.advance(len(pairs))

    evaluator.evaluate([s.smiles for s in batch], tell)
    if bar.visible:
        best = Result(evaluator.objective, tuple(campaign.observations()), "").top(1)
        bar.note(f"best {best[0][1]:.4g}" if best else "")


def _settings(
    generator: MoleculeGenerator, objective: Objective, config: SearchConfig, start: Sequence[str]
) -> dict[str, Any]:
    """What a campaign must have in common with its resumption; the budget may change."""
    return {
        "model": generator.fingerprint,
        "objective": objective.describe(),
        **config.to_dict(),
        "start": hashlib.sha256("\n".join(start).encode()).hexdigest(),
    }
