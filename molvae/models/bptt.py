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
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.autograd.graph import saved_tensors_hooks

from molvae.models.buffers import POOL, Lease
from molvae.models.packing import Packing
from molvae.models.products import multiply, sum_of_outer

# Columns nobody uses: rows a power of two apart fall on the same lines of the cache, which makes
# transposing them three times as slow.
_UNUSED = 16

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
    stride: int = 1 << 30,
) -> tuple[Tensor, Tensor]:
    """The states ``(n, h)`` and final states ``(b, h)`` of a layer that reads symbols.

    ``tokens (n,)`` int64 packed; ``table (v, 3h)`` each symbol's input gates; ``context
    (k, b, 3h)`` is added to the input gates, its first entry in the first ``stride`` steps, and so
    on; ``initial (b, h)`` is the first state (None: zeros); both in the packing's sorted order;
    ``weight_hh (3h, h)``, ``bias_hn (h,)``.
    """
    lease = POOL.lease()
    weight_hh, bias_hn = _lowered(weight_hh, bias_hn)
    table, context, initial = _alike(weight_hh, table, context, initial)
    with saved_tensors_hooks(_holding(lease), _unwrap):
        return _TokenGRU.apply(
            lease, packing, tokens, table, context, initial, weight_hh, bias_hn, stride
        )


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
    weight_hh, bias_hn = _lowered(weight_hh, bias_hn)
    inputs, weight_ih, bias, initial = _alike(weight_hh, inputs, weight_ih, bias, initial)
    with saved_tensors_hooks(_holding(lease), _unwrap):
        return _InputGRU.apply(lease, packing, inputs, weight_ih, bias, initial, weight_hh, bias_hn)


def _lowered(*weights: Tensor) -> list[Tensor]:
    """The weights in the precision that autocast asks for."""
    if not torch.is_autocast_enabled("cpu"):
        return list(weights)
    return [weight.to(torch.get_autocast_dtype("cpu")) for weight in weights]


def _alike(weight: Tensor, *tensors: Any) -> list[Any]:
    """The tensors in the weights' precision: autocast may have lowered some of them."""
    return [None if x is None else x.to(weight.dtype) for x in tensors]


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
        stride: int,
    ) -> tuple[Tensor, Tensor]:
        hidden = weight_hh.shape[1]
        gates = lease.take(packing.size, 3 * hidden, dtype=table.dtype)
        candidate = lease.take(packing.size, hidden, dtype=table.dtype)
        states = table.new_empty(packing.size, hidden)
        table = table.contiguous()
        state = initial
        counts = packing.counts
        for t, (ids, gate, c, out) in enumerate(
            zip(*(x.split(counts) for x in (tokens, gates, candidate, states)), strict=True)
        ):
            torch.index_select(table, 0, ids, out=gate)
            if context is not None:
                gate.add_(context[t // stride, : len(ids)])
            state = advance(gate, state, weight_hh, bias_hn, c, out)
        ctx.packing = packing
        ctx.rows, ctx.stride = len(table), stride
        ctx.contexts = 1 if context is None else len(context)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(tokens, initial, weight_hh, gates, candidate, states)
        return states, states.index_select(0, packing.last)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_states: Tensor | None, d_final: Tensor | None) -> Any:
        tokens, initial, weight_hh, gates, candidate, states = ctx.saved_tensors
        if d_states is None and d_final is None:
            return (None,) * 9
        lease = POOL.lease()
        delta, d_context, d_initial = _through_time(
            ctx.packing,
            lease,
            d_states,
            d_final,
            initial,
            weight_hh,
            gates,
            candidate,
            states,
            ctx.contexts,
            ctx.stride,
        )
        hidden = weight_hh.shape[1]
        by_symbol = sum_by_symbol(delta, tokens, ctx.rows)
        d_weight = _weight_gradient(ctx.packing, lease, delta, initial, states)
        return (
            None,
            None,
            None,
            by_symbol[:, hidden : 4 * hidden],
            d_context[..., hidden:] if ctx.needs_input_grad[4] else None,
            d_initial if ctx.needs_input_grad[5] else None,
            d_weight,
            by_symbol[:, :hidden].sum(0),
            None,
        )


class _InputGRU(Function):
    @staticmethod
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
        state = initial
        counts = packing.counts
        for x, gate, c, out in zip(
            *(x.split(counts) for x in (inputs, gates, candidate, states)), strict=True
        ):
            torch.add(multiply(x, weight_ih), bias, out=gate)
            state = advance(gate, state, weight_hh, bias_hn, c, out)
        ctx.packing = packing
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(inputs, weight_ih, initial, weight_hh, gates, candidate, states)
        return states, states.index_select(0, packing.last)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_states: Tensor | None, d_final: Tensor | None) -> Any:
        inputs, weight_ih, initial, weight_hh, gates, candidate, states = ctx.saved_tensors
        if d_states is None and d_final is None:
            return (None,) * 8
        lease = POOL.lease()
        delta, d_sum, d_initial = _through_time(
            ctx.packing, lease, d_states, d_final, initial, weight_hh, gates, candidate, states
        )
        hidden = weight_hh.shape[1]
        d_gates = delta[:, hidden : 4 * hidden]
        d_bias = d_sum.sum((0, 1))
        return (
            None,
            None,
            multiply(d_gates, weight_ih.t()) if ctx.needs_input_grad[2] else None,
            sum_of_outer(d_gates, inputs),
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
        product = multiply(state, weight_hh)
        reset_update.add_(product[:, : 2 * hidden])
        torch.add(product[:, 2 * hidden :], bias_hn, out=candidate)
    reset_update.sigmoid_()
    # tanh(x) = 2 sigmoid(2 x) - 1: torch's vectorised sigmoid is nine times as fast as its tanh.
    new.addcmul_(reset_update[:, :hidden], candidate).mul_(2).sigmoid_().mul_(2).sub_(1)
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
    sums: int = 1,
    stride: int = 1 << 30,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients ``[d_c d_r d_u d_n ...]`` of all steps (n, 4h + unused), their ``sums`` per row
    and ``stride`` steps (sums, b, 4h), and d_initial.

    The first three columns belong to the recurrent product, the last three to the input gates.
    """
    hidden = weight_hh.shape[1]
    b = packing.counts[0]
    delta = lease.take(packing.size, 4 * hidden + _UNUSED, dtype=gates.dtype)
    used = delta[:, : 4 * hidden]
    scratch = lease.take(b, hidden, dtype=gates.dtype)
    weight = torch.cat([weight_hh[2 * hidden :], weight_hh[: 2 * hidden]]).t()
    total = gates.new_zeros(sums, b, 4 * hidden)
    # A row's gradient waits in `carry` untouched until the walk back reaches its last step.
    carry = gates.new_zeros(b, hidden) if d_final is None else d_final.clone()
    counts = packing.counts
    r, u, n = (gate.split(counts) for gate in gates.split(hidden, 1))
    d_c, d_r, d_u, d_n = (part.split(counts) for part in used.split(hidden, 1))
    recurrent = used[:, : 3 * hidden].split(counts)
    deltas, c, h = used.split(counts), candidate.split(counts), states.split(counts)
    d_h = None if d_states is None else d_states.split(counts)
    for t in range(len(counts) - 1, -1, -1):
        d, tmp = carry[: counts[t]], scratch[: counts[t]]
        previous = h[t - 1][: counts[t]] if t else initial
        if d_h is not None:
            d.add_(d_h[t])
        if previous is None:
            torch.mul(n[t], d, out=tmp).neg_()
        else:
            torch.sub(previous, n[t], out=tmp).mul_(d)
        _sigmoid_backward(tmp, u[t], grad_input=d_u[t])
        torch.addcmul(d, d, u[t], value=-1, out=tmp)
        _tanh_backward(tmp, n[t], grad_input=d_n[t])
        torch.mul(d_n[t], r[t], out=d_c[t])
        torch.mul(d_n[t], c[t], out=tmp)
        _sigmoid_backward(tmp, r[t], grad_input=d_r[t])
        total[t // stride, : counts[t]].add_(deltas[t])
        if previous is not None:
            d.mul_(u[t]).add_(multiply(recurrent[t], weight))
    return delta, total, carry


def _weight_gradient(
    packing: Packing, lease: Lease, delta: Tensor, initial: Tensor | None, states: Tensor
) -> Tensor:
    """The gradient (3h, h) of the recurrent weights: the states before each step against delta."""
    hidden = states.shape[1]
    b, n = packing.counts[0], packing.size
    # As long as no row has ended, the states before are the states themselves, b rows later.
    full = b * packing.counts.count(b)
    pairs = [(delta[b:full], states[: full - b])]
    if full < n:
        before = lease.take(n - full, hidden, dtype=states.dtype)
        torch.index_select(states, 0, packing.previous[full:] - b, out=before)
        pairs.append((delta[full:], before))
    if initial is not None:
        pairs.append((delta[:b], initial))
    total = states.new_zeros(3 * hidden, hidden)
    for d, previous in pairs:
        total.add_(sum_of_outer(d[:, : 3 * hidden], previous))
    return torch.cat([total[hidden:], total[:hidden]])


def sum_by_symbol(rows: Tensor, tokens: Tensor, symbols: int) -> Tensor:
    """Sums ``(symbols, k)`` of the ``rows (n, k)`` that carry the same token."""
    ordered = tokens.argsort()
    counts = torch.bincount(tokens, minlength=symbols)
    starts = counts.cumsum(0) - counts
    return torch.nn.functional.embedding_bag(ordered, rows, starts, mode="sum")
