"""Evaluation with a cache, a budget of unique molecules, and failures that are never silent."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor

from molvae.base.errors import BudgetError, OracleError
from molvae.base.progress import Progress
from molvae.chem.smiles import canonicalise_many
from molvae.oracles.answers import Outcome
from molvae.oracles.calls import Caller
from molvae.oracles.objective import Objective
from molvae.oracles.options import EvaluatorOptions

__all__ = ["Evaluator", "EvaluatorOptions", "Outcome", "Tell"]

Tell = Callable[[list[tuple[int, Outcome]]], None]

NOT_A_MOLECULE = Outcome(math.nan, "not a molecule: it cannot be parsed")


class Evaluator:
    """Evaluates each molecule at most once, and never more of them than the budget.

    Args:
        objective: what is evaluated.
        budget: unique molecules that may be evaluated; one that is tried again counts once.
        known: outcomes of an earlier session by canonical SMILES: they count towards the budget
            and are never evaluated again.
        options: worker processes, time and memory limits, further tries; the default evaluates in
            this process.
        executor: evaluates in the place of our own workers: any
            :class:`concurrent.futures.Executor`, for instance a Dask client's ``get_executor()``.
            It is not shut down here.

    An evaluator with workers is closed by its ``with`` block, by :meth:`close`, or at exit.

    >>> evaluator = Evaluator(Objective("length", len, "maximize"), budget=10)
    >>> [outcome.value for outcome in evaluator.evaluate(["OCC", "CCO", "C"])]
    [3.0, 3.0, 1.0]
    >>> evaluator.used, evaluator.remaining
    (2, 8)
    """

    def __init__(
        self,
        objective: Objective,
        budget: int,
        known: Mapping[str, Outcome] | None = None,
        *,
        options: EvaluatorOptions | None = None,
        executor: Executor | None = None,
    ) -> None:
        self.objective = objective
        self.budget = budget
        self._outcomes = dict(known or {})
        self._caller = Caller(objective, options or EvaluatorOptions(), executor)

    @property
    def used(self) -> int:
        """Unique molecules evaluated so far."""
        return len(self._outcomes)

    @property
    def remaining(self) -> int:
        """Unique molecules that may still be evaluated."""
        return max(0, self.budget - self.used)

    def close(self) -> None:
        """End the worker processes, if there are any; outcomes are kept."""
        self._caller.close()

    def __enter__(self) -> Evaluator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def evaluate(
        self,
        smiles: Sequence[str | None],
        tell: Tell | None = None,
        *,
        progress: bool | None = False,
    ) -> list[Outcome]:
        """The outcome of each molecule, in order; text that is no molecule costs no evaluation.

        ``tell`` receives ``(position in smiles, outcome)`` pairs, every position once, as soon as
        they are known: one by one from an objective of single molecules, by calls from a batch
        objective; in the order in which they are done where there are workers. Leading failures
        are held back until something succeeds, so that an objective that is simply broken leaves
        nothing recorded. ``progress`` shows a bar; None means only on a terminal.

        Raises:
            BudgetError: more new molecules than the budget allows; none of them is evaluated.
            OracleError: the whole batch failed: every molecule raised an exception (two of them
                at least), or none has had a value yet. It carries the first traceback. Or the
                executor is broken.
            ConfigError: the objective cannot be sent to other processes.
        """
        canonical = canonicalise_many(smiles)
        new = [s for s in dict.fromkeys(canonical) if s is not None and s not in self._outcomes]
        if len(new) > self.remaining:
            raise BudgetError(
                f"{len(new)} new molecules were asked for, but only {self.remaining} of the budget "
                f"of {self.budget} evaluations are left"
            )
        places: dict[str, list[int]] = {s: [] for s in new}
        old = []
        for position, text in enumerate(canonical):
            if text in places:
                places[text].append(position)
            else:
                old.append((position, self._outcome_of(text)))
        if old and tell is not None:
            tell(old)
        with Progress(str(self.objective), len(new), progress) as bar:
            for pairs in self._evaluate_new(new, bar):
                self._outcomes.update(pairs)
                if tell is not None:
                    tell([(place, outcome) for s, outcome in pairs for place in places[s]])
        return [self._outcome_of(text) for text in canonical]

    def _outcome_of(self, smiles: str | None) -> Outcome:
        return NOT_A_MOLECULE if smiles is None else self._outcomes[smiles]

    def _evaluate_new(
        self, smiles: list[str], bar: Progress
    ) -> Iterator[list[tuple[str, Outcome]]]:
        """Yield outcomes as they may be recorded, or raise where the whole batch failed."""
        had_value = any(outcome.ok for outcome in self._outcomes.values())
        held: list[tuple[str, Outcome]] = []
        broken: list[str] = []
        any_ok = False
        for group, answer in self._caller.answers(smiles):
            bar.advance(len(group))
            broken += [answer.trouble] * len(group) if answer.trouble else []
            any_ok = any_ok or any(outcome.ok for outcome in answer.outcomes)
            held.extend(zip(group, answer.outcomes, strict=True))
            if any_ok:
                yield held
                held = []
        if not held:
            return
        if not had_value or len(broken) == len(smiles) > 1:
            first, outcome = held[0]
            subject = f"its first molecule, {first}"
            if len(smiles) > 1:
                subject = f"all of {len(smiles)} molecules, first on {first}"
            more = f"\n{broken[0]}" if broken and broken[0] != outcome.failure else ""
            raise OracleError(
                f"objective {self.objective.name!r} failed on {subject}: {outcome.failure}{more}"
            )
        yield held
