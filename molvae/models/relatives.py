"""Relatives of the molecules of a batch: the same but for one atom at an end.

Matched molecular pairs (Griffen et al. 2011, J. Med. Chem. 54, 7739), here made of one molecule, so
that a model can be told how far apart in z the two are to be.
"""

from __future__ import annotations

import torch
from torch import Tensor

from molvae.models.objective import Role
from molvae.models.packing import Packing
from molvae.models.parts import uniform


def relatives(
    packing: Packing, symbols: Tensor, roles: Tensor, kinds: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The packed ``symbols (n,)`` with one atom at an end of each molecule exchanged for another
    of its kind, and which molecules have such an atom, ``(b,)``.

    ``roles (n,)`` and ``kinds (2, v)`` are those of :class:`.Batch`. The other atom is one that
    stands at ends in the batch, the common more often than the rare: by the square roots of their
    frequencies.
    """
    ending = roles == Role.TERMINAL
    kinds = kinds[1]
    often = torch.bincount(symbols[ending], minlength=len(kinds)).float().sqrt()
    own = torch.arange(len(kinds), device=symbols.device) == symbols[:, None]
    chances = often * (kinds == kinds[symbols][:, None]) * ~own
    possible = ending & (chances.sum(1) > 0)
    drawn = uniform((packing.size,), generator, symbols.device) * possible
    highest = drawn.new_zeros(len(packing.order)).scatter_reduce(0, packing.row, drawn, "amax")
    exchanged = possible & (drawn > 0) & (drawn == highest[packing.row])
    sums = chances[exchanged].cumsum(1)
    point = uniform((len(sums), 1), generator, symbols.device) * sums[:, -1:]
    other = symbols.clone()
    other[exchanged] = (sums <= point).sum(1).clamp(max=len(kinds) - 1)
    return other, highest > 0
