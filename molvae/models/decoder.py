"""The decoder p(x|z): writes a molecule symbol by symbol from its latent vector."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from molvae.models.bptt import advance
from molvae.models.config import ModelConfig
from molvae.models.direct import DirectReading
from molvae.models.packing import Packing
from molvae.models.parts import embedding, linear
from molvae.models.products import affine, multiply
from molvae.models.recurrence import GRULayer
from molvae.models.windows import Windows


class Decoder(nn.Module):
    """A GRU of 1 to 3 layers. z gives every layer's first state, and through one projection it is
    added to the first layer's input gates at every step: all of it, or the windows around the
    step and the global part. With ``config.direct`` units it also has a say in the logits
    (:class:`~molvae.models.direct.DirectReading`), or with ``config.direct_alone`` only there."""

    def __init__(
        self, config: ModelConfig, vocab_size: int, windows: Windows, generator: torch.Generator
    ) -> None:
        super().__init__()
        hidden, depth = config.decoder_hidden, config.decoder_layers
        self.windows, self.direct_alone = windows, config.direct_alone
        self.embedding = embedding(vocab_size, config.embedding_dim, generator)
        # Where in its window a symbol is read is part of what it means.
        self.place = (
            embedding(windows.size, config.embedding_dim, generator) if windows.count else None
        )
        self.initial = linear(windows.dim, depth * hidden, generator)
        self.layers = nn.ModuleList(
            GRULayer(
                hidden if i else config.embedding_dim,
                hidden,
                0 if i else windows.context,
                generator,
            )
            for i in range(depth)
        )
        tied = config.tie_embeddings
        self.output = linear(hidden, config.embedding_dim if tied else vocab_size, generator)
        self.output_bias = nn.Parameter(torch.zeros(vocab_size)) if tied else None
        self.direct = (
            DirectReading(windows, config.direct, vocab_size, generator) if config.direct else None
        )

    def forward(self, packing: Packing, tokens: Tensor, z: Tensor) -> Tensor:
        """Logits ``(n, v)`` of the symbol after each of the packed ``tokens (n,)``, for z (b, d).

        Blank out symbols of the input by replacing them with the padding symbol, which nothing else
        uses as an input.
        """
        return self.answers(packing, self.states(packing, tokens, z), z)

    def heard(self, z: Tensor) -> Tensor:
        """What the GRU hears of z ``(b, d)``, or of a part of it: nothing where z is read directly
        alone."""
        return torch.zeros_like(z) if self.direct_alone else z

    def answers(self, packing: Packing, states: Tensor, z: Tensor) -> Tensor:
        """Logits ``(n, v)`` from the packed ``states (n, h)`` and what z (b, d) says directly."""
        logits = self.logits(states)
        if self.direct is None:
            return logits
        return logits + self.direct.packed(packing, self.windows.contexts(packing.sort(z)))

    def states(self, packing: Packing, tokens: Tensor, z: Tensor) -> Tensor:
        """The last layer's states ``(n, h)`` after each of the packed ``tokens (n,)``."""
        z = packing.sort(self.heard(z))
        first, *others = self.grus
        initials = self.initial_states(z)
        states, _ = first.from_tokens(
            packing,
            tokens + self.embedding.num_embeddings * (packing.step % self.windows.places),
            self.inputs(),
            self.windows.contexts(z),
            initials[0],
            self.windows.stride,
        )
        for layer, initial in zip(others, initials[1:], strict=True):
            states, _ = layer.from_inputs(packing, states, initial)
        return states

    def logits(self, states: Tensor) -> Tensor:
        """Logits ``(n, v)`` of the last layer's ``states (n, h)`` alone."""
        outputs = affine(states, self.output.weight, self.output.bias)
        if self.output_bias is None:
            return outputs
        return torch.addmm(self.output_bias, outputs, self.embedding.weight.t())

    def inputs(self) -> Tensor:
        """What the first layer reads: each symbol's vector ``(v, e)``, for each place in a window
        ``(places * v, e)``."""
        if self.place is None:
            return self.embedding.weight
        return (self.place.weight[:, None] + self.embedding.weight).flatten(0, 1)

    def reading(self) -> list[Tensor]:
        """The weights that multiply z, and so count for nothing where z is 0."""
        direct: list[Tensor] = [] if self.direct is None else [*self.direct.parameters()]
        if self.direct_alone:
            return direct
        context = self.grus[0].weight_context
        return [self.initial.weight] + ([] if context is None else [context]) + direct

    @property
    def grus(self) -> list[GRULayer]:
        """The layers, first to last."""
        return cast(list[GRULayer], list(self.layers))

    def initial_states(self, z: Tensor) -> tuple[Tensor, ...]:
        """Each layer's first state, ``(b, h)`` each, for ``z (b, d)``."""
        return torch.tanh(self.initial(z)).chunk(len(self.layers), dim=-1)


class Writer:
    """The decoder at work: every row's states, advanced one symbol at a time, without gradients.

    ``z (b, d)``; make and use it under :func:`torch.inference_mode`. Each Writer has buffers of its
    own, so several threads may write with one decoder.
    """

    def __init__(self, decoder: Decoder, z: Tensor) -> None:
        self._decoder = decoder
        self._layers = decoder.grus
        self._tables = (
            self._layers[0].gate_table(decoder.inputs()).split(decoder.embedding.num_embeddings)
        )
        self._contexts = decoder.windows.contexts(z)
        self._said: Tensor | None = None
        self._step = 0
        self._biases = [layer.bias for layer in self._layers]
        self._states = [state.contiguous() for state in decoder.initial_states(decoder.heard(z))]

    def write(self, tokens: Tensor) -> Tensor:
        """Take each row's next symbol ``(b,)`` and return logits ``(b, v)`` for the one after."""
        stride = self._decoder.windows.stride
        if self._step % stride == 0:
            # Beyond the longest molecule of the training data the last window goes on.
            window = min(self._step // stride, len(self._contexts) - 1)
            seen = self._contexts[window]
            self._context = self._layers[0].context_gates(self._decoder.heard(seen))
            if self._decoder.direct is not None:
                self._said = self._decoder.direct(seen)
        place = self._step % len(self._tables)
        table = self._tables[place]
        self._step += 1
        gates = table.index_select(0, tokens).add_(self._context)
        for i, layer in enumerate(self._layers):
            if i:
                gates = multiply(self._states[i - 1], layer.weight_ih).add_(self._biases[i])
            state = self._states[i]
            self._states[i] = advance(
                gates,
                state,
                layer.weight_hh,
                layer.bias_hn,
                torch.empty_like(state),
                torch.empty_like(state),
            )
        logits = self._decoder.logits(self._states[-1])
        if self._said is not None:
            logits += self._said[:, place]
        return logits

    def keep(self, rows: Tensor) -> None:
        """Go on with ``rows (k,)`` alone, in that order; a row may be named more than once."""
        self._contexts = self._contexts.index_select(1, rows)
        self._context = self._context.index_select(0, rows)
        if self._said is not None:
            self._said = self._said.index_select(0, rows)
        self._states = [state.index_select(0, rows) for state in self._states]
