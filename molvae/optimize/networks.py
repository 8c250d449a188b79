"""Small multilayer perceptrons, several at once, whose weights come from seeds of their own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor


class Networks(torch.nn.Module):
    """``members`` networks of the same ``sizes``, of input, hidden layers and output.

    Weights are drawn with ``generator``, normal and scaled by the number of inputs (He et al.,
    ICCV 2015), from no global state.

    >>> networks = Networks([3, 16, 1], 4, torch.Generator().manual_seed(0))
    >>> networks(torch.zeros(5, 3)).shape
    torch.Size([4, 5, 1])
    """

    def __init__(
        self,
        sizes: Sequence[int],
        members: int,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.weights, self.biases = torch.nn.ParameterList(), torch.nn.ParameterList()
        for before, after in itertools.pairwise(sizes):
            drawn = torch.randn(members, before, after, generator=generator, dtype=dtype)
            self.weights.append(torch.nn.Parameter(drawn / math.sqrt(max(1, before))))
            self.biases.append(torch.nn.Parameter(torch.zeros(members, 1, after, dtype=dtype)))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs ``(members, n, out)`` of inputs ``(n, in)``, or ``(members, n, in)`` of each."""
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if place:
                x = torch.nn.functional.silu(x)
            x = x @ weight + bias
        return x
