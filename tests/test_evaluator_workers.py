"""Evaluation in worker processes: what goes wrong with one molecule leaves the others alone."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import misbehaviour
import pytest
from misbehaviour import is_alive, until

from molvae.base.errors import ConfigError, MolvaeError, OracleError
from molvae.base.workerpool import TaskTimeout, WorkerDied, WorkerPool
from molvae.oracles.evaluator import Evaluator, EvaluatorOptions, Outcome
from molvae.oracles.external import function_objective
from molvae.oracles.objective import Objective

QUICK = {"retry_wait": 0.0}
needs_kill = pytest.mark.skipif(not hasattr(os, "killpg"), reason="POSIX signals")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(misbehaviour.FOLDER, str(tmp_path))
    return tmp_path


def evaluator(function: Any, *, batch: bool = False, **options: Any) -> Evaluator:
    objective = Objective("test", function, "maximize", batch)
    return Evaluator(objective, 100, options=EvaluatorOptions(**{**QUICK, **options}))


@pytest.mark.slow
@needs_kill
@pytest.mark.parametrize("batch", [False, True])
def test_a_hang_a_crash_and_a_memory_hog_leave_the_others_their_results(batch: bool) -> None:
    function = misbehaviour.unruly_list if batch else misbehaviour.unruly
    smiles = ["C", "N", "CC", "O", "CCC", "P", "CCCC", "S", "CCCCC", None, "F"]
    if batch:  # there an exception is the whole call's, by contract
        smiles.remove("S")
    told: list[tuple[int, Outcome]] = []
    judge = evaluator(function, batch=batch, workers=2, timeout=0.7, memory_mb=2048, retries=1)
    with judge:
        outcomes = judge.evaluate(smiles, told.extend)
    found = dict(zip(smiles, outcomes, strict=True))
    for carbons in ("C", "CC", "CCC", "CCCC", "CCCCC"):
        assert found[carbons] == Outcome(float(len(carbons)))
    assert found["N"].failure == "took over 0.7 s"
    assert found["O"].failure == "crashed its process (SIGSEGV) (tried 2 times)"
    assert "exit" in str(found["F"].failure).lower()
    if sys.platform == "linux":
        assert found["P"].failure == "ran out of memory (it may use 2048 MiB)"
    if not batch:
        assert found["S"].failure == "ValueError: no pocket"
    assert sorted(place for place, _ in told) == list(range(len(smiles)))
    assert judge.used == len(smiles) - 1
    assert all(math.isnan(outcome.value) for outcome in outcomes if not outcome.ok)


@pytest.mark.slow
@needs_kill
def test_what_fails_in_passing_is_tried_again_and_costs_one_evaluation() -> None:
    objective = Objective("shaky", misbehaviour.shaky, "maximize")
    options = EvaluatorOptions(workers=1, timeout=1.0, retry_timeouts=True, **QUICK)
    told: list[Any] = []
    with Evaluator(objective, 4, options=options) as judge:
        assert [o.value for o in judge.evaluate(["N", "O", "P", "C"], told.extend)] == [1.0] * 4
    assert Counter(misbehaviour.calls()) == {"N": 2, "O": 2, "P": 2, "C": 1}
    assert (judge.used, len(told)) == (4, 4)


def test_tries_are_counted_and_end_also_in_this_process() -> None:
    calls: list[str] = []

    def down(smiles: str) -> float:
        calls.append(smiles)
        if smiles == "N":
            raise ConnectionError("server down")
        if smiles == "O":
            raise FileNotFoundError("no such receptor")
        return 1.0

    outcomes = evaluator(down, retries=2).evaluate(["C", "N", "O"])
    assert outcomes[1].failure == "ConnectionError: server down (tried 3 times)"
    assert outcomes[2].failure == "FileNotFoundError: no such receptor"
    assert Counter(calls) == {"C": 1, "N": 3, "O": 1}


def test_of_a_list_only_the_molecules_that_failed_in_passing_are_asked_again() -> None:
    asked: list[list[str]] = []

    def function(smiles: list[str]) -> list[Any]:
        asked.append(smiles)
        again = len(asked) > 1
        return [TimeoutError("busy") if s == "N" and not again else len(s) for s in smiles]

    outcomes = evaluator(function, batch=True).evaluate(["CC", "N", "CCC"])
    assert [o.value for o in outcomes] == [2.0, 1.0, 3.0]
    assert asked == [["CC", "N", "CCC"], ["N"]]


def test_an_exception_in_a_molecules_place_is_its_failure_alone() -> None:
    answer = [1.0, OracleError("the pose is upside down"), KeyError("x")]
    outcomes = evaluator(lambda smiles: answer, batch=True).evaluate(["C", "CC", "CCC"])
    assert [o.failure for o in outcomes] == [None, "the pose is upside down", "KeyError: 'x'"]


def test_limits_without_workers_are_refused_for_they_could_not_be_kept() -> None:
    for limit in ({"timeout": 1.0}, {"memory_mb": 500}):
        with pytest.raises(ConfigError, match="set workers to 1 or more"):
            EvaluatorOptions.parse(limit)
    with ThreadPoolExecutor(1) as pool, pytest.raises(ConfigError, match="executor of your own"):
        Evaluator(
            Objective("x", len, "maximize"),
            9,
            options=EvaluatorOptions(workers=2),
            executor=pool,
        )


@pytest.mark.slow
def test_closures_reach_the_workers_and_what_cannot_is_refused_with_its_reason() -> None:
    offset = 10.0
    with evaluator(lambda smiles: offset + len(smiles), workers=1) as judge:
        assert [o.value for o in judge.evaluate(["C", "CC"])] == [11.0, 12.0]
    lock = threading.Lock()
    with pytest.raises(ConfigError, match="cannot be sent to worker processes"):
        evaluator(lambda smiles: lock.locked(), workers=1).evaluate(["C"])


@pytest.mark.slow
def test_a_function_of_the_current_directory_is_found_by_workers_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "local_assay.py").write_text("def score(smiles):\n    return 7\n")
    monkeypatch.chdir(tmp_path / "here")
    objective = function_objective("local_assay:score", "maximize")
    monkeypatch.chdir(tmp_path)
    with Evaluator(objective, 5, options=EvaluatorOptions(workers=1)) as judge:
        assert judge.evaluate(["C"]) == [Outcome(7.0)]
    sys.modules.pop("local_assay", None)


class Here(Executor):
    """An executor of the simplest kind, which remembers what it was given."""

    def __init__(self) -> None:
        self.tasks = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.tasks += 1
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def test_any_executor_will_do() -> None:
    objective = Objective("length", lambda smiles: len(smiles), "maximize")
    here = Here()
    with ThreadPoolExecutor(2) as threads:
        for executor in (here, threads):
            judge = Evaluator(objective, 9, executor=executor)
            assert [o.value for o in judge.evaluate(["C", "OCC", "CCO", "C1"])][:3] == [1, 3, 3]
    assert here.tasks == 2


@pytest.mark.slow
def test_a_broken_executor_stops_the_run_and_keeps_what_was_told() -> None:
    told: list[Any] = []
    objective = Objective("unruly", misbehaviour.unruly, "maximize")
    with ProcessPoolExecutor(1) as pool:
        judge = Evaluator(objective, 9, executor=pool)
        judge.evaluate(["C"], told.extend)
        with pytest.raises(OracleError, match="the executor takes no more calls"):
            judge.evaluate(["O"], told.extend)
    assert told == [(0, Outcome(1.0))]
    assert judge.used == 1


@pytest.mark.slow
@needs_kill
def test_a_time_out_ends_the_programs_that_a_task_has_started(folder: Path) -> None:
    with WorkerPool(1) as pool:
        future = pool.submit_within(1.0, misbehaviour.hang_with_child, "C")
        with pytest.raises(TaskTimeout, match="took over 1 s"):
            future.result()
        worker, child = map(int, (folder / "child").read_text().split())
        assert until(lambda: not is_alive(worker) and not is_alive(child))
        assert pool.submit(len, "CC").result() == 2


@pytest.mark.slow
@needs_kill
def test_terminate_ends_workers_and_fails_what_was_running(folder: Path) -> None:
    pool = WorkerPool(1)
    running = pool.submit(misbehaviour.hang_with_child, "C")
    waiting = pool.submit(len, "CC")
    assert until((folder / "child").exists)
    assert until(lambda: (folder / "child").read_text() != "")
    pool.terminate()
    assert waiting.cancelled()
    with pytest.raises(WorkerDied, match="closed before"):
        running.result()
    pids = [int(text) for text in (folder / "child").read_text().split()]
    assert until(lambda: not any(map(is_alive, pids)))
    with pytest.raises(RuntimeError, match="takes no more tasks"):
        pool.submit(len, "C")


def broken_start() -> None:
    raise ValueError("no licence")


@pytest.mark.slow
def test_workers_that_cannot_start_say_so_instead_of_starting_for_ever() -> None:
    pool = WorkerPool(1, prepare=broken_start)
    with pytest.raises(MolvaeError, match="ValueError: no licence"):
        pool.submit(len, "C").result(timeout=30)


SCRIPT = """
import sys
import misbehaviour
from molvae.oracles.evaluator import Evaluator, EvaluatorOptions
from molvae.oracles.objective import Objective

if __name__ == "__main__":
    objective = Objective("hang", misbehaviour.hang_with_child, "maximize")
    with Evaluator(objective, 9, options=EvaluatorOptions(workers=1)) as judge:
        judge.evaluate(["C"])
"""


def _hear_control_c() -> None:
    """Where the tests run in the background, a shell has made them deaf to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def hanging(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A script whose worker hangs in a task that has started a program."""
    script = folder / "script.py"
    script.write_text(SCRIPT)
    path = os.pathsep.join(p for p in sys.path if p)
    process = subprocess.Popen(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_hear_control_c,
    )
    yield process
    process.kill()
    process.wait()


@pytest.mark.slow
@needs_kill
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_neither_control_c_nor_a_kill_leaves_orphans(
    hanging: subprocess.Popen[bytes], folder: Path, number: signal.Signals
) -> None:
    note = folder / "child"
    assert until(lambda: note.exists() and note.read_text(), 30)
    pids = [int(text) for text in note.read_text().split()]
    assert all(map(is_alive, pids))
    hanging.send_signal(number)
    assert hanging.wait(60) != 0
    assert until(lambda: not any(map(is_alive, pids)))
