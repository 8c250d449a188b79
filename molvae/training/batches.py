"""Length-bucketed batches as a pure function of seed, epoch and step.

Molecules of similar length share a batch, so little of it is padding; nothing about the order is
remembered, so any step's batch can be made again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from molvae.base.errors import InputError
from molvae.base.seeds import derive_seed
from molvae.chem.selfies import Grammar
from molvae.models.batch import Batch
from molvae.training.roles import kinds_of, roles_and_hosts

POOL = 32
"""Batches whose molecules are sorted by length together."""


class BatchPlan:
    """Which molecules each training step sees.

    ``rows (n,)`` are corpus rows and ``lengths (n,)`` their numbers of symbols. Each epoch shuffles
    the rows, sorts them by length within pools of ``POOL`` batches, cuts them into
    ``steps_per_epoch`` batches whose sizes differ by one at most (none larger than
    ``batch_size``), and shuffles the batches.

    >>> plan = BatchPlan(np.arange(10), np.arange(10), batch_size=4, seed=0)
    >>> plan.steps_per_epoch, sorted(len(plan.rows(step)) for step in range(3))
    (3, [3, 3, 4])
    >>> plan.epoch(step=7), bool((plan.rows(7) == plan.rows(7)).all())
    (2, True)
    """

    def __init__(self, rows: np.ndarray, lengths: np.ndarray, batch_size: int, seed: int):
        if len(rows) == 0:
            raise InputError("there are no molecules to train on: the train part is empty")
        self._rows = rows
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self.steps_per_epoch = -(-len(rows) // batch_size)
        self._cached: tuple[int, np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        """The number of molecules in an epoch."""
        return len(self._rows)

    def epoch(self, step: int) -> int:
        """The epoch, from 0, that ``step`` belongs to."""
        return step // self.steps_per_epoch

    def rows(self, step: int) -> np.ndarray:
        """The corpus rows of optimiser step ``step``, ``(b,)``, shortest molecule first."""
        epoch = self.epoch(step)
        if self._cached is None or self._cached[0] != epoch:
            self._cached = (epoch, *self._arrange(epoch))
        _, order, batches = self._cached
        first, last = batches[step % self.steps_per_epoch]
        return self._rows[order[first:last]]

    def _arrange(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The epoch's order ``(n,)`` and its batches' ``(first, last)`` places, ``(steps, 2)``."""
        random = np.random.default_rng(derive_seed(self._seed, "batches", epoch))
        shuffled = random.permutation(len(self._rows))
        edges = np.linspace(0, len(shuffled), self.steps_per_epoch + 1).astype(np.int64)
        pools = np.zeros(len(shuffled), np.int32)
        pools[edges[POOL:-1:POOL]] = 1  # a pool begins with a batch, so no batch spans two
        order = shuffled[np.lexsort((self._lengths[shuffled], pools.cumsum()))]
        batches = np.stack([edges[:-1], edges[1:]], axis=1)
        return order, batches[random.permutation(len(batches))]


@dataclass(frozen=True)
class Molecules:
    """Rows of a corpus as a model reads them: its own symbol ids, and the labels of its head.

    ``tokens`` (flat, as in the corpus, usually memory-mapped), ``offsets (n + 1,)``, ``labels
    (n, p)`` float32 with NaN where missing, and ``ids (corpus vocabulary,)``: the model's id of
    every symbol of the corpus. With the ``grammar`` of the model's symbols, batches say what role
    each of them plays, and which are relatives. ``conditions (n, k)``, like the labels, are what a
    conditional model is told.
    """

    tokens: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray
    ids: np.ndarray
    grammar: Grammar | None = None
    pad_id: int = 0
    start_id: int = 1
    end_id: int = 2
    conditions: np.ndarray | None = None

    def lengths_of(self, rows: np.ndarray) -> np.ndarray:
        """Symbols of each of the molecules ``rows (b,)``, without start and end, ``(b,)``."""
        lengths: np.ndarray = self.offsets[rows + 1] - self.offsets[rows]
        return lengths

    def batch(self, rows: np.ndarray) -> Batch:
        """The molecules at ``rows (b,)``, padded to the longest of them and no further."""
        first = self.offsets[rows]
        lengths = self.lengths_of(rows)
        columns = np.arange(lengths.max())
        last = lengths[:, None] - 1
        symbols = self.ids[self.tokens[first[:, None] + np.minimum(columns, last)]]
        tokens = np.full((len(rows), len(columns) + 2), self.pad_id, np.int64)
        tokens[:, 0] = self.start_id
        tokens[:, 1:-1] = np.where(columns <= last, symbols, self.pad_id)
        tokens[np.arange(len(rows)), lengths + 1] = self.end_id
        told = self.conditions
        roles, hosts = self._roles_and_hosts(tokens, lengths)
        return Batch(
            tokens=torch.from_numpy(tokens),
            lengths=torch.from_numpy(lengths + 2),
            labels=torch.from_numpy(self.labels[rows]),
            roles=roles,
            hosts=hosts,
            kinds=self._kinds,
            conditions=None if told is None else torch.from_numpy(told[rows]),
        )

    @cached_property
    def _kinds(self) -> torch.Tensor | None:
        return None if self.grammar is None else torch.from_numpy(kinds_of(self.grammar))

    def _roles_and_hosts(
        self, tokens: np.ndarray, lengths: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor] | tuple[None, None]:
        if self.grammar is None:
            return None, None
        roles, hosts = roles_and_hosts(tokens, lengths, self.grammar)
        return torch.from_numpy(roles), torch.from_numpy(hosts)


def parts(rows: np.ndarray, count: int) -> list[np.ndarray]:
    """Deal ``rows`` into ``count`` micro-batches of like lengths, sizes within one of each other.

    >>> [part.tolist() for part in parts(np.arange(5), 2)]
    [[0, 2, 4], [1, 3]]
    """
    return [rows[start::count] for start in range(count)]


def in_length_order(rows: np.ndarray, lengths: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Batches of ``size`` for one pass of evaluation, shortest molecules first."""
    ordered = rows[np.argsort(lengths, kind="stable")]
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]
