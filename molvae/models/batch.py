"""What a model reads: molecules as padded rows of ids, with their labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from molvae.base.errors import InputError
from molvae.models.packing import Packing


@dataclass(frozen=True, eq=False)
class Batch:
    """``tokens (b, t)`` int64: start, the symbols, end, then padding; ``lengths (b,)`` int64 counts
    start and end; ``labels (b, p)`` float32, NaN where missing (None: no labels at all);
    ``roles (b, t)`` uint8, each symbol's :class:`~molvae.models.objective.Role` (None: not told);
    ``hosts (b, t)`` int64, what each terminal one hangs on, as a number for each host, else 0
    (None: not told);
    ``kinds (2, v)`` int64, which symbols are relatives of each other, as an atom that others follow
    and as one at an end (None: not told); ``conditions (b, k)`` float32, what a conditional model
    is told, NaN where missing (None: none).

    ``lengths`` stay on the host whatever the device, because they shape the work. ``packing`` is
    how the rows without their start are laid out, where that has been found already.
    """

    tokens: Tensor
    lengths: Tensor
    labels: Tensor | None = None
    roles: Tensor | None = None
    hosts: Tensor | None = None
    kinds: Tensor | None = None
    packing: Packing | None = None
    conditions: Tensor | None = None

    @classmethod
    def collate(
        cls,
        rows: Sequence[Sequence[int] | np.ndarray],
        labels: np.ndarray | None = None,
        *,
        pad_id: int = 0,
        start_id: int = 1,
        end_id: int = 2,
    ) -> Batch:
        """Rows of symbols (without start and end) as one batch, trimmed to the longest.

        >>> Batch.collate([[5, 6], [7]]).tokens
        tensor([[1, 5, 6, 2],
                [1, 7, 2, 0]])
        """
        if len(rows) == 0:
            raise InputError("a batch needs at least one molecule, and it got none")
        symbols = np.array([len(row) for row in rows], dtype=np.int64)
        tokens = np.full((len(rows), int(symbols.max()) + 2), pad_id, dtype=np.int64)
        tokens[:, 0] = start_id
        inside = np.arange(tokens.shape[1] - 1) < symbols[:, None]
        tokens[:, 1:][inside] = np.concatenate([np.asarray(row, dtype=np.int64) for row in rows])
        tokens[np.arange(len(rows)), symbols + 1] = end_id
        kept = None if labels is None else torch.from_numpy(np.array(labels, dtype=np.float32))
        return cls(torch.from_numpy(tokens), torch.from_numpy(symbols + 2), kept)

    def __len__(self) -> int:
        return len(self.tokens)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """The batch with all but the lengths on ``device``."""
        return self._each(lambda values: values.to(device, non_blocking=non_blocking))

    def laid_out(self) -> Batch:
        """The batch with its packing."""
        return replace(self, packing=Packing.of(self.lengths - 1))

    def pinned(self) -> Batch:
        """The batch in memory that a GPU reads while the host goes on."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        def changed(values: Tensor | None) -> Tensor | None:
            return None if values is None else change(values)

        return Batch(
            change(self.tokens),
            self.lengths,
            changed(self.labels),
            changed(self.roles),
            changed(self.hosts),
            changed(self.kinds),
            None if self.packing is None else self.packing.each(change),
            changed(self.conditions),
        )
