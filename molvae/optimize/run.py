"""Optimisation of an objective in a generator's latent space, from first to last evaluation."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from molvae.base.errors import BudgetError, InputError
from molvae.base.progress import Progress
from molvae.optimize.campaign import Campaign
from molvae.optimize.config import SearchConfig
from molvae.optimize.constraints import Constraint
from molvae.optimize.filtered import only
from molvae.optimize.goals import Goals
from molvae.optimize.measurements import Measurement, Results, measurements
from molvae.optimize.plan import INITIAL_BATCHES
from molvae.optimize.proposals import MoleculeGenerator
from molvae.optimize.records import Observation, Suggestion
from molvae.optimize.renewal import check_renewable
from molvae.optimize.restriction import Restriction
from molvae.optimize.result import Result
from molvae.optimize.starting import none_usable, usable_and_others
from molvae.optimize.store import Store
from molvae.oracles.evaluator import Evaluator, Outcome, Tell
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
    known: Results = (),
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
        known: molecules with values of the objective known already, ``{smiles: value}`` (with
            several objectives, mappings of their names to values), as
            :meth:`~molvae.optimize.campaign.Campaign.tell` takes them. The search learns from them
            and proposes none of them; they cost no evaluation, and are not in the result.
        store: SQLite file that records the campaign; None keeps it in memory. A run that fails
            before anything is evaluated leaves none.
        resume: go on with ``store`` where it stopped. Nothing is evaluated twice, and the
            molecules are those of an uninterrupted run. The budget may be another one.
        progress: show a bar; None means only on a terminal.
        evaluation: worker processes, limits and further tries; the default is this process.
        executor: evaluates in their place, for instance on a cluster; see :class:`Evaluator`.
        search: keys of :class:`SearchConfig`, such as ``batch_size``, ``initial`` and ``seed``.
            Those not given are :meth:`SearchConfig.usual` for the budget, or, with ``resume``, what
            the campaign was begun with.

    Returns:
        All evaluations. Fewer than ``budget`` if the generator has no more new molecules.

    Raises:
        BudgetError: more start molecules than the budget, those left out not counted.
        InputError: no molecule to begin with: none of ``start`` can be used, no samples, or
            none that meets the constraints. Or a value of ``known`` that cannot be read.
        OracleError: the objective failed on a whole batch.
        ConfigError: constraints that cannot be read or met; settings of the search that say
            nothing with these objectives.
        ConfigError, ModelError, FileError: the store is another campaign's, damaged or in use.

    The same seed gives the same molecules on the same machine with the same number of threads.
    """
    objectives = [objective] if isinstance(objective, Objective) else list(objective)
    aims = [(each.name, each.direction) for each in objectives]
    goals = Goals.of(aims, constraints, restriction=restriction)
    config = _config(search, budget, store if resume else None)
    config.check(len(objectives), goals.plain)
    check_renewable(generator, config)
    start = list(dict.fromkeys(start))
    usable, left_out = usable_and_others(generator, start)
    if len(usable) > budget:
        raise BudgetError(
            f"there are {len(usable)} start molecules, but the budget is {budget} evaluations; "
            "raise the budget or shorten the list"
        )
    if budget < 1:
        raise BudgetError(f"the budget is {budget} evaluations; give at least 1")
    known = measurements(known)
    settings = _settings(generator, objectives, goals, config, start, known)
    with Campaign(Store(store, settings, resume=resume), generator, start) as campaign:
        with ExitStack() as stack:
            stack.enter_context(_kept_if_evaluated(campaign))
            # A run that is resumed is told again what it knows already.
            unlearnt = campaign.tell(known, skip_known=True).unusable if known else ()
            # What was begun under a larger budget is finished under a smaller one.
            allowed = max(budget, len(_evaluated(campaign)))
            evaluators = [
                stack.enter_context(
                    Evaluator(
                        each, allowed, _known(campaign, i), options=evaluation, executor=executor
                    )
                )
                for i, each in enumerate(objectives)
            ]
            title = ", ".join(map(str, objectives))
            bar = stack.enter_context(Progress(title, budget, progress))
            stopped = _run(campaign, evaluators, budget, bar, only(generator))
        made = [replace(o, order=i) for i, o in enumerate(_evaluated(campaign), start=1)]
    plan = None if goals.plain else goals
    return Result(objectives[0], tuple(made), stopped, tuple(left_out), plan, unlearnt)


@contextmanager
def _kept_if_evaluated(campaign: Campaign) -> Iterator[None]:
    """A run that begins a campaign and fails with nothing evaluated leaves no file, which would
    only be in the way of the run that is meant. One that held anything before is kept."""
    begun = not campaign.observations() and not campaign.pending()
    try:
        yield
    except BaseException:
        if begun and not _evaluated(campaign):
            campaign.discard()
        raise


def _evaluated(campaign: Campaign) -> list[Observation]:
    """The molecules that the objectives were asked of; what was known before cost nothing."""
    return [o for o in campaign.observations() if o.suggestion.origin != "told"]


def _run(
    campaign: Campaign, evaluators: Sequence[Evaluator], budget: int, bar: Progress, kept: str
) -> str:
    """Propose and evaluate until there is a reason to stop, which is returned."""
    bar.advance(min(budget, len(_evaluated(campaign))))
    while True:
        observations = _evaluated(campaign)
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
            return f"the generator has no more new molecules{kept}"
        _evaluate(campaign, evaluators, pending[: max(0, room)], bar)


def _propose(campaign: Campaign, evaluated: Sequence[Observation], budget: int) -> list[Suggestion]:
    config, start, initial = campaign.config, campaign.start, 0
    size = config.batch_after(len(evaluated))
    if not evaluated:
        if config.initial is not None:
            initial = config.initial
        elif not start and not campaign.learnable:
            initial = max(1, min(INITIAL_BATCHES * config.batch_size, budget // 3))
        size = len(start) + initial or size
    size = min(size, budget - len(evaluated))
    # Nobody asks why while it runs: what is nearest costs more the more is known.
    found = campaign.propose(size, initial=initial, neighbours=False)
    if not found and not campaign.observations():
        raise InputError(
            none_usable(campaign.left_out())
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
    observations = _evaluated(campaign)
    for number, evaluator in enumerate(evaluators):
        half = [o.suggestion for o in observations if not o.of(number).told]
        smiles = [s.smiles for s in (*half, *batch)]
        # A molecule is done when the last of its objectives is.
        done = bar if evaluator is evaluators[-1] else None
        evaluator.evaluate(smiles, _writer(campaign, number, smiles, done))
    best = campaign.best(1) if bar.visible and len(evaluators) == 1 else []
    if bar.visible:
        bar.note(f"best {best[0].outcome.value:.4g}" if best else "")


def _writer(campaign: Campaign, number: int, smiles: Sequence[str], bar: Progress | None) -> Tell:
    """What records the outcomes of one objective as they come."""

    def tell(pairs: list[tuple[int, Outcome]]) -> None:
        campaign.evaluated([(smiles[i], outcome) for i, outcome in pairs], number)
        if bar is not None:
            bar.advance(len(pairs))

    return tell


def _known(campaign: Campaign, number: int) -> dict[str, Outcome]:
    """What an earlier run has evaluated of an objective."""
    told = {o.suggestion.smiles: o.of(number) for o in _evaluated(campaign)}
    return {smiles: measured.outcome for smiles, measured in told.items() if measured.told}


def _untold(observation: Observation, evaluators: Sequence[Evaluator]) -> bool:
    return any(not observation.of(number).told for number in range(len(evaluators)))


def _config(
    search: Mapping[str, Any], budget: int, begun: str | os.PathLike[str] | None
) -> SearchConfig:
    """The search as asked for, and as the campaign was ``begun`` where nothing is said."""
    usual: Mapping[str, Any] = SearchConfig.usual(budget)
    if begun is not None and Path(begun).exists():
        with Store(begun, {}, resume=True, create=False, partial=True) as store:
            usual = {key: store.settings.get(key) for key in SearchConfig.model_fields}
        usual = {key: value for key, value in usual.items() if value is not None}
    return SearchConfig.parse({**usual, **search}, where="optimize")


def _settings(
    generator: MoleculeGenerator,
    objectives: Sequence[Objective],
    goals: Goals,
    config: SearchConfig,
    start: Sequence[str],
    known: Sequence[Measurement],
) -> dict[str, Any]:
    """What a campaign must have in common with its resumption; the budget may change."""
    others = [each.describe() for each in objectives[1:]]
    return {
        "model": generator.fingerprint,
        "objective": objectives[0].describe(),
        "others": others or None,  # None is what files of before say of it
        "goals": None if goals.plain else goals.to_dict(),
        **config.to_dict(),
        "start": _digest(start),
        "known": _digest([f"{m.smiles} {m.assay} {m.cell}" for m in known]) if known else None,
    }


def _digest(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
