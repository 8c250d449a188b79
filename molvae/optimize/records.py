"""What a campaign keeps of molecules: why each was suggested, and what was told of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from molvae.oracles.answers import Outcome

NOT_TOLD = "not measured yet"
"""Why an assay of a molecule has no value, where others of it have been told."""


@dataclass(frozen=True)
class Reason:
    """Why a molecule is suggested, as far as it is known.

    ``predicted`` value and its ``uncertainty`` (one standard deviation) and ``acquisition`` (the
    improvement on the best to be expected, given the other molecules that are out for testing) are
    in the objective's unit, NaN before anything is learnt. ``nearest`` is the most similar molecule
    tested, ``similarity`` the Tanimoto similarity to it (Morgan fingerprints, radius 2).

    With several assays, ``predicted`` and ``uncertainty`` are those of the first, and ``others``
    has those of the others by their number. The acquisition is then what is expected to be added
    to the hypervolume, in the product of the objectives' units (with a scalarisation: to the best
    so far, without a unit). ``feasible`` is the probability that all measured constraints are met,
    by which the acquisition is multiplied; NaN where there are none.
    """

    predicted: float = math.nan
    uncertainty: float = math.nan
    acquisition: float = math.nan
    nearest: str | None = None
    similarity: float = math.nan
    feasible: float = math.nan
    others: Mapping[int, tuple[float, float]] = field(default_factory=dict)

    def expected(self, assay: int) -> tuple[float, float]:
        """The value predicted of an assay and its uncertainty, NaN where nothing is."""
        if assay == 0:
            return self.predicted, self.uncertainty
        return self.others.get(assay, (math.nan, math.nan))


@dataclass(frozen=True)
class Suggestion:
    """A molecule to evaluate: its own latent ``z (d,)``, and the one ``asked (d,)`` for it, if any.

    ``origin`` is where it comes from: start, prior, perturbation, crossover, gradient, or told (the
    user's own, whose ``z`` is NaN where the model cannot encode it). ``number`` is the campaign's
    own, 0 until it is written.
    """

    smiles: str
    step: int
    origin: str
    z: np.ndarray
    asked: np.ndarray | None = None
    reason: Reason = Reason()
    number: int = 0

    @property
    def usable(self) -> bool:
        """Whether the search can learn from it: the model can encode it."""
        return bool(np.isfinite(self.z).all())


@dataclass(frozen=True)
class Measured:
    """What is told of one assay of a molecule: see :class:`Observation`."""

    outcome: Outcome
    values: tuple[float, ...] = ()
    failures: tuple[str, ...] = ()

    @property
    def told(self) -> bool:
        """Whether anything is."""
        return bool(self.values or self.failures)


UNMEASURED = Measured(Outcome(math.nan, NOT_TOLD))
"""An assay of which nothing is told."""


@dataclass(frozen=True)
class Observation:
    """A suggestion and its outcome; ``order`` counts molecules from 1.

    ``values`` are its measurements, of which the outcome is the mean; ``failures`` the reasons of
    those that failed. Failures do not count where there is a value. All three are those of the
    first assay; ``others`` has the others that are told, by their number.
    """

    order: int
    suggestion: Suggestion
    outcome: Outcome
    values: tuple[float, ...] = ()
    failures: tuple[str, ...] = ()
    others: Mapping[int, Measured] = field(default_factory=dict)

    def of(self, assay: int) -> Measured:
        """What is told of one assay."""
        if assay == 0:
            return Measured(self.outcome, self.values, self.failures)
        return self.others.get(assay, UNMEASURED)
