"""A Dask cluster evaluates: two worker processes on this machine, one of them killed at work."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from molvae.oracles.evaluator import Evaluator, EvaluatorOptions, Outcome
from molvae.oracles.objective import Objective

distributed = pytest.importorskip("distributed", reason="needs molvae[cluster]")

MOLECULES = [f"{'C' * n}{end}" for n in range(1, 9) for end in ("", "O", "N")]
FATAL = MOLECULES[9]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    import dask

    quiet = {"distributed.admin.log-format": "", "distributed.comm.timeouts.connect": "10s"}
    with (
        dask.config.set(quiet),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            silence_logs=50,
        ) as cluster,
        distributed.Client(cluster) as found,
    ):
        yield found


@pytest.mark.slow
def test_a_worker_killed_at_work_loses_nothing_and_nothing_is_evaluated_twice(
    client: Any, tmp_path: Path
) -> None:
    def score(smiles: str) -> float:
        with open(tmp_path / "begun", "a") as out:
            out.write(f"{smiles} {os.getpid()}\n")
        time.sleep(0.2)
        if smiles == FATAL and not (tmp_path / "killed").exists():
            (tmp_path / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        with open(tmp_path / "done", "a") as out:
            out.write(f"{smiles}\n")
        return float(len(smiles))

    told: list[tuple[int, Outcome]] = []
    judge = Evaluator(
        Objective("score", score, "maximize"), len(MOLECULES), executor=client.get_executor()
    )
    outcomes = judge.evaluate(MOLECULES, told.extend)
    again = judge.evaluate(MOLECULES)

    assert [o.value for o in outcomes] == [len(s) for s in MOLECULES]
    assert again == outcomes
    assert sorted(place for place, _ in told) == list(range(len(MOLECULES)))
    assert judge.remaining == 0
    begun = [line.split() for line in (tmp_path / "begun").read_text().splitlines()]
    assert len({pid for _, pid in begun}) >= 2, "one worker did everything"
    assert Counter((tmp_path / "done").read_text().split()) == Counter(MOLECULES)
    assert Counter(s for s, _ in begun) == Counter([*MOLECULES, FATAL])


@pytest.mark.slow
def test_a_molecule_that_kills_every_worker_is_a_failure_and_the_others_have_values(
    client: Any,
) -> None:
    def score(smiles: str) -> float:
        if smiles == "N":
            os.kill(os.getpid(), signal.SIGKILL)
        return float(len(smiles))

    client.cluster.scheduler.allowed_failures = 0
    judge = Evaluator(
        Objective("score", score, "maximize"),
        9,
        executor=client.get_executor(),
        options=EvaluatorOptions(retries=1, retry_wait=0.0),
    )
    judge.evaluate(["C", "CC"])
    outcome = judge.evaluate(["N"])[0]
    assert "KilledWorker" in str(outcome.failure)
    assert "(tried 2 times)" in str(outcome.failure)
    assert judge.used == 3
