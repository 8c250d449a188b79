"""What a molecule's windows say of it wherever they stand: how a property head reads a local z."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from molvae.models.stacked import mapping
from molvae.models.windows import Windows, neighbours


class WindowFeatures(nn.Module):
    """What the windows of z say of a molecule, wherever in it they stand.

    Convolutions over the windows (each sees a window and its two neighbours), then the sum of every
    channel and its largest value (0 at least), then the global part of z as it is. So a group of
    atoms is known again where it stands three windows later, which a perceptron over all of z must
    learn for every place anew. Windows that are zero, forgotten or beyond the molecule's end, count
    for nothing.
    """

    def __init__(
        self,
        windows: Windows,
        channels: Sequence[int],
        members: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.windows = windows
        sizes = (windows.width, *channels)
        self.layers = nn.ModuleList(
            mapping(members, 3 * inputs, outputs, generator) for inputs, outputs in pairwise(sizes)
        )
        self.outputs = 2 * sizes[-1] + windows.rest

    def forward(self, z: Tensor) -> Tensor:
        """``(..., outputs)`` of ``z (..., d)``; of an ensemble ``(m, b, outputs)``."""
        x = self.windows.local(z)
        told = (x != 0).any(-1, keepdim=True)
        reached = told.flatten(0, -3).any(0).flatten().nonzero()
        last = int(reached.max()) + 1 if len(reached) else 1
        x, told = x[..., :last, :], told[..., :last, :]  # beyond the longest there is nothing
        for layer in self.layers:
            near = neighbours(x)
            rows = layer(near.flatten(-3, -2))
            x = functional.silu(rows.unflatten(-2, near.shape[-3:-1])) * told
        rest = z[..., z.shape[-1] - self.windows.rest :].expand(*x.shape[:-2], -1)
        most = x.amax(-2).clamp_min(0)  # of nothing too
        return torch.cat([x.sum(-2) / self.windows.count**0.5, most, rest], -1)

    def input_scale(self, mean: Tensor, std: Tensor, centre: Tensor, spread: Tensor) -> None:
        """Put into ``centre`` and ``spread (d,)`` what is common to all windows: no centre, for
        zero must stay zero, and one spread for each number of a window's."""
        local = self.windows.local(mean)
        told = (local != 0).any(-1, keepdim=True)
        power = (local.square() + self.windows.local(std).square()) * told
        common = (power.sum((0, 1)) / told.sum()).sqrt()
        cut = self.windows.count * self.windows.width
        centre[:cut], spread[:cut] = 0.0, common.repeat(self.windows.count)

    @torch.no_grad()
    def fold_inputs(self, spread: Tensor) -> None:
        """Take windows from now on where their numbers over ``spread (d,)`` were taken."""
        weight = self.layers[0].weight
        assert isinstance(weight, Tensor)
        weight /= spread[: self.windows.width].repeat(3)
