"""Gated recurrent layers over packed rows: hand-written on the CPU, cuDNN elsewhere.

Both paths hold the same parameters in the same meaning as :class:`torch.nn.GRU`, so weights move
freely between devices. What is special to molvae: the input of the first layer is a symbol, so on
the CPU its input product is a gather from a table computed once per batch (the *gate table*); and
a context vector per row (the latent z, or the part of it that belongs to a few steps) enters
through one projection added to the input gates instead of being concatenated to each input.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from molvae.models.bptt import gru_from_inputs, gru_from_tokens
from molvae.models.packing import Packing

EVERY_STEP = 1 << 30
"""A stride longer than any molecule: one context for all steps."""

_LANES = 8  # a GPU's matrix units want rows of a multiple of these


class GRULayer(nn.Module):
    """One layer, one direction.

    Args:
        inputs: dimension of the inputs (of the embedding, for a first layer).
        hidden: dimension ``h`` of the state.
        context: dimension of the vector per row that every step sees; 0 for none.
        generator: draws the initial weights: orthogonal recurrent ones per gate (Saxe et al. 2014),
            Glorot-uniform others, zero biases.

    Rows come and go in the sorted order of the :class:`Packing`; for the reverse direction pass
    ``tokens[packing.mirror]`` or ``inputs[packing.mirror]``.
    """

    def __init__(self, inputs: int, hidden: int, context: int, generator: torch.Generator) -> None:
        super().__init__()
        self.hidden = hidden
        self.weight_ih = nn.Parameter(torch.empty(3 * hidden, inputs))
        self.weight_hh = nn.Parameter(torch.empty(3 * hidden, hidden))
        self.bias_ih = nn.Parameter(torch.zeros(3 * hidden))
        self.bias_hh = nn.Parameter(torch.zeros(3 * hidden))
        self.weight_context = nn.Parameter(torch.empty(3 * hidden, context)) if context else None
        for gate in self.weight_hh.data.chunk(3):
            nn.init.orthogonal_(gate, generator=generator)
        for weight in (self.weight_ih, self.weight_context):
            for gate in () if weight is None else weight.data.chunk(3):
                nn.init.xavier_uniform_(gate, generator=generator)

    def from_tokens(
        self,
        packing: Packing,
        tokens: Tensor,
        embedding: Tensor,
        context: Tensor | None = None,
        initial: Tensor | None = None,
        stride: int = EVERY_STEP,
    ) -> tuple[Tensor, Tensor]:
        """States ``(n, h)`` and final states ``(b, h)`` for packed symbols.

        ``tokens (n,)`` index ``embedding (v, inputs)``; ``context (k, b, context)``, one for each
        ``stride`` steps; ``initial (b, h)``, zeros if None.
        """
        if tokens.device.type == "cpu":
            gates = None if context is None else self.context_gates(context)
            return gru_from_tokens(
                packing,
                tokens,
                self.gate_table(embedding),
                gates,
                initial,
                self.weight_hh,
                self.bias_hn,
                stride,
            )
        return self.fused_from_tokens(packing, tokens, embedding, context, initial, stride)

    def fused_from_tokens(
        self,
        packing: Packing,
        tokens: Tensor,
        embedding: Tensor,
        context: Tensor | None = None,
        initial: Tensor | None = None,
        stride: int = EVERY_STEP,
    ) -> tuple[Tensor, Tensor]:
        """:meth:`from_tokens` by torch's fused GRU, the fast way on other devices than the CPU."""
        lower = _working_type(embedding)
        with torch.autocast(tokens.device.type, enabled=False):
            # A product with one-hot rows has a product for its gradient; that of a selection of
            # rows would add up a thousand rows per symbol, one by one.
            symbols = torch.arange(len(embedding), device=tokens.device)
            inputs = [(tokens[:, None] == symbols).to(lower) @ embedding.to(lower)]
            weights: list[Tensor] = [self.weight_ih]
            if context is not None and self.weight_context is not None:
                # A fused GRU takes no precomputed gates, but W_ih x + W_z z is [W_ih W_z] [x; z].
                seen = packing.step // stride * context.shape[1] + packing.place
                inputs.append(context.to(lower).flatten(0, 1).index_select(0, seen))
                weights.append(self.weight_context)
            missing = -sum(part.shape[1] for part in inputs) % _LANES
            inputs.append(inputs[0].new_zeros(packing.size, missing))
            weights.append(self.weight_ih.new_zeros(len(self.weight_ih), missing))
            return self._fused(packing, torch.cat(inputs, 1), torch.cat(weights, 1), initial)

    def from_inputs(
        self, packing: Packing, inputs: Tensor, initial: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """States ``(n, h)`` and final states ``(b, h)`` for packed ``inputs (n, inputs)``."""
        if inputs.device.type != "cpu":
            return self._fused(packing, inputs, self.weight_ih, initial)
        return gru_from_inputs(
            packing, inputs, self.weight_ih, self.bias, initial, self.weight_hh, self.bias_hn
        )

    @property
    def bias(self) -> Tensor:
        """``(3h,)``: all that is added to the input gates, the two gates' recurrent bias included.

        The candidate's recurrent bias stands apart (``bias_hn``), because r multiplies it.
        """
        gates = self.bias_hh[: 2 * self.hidden]
        return self.bias_ih + nn.functional.pad(gates, (0, self.hidden))

    @property
    def bias_hn(self) -> Tensor:
        """``(h,)``: the candidate's recurrent bias."""
        return self.bias_hh[2 * self.hidden :]

    def gate_table(self, embedding: Tensor) -> Tensor:
        """Every symbol's input gates, ``(v, 3h)``."""
        return torch.addmm(self.bias, embedding, self.weight_ih.t())

    def context_gates(self, context: Tensor) -> Tensor:
        """What ``context (..., c)`` adds to the input gates, ``(..., 3h)``."""
        if self.weight_context is None:
            raise ValueError("this layer was built without a context")
        return context @ self.weight_context.t()

    def _fused(
        self, packing: Packing, inputs: Tensor, weight_ih: Tensor, initial: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        inputs = inputs.to(_working_type(inputs))
        if initial is None:
            initial = inputs.new_zeros(packing.counts[0], self.hidden)
        # cuDNN wants its weights in one chunk; views of one tensor are.
        shapes = [weight_ih, self.weight_hh, self.bias_ih, self.bias_hh]
        chunk = torch.cat([weight.flatten() for weight in shapes]).to(inputs.dtype)
        pieces = chunk.split([weight.numel() for weight in shapes])
        weights = [piece.view_as(weight) for piece, weight in zip(pieces, shapes, strict=True)]
        # Left to itself, autocast would run it in float16, whatever it has been asked for.
        with torch.autocast(inputs.device.type, enabled=False):
            states, final = torch._VF.gru(
                inputs,
                torch.tensor(packing.counts),
                initial[None].to(inputs.dtype).contiguous(),
                weights,
                True,  # biases
                1,  # layers
                0.0,  # dropout between layers
                torch.is_grad_enabled(),  # training: keep what the backward pass needs
                False,  # bidirectional
            )
        return states, final[0]


def _working_type(values: Tensor) -> torch.dtype:
    """The type that products of ``values`` are computed in: autocast's, where that is on."""
    kind = values.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else values.dtype
