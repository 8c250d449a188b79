"""Leaving cleanly: Ctrl-C and SIGTERM ask the loop to stop at the end of its step."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class StopRequest:
    """Context in which SIGINT and SIGTERM are noted in ``signal_number`` instead of obeyed.

    A second signal acts as it would have without us, for those who cannot wait. Outside the main
    thread, where Python delivers no signals, it does nothing.

    >>> with StopRequest() as stop:
    ...     signal.raise_signal(signal.SIGTERM)
    >>> stop.signal_number == signal.SIGTERM
    True
    """

    def __init__(self) -> None:
        self.signal_number = 0
        self._former: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal_number = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former = {}
