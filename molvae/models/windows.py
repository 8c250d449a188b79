"""Local latents: a part of z for every few symbols of the molecule.

One vector for a whole molecule must squeeze every symbol through the encoder's last state, and a
step in any direction changes all of the molecule at once. Here z has one short vector for each
*window* of consecutive symbols, read from the encoder's states in that window and seen by the
decoder while it writes there, so that a change of a few numbers is a change of a few symbols. z
stays one flat vector: the windows' vectors one after the other, then the global part, if any.

A window whose vector is zero is *forgotten*: the decoder, trained with windows forgotten at random
(:func:`forget`), fills it in from what is left of z and from what it has written. With all of z
zero it writes as a language model.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from molvae.models.packing import Packing
from molvae.models.parts import linear, uniform
from molvae.models.recurrence import EVERY_STEP


@dataclass(frozen=True)
class Windows:
    """How ``count`` windows of ``size`` symbols lie in a z of ``dim = count * width + rest``.

    >>> Windows(count=2, size=3, width=4, rest=1).dim
    9
    """

    count: int
    size: int
    width: int
    rest: int

    @classmethod
    def of(cls, max_length: int, size: int, width: int, rest: int) -> Windows:
        """Enough windows for ``max_length`` symbols and the end; none for ``size`` 0.

        >>> Windows.of(max_length=6, size=3, width=4, rest=0).count
        3
        """
        return cls(-(-(max_length + 1) // size) if size else 0, size, width, rest)

    @property
    def dim(self) -> int:
        """The length of z."""
        return self.count * self.width + self.rest

    @property
    def stride(self) -> int:
        """How many steps see the same part of z."""
        return self.size if self.count else EVERY_STEP

    @property
    def places(self) -> int:
        """The number of places in a window; 1 without windows."""
        return self.size if self.count else 1

    @property
    def context(self) -> int:
        """How many numbers of z a step of the decoder sees."""
        return self.rest + 3 * self.width * bool(self.count)

    def contexts(self, z: Tensor) -> Tensor:
        """What each window's steps see of ``z (b, d)``, ``(count, b, context)``: its vector, its
        two neighbours', and the global part; without windows all of z, ``(1, b, d)``."""
        if not self.count:
            return z[None]
        rest = z[:, None, self.count * self.width :].expand(-1, self.count, -1)
        return torch.cat([neighbours(self.local(z)), rest], -1).transpose(0, 1)

    def local(self, z: Tensor) -> Tensor:
        """The windows' vectors ``(..., count, width)`` of ``z (..., d)``."""
        return z[..., : self.count * self.width].unflatten(-1, (self.count, self.width))

    def begun(self, symbols: Tensor) -> Tensor:
        """Which windows molecules of so many ``symbols (b,)`` reach into, the end included.

        >>> Windows(count=3, size=2, width=1, rest=0).begun(torch.tensor([1, 2]))
        tensor([[ True, False, False],
                [ True,  True, False]])
        """
        first = torch.arange(self.count, device=symbols.device) * self.size
        return first <= symbols[:, None]

    def reached(self, z: Tensor, symbols: Tensor) -> Tensor:
        """``z (b, d)`` with zeros in the windows that molecules of so many ``symbols (b,)`` do not
        reach into, where a draw from the posterior is nothing but noise.

        >>> windows = Windows(count=2, size=2, width=1, rest=1)
        >>> windows.reached(torch.ones(1, 3), torch.tensor([1]))
        tensor([[1., 0., 1.]])
        """
        if not self.count:
            return z
        return z * self.mask(self.begun(symbols), torch.ones_like(symbols, dtype=torch.bool))

    def first(self, share: Tensor, symbols: Tensor) -> Tensor:
        """The first windows of molecules of so many ``symbols (b,)``: the ``share (b,)`` of those
        they reach into, rounded down; ``(b, count)`` bool.

        >>> windows = Windows(count=3, size=2, width=1, rest=0)
        >>> windows.first(torch.tensor([0.5, 0.7]), torch.tensor([4, 4]))
        tensor([[ True, False, False],
                [ True,  True, False]])
        """
        reached = self.begun(symbols).sum(1)
        number = torch.arange(self.count, device=symbols.device)
        return number < (share.to(symbols.device) * reached).floor()[:, None]

    def mask(self, keep: Tensor, rest: Tensor) -> Tensor:
        """``(b, d)`` ones and zeros from ``keep (b, count)`` and ``rest (b,)``."""
        return torch.cat(
            [
                keep.repeat_interleave(self.width, 1),
                rest[:, None].expand(-1, self.rest),
            ],
            1,
        )


def neighbours(x: Tensor) -> Tensor:
    """Windows ``(..., count, c)``, each with the one before and the one after (zero at the
    ends), ``(..., count, 3 c)``."""
    padded = nn.functional.pad(x, (0, 0, 1, 1))
    count = x.shape[-2]
    return torch.cat([padded[..., i : i + count, :] for i in range(3)], -1)


class WindowReader(nn.Module):
    """The encoder's states in each window to what the bottleneck makes of it, so many ``numbers``
    per latent dimension."""

    def __init__(
        self, windows: Windows, features: int, numbers: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.windows, self.numbers = windows, numbers
        self.project = linear(windows.size * features, numbers * windows.width, generator)

    def forward(self, packing: Packing, states: Tensor) -> tuple[Tensor, ...]:
        """The numbers, each ``(b, count * width)``, for packed ``states (n, features)``."""
        windows = self.windows
        padded = packing.unpack(states)
        missing = windows.count * windows.size - padded.shape[1]
        padded = nn.functional.pad(padded, (0, 0, 0, missing))
        all_numbers = self.project(padded.view(len(padded), windows.count, -1))
        return tuple(part.flatten(1) for part in all_numbers.chunk(self.numbers, dim=-1))


def forget(
    z: Tensor,
    windows: Windows,
    symbols: Tensor,
    shares: tuple[float, float, float],
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """``z (b, d)`` of molecules with so many ``symbols (b,)``, parts of it set to zero at random;
    and which molecules kept all of it, ``(b,)`` bool.

    ``shares`` are those of the molecules that forget; of these, of those that lose all of z; and of
    the others, of those that lose their end, from a window on that is drawn evenly. The rest loses
    each window, and the global part, at a rate of the molecule's own, drawn evenly from 0 to 1.
    """
    some, everything, end = shares
    draws = uniform((6, len(z)), generator, z.device)
    rate = torch.where(draws[1] < everything, 1.0, draws[0])
    rate = torch.where(draws[2] < some, rate, 0.0)
    ends = (draws[4] < end) & (rate > 0) & (rate < 1)
    scattered = uniform((len(z), windows.count), generator, z.device) >= rate[:, None]
    keep = torch.where(ends[:, None], windows.first(draws[5], symbols), scattered)
    return z * windows.mask(keep, draws[3] >= rate), rate == 0
