"""Evaluation with a cache, a budget of unique molecules, and failures that are never silent."""

from __future__ import annotations

import math
import numbers
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from molvae.base.errors import BudgetError, OracleError
from molvae.chem.smiles import canonicalise_many
from molvae.oracles.objective import Objective


@dataclass(frozen=True)
class Outcome:
    """What an objective said of one molecule: a finite value, or NaN and the reason for it."""

    value: float
    failure: str | None = None

    @property
    def ok(self) -> bool:
        """Whether there is a value."""
        return self.failure is None


Tell = Callable[[list[tuple[int, Outcome]]], None]

NOT_A_MOLECULE = Outcome(math.nan, "not a molecule: it cannot be parsed")


class Evaluator:
    """Calls an objective at most once for each molecule, and never beyond the budget.

    ``known`` holds outcomes of an earlier session by canonical SMILES: they count towards the
    budget and are never evaluated again.

    >>> evaluator = Evaluator(Objective("length", len, "maximize"), budget=10)
    >>> [outcome.value for outcome in evaluator.evaluate(["OCC", "CCO", "C"])]
    [3.0, 3.0, 1.0]
    >>> evaluator.used, evaluator.remaining
    (2, 8)
    """

    def __init__(
        self, objective: Objective, budget: int, known: Mapping[str, Outcome] | None = None
    ) -> None:
        self.objective = objective
        self.budget = budget
        self._outcomes = dict(known or {})

    @property
    def used(self) -> int:
        """Unique molecules evaluated so far."""
        return len(self._outcomes)

    @property
    def remaining(self) -> int:
        """Unique molecules that may still be evaluated."""
        return max(0, self.budget - self.used)

    def evaluate(self, smiles: Sequence[str | None], tell: Tell | None = None) -> list[Outcome]:
        """The outcome of each molecule, in order; text that is no molecule costs no evaluation.

        ``tell`` receives ``(position in smiles, outcome)`` pairs, every position once, as soon as
        they are known: one by one from an objective of single molecules, all together from a batch
        objective. Leading failures are held back until something succeeds, so that an objective
        that is simply broken leaves nothing recorded.

        Raises:
            BudgetError: more new molecules than the budget allows; none of them is evaluated.
            OracleError: the whole batch failed: every molecule raised an exception (two of them
                at least), or none has had a value yet. It carries the first traceback.
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
        for pairs in self._evaluate_new(new):
            self._outcomes.update(pairs)
            if tell is not None:
                tell([(place, outcome) for s, outcome in pairs for place in places[s]])
        return [self._outcome_of(text) for text in canonical]

    def _outcome_of(self, smiles: str | None) -> Outcome:
        return NOT_A_MOLECULE if smiles is None else self._outcomes[smiles]

    def _evaluate_new(self, smiles: list[str]) -> Iterator[list[tuple[str, Outcome]]]:
        """Yield outcomes as they may be recorded, or raise where the whole batch failed."""
        had_value = any(outcome.ok for outcome in self._outcomes.values())
        held: list[tuple[str, Outcome]] = []
        broken: list[str] = []
        any_ok = False
        for group in [smiles] if self.objective.batch else [[s] for s in smiles]:
            outcomes, trouble = self._call(group)
            broken += [trouble] * len(group) if trouble else []
            any_ok = any_ok or any(outcome.ok for outcome in outcomes)
            held.extend(zip(group, outcomes, strict=True))
            if any_ok:
                yield held
                held = []
        if not held:
            return
        if not had_value or len(broken) == len(smiles) > 1:
            subject = f"all of {len(smiles)} molecules" if len(smiles) > 1 else "its first molecule"
            raise OracleError(
                f"objective {self.objective.name!r} failed on {subject}, first on "
                f"{held[0][0]}: {held[0][1].failure}" + (f"\n{broken[0]}" if broken else "")
            )
        yield held

    def _call(self, smiles: list[str]) -> tuple[list[Outcome], str]:
        """Outcomes of one call, and, where the call as a whole went wrong, what happened."""
        batch = self.objective.batch
        try:
            answer = self.objective.function(list(smiles) if batch else smiles[0])
        except Exception as error:
            # Whatever a user's function raises is that molecule's failure, by contract.
            failed = Outcome(math.nan, f"{type(error).__name__}: {error}")
            return [failed] * len(smiles), traceback.format_exc().rstrip()
        if not batch:
            return [_outcome(answer)], ""
        values = _as_list(answer)
        if values is None or len(values) != len(smiles):
            given = _shown(answer) if values is None else f"{len(values)} values"
            trouble = f"returned {given} for a list of {len(smiles)} molecules"
            return [Outcome(math.nan, trouble)] * len(smiles), trouble
        return self._explained(smiles, [_outcome(value) for value in values]), ""

    def _explained(self, smiles: list[str], outcomes: list[Outcome]) -> list[Outcome]:
        """The outcomes, those that failed with the objective's own reason, where it has one."""
        failed = [i for i, outcome in enumerate(outcomes) if not outcome.ok]
        if self.objective.explain is None or not failed:
            return outcomes
        reasons = self.objective.explain([smiles[i] for i in failed])
        for i, reason in zip(failed, reasons, strict=True):
            outcomes[i] = Outcome(math.nan, reason or outcomes[i].failure)
        return outcomes


def _as_list(answer: Any) -> list[Any] | None:
    """The values of a batch from a list, tuple, array, tensor or series; None from the rest."""
    if hasattr(answer, "tolist"):
        answer = answer.tolist()
    return list(answer) if isinstance(answer, list | tuple) else None


def _outcome(value: Any) -> Outcome:
    if getattr(value, "shape", None) in ((), (1,)):
        value = value.item()  # a scalar as numpy and torch write it
    if not isinstance(value, numbers.Real):
        hint = "; a function of a list needs the batch flag" if isinstance(value, list) else ""
        return Outcome(math.nan, f"returned {_shown(value)}, not a number{hint}")
    number = float(value)
    if not math.isfinite(number):
        return Outcome(math.nan, f"returned {number}, not a finite number")
    return Outcome(number)


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"
