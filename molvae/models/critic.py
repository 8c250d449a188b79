"""The critic's network: counts of a molecule's parts in, how real it looks out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from molvae.models.config import CriticConfig
from molvae.models.parts import linear

_SPREAD = 0.05  # of the first weights: a hundred parts add up to about half


class Critic(nn.Module):
    """A logit that is linear in the counts, plus a small network of them.

    Counts come as the rows of a sparse matrix: ``columns (m,)`` int64 and ``counts (m,)``, one
    molecule after the other, each beginning at its ``starts (n,)``.

    >>> critic = Critic(CriticConfig(features=8, hidden=4), torch.Generator().manual_seed(0))
    >>> critic(torch.tensor([0, 3, 3]), torch.tensor([1.0, 0.5, 2.0]), torch.tensor([0, 2])).shape
    torch.Size([2])
    """

    def __init__(self, config: CriticConfig, generator: torch.Generator) -> None:
        super().__init__()
        shape = (config.features, config.hidden + 1)
        first = torch.randn(shape, generator=generator) * _SPREAD
        first[:, -1] = 0  # the last column is the linear part
        self.parts = nn.Parameter(first)
        self.bias = nn.Parameter(torch.zeros(config.hidden + 1))
        self.hidden = linear(config.hidden, config.hidden // 2, generator)
        self.output = linear(config.hidden // 2, 1, generator)

    def forward(
        self, columns: Tensor, counts: Tensor, starts: Tensor, keep: Tensor | None = None
    ) -> Tensor:
        """The logits ``(n,)``; ``keep (n, hidden)`` weighs the hidden units (dropout)."""
        sums = functional.embedding_bag(
            columns, self.parts, starts, mode="sum", per_sample_weights=counts
        )
        sums = sums + self.bias
        seen = functional.silu(sums[:, :-1])
        seen = seen if keep is None else seen * keep
        logits: Tensor = self.output(functional.silu(self.hidden(seen)))[:, 0] + sums[:, -1]
        return logits
