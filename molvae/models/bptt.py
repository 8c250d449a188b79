"""A GRU layer on the CPU: forward and backpropagation through time written out by hand.

With input gates ``g = W_ih x + b_ih (+ W_z z)`` and the state ``h``, one step is (Cho et al. 2014,
in the variant of cuDNN and :class:`torch.nn.GRU`)::

    r = sigmoid(g_r + W_hr h + b_hr)          reset
    u = sigmoid(g_u + W_hu h + b_hu)          update
    n = tanh(g_n + r * (W_hn h + b_hn))       candidate
    h' = n + u * (h - n)

and with ``d`` the gradient of h', ``c = W_hn h + b_hn``::

    d_n = d (1 - u) (1 - n²)      d_u = d (h - n) u (1 - u)
    d_c = d_n r                   d_r = d_n c r (1 - r)
    d_h = d u + [d_c d_r d_u] [W_hn; W_hr; W_hu]

What makes it fast: one matrix product per step and no others inside the loop; the weights' gradient
is one product over all steps; element-wise operations work in place on buffers that are kept
between training steps; rows are packed (:mod:`molvae.models.packing`), so nothing is spent on
padding. The first layer reads its input gates from a table with one row per symbol (a gather
instead of a product), and the table's gradient is a sum of rows per symbol.

``b_hr`` and ``b_hu`` are expected inside ``g``; only ``b_hn`` is separate.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.amp import custom_bwd, custom_fwd
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.autograd.graph import saved_tensors_hooks

from molvae.models.buffers import POOL, Lease
from molvae.models.packing import Packing

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


def gru_from_tokens(
    packing: Packing,
    tokens: Tensor,
    table: Tensor,
    context: Tensor | None,
    initial: Tensor | None,
    weight_hh: Tensor,
    bias_hn: Tensor,
) -> tuple[Tensor, Tensor]:
    """The states ``(n, h)`` and final states ``(b, h)`` of a layer that reads symbols.

    ``tokens (n,)`` int64 packed; ``table (v, 3h)`` each symbol's input gates; ``context (b, 3h)``
    is added to the input gates of every step and ``initial (b, h)`` is the first state (None:
    zeros), both in the packing's sorted order; ``weight_hh (3h, h)``, ``bias_hn (h,)``.
    """
    lease = POOL.lease()
    with saved_tensors_hooks(_holding(lease), _unwrap):
        return _TokenGRU.apply(lease, packing, tokens, table, context, initial, weight_hh, bias_hn)


def gru_from_inputs(
    packing: Packing,
    inputs: Tensor,
    weight_ih: Tensor,
    bias: Tensor,
    initial: Tensor | None,
    weight_hh: Tensor,
    bias_hn: Tensor,
) -> tuple[Tensor, Tensor]:
    """Like :func:`gru_from_tokens`, for packed ``inputs (n, i)`` and ``weight_ih (3h, i)``."""
    lease = POOL.lease()
    with saved_tensors_hooks(_holding(lease), _unwrap):
        return _InputGRU.apply(lease, packing, inputs, weight_ih, bias, initial, weight_hh, bias_hn)


class _Held:
    """A saved tensor and the lease of its memory, both let go when autograd frees the graph."""

    def __init__(self, tensor: Tensor, lease: Lease) -> None:
        self.tensor, self.lease = tensor, lease


def _holding(lease: Lease) -> Any:
    return lambda tensor: _Held(tensor, lease)


def _unwrap(held: _Held) -> Tensor:
    return held.tensor


class _TokenGRU(Function):
    @staticmethod
    @custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(
        ctx: Any,
        lease: Lease,
        packing: Packing,
        tokens: Tensor,
        table: Tensor,
        context: Tensor | None,
        initial: Tensor | None,
        weight_hh: Tensor,
        bias_hn: Tensor,
    ) -> tuple[Tensor, Tensor]:
        hidden = weight_hh.shape[1]
        gates = lease.take(packing.size, 3 * hidden, dtype=table.dtype)
        candidate = lease.take(packing.size, hidden, dtype=table.dtype)
        states = table.new_empty(packing.size, hidden)
        table = table.contiguous()
        start = 0
        state = initial
        for count in packing.counts:
            stop = start + count
            gate = gates[start:stop]
            torch.index_select(table, 0, tokens[start:stop], out=gate)
            if context is not None:
                gate.add_(context[:count])
            state = advance(
                gate, state, weight_hh, bias_hn, candidate[start:stop], states[start:stop]
            )
            start = stop
        ctx.packing = packing
        ctx.rows = len(table)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(tokens, initial, weight_hh, gates, candidate, states)
        return states, states.index_select(0, packing.last)

    @staticmethod
    @once_differentiable
    @custom_bwd(device_type="cpu")
    def backward(ctx: Any, d_states: Tensor | None, d_final: Tensor | None) -> Any:
        tokens, initial, weight_hh, gates, candidate, states = ctx.saved_tensors
        if d_states is None and d_final is None:
            return (None,) * 8
        lease = POOL.lease()
        delta, d_context, d_initial = _through_time(
            ctx.packing, lease, d_states, d_final, initial, weight_hh, gates, candidate, states
        )
        hidden = weight_hh.shape[1]
        by_symbol = sum_by_symbol(delta, tokens, ctx.rows)
        d_weight = _weight_gradient(ctx.packing, lease, delta, initial, states)
        return (
            None,
            None,
            None,
            by_symbol[:, hidden:],
            d_context[:, hidden:] if ctx.needs_input_grad[4] else None,
            d_initial if ctx.needs_input_grad[5] else None,
            d_weight,
            by_symbol[:, :hidden].sum(0),
        )


class _InputGRU(Function):
    @staticmethod
    @custom_fwd(device_type="cpu", cast_inputs=torch.float32)
    def forward(
        ctx: Any,
        lease: Lease,
        packing: Packing,
        inputs: Tensor,
        weight_ih: Tensor,
        bias: Tensor,
        initial: Tensor | None,
        weight_hh: Tensor,
        bias_hn: Tensor,
    ) -> tuple[Tensor, Tensor]:
        hidden = weight_hh.shape[1]
        gates = lease.take(packing.size, 3 * hidden, dtype=inputs.dtype)
        candidate = lease.take(packing.size, hidden, dtype=inputs.dtype)
        states = inputs.new_empty(packing.size, hidden)
        torch.addmm(bias, inputs, weight_ih.t(), out=gates)
        start = 0
        state = initial
        for count in packing.counts:
            here = slice(start, start + count)
            state = advance(gates[here], state, weight_hh, bias_hn, candidate[here], states[here])
            start += count
        ctx.packing = packing
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(inputs, weight_ih, initial, weight_hh, gates, candidate, states)
        return states, states.index_select(0, packing.last)

    @staticmethod
    @once_differentiable
    @custom_bwd(device_type="cpu")
    def backward(ctx: Any, d_states: Tensor | None, d_final: Tensor | None) -> Any:
        inputs, weight_ih, initial, weight_hh, gates, candidate, states = ctx.saved_tensors
        if d_states is None and d_final is None:
            return (None,) * 8
        lease = POOL.lease()
        delta, d_sum, d_initial = _through_time(
            ctx.packing, lease, d_states, d_final, initial, weight_hh, gates, candidate, states
        )
        hidden = weight_hh.shape[1]
        d_gates = delta[:, hidden:]
        d_bias = d_sum.sum(0)
        return (
            None,
            None,
            d_gates @ weight_ih if ctx.needs_input_grad[2] else None,
            d_gates.t() @ inputs,
            d_bias[hidden:],
            d_initial if ctx.needs_input_grad[5] else None,
            _weight_gradient(ctx.packing, lease, delta, initial, states),
            d_bias[:hidden],
        )


def advance(
    gates: Tensor,
    state: Tensor | None,
    weight_hh: Tensor,
    bias_hn: Tensor,
    candidate: Tensor,
    out: Tensor,
) -> Tensor:
    """One step in place: ``gates (b, 3h)`` go from input gates to ``[r u n]``.

    ``state`` may have more rows than ``gates``: the first ``b`` are used (None: zeros).
    ``candidate (b, h)`` receives ``W_hn h + b_hn``, ``out (b, h)`` the new state, also returned.
    """
    hidden = bias_hn.shape[0]
    reset_update, new = gates[:, : 2 * hidden], gates[:, 2 * hidden :]
    if state is None:
        candidate.copy_(bias_hn)
    else:
        state = state[: len(gates)]
        reset_update.addmm_(state, weight_hh[: 2 * hidden].t())
        torch.addmm(bias_hn, state, weight_hh[2 * hidden :].t(), out=candidate)
    reset_update.sigmoid_()
    new.addcmul_(reset_update[:, :hidden], candidate).tanh_()
    update = reset_update[:, hidden:]
    if state is None:
        return torch.addcmul(new, new, update, value=-1, out=out)
    return torch.lerp(new, state, update, out=out)


def _through_time(
    packing: Packing,
    lease: Lease,
    d_states: Tensor | None,
    d_final: Tensor | None,
    initial: Tensor | None,
    weight_hh: Tensor,
    gates: Tensor,
    candidate: Tensor,
    states: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients ``[d_c d_r d_u d_n]`` of all steps (n, 4h), their sums per row (b, 4h), d_initial.

    The first three columns belong to the recurrent product, the last three to the input gates.
    """
    hidden = weight_hh.shape[1]
    b = packing.counts[0]
    delta = lease.take(packing.size, 4 * hidden, dtype=gates.dtype)
    scratch = lease.take(b, hidden, dtype=gates.dtype)
    weight = torch.cat([weight_hh[2 * hidden :], weight_hh[: 2 * hidden]])
    total = gates.new_zeros(b, 4 * hidden)
    # A row's gradient waits in `carry` untouched until the walk back reaches its last step.
    carry = gates.new_zeros(b, hidden) if d_final is None else d_final.clone()
    stop = packing.size
    for step in range(len(packing.counts) - 1, -1, -1):
        count = packing.counts[step]
        start = stop - count
        d, tmp, delta_t, gate = carry[:count], scratch[:count], delta[start:stop], gates[start:stop]
        d_c, d_r, d_u, d_n = delta_t.split(hidden, 1)
        r, u, n = gate.split(hidden, 1)
        if step:
            before = start - packing.counts[step - 1]
            previous = states[before : before + count]
        else:
            previous = None if initial is None else initial
        if d_states is not None:
            d.add_(d_states[start:stop])
        if previous is None:
            torch.mul(n, d, out=tmp).neg_()
        else:
            torch.sub(previous, n, out=tmp).mul_(d)
        _sigmoid_backward(tmp, u, grad_input=d_u)
        torch.addcmul(d, d, u, value=-1, out=tmp)
        _tanh_backward(tmp, n, grad_input=d_n)
        torch.mul(d_n, r, out=d_c)
        torch.mul(d_n, candidate[start:stop], out=tmp)
        _sigmoid_backward(tmp, r, grad_input=d_r)
        total[:count].add_(delta_t)
        if previous is not None:
            d.mul_(u).addmm_(delta_t[:, : 3 * hidden], weight)
        stop = start
    return delta, total, carry


def _weight_gradient(
    packing: Packing, lease: Lease, delta: Tensor, initial: Tensor | None, states: Tensor
) -> Tensor:
    """The gradient (3h, h) of the recurrent weights: one product over all steps."""
    hidden = states.shape[1]
    b, n = packing.counts[0], packing.size
    d_weight = states.new_empty(3 * hidden, hidden)
    previous = lease.take(n, hidden, dtype=states.dtype)
    if initial is None:  # the first step saw a state of zeros: leave it out
        delta, previous = delta[b:], previous[b:]
        torch.index_select(states, 0, packing.previous[b:] - b, out=previous)
    else:
        torch.index_select(states, 0, packing.previous[b:] - b, out=previous[b:])
        previous[:b].copy_(initial)
    torch.mm(delta[:, hidden : 3 * hidden].t(), previous, out=d_weight[: 2 * hidden])
    torch.mm(delta[:, :hidden].t(), previous, out=d_weight[2 * hidden :])
    return d_weight


def sum_by_symbol(rows: Tensor, tokens: Tensor, symbols: int) -> Tensor:
    """Sums ``(symbols, k)`` of the ``rows (n, k)`` that carry the same token."""
    ordered = tokens.argsort()
    counts = torch.bincount(tokens, minlength=symbols)
    starts = counts.cumsum(0) - counts
    return torch.nn.functional.embedding_bag(ordered, rows, starts, mode="sum")
