"""Two or more processes that take turns on one core: imports and set-up are never measured.

A *worker* is a process that works only when told to. :class:`Worker` is the parent's end of the
pipe; :class:`Turns` is the worker's. This file needs the standard library alone, because a worker
may run in another environment. Messages are lines of JSON on the worker's stdin and stdout; what
libraries print to stdout goes to stderr instead.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

_LIBRARIES = ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "RAYON")
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in _LIBRARIES}


class Worker:
    """A process started with one thread for every library, waiting for its turns.

    ``info`` is what the worker said of itself when it was ready. Used as a context manager.
    """

    def __init__(self, command: Sequence[str | os.PathLike[str]]) -> None:
        self._process = subprocess.Popen(
            [os.fspath(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **ONE_THREAD},
        )
        self.info = self._read()

    def round(self) -> dict[str, Any]:
        """Let the worker do one round of work; its report holds at least ``cpu`` (seconds)."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a worker ended with status {self._process.wait()}; see its message")
        return json.loads(line)

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class Turns:
    """The worker's end: say that it is ready, wait for a turn, report what the turn cost.

    ``next`` ends the turn that runs, sending its counts and what it cost this process: seconds of
    ``cpu`` time, how many of them the kernel took (``system``), and ``wall`` time. Then it blocks
    until the parent gives the next turn, and ends the process when the parent has left.
    """

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        self._began: tuple[float, float, float] | None = None

    def next(self, **counts: Any) -> None:
        """Report the turn that ends (or, the first time, readiness) and wait for the next."""
        if self._began is not None:
            cpu, system, wall = self._began
            counts["cpu"] = time.process_time() - cpu
            counts["system"] = os.times().system - system
            counts["wall"] = time.perf_counter() - wall
        self._out.write(json.dumps(counts) + "\n")
        self._out.flush()
        if not sys.stdin.readline():
            raise SystemExit(0)
        self._began = (time.process_time(), os.times().system, time.perf_counter())

    def every(self, n: int, batches: Iterable[Any], counts: Any, **info: Any) -> Iterable[Any]:
        """Pass ``batches`` on, one turn for every ``n`` of them.

        ``counts`` maps a batch to a dictionary of numbers, whose sums are the turn's report.
        """
        sums: dict[str, float] = {}
        self.next(**info)
        for index, batch in enumerate(batches):
            if index and index % n == 0:
                self.next(**sums)
                sums = {}
            for name, value in counts(batch).items():
                sums[name] = sums.get(name, 0) + value
            yield batch


def bench_directory() -> Path:
    """Where the benchmarks keep the peer's environment and trained models: ``MOLVAE_BENCH``.

    Without that variable it is ``.bench`` in the working directory.
    """
    return Path(os.environ.get("MOLVAE_BENCH", ".bench"))
