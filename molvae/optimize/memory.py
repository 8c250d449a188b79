"""What a search remembers from step to step to save work; forgetting it changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Memory:
    """The last result of a computation whose ``key`` says all that it depends on.

    >>> memory = Memory()
    >>> memory.recall("a", lambda: 1), memory.recall("a", lambda: 2), memory.recall("b", lambda: 3)
    (1, 1, 3)
    """

    def __init__(self) -> None:
        self._last: tuple[Hashable, Any] | None = None

    def recall(self, key: Hashable, compute: Callable[[], T]) -> T:
        """What ``compute`` gives, or gave when it was last asked with an equal ``key``."""
        if self._last is None or self._last[0] != key:
            self._last = (key, compute())
        found: T = self._last[1]
        return found
