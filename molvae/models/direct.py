"""What z says of the next symbol by itself, whatever has been written before.

A recurrent decoder reads z through its state, and after one wrong symbol that state is one it has
never been in: what it makes of the rest of z goes astray too, and a small step in z makes another
molecule. The direct reading is a perceptron from what a step sees of z to logits, which are added
to the decoder's own. It knows no history, and so is not misled by it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from molvae.models.packing import Packing
from molvae.models.parts import linear, silent
from molvae.models.windows import Windows


class DirectReading(nn.Module):
    """Logits of the ``symbols`` from z alone, by ``hidden`` units for each place in a window.

    They are exactly 0 where a step sees only zeros, so that what the decoder writes from nothing
    stays as it is; and everywhere in a new one, which says nothing yet.
    """

    def __init__(
        self, windows: Windows, hidden: int, symbols: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.windows = windows
        self.read = linear(windows.context, windows.places * hidden, generator)
        self.say = silent(hidden, symbols)

    def forward(self, contexts: Tensor) -> Tensor:
        """Logits ``(..., places, v)`` from what steps see of z, ``contexts (..., c)``."""
        heard = torch.relu(self.read(contexts)) - torch.relu(self.read.bias)
        said: Tensor = self.say(heard.unflatten(-1, (self.windows.places, -1)))
        return said

    def packed(self, packing: Packing, contexts: Tensor) -> Tensor:
        """Logits ``(n, v)`` at each packed position, for the windows' ``contexts (w, b, c)`` of
        rows in the sorted order."""
        reached = (len(packing.counts) - 1) // self.windows.stride + 1
        said: Tensor = self(contexts[:reached])
        window = (packing.step // self.windows.stride).clamp(max=len(said) - 1)
        return said[window, packing.place, packing.step % self.windows.places]
