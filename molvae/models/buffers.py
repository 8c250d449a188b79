"""Large buffers that outlive one training step.

A recurrence keeps tens of megabytes per step for its backward pass. Taken from the system anew
each time, their page faults cost up to a third of the training time on a CPU.
"""

from __future__ import annotations

import math
import threading

import torch
from torch import Tensor


class Lease:
    """Some buffers out of a pool; they go back when nobody holds the lease any more."""

    def __init__(self, pool: BufferPool) -> None:
        self._pool = pool
        self._blocks: list[Tensor] = []

    def take(self, *shape: int, dtype: torch.dtype) -> Tensor:
        """An uninitialised contiguous tensor, no one else's as long as the lease lives."""
        size = math.prod(shape)
        block = self._pool.take(size, dtype)
        self._blocks.append(block)
        return block[:size].view(shape)

    def __del__(self) -> None:
        self._pool.give(self._blocks)


class BufferPool:
    """Free blocks of memory, shared by all threads; what is leased is nobody else's.

    >>> pool = BufferPool()
    >>> lease = pool.lease()
    >>> first = lease.take(2, 3, dtype=torch.float32).data_ptr()
    >>> del lease
    >>> pool.lease().take(6, dtype=torch.float32).data_ptr() == first
    True
    """

    def __init__(self) -> None:
        self._free: list[Tensor] = []
        # Re-entrant: a lease may die (garbage collection) while this thread holds the lock.
        self._lock = threading.RLock()

    def lease(self) -> Lease:
        """A new, empty lease."""
        return Lease(self)

    def take(self, size: int, dtype: torch.dtype) -> Tensor:
        """The smallest free block of ``size`` to 4 ``size`` elements, or a new one.

        A new block takes the place of a free one that was too small, so that batches of varying
        length do not pile up blocks.
        """
        with self._lock:
            like = [b for b in self._free if b.dtype == dtype and size <= 4 * len(b) <= 16 * size]
            fits = [b for b in like if len(b) >= size]
            chosen = min(fits, key=len) if fits else max(like, key=len, default=None)
            self._free = [b for b in self._free if b is not chosen]
        if chosen is None or len(chosen) < size:
            # A block made under inference mode could not serve a training step later.
            with torch.inference_mode(False):
                chosen = torch.empty(size + size // 8, dtype=dtype)
        return chosen

    def give(self, blocks: list[Tensor]) -> None:
        """Take back blocks that nobody uses any more."""
        with self._lock:
            self._free = self._free + blocks


POOL = BufferPool()
"""The pool of all models in the process: memory is bounded by what is in use at one time."""
