"""Calls of an objective in this process, in worker processes or on a cluster, tried again where
that makes sense, each answered as soon as it is done."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from dataclasses import dataclass
from typing import Any

from molvae.base.errors import ConfigError, MolvaeError, OracleError
from molvae.base.parallel import chunked
from molvae.base.workerpool import TaskTimeout, WorkerDied, WorkerPool
from molvae.oracles.answers import (
    Answer,
    Outcome,
    call,
    call_packed,
    is_transient,
    packed,
    unpack,
)
from molvae.oracles.objective import Objective
from molvae.oracles.options import EvaluatorOptions

_SCHEDULER_LOST = ("KilledWorker", "FutureCancelledError", "FutureLostError", "CommClosedError")
"""Dask's exceptions for a task that went down with a worker or a connection."""


@dataclass
class _Call:
    """Molecules that are evaluated together; ``tries`` counts those that failed in passing."""

    smiles: list[str]
    tries: int = 0
    not_before: float = 0.0


class Caller:
    """Evaluates molecules; ``close`` it, or leave its ``with`` block, to end its workers."""

    def __init__(
        self, objective: Objective, options: EvaluatorOptions, executor: Executor | None = None
    ) -> None:
        if executor is not None and options.workers:
            raise ConfigError(
                "workers, timeout and memory_mb are for molvae's own worker processes; an "
                "executor of your own has its own"
            )
        self._objective = objective
        self._options = options
        self._executor = executor
        self._pool: WorkerPool | None = None
        self._packed = b""

    def answers(self, smiles: Sequence[str]) -> Iterator[tuple[list[str], Answer]]:
        """``(molecules, answer)`` in the order in which they are done, every molecule once.

        Raises :class:`OracleError` where the executor is broken, :class:`MolvaeError` where no
        worker process can start. Whatever ends the iteration ends the calls that are running.
        """
        waiting = [_Call(group) for group in self._groups(smiles)]
        running: dict[Future[Answer], _Call] = {}
        try:
            while waiting or running:
                self._start(waiting, running)
                done, _ = wait(running, timeout=_patience(waiting), return_when=FIRST_COMPLETED)
                for future in done:
                    this = running.pop(future)
                    again, settled = self._settle(this, self._answer(future, this))
                    waiting += again
                    if settled is not None:
                        yield settled
        finally:
            for future in running:
                future.cancel()
            if running and self._pool is not None:
                self.close()

    def _groups(self, smiles: Sequence[str]) -> list[list[str]]:
        if not self._objective.batch:
            return [[one] for one in smiles]
        size = self._options.chunk
        if size is None and self._options.workers:
            size = -(-len(smiles) // self._options.workers)
        return list(chunked(smiles, size or max(1, len(smiles))))

    def _start(self, waiting: list[_Call], running: dict[Future[Answer], _Call]) -> None:
        """Start the calls whose time has come; in this process one at a time."""
        now = time.monotonic()
        here = self._executor is None and not self._options.workers
        for this in [item for item in waiting if item.not_before <= now]:
            if here and running:
                return
            waiting.remove(this)
            running[self._submit(this)] = this
        if waiting and not running:
            time.sleep(max(0.0, _patience(waiting) or 0.0))

    def _submit(self, this: _Call) -> Future[Answer]:
        if self._executor is not None:
            try:
                return self._executor.submit(call_packed, self._bytes(), this.smiles)
            except (BrokenExecutor, RuntimeError) as error:
                raise _broken(self._objective, error) from error
        if not self._options.workers:
            future: Future[Answer] = Future()
            try:
                future.set_result(call(self._objective, this.smiles))
            except MemoryError as error:
                future.set_exception(error)
            return future
        if self._pool is None:
            payload = self._bytes()
            self._pool = WorkerPool(
                self._options.workers,
                memory_mb=self._options.memory_mb,
                prepare=_Unpack(payload),
            )
        limit = self._options.timeout
        seconds = None if limit is None else limit * len(this.smiles)
        return self._pool.submit_within(seconds, call_packed, self._bytes(), this.smiles)

    def _bytes(self) -> bytes:
        self._packed = self._packed or packed(self._objective)
        return self._packed

    def _answer(self, future: Future[Answer], this: _Call) -> Answer | BaseException:
        """What a call came to: an answer, or what kept it from giving one."""
        try:
            return future.result()
        except BrokenExecutor as error:
            raise _broken(self._objective, error) from error
        except MolvaeError:
            self.close()
            raise
        except (Exception, CancelledError) as error:
            # Whatever an executor and the road to it come up with is these molecules' failure.
            return error

    def _settle(
        self, this: _Call, answer: Answer | BaseException
    ) -> tuple[list[_Call], tuple[list[str], Answer] | None]:
        """Calls to make again, and what is settled."""
        if isinstance(answer, BaseException):
            if len(this.smiles) > 1:
                half = len(this.smiles) // 2
                return [_Call(this.smiles[:half]), _Call(this.smiles[half:])], None
            answer = self._lost(this, answer)
        if this.tries >= self._options.retries or not any(answer.transient):
            return [], (this.smiles, _counted(answer, this.tries))
        again = [s for s, passing in zip(this.smiles, answer.transient, strict=True) if passing]
        delay = self._options.retry_wait * 2**this.tries
        repeated = _Call(again, this.tries + 1, time.monotonic() + delay)
        kept = [i for i, passing in enumerate(answer.transient) if not passing]
        if not kept:
            return [repeated], None
        outcomes = tuple(answer.outcomes[i] for i in kept)
        settled = Answer(outcomes, (False,) * len(kept), answer.trouble)
        return [repeated], ([this.smiles[i] for i in kept], settled)

    def _lost(self, this: _Call, error: BaseException) -> Answer:
        """The answer for one molecule whose call gave none."""
        if isinstance(error, TaskTimeout):
            reason, again = str(error), self._options.retry_timeouts
        elif isinstance(error, MemoryError):
            limit = self._options.memory_mb
            reason = "ran out of memory" + (f" (it may use {limit} MiB)" if limit else "")
            again = False
        elif isinstance(error, WorkerDied):
            reason, again = str(error), True
        else:
            reason = f"{type(error).__name__}: {error}"
            lost = type(error).__name__ in _SCHEDULER_LOST or isinstance(error, CancelledError)
            again = lost or is_transient(error)
        return Answer((Outcome(float("nan"), reason),), (again,), reason)

    def close(self) -> None:
        """End the worker processes, whatever they are doing; a later call starts new ones."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Unpack:
    """Loads the objective in a new worker, before the clock of its first molecule starts."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload

    def __call__(self) -> Any:
        return unpack(self.payload)


def _patience(waiting: Sequence[_Call]) -> float | None:
    """Seconds until the next call may be tried again; None where none is to be."""
    now = time.monotonic()
    return min((max(0.0, item.not_before - now) for item in waiting), default=None)


def _counted(answer: Answer, tries: int) -> Answer:
    """The answer of the last try, whose failures say how many there were."""
    if not tries:
        return answer
    outcomes = [
        outcome
        if outcome.ok or not passing
        else Outcome(outcome.value, f"{outcome.failure} (tried {tries + 1} times)")
        for outcome, passing in zip(answer.outcomes, answer.transient, strict=True)
    ]
    return Answer(tuple(outcomes), answer.transient, answer.trouble)


def _broken(objective: Objective, error: BaseException) -> OracleError:
    return OracleError(
        f"objective {objective.name!r}: the executor takes no more calls "
        f"({type(error).__name__}: {error}); what it had answered is kept, make a new one and go on"
    )
