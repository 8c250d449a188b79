"""Modifiers: what makes of a part's raw value, in its own unit, a score from 0 to 1.

Those with a name in GuacaMol are GuacaMol's (Brown et al., J. Chem. Inf. Model. 59:1096 (2019),
doi:10.1021/acs.jcim.8b00839). NaN stays NaN in all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, field_validator, model_validator
from scipy.special import expit

from molvae.base.records import Record
from molvae.chem.smiles import MoleculeError, parse

Modify = Callable[[np.ndarray], np.ndarray]
"""Raw values ``(n,)`` to scores ``(n,)``."""


class BaseModifier(Record):
    """What all modifiers have."""

    def modify(self, x: np.ndarray) -> np.ndarray:
        """Scores of raw values, both ``(n,)``."""
        raise NotImplementedError

    def build(self, raw_of: Callable[[str], float]) -> Modify:
        """The modifier as a function; ``raw_of`` gives the part's raw value of a molecule."""
        return self.modify


class Ramp(BaseModifier):
    """What rises (or falls) between two raw values."""

    upper: float
    lower: float = 0.0

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.upper == self.lower:
            raise ValueError(f"upper and lower are the same ({self.upper:g})")
        return self


class Threshold(BaseModifier):
    """Proportional up to ``at``, 1 from there on: min(x, at) / at, and 0 for x below 0.

    >>> Threshold(at=4.0).modify(np.array([-1.0, 1.0, 9.0]))
    array([0.  , 0.25, 1.  ])
    """

    kind: Literal["threshold"] = "threshold"
    at: float = Field(gt=0)

    def modify(self, x: np.ndarray) -> np.ndarray:
        """Scores of raw values, both ``(n,)``."""
        return np.clip(x, 0.0, self.at) / self.at


class Clipped(Ramp):
    """From 0 at ``lower`` straight to 1 at ``upper``, flat beyond; falling if upper < lower.

    >>> Clipped(upper=1.0, lower=10.0).modify(np.array([0.0, 5.5, 12.0]))
    array([1. , 0.5, 0. ])
    """

    kind: Literal["clipped"] = "clipped"

    def modify(self, x: np.ndarray) -> np.ndarray:
        """Scores of raw values, both ``(n,)``."""
        return np.clip((x - self.lower) / (self.upper - self.lower), 0.0, 1.0)


class Sigmoid(Ramp):
    """The logistic curve from 0 around ``lower`` to 1 around ``upper`` (GuacaMol's smooth clip).

    Its slope in the middle is that of ``clipped`` with the same two numbers: it is 0.12 at
    ``lower`` and 0.88 at ``upper``. Falling if upper < lower.

    >>> Sigmoid(upper=2.0).modify(np.array([0.0, 1.0, 2.0])).round(3)
    array([0.119, 0.5  , 0.881])
    """

    kind: Literal["sigmoid"] = "sigmoid"

    def modify(self, x: np.ndarray) -> np.ndarray:
        """Scores of raw values, both ``(n,)``."""
        middle, width = (self.upper + self.lower) / 2, self.upper - self.lower
        return np.asarray(expit(4.0 * (x - middle) / width))


class Gaussian(BaseModifier):
    """exp(-(x - mean)² / (2 sigma²)): 1 at the mean, 0.61 one sigma away from it; ``max_gaussian``
    is 1 above the mean as well, ``min_gaussian`` below it.

    The names are GuacaMol's: for what is to be at its maximum or minimum, and better is as good.
    Instead of ``mean`` give ``mean_of``, a SMILES: the mean is then this part's raw value of that
    molecule, as computed by the RDKit that runs.

    >>> x = np.array([0.0, 1.0, 2.0])
    >>> Gaussian(mean=1.0, sigma=1.0).modify(x).round(3)
    array([0.607, 1.   , 0.607])
    >>> Gaussian(kind="min_gaussian", mean=1.0, sigma=1.0).modify(x).round(3)
    array([1.   , 1.   , 0.607])
    """

    kind: Literal["gaussian", "max_gaussian", "min_gaussian"] = "gaussian"
    mean: float | None = None
    mean_of: str | None = None
    sigma: float = Field(gt=0)

    @field_validator("mean_of")
    @classmethod
    def _molecule(cls, text: str | None) -> str | None:
        return text if text is None else checked_molecule(text)

    @model_validator(mode="after")
    def _one_mean(self) -> Self:
        if (self.mean is None) == (self.mean_of is None):
            raise ValueError("give one of mean (a number) and mean_of (a SMILES)")
        return self

    def modify(self, x: np.ndarray) -> np.ndarray:
        """Scores of raw values, both ``(n,)``; only with a ``mean``."""
        if self.mean is None:
            raise ValueError("mean_of has to be resolved first: use build")
        away = x - self.mean
        if self.kind == "max_gaussian":
            away = np.minimum(away, 0.0)
        elif self.kind == "min_gaussian":
            away = np.maximum(away, 0.0)
        return np.exp(-0.5 * (away / self.sigma) ** 2)

    def build(self, raw_of: Callable[[str], float]) -> Modify:
        """The modifier as a function; ``raw_of`` gives the part's raw value of a molecule."""
        if self.mean_of is None:
            return self.modify
        return self.replace(mean=raw_of(self.mean_of), mean_of=None).modify


class Range(BaseModifier):
    """1 from ``low`` to ``high``, ends included; outside, down to 0 over ``margin``.

    Either end may be left out. ``margin`` 0 is a step.

    >>> Range(low=2.0, high=5.0, margin=2.0).modify(np.array([1.0, 2.0, 7.5]))
    array([0.5, 1. , 0. ])
    """

    kind: Literal["range"] = "range"
    low: float | None = None
    high: float | None = None
    margin: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("give low, high or both")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low ({self.low:g}) is above high ({self.high:g})")
        return self

    def modify(self, x: np.ndarray) -> np.ndarray:
        """Scores of raw values, both ``(n,)``."""
        x = np.asarray(x, float)
        low = -np.inf if self.low is None else self.low
        high = np.inf if self.high is None else self.high
        outside = np.maximum(np.maximum(low - x, x - high), 0.0)
        if self.margin == 0:
            return np.where(np.isnan(x), np.nan, (outside == 0).astype(float))
        return np.clip(1.0 - outside / self.margin, 0.0, 1.0)


Modifier = Annotated[Threshold | Clipped | Sigmoid | Gaussian | Range, Field(discriminator="kind")]

MODIFIERS: dict[str, type[BaseModifier]] = {
    "threshold": Threshold,
    "clipped": Clipped,
    "sigmoid": Sigmoid,
    "gaussian": Gaussian,
    "max_gaussian": Gaussian,
    "min_gaussian": Gaussian,
    "range": Range,
}
"""Every modifier by its ``kind``."""


def checked_molecule(text: str) -> str:
    """``text`` if it is a SMILES, else ``ValueError`` with the reason, for a validator."""
    try:
        parse(text)
    except MoleculeError as error:
        raise ValueError(error.reason) from error
    return text
