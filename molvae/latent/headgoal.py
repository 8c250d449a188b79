"""What is wanted of a property that the model's head predicts, as a number that can be climbed."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from molvae.base.errors import ConfigError, ModelError
from molvae.generator import Generator

NEAR = 0.5
"""Standard deviations of the labels from a wanted value within which the slope falls to nothing."""

Direction = Literal["maximize", "minimize"] | float
"""Which way, or the value that is wanted, in the label's unit."""


@dataclass(frozen=True)
class HeadGoal:
    """More or less of the property in ``column`` of the head of ``generator``, or a value of it.

    >>> from molvae.generator import load
    >>> goal = HeadGoal.of(load("druglike", "cpu"), "logp", 2.0)
    >>> goal.gain(torch.tensor([2.0, 2.0 + 1.5 * 1.4338])).numpy().round(2)
    array([-0.  , -1.25], dtype=float32)
    """

    generator: Generator
    column: int
    direction: Direction

    @classmethod
    def of(cls, generator: Generator, target: str, direction: Direction) -> HeadGoal:
        """For the property ``target``.

        Raises :class:`ModelError` for a model without a head, and :class:`ConfigError` for a
        property that it does not predict or a direction that is none.
        """
        known = generator.targets
        if not known:
            raise ModelError("this model has no property head; train it on labelled molecules")
        if target not in known:
            near = difflib.get_close_matches(target, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"it predicts {', '.join(known)}"
            raise ConfigError(f"the model does not predict {target!r}; {hint}")
        if isinstance(direction, str):
            if direction not in ("maximize", "minimize"):
                raise ConfigError(
                    f"the direction is {direction!r}; give maximize, minimize, or the value wanted"
                )
        elif not np.isfinite(direction):
            raise ConfigError(f"the value wanted is {direction}; give a finite number")
        return cls(generator, known.index(target), direction)

    def value(self, z: Tensor) -> Tensor:
        """The prediction ``(n,)`` for ``z (n, d)``, in the label's unit; for a class, of 1."""
        return self.generator.model.predict(z).values[:, self.column]

    def gain(self, value: Tensor) -> Tensor:
        """More is better ``(n,)``, in standard deviations of the labels.

        Near a wanted value it is Huber's loss, negative, so that a climb comes to rest there.
        """
        head = self.generator.model.head
        assert head is not None
        scale = head.scale[self.column]
        if self.direction == "maximize":
            return value / scale
        if self.direction == "minimize":
            return -value / scale
        wanted = torch.full_like(value, self.direction)
        return -functional.smooth_l1_loss(
            value / scale, wanted / scale, reduction="none", beta=NEAR
        )
