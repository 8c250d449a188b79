"""Evaluation: each molecule once, within the budget, and no failure in silence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from molvae.base.errors import BudgetError, OracleError
from molvae.oracles.evaluator import Evaluator, Outcome
from molvae.oracles.objective import Objective


class Recorder:
    """An objective function that remembers what it was called with."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.calls: list[Any] = []

    def __call__(self, smiles: str) -> Any:
        self.calls.append(smiles)
        answer = self.answers.get(smiles, 1.0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def evaluator(function: Any, budget: int = 100, *, batch: bool = False) -> Evaluator:
    return Evaluator(Objective("test", function, "maximize", batch), budget)


def test_spellings_of_one_molecule_are_evaluated_once_and_cost_one() -> None:
    function = Recorder({"CCO": 7.0})
    judge = evaluator(function)
    outcomes = judge.evaluate(["OCC", "CCO", "C(O)C"]) + judge.evaluate(["CCO"])
    assert [o.value for o in outcomes] == [7.0] * 4
    assert function.calls == ["CCO"]
    assert judge.used == 1


@given(st.lists(st.sampled_from(["C", "CC", "OC", "CO", "N", "not a molecule", None])))
def test_outcomes_are_aligned_with_the_molecules(smiles: list[str | None]) -> None:
    values = {"C": 1.0, "CC": 2.0, "CO": 3.0, "OC": 3.0, "N": 4.0}
    outcomes = evaluator(Recorder(values)).evaluate(smiles)
    expected = [values.get(s, math.nan) if s is not None else math.nan for s in smiles]
    np.testing.assert_array_equal([o.value for o in outcomes], expected)


def test_what_is_no_molecule_costs_nothing_and_never_reaches_the_objective() -> None:
    function = Recorder({})
    judge = evaluator(function, budget=1)
    outcomes = judge.evaluate(["C1", None, "C"])
    assert [o.ok for o in outcomes] == [False, False, True]
    assert "not a molecule" in str(outcomes[0].failure)
    assert (function.calls, judge.used) == (["C"], 1)


def test_over_budget_raises_before_anything_is_evaluated() -> None:
    function = Recorder({})
    judge = evaluator(function, budget=3)
    judge.evaluate(["C", "CC"])
    with pytest.raises(BudgetError, match="2 new molecules were asked for, but only 1 of"):
        judge.evaluate(["CCC", "CCCC"])
    assert function.calls == ["C", "CC"]
    assert judge.remaining == 1
    assert judge.evaluate(["C", "CC", "CCC"])[2].ok


def test_known_outcomes_count_and_are_not_evaluated_again() -> None:
    function = Recorder({})
    objective = Objective("test", function, "maximize")
    judge = Evaluator(objective, 2, {"CCO": Outcome(5.0), "C": Outcome(math.nan, "broke")})
    assert [o.failure for o in judge.evaluate(["OCC", "C"])] == [None, "broke"]
    assert (function.calls, judge.remaining) == ([], 0)


def test_an_exception_is_the_failure_of_its_molecule_alone() -> None:
    function = Recorder({"CC": ValueError("no pocket")})
    outcomes = evaluator(function).evaluate(["C", "CC", "CCC"])
    assert [o.failure for o in outcomes] == [None, "ValueError: no pocket", None]
    assert math.isnan(outcomes[1].value)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (math.nan, "returned nan, not a finite number"),
        (-math.inf, "returned -inf, not a finite number"),
        (1e308, "returned 1e+308, beyond the largest value of 1e+100"),
        (-(10**101), "returned -1e+101, beyond the largest value of 1e+100"),
        ("0.5", "returned '0.5' (str), not a number"),
        (None, "returned None (NoneType), not a number"),
        ([0.5], "needs the batch flag"),
        (1j, "not a number"),
        (np.zeros(3), "not a number"),
        ("x" * 500, "..."),
    ],
)
def test_an_answer_that_is_no_finite_number_is_a_failure_with_its_reason(
    answer: Any, reason: str
) -> None:
    failure = evaluator(Recorder({"CC": answer})).evaluate(["C", "CC"])[1].failure
    assert failure is not None
    assert reason in failure
    assert len(failure) < 150


@pytest.mark.parametrize("answer", [2, 2.0, np.float32(2), np.int64(2), np.array(2.0), True + 1])
def test_numbers_of_every_kind_are_values(answer: Any) -> None:
    assert evaluator(lambda smiles: answer).evaluate(["C"]) == [Outcome(2.0)]


def test_batches_come_as_list_array_or_tensor() -> None:
    for make in (list, tuple, np.array, torch.tensor):
        judge = evaluator(
            lambda smiles, make=make: make([float(len(s)) for s in smiles]), batch=True
        )
        assert [o.value for o in judge.evaluate(["C", "CCC"])] == [1.0, 3.0]


def test_a_batch_objective_is_called_once_with_the_new_molecules() -> None:
    calls: list[Sequence[str]] = []

    def function(smiles: Sequence[str]) -> list[float]:
        calls.append(smiles)
        return [1.0] * len(smiles)

    judge = evaluator(function, batch=True)
    judge.evaluate(["C", "OC", "CO"])
    judge.evaluate(["C", "CC"])
    assert calls == [["C", "CO"], ["CC"]]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([1.0], "returned 1 values for a list of 2"),
        (3.0, r"returned 3.0 \(float\) for a list of 2"),
    ],
)
def test_a_batch_of_the_wrong_length_stops_the_run(answer: Any, message: str) -> None:
    judge = evaluator(lambda smiles: [1.0] if len(smiles) == 1 else answer, batch=True)
    judge.evaluate(["C"])
    with pytest.raises(OracleError, match=message):
        judge.evaluate(["CC", "CCC"])


def test_a_batch_that_fails_as_a_whole_raises_with_the_first_traceback() -> None:
    function = Recorder({"CC": KeyError("first"), "CCC": KeyError("second")})
    judge = evaluator(function)
    judge.evaluate(["C"])
    with pytest.raises(
        OracleError, match="all of 2 molecules, first on CC: KeyError: 'first'"
    ) as e:
        judge.evaluate(["CC", "CCC"])
    assert "Traceback (most recent call last)" in str(e.value)
    assert "in __call__" in str(e.value)
    assert "second" not in str(e.value)


def test_a_first_molecule_that_fails_is_named_once() -> None:
    with pytest.raises(OracleError, match="failed on its first molecule, CC: KeyError: 'first'"):
        evaluator(Recorder({"CC": KeyError("first")})).evaluate(["CC"])


def test_a_batch_that_fails_as_a_whole_is_not_recorded_and_can_be_tried_again() -> None:
    function = Recorder({"C": OSError("server down"), "CC": OSError("server down")})
    told: list[Any] = []
    judge = evaluator(function, budget=2)
    with pytest.raises(OracleError):
        judge.evaluate(["C", "CC"], told.extend)
    assert (told, judge.used) == ([], 0)
    function.answers.clear()
    assert all(o.ok for o in judge.evaluate(["C", "CC"], told.extend))


def test_one_molecule_without_a_value_does_not_stop_a_run_that_has_had_values() -> None:
    judge = evaluator(Recorder({"CC": ValueError("odd one")}))
    judge.evaluate(["C"])
    assert judge.evaluate(["CC"])[0].failure == "ValueError: odd one"


def test_a_batch_without_values_but_no_exception_is_recorded_once_there_have_been_values() -> None:
    judge = evaluator(lambda smiles: float("nan") if "N" in smiles else 1.0)
    judge.evaluate(["C"])
    assert not any(o.ok for o in judge.evaluate(["CN", "CCN"]))
    with pytest.raises(OracleError, match="returned nan"):
        evaluator(lambda smiles: float("nan")).evaluate(["CN", "CCN"])


def test_told_as_soon_as_known_each_position_once_leading_failures_with_the_first_value() -> None:
    order: list[str] = []
    function = Recorder({"C": ValueError("x")})

    def watched(smiles: str) -> Any:
        order.append(f"call {smiles}")
        return function(smiles)

    def tell(pairs: list[tuple[int, Outcome]]) -> None:
        order.append(f"tell {[place for place, _ in pairs]}")

    evaluator(watched).evaluate(["C", "CC", "C", "CCC", None], tell)
    assert order == [
        "tell [4]",
        "call C",
        "call CC",
        "tell [0, 2, 1]",
        "call CCC",
        "tell [3]",
    ]


def test_control_c_is_not_a_failure_of_the_molecule() -> None:
    def interrupted(smiles: str) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluator(interrupted).evaluate(["C"])
