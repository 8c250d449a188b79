"""The encoder: a molecule's symbols to features of the whole and of every place."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from molvae.models.config import ModelConfig
from molvae.models.packing import Packing
from molvae.models.parts import embedding
from molvae.models.recurrence import GRULayer


class Encoder(nn.Module):
    """A GRU over the packed symbols, in both directions if the settings say so.

    Each direction ends at a true end of its row (the backward one starts at the row's last token);
    the last layer's final states are the features of the molecule, its states those of each place.
    """

    def __init__(self, config: ModelConfig, vocab_size: int, generator: torch.Generator) -> None:
        super().__init__()
        directions = 2 if config.bidirectional else 1
        self.features = directions * config.encoder_hidden
        self.embedding = embedding(vocab_size, config.embedding_dim, generator)
        self.layers = nn.ModuleList()
        inputs = config.embedding_dim
        for _ in range(config.encoder_layers):
            self.layers.append(
                nn.ModuleList(
                    GRULayer(inputs, config.encoder_hidden, 0, generator) for _ in range(directions)
                )
            )
            inputs = self.features

    def forward(
        self, packing: Packing, tokens: Tensor, places: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Features ``(b, features)`` in the original row order, for packed ``tokens (n,)``; with
        ``places`` also those of each packed place, ``(n, features)``, else None."""
        layers = cast(list[list[GRULayer]], list(self.layers))
        states: Tensor | None = None
        for depth, layer in enumerate(layers, start=1):
            outputs, finals = [], []
            for backward, gru in enumerate(layer):
                if states is None:
                    read = tokens.index_select(0, packing.mirror) if backward else tokens
                    output, final = gru.from_tokens(packing, read, self.embedding.weight)
                else:
                    read = states.index_select(0, packing.mirror) if backward else states
                    output, final = gru.from_inputs(packing, read)
                if places or depth < len(layers):
                    outputs.append(output.index_select(0, packing.mirror) if backward else output)
                finals.append(final)
            if outputs:
                states = torch.cat(outputs, 1)
        return packing.restore(torch.cat(finals, 1)), states if places else None
