"""One process of a :class:`~molvae.base.workerpool.WorkerPool`: seen from outside and from inside.

A worker leads a session of its own, so that it and the programs it starts are ended together. It
ends by itself when the process that it works for is gone.

What is pickled here goes through an unnamed pipe between a process and the children that it has
started, of one user and one program, and is neither kept nor read from anywhere else. It can do no
more than the task itself, which is code of that user's own.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any

import cloudpickle

_GRACE = 0.5
"""Seconds from the request to end, in which a task's own ``finally`` clauses run, to the kill."""


class Worker:
    """A process and the pipe to it. It is ready once it has said so."""

    def __init__(self, prepare: bytes, memory_mb: int | None) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, prepare, memory_mb), daemon=True
        )
        self._process.start()
        theirs.close()
        self.is_ready = False
        self._kill_at = 0.0

    @property
    def sentinel(self) -> int:
        """A handle to wait on, ready when the process has ended."""
        return self._process.sentinel

    def give(self, blob: bytes) -> None:
        """Send a task."""
        with contextlib.suppress(OSError):  # gone already: hear() finds that out
            self.connection.send_bytes(blob)

    def hear(self) -> bytes | None:
        """The message that is there, or None where the process is gone; asked when either is so."""
        try:
            return self.connection.recv_bytes() if self.connection.poll() else None
        except (EOFError, OSError):
            return None

    def bury(self) -> str:
        """Clear away a process that is gone, and say how it went."""
        self._process.join(_GRACE)
        self._kill()
        self._process.join()
        self.connection.close()
        return describe_exit(self._process.exitcode)

    def ask_to_end(self) -> None:
        """Let the process end itself; :meth:`has_ended` kills it if it does not."""
        self._kill_at = time.monotonic() + _GRACE
        self._process.terminate()

    def has_ended(self) -> bool:
        """Whether a process that was asked to end is gone; kills it when its time is up."""
        if self._process.is_alive():
            if time.monotonic() < self._kill_at:
                return False
            self._kill()
            self._process.join()
        else:
            self._kill()  # what it may have left running
        self.connection.close()
        return True

    def _kill(self) -> None:
        """Kill the process and its group; the group's number is not given to others while any
        process of it is there."""
        if self._process.pid is not None and hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()


def describe_exit(code: int | None) -> str:
    """What an exit code says of a process that died.

    >>> describe_exit(-11), describe_exit(3)
    ('crashed its process (SIGSEGV)', 'ended its process (exit code 3)')
    """
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"crashed its process ({signal.Signals(-code).name})"
    return f"ended its process (exit code {code})"


class _Ended(BaseException):
    """SIGTERM: the task's ``finally`` clauses run, and the process ends."""


def _serve(connection: Connection, prepare: bytes, memory_mb: int | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    signal.signal(signal.SIGTERM, _end)
    if hasattr(os, "setsid"):
        os.setsid()
    parent: Any = multiprocessing.parent_process()
    threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()
    with contextlib.suppress(_Ended, EOFError, OSError):
        try:
            if prepare:
                cloudpickle.loads(prepare)()
        except Exception as error:
            connection.send_bytes(pickle.dumps(_portable(error)))
            return
        _limit_memory(memory_mb)
        connection.send_bytes(b"")
        while True:
            connection.send_bytes(_answer(connection.recv_bytes()))
    if wait([parent.sentinel], timeout=0):
        _kill_group()  # nobody else will


def _answer(blob: bytes) -> bytes:
    """Do a task; its result or its exception, pickled."""
    try:
        function, arguments, named = cloudpickle.loads(blob)
        return bytes(cloudpickle.dumps((True, function(*arguments, **named))))
    except _Ended:
        raise
    except BaseException as error:  # sys.exit() in a task is the task's failure, too
        return pickle.dumps((False, _portable(error)))


def _portable(error: BaseException) -> Exception:
    """The exception itself if it survives pickling, else its name and message."""
    try:
        copy = pickle.loads(pickle.dumps(error))
    except Exception:  # an exception's own __reduce__ may raise anything
        copy = None
    if isinstance(copy, Exception):
        return copy
    return RuntimeError(f"{type(error).__name__}: {error}")


def _end(number: int, frame: FrameType | None) -> None:
    raise _Ended


def _limit_memory(memory_mb: int | None) -> None:
    if memory_mb is None:
        return
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    limit = memory_mb << 20
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses what is below its own floor
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _follow(parent: int) -> None:
    """Wait until the parent is gone, killed perhaps, and end with it."""
    wait([parent])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    _kill_group()


def _kill_group() -> None:
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
