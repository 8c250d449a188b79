"""The codebook of a VQ-VAE: z is seen by the decoder as a few vectors out of a list.

z ``(b, d)`` is cut into *slots* of ``code_dim`` numbers, and each is replaced by the nearest of the
codebook's vectors (van den Oord, Vinyals & Kavukcuoglu 2017, arXiv:1711.00937). The gradient passes
the replacement as if it were not there, and the commitment term draws the encoder towards the
vectors. These are moving averages of what they replace (Razavi, van den Oord & Vinyals 2019,
arXiv:1906.00446): for the numbers ``n`` and sums ``s`` of the slots that were given to each code in
a step ::

    counts <- decay * counts + (1 - decay) * n,   sums <- decay * sums + (1 - decay) * s,
    codes = sums / counts

A code that is hardly used begins anew at a slot of the batch. A slot that is exactly zero is blank
(a window beyond the end of a molecule, or a forgotten one) and stays zero.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from molvae.models.config import BottleneckConfig

_USED = 1e-6  # below that, a running count and sum tell nothing of their quotient


def nearest(codes: Tensor, z: Tensor) -> Tensor:
    """The nearest of ``codes (k, c)`` to each slot of ``z (b, d)``, ``(b, s)``; k for a blank."""
    slots = z.detach().reshape(-1, codes.shape[1])
    with torch.autocast(z.device.type, enabled=False):  # differences of near numbers
        half_squares = 0.5 * codes.square().sum(1)
        distances = torch.addmm(half_squares, slots.to(codes), codes.t(), alpha=-1)
    indices = distances.argmin(1).masked_fill((slots == 0).all(1), len(codes))
    return indices.view(len(z), -1)


def look_up(codes: Tensor, indices: Tensor) -> Tensor:
    """The vectors ``(b, s * c)`` of the codes ``indices (b, s)``, zeros for a blank."""
    table = torch.cat([codes, torch.zeros_like(codes[:1])])
    return table[indices].flatten(1)


class Codebook(nn.Module):
    """``codes (k, c)``, and their running ``counts (k,)`` and ``sums (k, c)``.

    The vectors are a parameter without a gradient, so that the average of the weights that is
    evaluated has the codes that belong to its encoder.

    >>> book = Codebook(BottleneckConfig(kind="vq", codes=2, code_dim=1), torch.Generator())
    >>> _ = book.codes.copy_(torch.tensor([[1.0], [-1.0]]))
    >>> book.nearest(torch.tensor([[0.6, -3.0, 0.0]]))
    tensor([[0, 1, 2]])
    >>> book(torch.tensor([[0.6, -3.0, 0.0]]))
    tensor([[ 1., -1.,  0.]])
    """

    def __init__(self, config: BottleneckConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.decay, self.revive = config.decay, config.revive
        shape = (config.codes, config.code_dim)
        self.codes = nn.Parameter(torch.randn(shape, generator=generator), requires_grad=False)
        self.counts: Tensor
        self.sums: Tensor
        self.register_buffer("counts", torch.zeros(config.codes))
        self.register_buffer("sums", torch.zeros(shape))
        self._seen: tuple[Tensor, Tensor, Tensor] | None = None

    def nearest(self, z: Tensor) -> Tensor:
        """The code of each slot of ``z (b, d)``, ``(b, s)``; the number of codes for a blank."""
        return nearest(self.codes, z)

    def forward(self, z: Tensor) -> Tensor:
        """``z (b, d)`` with each slot replaced by its code; gradients pass to z unchanged."""
        return look_up(self.codes, self.nearest(z)).to(z) + (z - z.detach())

    def commitment(self, z: Tensor) -> Tensor:
        """The squared distance of each ``z (b, d)`` to its codes, ``(b,)``; gradients reach z."""
        return (z - look_up(self.codes, self.nearest(z)).to(z)).square().sum(1)

    def perplexity(self, z: Tensor) -> Tensor:
        """How many codes the slots of ``z (b, d)`` use, as exp of their entropy: a scalar."""
        share = self._numbers(self.nearest(z).flatten())
        share = share / share.sum().clamp(min=1)
        return torch.special.entr(share).sum().exp()

    @torch.no_grad()
    def note(self, z: Tensor, generator: torch.Generator) -> None:
        """Remember which codes ``z (b, d)`` used, for the next :meth:`learn`."""
        indices = self.nearest(z).flatten()
        slots = z.detach().reshape(len(indices), -1).to(self.sums)
        there = (indices < len(self.codes)).nonzero().squeeze(1)
        if len(there) == 0:
            return
        sums = torch.zeros_like(self.sums).index_add_(0, indices[there], slots[there])
        numbers = self._numbers(indices)
        chosen = torch.randint(
            len(there), (len(self.codes),), generator=generator, device=generator.device
        )
        pool = slots[there[chosen.to(there.device)]]
        if self._seen is not None:
            numbers, sums = numbers + self._seen[0], sums + self._seen[1]
        self._seen = (numbers, sums, pool)

    @torch.no_grad()
    def learn(self, total: Callable[[Tensor], Tensor], first: bool) -> None:
        """Move the codes by all that was noted since; ``total`` sums a tensor over all processes,
        of which this is the ``first`` or not."""
        nothing = (self.counts * 0, self.sums * 0, self.sums * 0)
        numbers, sums, pool = self._seen or nothing
        self._seen = None
        numbers, sums = total(numbers), total(sums)
        pool = total(pool if first else torch.zeros_like(pool))
        if not bool(numbers.any()):
            return
        self.counts.lerp_(numbers, 1 - self.decay)
        self.sums.lerp_(sums, 1 - self.decay)
        mean = self.counts.mean()
        dead = self.counts < self.revive * mean
        self.counts.copy_(torch.where(dead, mean, self.counts))
        self.sums.copy_(torch.where(dead[:, None], mean * pool, self.sums))
        used = self.counts[:, None] > _USED
        self.codes.copy_(torch.where(used, self.sums / self.counts[:, None], self.codes))

    def _numbers(self, indices: Tensor) -> Tensor:
        return torch.bincount(indices, minlength=len(self.codes) + 1)[:-1].to(self.counts)
