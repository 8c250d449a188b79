"""Linear maps of one network, or of several side by side that learn apart: an ensemble in one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from molvae.models.parts import linear


class Stacked(nn.Module):
    """``members`` linear maps side by side, ``(m, b, inputs)`` to ``(m, b, outputs)``."""

    def __init__(
        self, members: int, inputs: int, outputs: int, generator: torch.Generator, scale: float
    ) -> None:
        super().__init__()
        maps = [linear(inputs, outputs, generator, scale) for _ in range(members)]
        self.weight = nn.Parameter(torch.stack([one.weight.detach() for one in maps]))
        self.bias = nn.Parameter(torch.stack([one.bias.detach() for one in maps]))

    def forward(self, x: Tensor) -> Tensor:
        """Each member's map of its own rows, or of rows ``(b, inputs)`` that all share."""
        if x.ndim == 2:
            x = x.expand(len(self.weight), -1, -1)
        return torch.baddbmm(self.bias[:, None], x, self.weight.mT)


def mapping(
    members: int, inputs: int, outputs: int, generator: torch.Generator, scale: float = 1.0
) -> nn.Module:
    """A linear map, or :class:`Stacked` ones; see :func:`~molvae.models.parts.linear`."""
    if members == 1:
        return linear(inputs, outputs, generator, scale)
    return Stacked(members, inputs, outputs, generator, scale)
