"""Several trust regions at once, around good molecules that are unlike each other.

After TuRBO-m (Eriksson et al., NeurIPS 2019, arXiv:1910.01741): each region has a step length of
its own, learnt from its own successes and failures, and one that has failed too often is closed and
another opened elsewhere. Nothing of it is stored: it is replayed from the observations.

- **Centres.** A region is centred on its best molecule, by what that molecule really is and not by
  a latent that was asked. A new one opens at the best molecule whose Tanimoto similarity
  (:class:`~molvae.chem.counts.Counts`) to every other centre is below :data:`UNLIKE`.
- **Attribution.** An observation belongs to the region whose centre before its step it is most
  similar to, if it is not unlike it. What is nearer to the centre of a closed region belongs to
  none; neither does what is unlike all centres, unless it is the best molecule so far: the region
  nearest to that moves there, so that the best of all is always a centre.
- **Counters.** A step is a success of a region if something better belongs to it, else a failure,
  unless there were fewer molecules than regions and none of them belongs to it.
- **Places.** Where there are fewer unlike molecules than regions, samples of the prior take the
  places that are left, and become centres as soon as they are the best unlike ones.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from molvae.chem.counts import Counts
from molvae.optimize.described import count_columns_of
from molvae.optimize.observed import Observed
from molvae.optimize.records import Suggestion
from molvae.optimize.trust_region import TrustRegion

UNLIKE = 0.4
"""Tanimoto similarity below which two molecules may be centres of two regions."""


@dataclass(frozen=True)
class Region:
    """A trust region around the molecule in row ``centre``, whose utility is ``best``."""

    centre: int
    best: float
    trust: TrustRegion


@dataclass(frozen=True, eq=False)
class Place:
    """One region's part of a step: the ``rows (k,)`` of its molecules, best first (none: the part
    is the prior's), its ``trust`` region, the number of the ``step``, and its own ``number``."""

    rows: np.ndarray
    trust: TrustRegion
    step: int
    number: int


class Propose(Protocol):
    """The ``size`` molecules of one place, given what is out for testing."""

    def __call__(
        self, *, place: Place, size: int, pending: Sequence[Suggestion]
    ) -> list[Suggestion]: ...


def places(observed: Observed, m: int, step: int, unfinished: Container[int] = ()) -> list[Place]:
    """The ``m`` places among which ``step`` is shared out, best region first.

    Args:
        observed: everything observed, in any order; utilities are NaN where a molecule failed.
        m: how many.
        step: its number, from which the places' own seeds follow.
        unfinished: steps of which too little is known to count as failures yet.

    >>> smiles = ["CCO", "CCCO", "c1ccccc1"]
    >>> observed = Observed.once(smiles, np.zeros((3, 2)), np.array([1.0, 3.0, 2.0]))
    >>> [place.rows.tolist() for place in places(observed, 3, step=1)]
    [[1, 0], [2], []]
    """
    replayed = _Replay(observed, m)
    for number in np.unique(observed.steps):
        replayed.after(int(number), int(number) in unfinished)
    owner = replayed.owners(np.arange(len(observed.smiles)))
    order = np.argsort(-observed.utility, kind="stable")  # NaN comes last
    order = order[np.isfinite(observed.utility[order])]
    found = [
        Place(order[owner[order] == i], region.trust, step, i)
        for i, region in enumerate(replayed.live)
    ]
    nothing = np.empty(0, np.int64)
    return found + [Place(nothing, TrustRegion(), step, i) for i in range(len(found), m)]


def shared_out(
    found: Sequence[Place], size: int, pending: Sequence[Suggestion], propose: Propose
) -> list[Suggestion]:
    """``size`` molecules, as evenly as can be from all places.

    The odd ones, and with fewer molecules than places all, go to the places in turn from step to
    step. What one place cannot find the next one makes up for.
    """
    chosen: list[Suggestion] = []
    wanted = 0
    turn = found[0].step % len(found)
    for i, place in enumerate([*found[turn:], *found[:turn]]):
        wanted += size // len(found) + (i < size % len(found))
        if wanted > len(chosen):
            known = [*pending, *chosen]
            chosen += propose(place=place, size=wanted - len(chosen), pending=known)
    return chosen


class _Replay:
    """The regions as they come and go, step by step."""

    def __init__(self, observed: Observed, m: int) -> None:
        self.m = m
        self.steps, self.utility = observed.steps, observed.utility
        self.counts = Counts.of(count_columns_of(observed.smiles))
        self.sizes = np.diff(self.counts.rows.indptr).astype(np.float64)
        self.live: list[Region] = []
        self.closed = np.full(len(self.steps), -1.0)
        """Similarity of each molecule to the nearest centre of a closed region."""
        self.best = -np.inf
        self._columns: dict[int, np.ndarray] = {}

    def after(self, step: int, unfinished: bool) -> None:
        """The regions after ``step``, where there is more to come of it if it is ``unfinished``."""
        rows = np.flatnonzero(self.steps == step)
        owner = self.owners(rows)
        values = np.where(np.isfinite(self.utility[rows]), self.utility[rows], -np.inf)
        top = int(values.argmax())
        if self.live and owner[top] < 0 and values[top] > self.best:
            owner[top] = self._near(rows[[top]])[:-1].argmax()
        self.best = max(self.best, float(values[top]))
        shared = not unfinished and len(rows) >= self.m
        self.live = [
            after
            for i, region in enumerate(self.live)
            if (after := self._moved(region, rows[owner == i], step, unfinished, shared))
        ]
        self._merge()
        while len(self.live) < self.m and self._opened(step):
            pass
        self.live.sort(key=lambda region: -region.best)

    def owners(self, rows: np.ndarray) -> np.ndarray:
        """The number of the region that each of ``rows`` belongs to, -1 for none."""
        near = self._near(rows)
        owner = np.where(near.max(axis=0) < UNLIKE, len(self.live), near.argmax(axis=0))
        return np.where(owner == len(self.live), -1, owner)

    def _near(self, rows: np.ndarray) -> np.ndarray:
        """Similarities ``(regions + 1, k)`` of ``rows`` to each centre, and last to the closed."""
        live = [self._similarity(region.centre)[rows] for region in self.live]
        return np.stack([*live, self.closed[rows]])

    def _moved(
        self, region: Region, rows: np.ndarray, step: int, unfinished: bool, shared: bool
    ) -> Region | None:
        """The region after its ``rows`` of a step, None where it is closed.

        In a ``shared`` step there would have been some for every region.
        """
        values = self.utility[rows]
        if np.isfinite(values).any() and np.nanmax(values) > region.best:
            centre = int(rows[np.nanargmax(values)])
            trust = region.trust.after(step, improved=True)
            return Region(centre, float(self.utility[centre]), trust)
        if unfinished or not (len(rows) or shared):
            return region
        trust = region.trust.after(step, improved=False)
        if trust.begun == region.trust.begun:
            return replace(region, trust=trust)
        self.closed = np.maximum(self.closed, self._similarity(region.centre))
        return None

    def _merge(self) -> None:
        """Of regions that have come upon like molecules, the one with the best of them goes on."""
        kept: list[Region] = []
        for region in sorted(self.live, key=lambda region: -region.best):
            if all(self._similarity(other.centre)[region.centre] < UNLIKE for other in kept):
                kept.append(region)
        self.live = kept

    def _opened(self, step: int) -> bool:
        """Whether there is a molecule by now around which a new region could be opened."""
        centres = [self._similarity(region.centre) for region in self.live]
        unlike = np.max([self.closed, *centres], axis=0) < UNLIKE
        free = unlike & np.isfinite(self.utility) & (self.steps <= step)
        if not free.any():
            return False
        best = int(np.argmax(np.where(free, self.utility, -np.inf)))
        self.live.append(Region(best, float(self.utility[best]), TrustRegion(begun=step)))
        return True

    def _similarity(self, row: int) -> np.ndarray:
        """Similarity ``(n,)`` of every molecule to the one in ``row``."""
        if row not in self._columns:
            # As Counts.similarity, for one molecule: a replay asks it of hundreds in turn.
            table = self.counts.rows
            one = np.zeros(table.shape[1], np.float32)
            one[table.indices[table.indptr[row] : table.indptr[row + 1]]] = 1.0
            shared = (table @ one).astype(np.float64)
            union = self.sizes + self.sizes[row] - shared
            none = np.zeros_like(shared)
            self._columns[row] = np.divide(shared, union, out=none, where=union > 0)
        return self._columns[row]
