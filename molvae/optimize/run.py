"""Optimisation of an objective in a generator's latent space, from first to last evaluation."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from typing import Any

from molvae.base.errors import BudgetError, InputError
from molvae.base.progress import Progress
from molvae.chem.smiles import canonicalise_many
from molvae.optimize.campaign import Campaign
from molvae.optimize.config import SearchConfig
from molvae.optimize.constraints import Constraint
from molvae.optimize.goals import Goals
from molvae.optimize.plan import INITIAL_BATCHES
from molvae.optimize.proposals import MoleculeGenerator
from molvae.optimize.records import Observation, Suggestion
from molvae.optimize.restriction import Restriction
from molvae.optimize.result import Result
from molvae.optimize.store import Store
from molvae.oracles.evaluator import Evaluator, Outcome
from molvae.oracles.objective import Objective
from molvae.oracles.options import EvaluatorOptions


def optimize(
    generator: MoleculeGenerator,
    objective: Objective | Sequence[Objective],
    *,
    budget: int,
    constraints: Sequence[str | Constraint] = (),
    restriction: Restriction | Mapping[str, Any] | None = None,
    start: Sequence[str] = (),
    store: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: bool | None = None,
    evaluation: EvaluatorOptions | None = None,
    executor: Executor | None = None,
    **search: Any,
) -> Result:
    """Find the molecules that score best on ``objective`` within ``budget`` evaluations.

    Bayesian optimisation: candidates are bred from the best molecules so far, through the latent
    space and on their graphs, over generations that a Gaussian process judges by what molecules
    really are: their structure, their composition, their own re-encoded latent. Of these a batch is
    chosen by Thompson sampling. Nothing is added to the objective. It is a
    :class:`~molvae.optimize.campaign.Campaign` that the objective answers.

    Args:
        generator: a :class:`molvae.generator.Generator`, or anything with its four members.
        objective: one, or several: then the search is for their Pareto set.
        budget: unique molecules evaluated at most, start molecules and failures included.
        constraints: such as ``"SA < 4 and no alerts"``, on properties or on the values of
            objectives, by their names. Molecules that miss one on a property are not evaluated.
        restriction: the lead that the search is kept near; a
            :class:`~molvae.optimize.restriction.Restriction` or its keys.
        start: molecules to begin with (all are evaluated), for instance a lead or a series.
        store: SQLite file that records the campaign; None keeps it in memory.
        resume: go on with ``store`` where it stopped. Nothing is evaluated twice, and the
            molecules are those of an uninterrupted run. The budget may be another one.
        progress: show a bar; None means only on a terminal.
        evaluation: worker processes, limits and further tries; the default is this process.
        executor: evaluates in their place, for instance on a cluster; see :class:`Evaluator`.
        search: keys of :class:`SearchConfig`, such as ``batch_size``, ``initial`` and ``seed``.

    Returns:
        All evaluations. Fewer than ``budget`` if the generator has no more new molecules.

    Raises:
        BudgetError: more start molecules than the budget.
        InputError: no molecule to begin with: none of ``start`` can be encoded, no samples, or
            none that meets the constraints.
        OracleError: the objective failed on a whole batch.
        ConfigError: constraints that cannot be read or met.
        ConfigError, ModelError, FileError: the store is another campaign's, damaged or in use.

    The same seed gives the same molecules on the same machine with the same number of threads.
    """
    objectives = [objective] if isinstance(objective, Objective) else list(objective)
    aims = [(each.name, each.direction) for each in objectives]
    goals = Goals.of(aims, constraints, restriction=restriction)
    config = SearchConfig.parse(search, where="optimize")
    config.check(len(objectives))
    start = list(dict.fromkeys(start))
    if len(start) > budget:
        raise BudgetError(
            f"there are {len(start)} start molecules, but the budget is {budget} evaluations; "
            "raise the budget or shorten the list"
        )
    if budget < 1:
        raise BudgetError(f"the budget is {budget} evaluations; give at least 1")
    settings = _settings(generator, objectives, goals, config, start)
    with Campaign(Store(store, settings, resume=resume), generator, start) as campaign:
        with ExitStack() as stack:
            evaluators = [
                stack.enter_context(
                    Evaluator(
                        each, budget, _known(campaign, i), options=evaluation, executor=executor
                    )
                )
                for i, each in enumerate(objectives)
            ]
            title = ", ".join(map(str, objectives))
            bar = stack.enter_context(Progress(title, budget, progress))
            stopped = _run(campaign, evaluators, budget, bar)
        observations = tuple(campaign.observations())
    evaluated = {o.suggestion.smiles for o in observations}
    left_out = [
        text
        for text, smiles in zip(start, canonicalise_many(start), strict=True)
        if smiles not in evaluated
    ]
    return Result(
        objectives[0], observations, stopped, tuple(left_out), None if goals.plain else goals
    )


def _run(campaign: Campaign, evaluators: Sequence[Evaluator], budget: int, bar: Progress) -> str:
    """Propose and evaluate until there is a reason to stop, which is returned."""
    bar.advance(min(budget, len(campaign.observations())))
    while True:
        observations = campaign.observations()
        room = budget - len(observations)
        half = [o.suggestion for o in observations if _untold(o, evaluators)]
        if room <= 0 and not half:
            return "budget used"
        pending = campaign.pending()
        if not half and not pending:
            try:
                pending = _propose(campaign, observations, budget)
            except InputError as error:  # a run that has found something keeps what it has
                if not observations:
                    raise
                return str(error)
            campaign.record(pending)
        if not half and not pending:
            return "the generator has no more new molecules"
        _evaluate(campaign, evaluators, pending[: max(0, room)], bar)


def _propose(
    campaign: Campaign, observations: Sequence[Observation], budget: int
) -> list[Suggestion]:
    config, start, initial = campaign.config, campaign.start, 0
    if not observations and config.initial is not None:
        initial = config.initial
    elif not observations and not start:
        initial = max(1, min(INITIAL_BATCHES * config.batch_size, budget // 3))
    size = config.batch_after(len(observations)) if observations else len(start) + initial
    size = min(size, budget - len(observations))
    # Nobody asks why while it runs: what is nearest costs more the more is known.
    found = campaign.propose(size, initial=initial, neighbours=False)
    if not found and not observations:
        raise InputError(
            "there is no molecule to begin with: the model can encode none of the start molecules"
            if start
            else "there is no molecule to begin with: the model's samples cannot be encoded"
        )
    return found


def _evaluate(
    campaign: Campaign,
    evaluators: Sequence[Evaluator],
    batch: Sequence[Suggestion],
    bar: Progress,
) -> None:
    """Evaluate a batch, and what an earlier run left without the values of some objectives."""
    observations = campaign.observations()
    for number, evaluator in enumerate(evaluators):
        half = [o.suggestion for o in observations if not o.of(number).told]
        smiles = [s.smiles for s in (*half, *batch)]
        last = evaluator is evaluators[-1]

        def tell(
            pairs: list[tuple[int, Outcome]],
            number: int = number,
            smiles: list[str] = smiles,
            last: bool = last,
        ) -> None:
            campaign.evaluated([(smiles[i], outcome) for i, outcome in pairs], number)
            bar.advance(len(pairs) if last else 0)

        evaluator.evaluate(smiles, tell)
    best = campaign.best(1) if bar.visible and len(evaluators) == 1 else []
    if bar.visible:
        bar.note(f"best {best[0].outcome.value:.4g}" if best else "")


def _known(campaign: Campaign, number: int) -> dict[str, Outcome]:
    """What an earlier run has evaluated of an objective."""
    told = {o.suggestion.smiles: o.of(number) for o in campaign.observations()}
    return {smiles: measured.outcome for smiles, measured in told.items() if measured.told}


def _untold(observation: Observation, evaluators: Sequence[Evaluator]) -> bool:
    return any(not observation.of(number).told for number in range(len(evaluators)))


def _settings(
    generator: MoleculeGenerator,
    objectives: Sequence[Objective],
    goals: Goals,
    config: SearchConfig,
    start: Sequence[str],
) -> dict[str, Any]:
    """What a campaign must have in common with its resumption; the budget may change."""
    others = [each.describe() for each in objectives[1:]]
    return {
        "model": generator.fingerprint,
        "objective": objectives[0].describe(),
        "others": others or None,  # None is what files of before say of it
        "goals": None if goals.plain else goals.to_dict(),
        **config.recorded(),
        "start": hashlib.sha256("\n".join(start).encode()).hexdigest(),
    }
