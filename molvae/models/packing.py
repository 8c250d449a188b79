"""Rows of unequal length as one block without padding, step after step.

Sequences are sorted by falling length and stored time-major: first every row's symbol of step 0,
then of step 1, and so on, each step keeping only the rows that still go on. A recurrence walks
over contiguous slices, products over all steps are one matrix product, and no work is done on
padding. It is the layout of :class:`torch.nn.utils.rnn.PackedSequence`, which cuDNN reads as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Packing:
    """How ``b`` rows with ``n`` symbols in all are laid out.

    ``order (b,)`` is the sorted rows' original places; ``counts`` has the number of rows alive at
    each step; ``row (n,)`` and ``step (n,)`` say where each packed position came from (``row`` in
    original places, ``place (n,)`` in sorted ones). Index tensors are on the model's device;
    ``counts`` stays on the host, because it shapes the work.

    >>> packing = Packing.of(torch.tensor([1, 3]))
    >>> packing.pack(torch.tensor([[7, 0, 0], [4, 5, 6]]))
    tensor([4, 7, 5, 6])
    """

    order: Tensor
    counts: tuple[int, ...]
    row: Tensor
    place: Tensor
    step: Tensor
    lengths: Tensor
    starts: Tensor
    """Where each step begins in the packed rows, ``(t,)``."""

    @classmethod
    def of(cls, lengths: Tensor, device: torch.device | str = "cpu") -> Packing:
        """The layout for ``lengths (b,)``, each at least 1; pass them on the host."""
        lengths = lengths.to("cpu", torch.int64)
        falling, order = lengths.sort(descending=True, stable=True)
        steps = torch.arange(int(falling[0]))
        alive = steps[:, None] < falling
        step, place = alive.nonzero(as_tuple=True)
        counts = alive.sum(1)
        starts = counts.cumsum(0) - counts
        found = cls(order, tuple(counts.tolist()), order[place], place, step, falling, starts)
        return found.each(lambda index: index.to(device))

    def each(self, change: Callable[[Tensor], Tensor]) -> Packing:
        """The same layout with ``change`` done to each index tensor: moved, or pinned."""
        indices = (self.row, self.place, self.step, self.lengths, self.starts)
        row, place, step, lengths, starts = map(change, indices)
        return Packing(change(self.order), self.counts, row, place, step, lengths, starts)

    @property
    def size(self) -> int:
        """The number of packed positions ``n``."""
        return len(self.row)

    @cached_property
    def last(self) -> Tensor:
        """Each sorted row's last packed position, ``(b,)``."""
        places = torch.arange(len(self.lengths), device=self.row.device)
        return self.starts[self.lengths - 1] + places

    @cached_property
    def mirror(self) -> Tensor:
        """For each packed position that of the same row read backwards, ``(n,)``.

        Rows keep their length, so the mirrored sequence has the same layout: a recurrence over
        ``x[mirror]`` starts at each row's last symbol, and ``[mirror]`` again undoes it.
        """
        return self.starts[self.lengths[self.place] - 1 - self.step] + self.place

    @cached_property
    def previous(self) -> Tensor:
        """Each position's previous state in the rows ``[initial (b); states (n)]``, ``(n,)``."""
        b = len(self.lengths)
        shifted = torch.cat([self.starts.new_full((1,), -b), self.starts])
        return b + shifted[self.step] + self.place

    def pack(self, values: Tensor) -> Tensor:
        """Packed rows ``(n, ...)`` of padded ``values (b, t, ...)``."""
        return values[self.row, self.step]

    def unpack(self, values: Tensor, fill: float = 0.0) -> Tensor:
        """Padded ``(b, t, ...)`` in the original order of packed ``values (n, ...)``."""
        shape = (len(self.lengths), len(self.counts), *values.shape[1:])
        return values.new_full(shape, fill).index_put((self.row, self.step), values)

    def sort(self, values: Tensor) -> Tensor:
        """One value per row, ``(b, ...)``, from the original into the sorted order."""
        return values.index_select(0, self.order)

    def restore(self, values: Tensor) -> Tensor:
        """One value per row, ``(b, ...)``, from the sorted back into the original order."""
        return values.index_select(0, self.order.argsort())

    def sum_rows(self, values: Tensor) -> Tensor:
        """Sums over each row's positions of ``values (n,)``, in the original order, ``(b,)``."""
        return values.new_zeros(len(self.lengths)).index_add(0, self.row, values)
