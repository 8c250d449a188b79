"""Ordered maps over all cores in bounded memory, and isolation of work that may hang or crash."""

from __future__ import annotations

import itertools
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from molvae.base.errors import MolvaeError

A = TypeVar("A")
B = TypeVar("B")


def default_workers() -> int:
    """The number of cores this process may use.

    >>> default_workers() >= 1
    True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def chunked(items: Iterable[A], size: int) -> Iterator[list[A]]:
    """Consecutive lists of ``size`` items, the last one shorter.

    >>> list(chunked("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk


def ordered_map(
    function: Callable[[A], B],
    items: Iterable[A],
    workers: int | None = None,
    *,
    initializer: Callable[..., None] | None = None,
    initargs: tuple[Any, ...] = (),
) -> Iterator[B]:
    """``map(function, items)`` over processes, in order, reading only a few items ahead.

    ``function`` must be picklable (a module-level function). ``workers`` None takes every core;
    1 runs in this process. Worker processes are spawned, never forked, so it is safe beside
    threads and torch; give them work of a second or so per item (see :func:`chunked`). Whoever
    closes the iterator early does not wait for the items that were read ahead.
    """
    workers = default_workers() if workers is None else workers
    if workers <= 1:
        if initializer is not None:
            initializer(*initargs)
        yield from map(function, items)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=initializer, initargs=initargs
    )
    pending: deque[Future[B]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool as error:
        raise MolvaeError(
            "a worker process died: memory may be full (use fewer workers), or a script started it "
            "without 'if __name__ == \"__main__\":' (put the call under it, or use one worker)"
        ) from error
    finally:
        if pending:  # nobody wants what is left: it is not waited for
            for process in list((pool._processes or {}).values()):
                process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)
