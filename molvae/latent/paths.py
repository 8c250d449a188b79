"""Paths through the latent space, with the molecules on them, and as columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Path:
    """A climb from one molecule, at its ``k`` kept steps; ``k`` is 0 where there is a ``reason``.

    The first is the start itself, whatever its latent decodes to. Predictions are in the label's
    unit, for a class its probability.
    """

    start: str | None
    """The molecule, as it was given."""
    reason: str | None
    """Why there is no climb from it, None where there is one."""
    steps: np.ndarray
    """Steps taken before each, ``(k,)`` int; the first is 0."""
    z: np.ndarray
    """The latents asked, ``(k, d)`` float32; the first is the posterior mean of the start."""
    smiles: tuple[str | None, ...]
    """The start, and what the latents after it decode to, canonical; None where that is no
    molecule."""
    own: np.ndarray
    """The re-encoded latents of these molecules, ``(k, d)``, NaN without one."""
    asked_value: np.ndarray
    """The head's prediction at ``z``, ``(k,)``."""
    own_value: np.ndarray
    """The head's prediction at ``own``, ``(k,)``, NaN without a molecule: what to go by."""
    gain: np.ndarray
    """``own_value`` so that more is better, in standard deviations of the labels, ``(k,)``."""
    back: str | None
    """What the start's latent decodes to, canonical; None where that is no molecule."""
    back_gain: float
    """The gain of ``back``, NaN without a molecule."""

    @classmethod
    def none(cls, start: str | None, reason: str, dim: int) -> Path:
        """No climb from ``start`` in ``dim`` dimensions, and why."""
        z, nothing = np.empty((0, dim), np.float32), np.empty(0)
        steps = np.empty(0, np.int64)
        return cls(start, reason, steps, z, (), z, nothing, nothing, nothing, None, np.nan)

    @property
    def lost(self) -> bool:
        """Whether the start does not come back, so that the way sets out from ``back``."""
        return bool(self.smiles) and self.back != self.smiles[0]

    @property
    def best(self) -> int | None:
        """The kept step whose molecule the head likes best; None where there is no climb.

        It is 0, the start, unless another is liked better than the start, and than what the start
        decodes to: that molecule is a mistake of the decoder, and its gain none of the climb.
        """
        if not self.smiles:
            return None
        least = float(np.nanmax([self.gain[0], self.back_gain]))
        known = (None, self.smiles[0], self.back)
        better = [i for i, text in enumerate(self.smiles) if text not in known]
        found = max(better, key=lambda i: float(self.gain[i]), default=0)
        return found if self.gain[found] > least else 0


def columns_of(paths: Sequence[Path], target: str, *, whole: bool = False) -> dict[str, list[Any]]:
    """Columns of a table: a row for each path, of its best step, or for all its kept steps.

    ``smiles`` is the molecule, ``start_smiles`` that of its start, and ``start_decoded`` what the
    start decodes to; ``TARGET`` is predicted for the molecule, ``TARGET_asked`` for the latent
    asked, ``TARGET_start`` for the start. What there is not is None or NaN.

    >>> lost = Path.none("C1CC", "not valid SMILES (ring 1 is not closed)", 4)
    >>> columns_of([lost], "logp")["start_smiles"]
    ['C1CC']
    """
    rows: list[tuple[Any, ...]] = []
    for path in paths:
        best = [] if path.best is None else [path.best]
        for i in range(len(path.steps)) if whole else best:
            values = (path.own_value[i], path.asked_value[i], path.asked_value[0])
            rows.append((path.smiles[i], path.start, path.back, int(path.steps[i]), *values))
        if not (len(path.steps) if whole else best):
            rows.append((None, path.start, None, None, *(3 * [float("nan")])))
    values_of = (target, f"{target}_asked", f"{target}_start")
    names = ("smiles", "start_smiles", "start_decoded", "step", *values_of)
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}
