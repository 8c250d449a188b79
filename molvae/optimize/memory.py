"""What a search remembers from step to step to save work; forgetting it changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Memory:
    """The last result of each kind of computation, whose ``key`` says all that it depends on.

    >>> memory = Memory()
    >>> [memory.recall("sum", key, lambda: value) for key, value in ((1, "a"), (1, "b"), (2, "c"))]
    ['a', 'a', 'c']
    """

    def __init__(self) -> None:
        self._last: dict[Hashable, tuple[Hashable, Any]] = {}

    def recall(self, kind: Hashable, key: Hashable, compute: Callable[[], T]) -> T:
        """What ``compute`` gives, or gave when ``kind`` was last asked with an equal ``key``."""
        if kind not in self._last or self._last[kind][0] != key:
            self._last[kind] = (key, compute())
        found: T = self._last[kind][1]
        return found
