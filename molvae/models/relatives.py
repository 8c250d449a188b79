"""Relatives of the molecules of a batch: the same but for one atom at an end.

Matched molecular pairs (Griffen et al. 2011, J. Med. Chem. 54, 7739), here made of one molecule, so
that a model can be told how far apart in z the two are to be, and learns to write either.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from molvae.models.batch import Batch
from molvae.models.objective import ObjectiveConfig, Role, Term
from molvae.models.packing import Packing
from molvae.models.parts import uniform


def relatives(packing: Packing, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The packed symbols ``(n,)`` of the ``batch`` with one atom at an end of each molecule
    exchanged for another of its kind, and which molecules have such an atom, ``(b,)``.

    The other atom is one that hangs on the like in the batch, the common more often than the rare:
    by the square roots of their frequencies. So nothing is made that is not seen: C-F, not N-F.
    """
    assert batch.roles is not None
    assert batch.hosts is not None
    assert batch.kinds is not None
    symbols, roles, hosts = (
        packing.pack(x[:, 1:]) for x in (batch.tokens, batch.roles, batch.hosts)
    )
    ending = roles == Role.TERMINAL
    kinds = batch.kinds[1]
    v = len(kinds)
    pairs = torch.bincount((hosts * v + symbols)[ending], minlength=2 * v * v)
    often = pairs.view(2 * v, v)[hosts].float().sqrt()
    own = torch.arange(v, device=symbols.device) == symbols[:, None]
    chances = often * (kinds == kinds[symbols][:, None]) * ~own
    possible = ending & (chances.sum(1) > 0)
    drawn = uniform((packing.size,), generator, symbols.device) * possible
    highest = drawn.new_zeros(len(packing.order)).scatter_reduce(0, packing.row, drawn, "amax")
    exchanged = possible & (drawn > 0) & (drawn == highest[packing.row])
    sums = chances[exchanged].cumsum(1)
    point = uniform((len(sums), 1), generator, symbols.device) * sums[:, -1:]
    other = symbols.clone()
    other[exchanged] = (sums <= point).sum(1).clamp(max=v - 1)
    return other, highest > 0


def swapped(
    packing: Packing,
    batch: Batch,
    other: Tensor,
    some: Tensor,
    share: float,
    generator: torch.Generator,
) -> tuple[Batch, Tensor]:
    """The ``batch`` with a relative in the place of a ``share`` of the molecules that have one, and
    the packed symbols ``(n,)`` of what is then the relative of each.

    ``other (n,)`` and ``some (b,)`` are what :func:`relatives` gives. Nobody has measured the
    relatives: their labels and conditions are missing.
    """
    chosen = some & (uniform((len(some),), generator, some.device) < share)
    here = chosen[packing.row]
    symbols = packing.pack(batch.tokens[:, 1:])
    tokens = batch.tokens.clone()
    tokens[packing.row, packing.step + 1] = torch.where(here, other, symbols)

    def unknown(values: Tensor | None) -> Tensor | None:
        return None if values is None else values.masked_fill(chosen[:, None], torch.nan)

    labels, conditions = unknown(batch.labels), unknown(batch.conditions)
    batch = replace(batch, tokens=tokens, labels=labels, conditions=conditions)
    return batch, torch.where(here, symbols, other)


def relatives_term(mean: Tensor, theirs: Tensor, some: Tensor, config: ObjectiveConfig) -> Term:
    """How far apart in z molecules and their relatives are, by the means ``(b, d)`` of both, on
    average of ``some (b,)`` that have one, and what it costs.

    >>> config = ObjectiveConfig(relative_weight=1.0, relative_distance=2.0)
    >>> one, other = torch.zeros(2, 4), torch.tensor([[0.0, 3, 0, 0], [0, 0, 0, 0]])
    >>> term = relatives_term(one, other, torch.tensor([True, False]), config)
    >>> float(term.raw), float(term.value)
    (3.0, 1.0)
    """
    apart = torch.linalg.vector_norm(mean - theirs, dim=1)
    off = (apart - config.relative_distance).square() * some
    count = some.sum().clamp(min=1)
    raw = (apart.detach() * some).sum() / count
    return Term(raw, off.sum() / count, config.relative_weight)
