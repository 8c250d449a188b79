"""What can go wrong in a step, in words that say what to change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from molvae.base.errors import TrainingError
from molvae.training.config import OptimiserConfig

_CPU_MESSAGES = ("not enough memory", "can't allocate memory", "cannot allocate memory")


@contextmanager
def memory_advice(config: OptimiserConfig) -> Iterator[None]:
    """Turn running out of memory inside the block into a :class:`TrainingError` with advice."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error).lower()
        if isinstance(error, RuntimeError) and not (
            isinstance(error, torch.OutOfMemoryError) or any(m in text for m in _CPU_MESSAGES)
        ):
            raise
        raise TrainingError(
            f"out of memory: raise optimiser.micro_batches (now {config.micro_batches}), which "
            f"changes nothing else, or lower optimiser.batch_size (now {config.batch_size})"
        ) from error


def first_non_finite(table: Tensor, names: Sequence[str]) -> tuple[int, str] | None:
    """The first row of ``table (rows, k)`` with a NaN or infinity, and which of ``names`` it is.

    ``total`` and ``gradient_norm`` follow from the others and are named only when alone.

    >>> first_non_finite(torch.tensor([[1.0, 2.0], [1.0, float("nan")]]), ["total", "kl"])
    (1, 'kl')
    """
    bad = ~table.isfinite()
    if not bool(bad.any()):
        return None
    row = int(bad.any(1).nonzero()[0])
    guilty = [name for name, wrong in zip(names, bad[row].tolist(), strict=True) if wrong]
    terms = [name for name in guilty if name not in ("total", "gradient_norm")]
    return row, (terms or guilty)[0]
