"""Exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    r"""Keeps :math:`\bar\theta \leftarrow d \bar\theta + (1 - d) \theta` beside a model.

    The decay of step ``s`` is ``min(decay, (1 + s) / (10 + s))``, so that the first weights are
    soon forgotten. ``decay`` 0 keeps the weights themselves. The average is what is evaluated
    and saved.

    >>> model = nn.Linear(1, 1)
    >>> average = WeightAverage(model, decay=0.5)
    """

    def __init__(self, model: nn.Module, decay: float):
        self._parameters = dict(model.named_parameters())
        self._decay = decay
        self.values: dict[str, Tensor] = {
            name: value.detach().clone() for name, value in self._parameters.items()
        }

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after optimiser step ``step`` (from 0)."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.values.values()), list(self._parameters.values()), 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within the block the model has the averaged weights."""
        own = [value.detach().clone() for value in self._parameters.values()]
        self._set(list(self.values.values()))
        try:
            yield
        finally:
            self._set(own)

    @torch.no_grad()
    def _set(self, values: list[Tensor]) -> None:
        torch._foreach_copy_(list(self._parameters.values()), values)
