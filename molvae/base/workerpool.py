"""A pool of processes in which a task may hang, crash or eat memory without loss of the others.

It has the shape of :class:`concurrent.futures.Executor`. Unlike the standard library's, it is not
broken by a worker that dies: the task in that worker's hands fails, and another worker takes its
place. Unlike :func:`molvae.datasets.isolate.isolated_map`, which watches the CPU time of millions
of tiny calls, it watches the clock: its tasks wait for programs, files and networks.
"""

from __future__ import annotations

import atexit
import contextlib
import pickle
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from multiprocessing.connection import Pipe, wait
from typing import Any, NamedTuple

import cloudpickle

from molvae.base.errors import MolvaeError
from molvae.base.parallel import default_workers
from molvae.base.worker import Worker

_IDLE_POLL = 5.0


class TaskTimeout(TimeoutError):
    """A task that was ended because it took longer than it may."""


class WorkerDied(RuntimeError):
    """A task whose process came to an end: it crashed, or something killed it."""


class _Task(NamedTuple):
    future: Future[Any]
    blob: bytes
    seconds: float | None


class WorkerPool(Executor):
    """Processes for tasks that may go wrong. Use it as a context manager.

    Args:
        workers: processes at most; None takes every core. They start when there is work.
        memory_mb: MiB of data that one process may hold, its libraries included; a task that
            asks for more fails with :class:`MemoryError`. Only Linux enforces it.
        prepare: called once in every new process, before the clock of its first task starts.

    Functions, arguments and results travel by cloudpickle, so closures and lambdas will do.
    Ctrl-C is this process's to answer: workers do not see it, and :meth:`terminate` ends them
    together with the programs that they have started.

    >>> with WorkerPool(1) as pool:  # doctest: +SKIP
    ...     pool.submit_within(5.0, pow, 2, 10).result()
    1024
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        memory_mb: int | None = None,
        prepare: Callable[[], Any] | None = None,
    ) -> None:
        self._size = default_workers() if workers is None else max(1, workers)
        self._memory_mb = memory_mb
        self._prepare = b"" if prepare is None else cloudpickle.dumps(prepare)
        self._lock = threading.Lock()
        self._queue: deque[_Task] = deque()
        self._team: dict[Worker, tuple[_Task, float] | None] = {}
        self._dying: list[Worker] = []
        self._closed = False
        self._stop = False
        self._hear, self._wake = Pipe(duplex=False)
        self._thread: threading.Thread | None = None
        self._at_exit = _AtExit(self)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have ``fn(*args, **kwargs)`` called in a worker, however long it takes."""
        return self.submit_within(None, fn, *args, **kwargs)

    def submit_within(
        self, seconds: float | None, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        """Have ``fn(*args, **kwargs)`` called in a worker that is ended after ``seconds``.

        The clock starts when the call does, not while it waits for a free worker. The future's
        exception is the function's own, :class:`TaskTimeout`, :class:`WorkerDied`, or
        :class:`MolvaeError` where no worker can start.
        """
        task = _Task(Future(), cloudpickle.dumps((fn, args, kwargs)), seconds)
        with self._lock:
            if self._closed:
                raise RuntimeError("the pool is closed and takes no more tasks")
            self._queue.append(task)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
        self._nudge()
        return task.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks; finish those there are, or only those begun if the rest is
        cancelled, and end the workers."""
        with self._lock:
            self._closed = True
            waiting = list(self._queue) if cancel_futures else []
        for task in waiting:
            task.future.cancel()
        self._nudge()
        if wait and self._thread is not None:
            self._thread.join()

    def terminate(self) -> None:
        """End everything now: tasks that are not done fail, workers and what they started die."""
        self._stop = True
        self.shutdown(wait=True, cancel_futures=True)

    def _nudge(self) -> None:
        with contextlib.suppress(OSError):  # closed: the thread has left
            self._wake.send_bytes(b"")

    def _run(self) -> None:
        """The thread that hands out tasks, listens, and ends what takes too long."""
        try:
            while not self._stop:
                self._hand_out()
                with self._lock:
                    if self._closed and not self._queue and not any(self._team.values()):
                        break
                self._listen()
                self._check()
        except Exception as error:  # whatever it is, nobody may wait for ever
            self._fail_all(error)
        finally:
            self._end()

    def _hand_out(self) -> None:
        if self._closed:
            with self._lock:
                self._queue = deque(t for t in self._queue if not t.future.cancelled())
        free = [w for w, now in self._team.items() if now is None and w.is_ready]
        starting = sum(not w.is_ready for w in self._team)
        while self._queue and free:
            with self._lock:
                task = self._queue.popleft()
            if task.future.set_running_or_notify_cancel():
                worker = free.pop()
                self._team[worker] = (task, time.monotonic())
                worker.give(task.blob)
        missing = min(self._size - len(self._team), len(self._queue) - starting)
        for _ in range(missing):
            self._team[Worker(self._prepare, self._memory_mb)] = None

    def _listen(self) -> None:
        by_handle: dict[Any, Worker] = {}
        for worker in self._team:
            by_handle[worker.connection] = by_handle[worker.sentinel] = worker
        heard: set[Worker] = set()
        for handle in wait([self._hear, *by_handle], timeout=self._patience()):
            if handle is self._hear:
                while self._hear.poll():
                    self._hear.recv_bytes()
            else:
                heard.add(by_handle[handle])
        for worker in heard:
            self._answer(worker)

    def _patience(self) -> float:
        """Seconds until the next time-out, or until a worker that was told to end must have."""
        now = time.monotonic()
        ends = [
            since + task.seconds
            for task, since in filter(None, self._team.values())
            if task.seconds is not None
        ]
        ends += [now + 0.05] if self._dying else []
        return max(0.0, min([*ends, now + _IDLE_POLL]) - now)

    def _answer(self, worker: Worker) -> None:
        """Take what a worker says, or notice that it is gone."""
        message = worker.hear()
        if message is None:
            was_ready, current = worker.is_ready, self._team.pop(worker)
            reason = worker.bury()
            if not was_ready:
                raise MolvaeError(
                    f"worker processes cannot start ({reason}); in a script, call this under "
                    "'if __name__ == \"__main__\":', and see that the memory limit is not too "
                    "small to load the libraries"
                )
            if current is not None:
                current[0].future.set_exception(WorkerDied(reason))
            return
        current = self._team[worker]
        if current is None:  # it says that it is ready, or why it cannot be
            if message:
                error = pickle.loads(message)
                if isinstance(error, MolvaeError):
                    raise error
                raise MolvaeError(
                    f"a worker process cannot be prepared ({type(error).__name__}: {error}); see "
                    "that what it loads can be loaded there"
                )
            worker.is_ready = True
            return
        self._team[worker] = None
        try:
            done, value = pickle.loads(message)
        except Exception as error:  # unpickling runs code of the result's own
            done, value = False, error
        if done:
            current[0].future.set_result(value)
        else:
            current[0].future.set_exception(value)

    def _check(self) -> None:
        now = time.monotonic()
        for worker, current in list(self._team.items()):
            if current is None or current[0].seconds is None:
                continue
            task, since = current
            if now - since > (task.seconds or 0.0):
                del self._team[worker]
                worker.ask_to_end()
                self._dying.append(worker)
                task.future.set_exception(TaskTimeout(f"took over {task.seconds:g} s"))
        self._dying = [worker for worker in self._dying if not worker.has_ended()]

    def _fail_all(self, error: Exception) -> None:
        self._closed = True
        with self._lock:
            waiting, self._queue = list(self._queue), deque()
        for task in waiting:
            if task.future.set_running_or_notify_cancel():
                task.future.set_exception(error)
        for worker, current in self._team.items():
            if current is not None:
                current[0].future.set_exception(error)
                self._team[worker] = None

    def _end(self) -> None:
        self._fail_all(WorkerDied("the pool was closed before the task was done"))
        workers = [*self._team, *self._dying]
        for worker in workers:
            worker.ask_to_end()
        while not all(worker.has_ended() for worker in workers):
            time.sleep(0.01)
        self._team, self._dying = {}, []
        self._wake.close()
        self._hear.close()
        self._at_exit.cancel()


class _AtExit:
    """Ends a pool that nobody has closed, before multiprocessing waits for its processes."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = weakref.ref(pool)
        atexit.register(self._call)

    def _call(self) -> None:
        pool = self._pool()
        if pool is not None:
            pool.terminate()

    def cancel(self) -> None:
        atexit.unregister(self._call)
