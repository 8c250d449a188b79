"""An ordered map over processes in which a call may hang or crash without loss of the others.

Why not a pool: the standard library's is broken for good once a worker dies, and pebble's cannot
say which item of a chunk killed a worker. Here one loop speaks with workers that each have a pipe
of their own and a shared integer, the place of the item in hand; so only that item is given up.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, NamedTuple, TypeVar

from molvae.base.errors import MolvaeError
from molvae.base.parallel import chunked, default_workers

A = TypeVar("A")
B = TypeVar("B")

_CHUNK = 256
_POLL = 0.5
_HAS_TIMER = hasattr(signal, "setitimer")
_GRACE = 30.0 if _HAS_TIMER else 0.0
"""Seconds of wall time beyond its limit after which a call is ended from outside."""


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

    A call that takes longer, or takes its process down, yields a :class:`Failure` in its place; an
    exception is raised here. ``function``, the items and the results must be picklable; a few
    chunks are read ahead. ``workers`` None takes every core; 0 runs in this process, where nothing
    can be stopped. Each worker starts by an untimed call on ``example``, a harmless item, so that
    what ``function`` loads on first use is not counted against an item.

    The kernel ends a worker that exceeds the limit (``setitimer``): C++ code that holds the
    interpreter's lock cannot be stopped from within, CPU time does not depend on how busy the
    machine is, and setting the timer costs a microsecond. Where there is no such timer (Windows)
    wall time is limited from outside.
    """
    if workers == 0:
        yield from map(function, items)
        return
    count = default_workers() if workers is None else workers
    team: list[_Worker[A, B]] = []
    try:
        team += [_Worker(function, example, seconds) for _ in range(count)]
        chunks = chunked(items, chunk)
        blocks: deque[_Block[A, B]] = deque()
        while True:
            blocks.extend(map(_Block, itertools.islice(chunks, 2 * count + 1 - len(blocks))))
            if not blocks:
                return
            idle = [worker for worker in team if worker.is_idle]
            for worker, block in zip(idle, [b for b in blocks if b.is_waiting], strict=False):
                worker.give(block)
            _listen(team)
            while blocks and blocks[0].results is not None:
                yield from blocks.popleft().results or ()
    finally:
        for worker in team:
            worker.end()


class _Block(Generic[A, B]):
    """Consecutive items: waiting, in a worker's hands, or with their results."""

    def __init__(self, items: list[A]) -> None:
        self.items = items
        self.failures: dict[int, Failure] = {}
        self.results: list[B | Failure] | None = None
        self.is_waiting = True

    def places(self) -> list[int]:
        """Of the items that have not failed yet."""
        return [place for place in range(len(self.items)) if place not in self.failures]

    def finish(self, results: Iterable[B]) -> None:
        found = iter(results)
        self.results = [
            self.failures[place] if place in self.failures else next(found)
            for place in range(len(self.items))
        ]


class _Worker(Generic[A, B]):
    """A process, replaced whenever it dies, and the block that it works on."""

    def __init__(self, function: Callable[[A], B], example: A, seconds: float) -> None:
        self._work = (function, example, seconds)
        self._seconds = seconds
        self._block: _Block[A, B] | None = None
        self._start()

    @property
    def is_idle(self) -> bool:
        return self.is_ready and self._block is None

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._place = context.RawValue("q", 0)
        self._process = context.Process(
            target=_serve, args=(theirs, self._place, *self._work), daemon=True
        )
        self._process.start()
        theirs.close()
        self.is_ready = False
        self._watch = (0, time.monotonic())

    def give(self, block: _Block[A, B]) -> None:
        self._block = block
        block.is_waiting = False
        self._place.value = 0
        self._watch = (0, time.monotonic())
        with contextlib.suppress(OSError):  # gone already: hear() finds that out
            self.connection.send([block.items[place] for place in block.places()])

    def hear(self) -> None:
        """Take the message that is there, or notice that the process is gone."""
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            self._bury()
            return
        if isinstance(message, Exception):
            raise message
        if not self.is_ready:
            self.is_ready = True
        elif self._block is not None:
            self._block.finish(message)
            self._block = None

    def check(self) -> None:
        """End a process that stands still, for example because it waits for ever."""
        place, since = self._watch
        now = time.monotonic()
        if self._block is None or self._place.value != place:
            self._watch = (self._place.value, now)
        elif now - since > self._seconds + _GRACE:
            self._process.terminate()

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self.connection.close()

    def _bury(self) -> None:
        self._process.join()
        if not self.is_ready:
            raise MolvaeError(
                "worker processes cannot start; in a script, call this under "
                "'if __name__ == \"__main__\":', or pass workers=0"
            )
        if self._block is not None:
            culprit = self._block.places()[self._place.value]
            self._block.failures[culprit] = Failure(self._reason())
            self._block.is_waiting = True
            self._block = None
        self.connection.close()
        self._start()

    def _reason(self) -> str:
        code = self._process.exitcode
        timed_out = {-signal.SIGTERM, -signal.SIGPROF} if _HAS_TIMER else {-signal.SIGTERM}
        if code in timed_out:
            return f"took over {self._seconds:g} s"
        return f"crashed the process (exit code {code})"


def _listen(team: list[_Worker[A, B]]) -> None:
    """Wait for any worker to speak, a little while at most."""
    by_connection = {worker.connection: worker for worker in team}
    for connection in wait(list(by_connection), timeout=_POLL):
        by_connection[connection].hear()  # type: ignore[index]
    for worker in team:
        worker.check()


def _serve(
    connection: Connection,
    place: Any,
    function: Callable[[A], B],
    example: A,
    seconds: float,
) -> None:
    """In the worker: every call starts a new CPU timer whose signal ends the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    try:
        function(example)
        connection.send(None)
        while True:
            items = connection.recv()
            results = []
            for place.value, item in enumerate(items):
                if _HAS_TIMER:
                    signal.setitimer(signal.ITIMER_PROF, seconds)
                results.append(function(item))
            if _HAS_TIMER:
                signal.setitimer(signal.ITIMER_PROF, 0)
            connection.send(results)
    except EOFError:  # the parent is gone
        return
    except Exception as error:
        connection.send(error)
