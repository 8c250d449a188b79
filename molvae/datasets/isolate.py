"""An ordered map over processes in which a call may hang or crash without loss of the others."""

from __future__ import annotations

import itertools
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

from pebble import ProcessExpired, ProcessPool

from molvae.base.errors import MolvaeError
from molvae.base.parallel import chunked, default_workers

A = TypeVar("A")
B = TypeVar("B")

_CHUNK = 256
_STALLED = 30.0
"""Seconds of wall time beyond its limit after which a worker is killed from outside."""


class Failure(NamedTuple):
    """In place of a result: why there is none."""

    reason: str


def isolated_map(
    function: Callable[[A], B],
    items: Iterable[A],
    *,
    seconds: float,
    example: A,
    workers: int | None = None,
    chunk: int = _CHUNK,
) -> Iterator[B | Failure]:
    """``map(function, items)``, in order, over processes; each call may use ``seconds`` of CPU.

    A call that takes longer, or takes its process down, yields a :class:`Failure` in its place.
    ``function`` and the items must be picklable; a few chunks are read ahead. ``workers`` None
    takes every core; 0 runs in this process, where nothing can be stopped. Each worker starts by
    an untimed call on ``example``, a harmless item, so that what ``function`` loads on first use
    is not counted against an item.

    Work goes to the workers a chunk at a time. The kernel ends a worker that exceeds the limit
    (``setitimer``: C++ code that holds the interpreter's lock cannot be stopped from within, and
    CPU time does not depend on how busy the machine is), and only then is its chunk run again
    item by item; so the limit costs a microsecond per call. Where there is no ``setitimer``
    (Windows), wall time is limited from outside.
    """
    if workers == 0:
        yield from map(function, items)
        return
    workers = default_workers() if workers is None else workers
    pool = ProcessPool(
        workers,
        context=multiprocessing.get_context("spawn"),
        initializer=function,
        initargs=[example],
    )
    try:
        _check_start(pool)
        pending: deque[tuple[list[A], Future[list[B]]]] = deque()
        chunks = chunked(items, chunk)
        while True:
            for block in itertools.islice(chunks, 2 * workers + 1 - len(pending)):
                pending.append((block, _submit(pool, function, block, seconds)))
            if not pending:
                break
            block, future = pending.popleft()
            yield from _results(pool, function, block, future, seconds)
    finally:
        pool.stop()
        pool.join()


def _results(
    pool: ProcessPool,
    function: Callable[[A], B],
    block: list[A],
    future: Future[list[B]],
    seconds: float,
) -> Iterator[B | Failure]:
    try:
        yield from future.result()
        return
    except (ProcessExpired, TimeoutError) as error:
        if len(block) == 1:
            yield Failure(_reason(error, seconds))
            return
    singles = [([item], _submit(pool, function, [item], seconds)) for item in block]
    for single, alone in singles:
        yield from _results(pool, function, single, alone, seconds)


def _submit(
    pool: ProcessPool, function: Callable[[A], B], block: list[A], seconds: float
) -> Future[list[B]]:
    limit = seconds * len(block) + _STALLED
    arguments: list[Any] = [function, block, seconds]
    return pool.schedule(_run, args=arguments, timeout=limit)


def _run(function: Callable[[A], B], block: Sequence[A], seconds: float) -> list[B]:
    """In the worker: every call starts a new CPU timer whose signal ends the process."""
    if not hasattr(signal, "setitimer"):
        return [function(item) for item in block]
    results = []
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    try:
        for item in block:
            signal.setitimer(signal.ITIMER_PROF, seconds)
            results.append(function(item))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return results


def _reason(error: BaseException, seconds: float) -> str:
    code = getattr(error, "exitcode", None)
    if isinstance(error, TimeoutError) or code == -getattr(signal, "SIGPROF", 0):
        return f"took over {seconds:g} s"
    return f"crashed the process (exit code {code})"


def _check_start(pool: ProcessPool) -> None:
    try:
        pool.schedule(default_workers).result()
    except ProcessExpired as error:
        raise MolvaeError(
            "worker processes cannot start; in a script, call this under "
            "'if __name__ == \"__main__\":', or pass workers=0"
        ) from error
