"""The hand-written recurrence against autograd and torch.nn.GRU."""

from __future__ import annotations

import gc
import threading
from itertools import chain

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from molvae.models.buffers import BufferPool
from molvae.models.packing import Packing
from molvae.models.recurrence import GRULayer

VOCAB, INPUTS, HIDDEN, CONTEXT = 7, 5, 6, 3


def make_layer(context: int = CONTEXT, inputs: int = INPUTS, seed: int = 0) -> GRULayer:
    generator = torch.Generator().manual_seed(seed)
    layer = GRULayer(inputs, HIDDEN, context, generator).double()
    for bias in (layer.bias_ih, layer.bias_hh):
        nn.init.normal_(bias, generator=generator)
    return layer


def draw(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True)


def plain_gru(
    layer: GRULayer, inputs: Tensor, lengths: Tensor, context: Tensor | None, initial: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Padded states (b, t, h) and final states (b, h), row by row and step by step."""
    states, finals = [], []
    for i, length in enumerate(lengths.tolist()):
        h = torch.zeros(HIDDEN, dtype=inputs.dtype) if initial is None else initial[i]
        row = []
        for x in inputs[i, :length]:
            gates = layer.weight_ih @ x + layer.bias_ih
            if context is not None:
                gates = gates + layer.weight_context @ context[i]
            recurrent = layer.weight_hh @ h + layer.bias_hh
            r_in, u_in, n_in = gates.chunk(3)
            r_h, u_h, n_h = recurrent.chunk(3)
            r, u = torch.sigmoid(r_in + r_h), torch.sigmoid(u_in + u_h)
            n = torch.tanh(n_in + r * n_h)
            h = (1 - u) * n + u * h
            row.append(h)
        finals.append(h)
        padding = [torch.zeros_like(h)] * (inputs.shape[1] - length)
        states.append(torch.stack(row + padding))
    return torch.stack(states), torch.stack(finals)


def gradients(loss: Tensor, *tensors: Tensor | None) -> list[Tensor]:
    return list(torch.autograd.grad(loss, [t for t in tensors if t is not None]))


LENGTHS = [torch.tensor(x) for x in ([3, 3, 3], [1, 4, 2], [5], [2, 1, 1, 4, 3])]


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize("with_context", [True, False])
@pytest.mark.parametrize("with_initial", [True, False])
@pytest.mark.parametrize("used", ["states", "final", "both"])
def test_token_layer_agrees_with_autograd(
    lengths: Tensor, with_context: bool, with_initial: bool, used: str
) -> None:
    layer = make_layer(CONTEXT if with_context else 0)
    b, t = len(lengths), int(lengths.max())
    tokens = torch.randint(0, VOCAB, (b, t), generator=torch.Generator().manual_seed(1))
    vectors = draw(VOCAB, INPUTS, seed=2)
    context = draw(b, CONTEXT, seed=3) if with_context else None
    initial = draw(b, HIDDEN, seed=4) if with_initial else None
    weight_states, weight_final = draw(b, t, HIDDEN, seed=5), draw(b, HIDDEN, seed=6)

    packing = Packing.of(lengths)
    states, final = layer.from_tokens(
        packing,
        packing.pack(tokens),
        vectors,
        None if context is None else packing.sort(context)[None],
        None if initial is None else packing.sort(initial),
    )
    ours = packing.unpack(states), packing.restore(final)
    theirs = plain_gru(layer, vectors[tokens], lengths, context, initial)
    learnt = (*layer.parameters(), vectors, context, initial)
    results = []
    for got_states, got_final in (ours, theirs):
        loss = torch.zeros((), dtype=torch.float64)
        if used != "final":
            loss = loss + (got_states * weight_states).sum()
        if used != "states":
            loss = loss + (got_final * weight_final).sum()
        results.append([got_states, got_final, *gradients(loss, *learnt)])
    for got, expected in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize("with_initial", [True, False])
def test_input_layer_agrees_with_autograd(lengths: Tensor, with_initial: bool) -> None:
    layer = make_layer(0)
    b, t = len(lengths), int(lengths.max())
    inputs = draw(b, t, INPUTS, seed=2)
    initial = draw(b, HIDDEN, seed=4) if with_initial else None
    weight_states, weight_final = draw(b, t, HIDDEN, seed=5), draw(b, HIDDEN, seed=6)
    packing = Packing.of(lengths)
    states, final = layer.from_inputs(
        packing, packing.pack(inputs), None if initial is None else packing.sort(initial)
    )
    results = []
    for got_states, got_final in (
        (packing.unpack(states), packing.restore(final)),
        plain_gru(layer, inputs, lengths, None, initial),
    ):
        loss = (got_states * weight_states).sum() + (got_final * weight_final).sum()
        results.append(
            [got_states, got_final, *gradients(loss, *layer.parameters(), inputs, initial)]
        )
    for got, expected in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_weights_mean_the_same_as_in_torch_gru(direction: str) -> None:
    layer = make_layer(0)
    reference = nn.GRU(INPUTS, HIDDEN, bidirectional=True).double()
    suffix = "" if direction == "forward" else "_reverse"
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(reference, f"{name}_l0{suffix}").data.copy_(getattr(layer, name))
    lengths = torch.tensor([2, 5, 1, 5])
    tokens = torch.randint(0, VOCAB, (4, 5), generator=torch.Generator().manual_seed(1))
    vectors = draw(VOCAB, INPUTS)
    packed = nn.utils.rnn.pack_padded_sequence(
        vectors[tokens], lengths, batch_first=True, enforce_sorted=False
    )
    outputs, final = reference(packed)
    packing = Packing.of(lengths)
    ids = packing.pack(tokens)
    half = slice(0, HIDDEN) if direction == "forward" else slice(HIDDEN, None)
    if direction == "backward":
        states, last = layer.from_tokens(packing, ids[packing.mirror], vectors)
        states = states[packing.mirror]
    else:
        states, last = layer.from_tokens(packing, ids, vectors)
    torch.testing.assert_close(states, outputs.data[:, half])
    torch.testing.assert_close(packing.restore(last), final[0 if direction == "forward" else 1])


def test_cudnn_route_computes_the_same_as_the_cpu_route() -> None:
    """Other devices use torch's fused GRU, which runs on the CPU too and so can be checked."""
    layer = make_layer()
    packing = Packing.of(torch.tensor([3, 1, 4]))
    tokens = torch.randint(0, VOCAB, (packing.size,), generator=torch.Generator().manual_seed(1))
    vectors, initial = draw(VOCAB, INPUTS), draw(3, HIDDEN)
    context = draw(2, 3, CONTEXT)
    ours = layer.from_tokens(packing, tokens, vectors, context, initial, 3)
    fused = layer.fused_from_tokens(packing, tokens, vectors, context, initial, 3)
    learnt = (*layer.parameters(), vectors, context, initial)
    results = []
    for states, final in (ours, fused):
        loss = states.square().sum() + final.sum()
        results.append([states, final, *gradients(loss, *learnt)])
    for got, expected in zip(*results, strict=True):
        torch.testing.assert_close(got, expected)


def test_cudnn_gets_a_contiguous_first_state_and_the_type_that_autocast_asks_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []
    gru = torch._VF.gru

    def watched(inputs: Tensor, sizes: Tensor, first: Tensor, weights: list[Tensor], *rest: object):
        seen.append((first.is_contiguous(), {x.dtype for x in (inputs, first, *weights)}))
        return gru(inputs, sizes, first, weights, *rest)

    monkeypatch.setattr(torch._VF, "gru", watched)
    layer = make_layer().float()
    packing = Packing.of(torch.tensor([3, 1, 4]))
    tokens = torch.zeros(packing.size, dtype=torch.int64)
    vectors, context = draw(VOCAB, INPUTS).float(), draw(2, 3, CONTEXT).float()
    initial = draw(3, 2 * HIDDEN).float().chunk(2, dim=1)[1]  # as of a decoder of two layers
    layer.fused_from_tokens(packing, tokens, vectors, context, initial, 3)
    with torch.autocast("cpu", torch.bfloat16):
        states, _ = layer.fused_from_tokens(packing, tokens, vectors, context, initial, 3)
    assert seen == [(True, {torch.float32}), (True, {torch.bfloat16})]
    assert states.dtype == torch.bfloat16


def test_two_forwards_before_a_backward_do_not_share_memory() -> None:
    layer = make_layer(0)
    packing = Packing.of(torch.tensor([4, 2]))
    vectors = draw(VOCAB, INPUTS)
    first = torch.tensor([1, 2, 3, 4, 5, 6])
    second = torch.tensor([6, 5, 4, 3, 2, 1])

    def loss(tokens: Tensor) -> Tensor:
        return layer.from_tokens(packing, tokens, vectors)[0].square().sum()

    alone = [gradients(loss(t), vectors, layer.weight_hh) for t in (first, second)]
    one, two = loss(first), loss(second)
    together = [gradients(x, vectors, layer.weight_hh) for x in (one, two)]
    for a, b in zip(chain(*alone), chain(*together), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_a_retained_graph_can_be_walked_twice() -> None:
    layer = make_layer(0)
    packing = Packing.of(torch.tensor([4, 2]))
    vectors = draw(VOCAB, INPUTS)
    tokens = torch.tensor([1, 2, 3, 4, 5, 6])
    loss = layer.from_tokens(packing, tokens, vectors)[0].square().sum()
    (first,) = torch.autograd.grad(loss, vectors, retain_graph=True)
    layer.from_tokens(packing, tokens, vectors)[0].sum().backward()  # would reuse freed buffers
    (second,) = torch.autograd.grad(loss, vectors)
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_results_outlive_the_graph_they_came_from() -> None:
    layer = make_layer(0)
    packing = Packing.of(torch.tensor([4, 2]))
    vectors = draw(VOCAB, INPUTS)
    tokens = torch.tensor([1, 2, 3, 4, 5, 6])
    states, final = layer.from_tokens(packing, tokens, vectors)
    kept = states.detach(), final.detach()
    copies = [x.clone() for x in kept]
    states.sum().backward()
    del states, final
    gc.collect()
    layer.from_tokens(packing, tokens.flip(0), vectors)[0].sum().backward()
    for a, b in zip(kept, copies, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_threads_training_at_once_do_not_disturb_each_other() -> None:
    layer = make_layer(0)
    packing = Packing.of(torch.tensor([6, 5, 2]))
    vectors = draw(VOCAB, INPUTS)
    rows = [
        torch.randint(0, VOCAB, (packing.size,), generator=torch.Generator().manual_seed(i))
        for i in range(4)
    ]

    def gradient(tokens: Tensor) -> Tensor:
        return gradients(layer.from_tokens(packing, tokens, vectors)[0].square().sum(), vectors)[0]

    expected = [gradient(tokens) for tokens in rows]
    wrong: list[int] = []

    def work(i: int) -> None:
        for _ in range(20):
            if not torch.equal(gradient(rows[i]), expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_pool_hands_out_each_block_once_and_takes_it_back() -> None:
    pool = BufferPool()
    first, second = pool.lease(), pool.lease()
    a, b = first.take(100, dtype=torch.float32), second.take(100, dtype=torch.float32)
    assert a.data_ptr() != b.data_ptr()
    address = a.data_ptr()
    del a, first
    again = pool.lease()
    assert again.take(90, dtype=torch.float32).data_ptr() == address


def test_pool_replaces_blocks_that_became_too_small() -> None:
    pool = BufferPool()
    for size in (100, 150, 220, 330):
        lease = pool.lease()
        lease.take(size, dtype=torch.float32)
        del lease
    assert len(pool._free) == 1


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_packing_keeps_every_position_and_reverses_rows(lengths: list[int]) -> None:
    packing = Packing.of(torch.tensor(lengths))
    b, t = len(lengths), max(lengths)
    values = torch.arange(1, b * t + 1).view(b, t)
    padded = torch.where(torch.arange(t) < torch.tensor(lengths)[:, None], values, 0)
    packed = packing.pack(padded)
    assert packing.size == sum(lengths) == sum(packing.counts)
    assert torch.equal(packing.unpack(packed, 0), padded)
    mirrored = packing.unpack(packed[packing.mirror], 0)
    for row, length in enumerate(lengths):
        assert mirrored[row, :length].tolist() == padded[row, :length].flip(0).tolist()
    assert packing.restore(packed[packing.last]).tolist() == [
        int(padded[i, n - 1]) for i, n in enumerate(lengths)
    ]
    assert torch.equal(packing.restore(packing.sort(values)), values)
    assert torch.equal(packing.sum_rows(packed.double()), padded.double().sum(1))
    before = torch.cat([torch.zeros(b, dtype=packed.dtype), packed])[packing.previous]
    shifted = torch.cat([torch.zeros(b, 1, dtype=padded.dtype), padded[:, :-1]], 1)
    assert torch.equal(before, packing.pack(shifted))
