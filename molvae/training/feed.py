"""The batches of a run, made before they are asked for where a GPU would wait for them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch

from molvae.models.batch import Batch

AHEAD = 16
"""Steps whose batches stand ready: enough to shuffle an epoch meanwhile."""

Step = tuple[np.ndarray, list[Batch]]
"""The corpus rows of a step ``(b,)``, and this process's parts of it."""


class Feed:
    """What ``make`` makes of each step, asked for in turn.

    On a CPU it is made when asked for, because there is no one to make it meanwhile. For a GPU, a
    thread lays out the coming steps' batches and pins them, so that the host only hands them over.
    The order is that of the steps either way, and so is the result.

    >>> feed = Feed(lambda step: (np.arange(step), []), torch.device("cpu"))
    >>> len(feed.at(3)[0])
    3
    """

    def __init__(self, make: Callable[[int], Step], device: torch.device) -> None:
        self._make, self._device = make, device
        self._thread = ThreadPoolExecutor(1, "batches") if device.type == "cuda" else None
        self._coming: dict[int, Future[Step]] = {}

    def at(self, step: int) -> Step:
        """The rows and batches of ``step``, on the device."""
        if self._thread is None:
            rows, batches = self._make(step)
            return rows, [batch.to(self._device) for batch in batches]
        for later in range(step, step + AHEAD):
            if later not in self._coming:
                self._coming[later] = self._thread.submit(self._ready, later)
        rows, batches = self._coming.pop(step).result()
        return rows, [batch.to(self._device, non_blocking=True) for batch in batches]

    def close(self) -> None:
        """Make no more."""
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)

    def _ready(self, step: int) -> Step:
        rows, batches = self._make(step)
        return rows, [batch.laid_out().pinned() for batch in batches]
