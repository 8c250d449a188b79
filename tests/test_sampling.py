"""Writing molecules: distribution, truncation, beams, and independence of rows."""

from __future__ import annotations

import itertools
import math
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from molvae.base.errors import ConfigError, InputError
from molvae.models.choice import RowStreams, narrow
from molvae.models.decoder import Writer
from molvae.models.presets import PRESETS
from molvae.models.sampling import SamplingOptions, generate
from molvae.models.vae import SequenceVAE

VOCAB, MAX_LENGTH = 7, 5
PAD, START, END = 0, 1, 2


def make(layers: int = 2, tied: bool = False, scale: float = 4.0) -> SequenceVAE:
    """A small model whose distributions are far from even."""
    config = PRESETS["tiny"].replace(decoder_layers=layers, tie_embeddings=tied)
    model = SequenceVAE(config, VOCAB, MAX_LENGTH, seed=1).double()
    with torch.no_grad():
        model.decoder.output.weight *= scale
    return model


def latents(n: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, PRESETS["tiny"].latent_dim, generator=generator, dtype=torch.float64)


def log_probability(model: SequenceVAE, row: list[int], z: Tensor) -> float:
    """log p of a row under the rules of writing: no padding or start, no empty molecule, and the
    end forced at the maximum length."""
    tokens = torch.tensor([[START, *row, END]])
    logits = model.logits(tokens, torch.tensor([len(row) + 2]), z[None])[0].detach()
    logits[:, [PAD, START]] = -math.inf
    logits[0, END] = -math.inf
    steps = len(row) if len(row) == MAX_LENGTH else len(row) + 1
    log_p = logits.log_softmax(1)
    return float(sum(log_p[i, tokens[0, i + 1]] for i in range(steps)))


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("tied", [False, True])
def test_writing_step_by_step_gives_the_logits_of_training(layers: int, tied: bool) -> None:
    model = make(layers, tied)
    z = latents(4)
    tokens = torch.tensor([[1, 3, 4, 5], [1, 6, 3, 3], [1, 5, 5, 5], [1, 4, 3, 6]])
    expected = model.logits(tokens, torch.full((4,), 5), z)
    with torch.inference_mode():
        writer = Writer(model.decoder, z)
        for step in range(4):
            torch.testing.assert_close(writer.write(tokens[:, step]), expected[:, step].detach())


def test_samples_follow_the_models_distribution() -> None:
    model = make()
    z = latents(1)
    n = 20_000
    rows = generate(model, z.expand(n, -1), seed=3).rows()
    counts: dict[tuple[int, ...], int] = {}
    for row in rows:
        counts[tuple(row)] = counts.get(tuple(row), 0) + 1
    frequent = sorted(counts, key=counts.__getitem__, reverse=True)[:30]
    chi2 = 0.0
    for row in frequent:
        expected = n * math.exp(log_probability(model, list(row), z[0]))
        chi2 += (counts[row] - expected) ** 2 / expected
    assert chi2 < 65  # the 99.98 % quantile at 30 degrees of freedom


def test_the_log_probability_of_what_is_drawn_comes_with_it() -> None:
    """Also where rows finish before others, and at the maximum length."""
    model, z = make(), latents(40)
    written = generate(model, z, seed=3)
    assert len(set(written.lengths.tolist())) > 2
    expected = [log_probability(model, row, z[i]) for i, row in enumerate(written.rows())]
    torch.testing.assert_close(
        written.log_prob.double(), torch.tensor(expected, dtype=torch.float64), rtol=1e-4, atol=1e-4
    )
    certain = SamplingOptions(strategy="greedy")
    assert not generate(model, z, certain).log_prob.any()


def test_greedy_takes_the_likeliest_symbol_each_time() -> None:
    model = make()
    z = latents(6)
    for row, written in zip(
        z, generate(model, z, SamplingOptions(strategy="greedy")).rows(), strict=True
    ):
        symbols: list[int] = []
        while len(symbols) < MAX_LENGTH:
            tokens = torch.tensor([[START, *symbols, END]])
            logits = model.logits(tokens, torch.tensor([len(symbols) + 2]), row[None])[0, -1]
            banned = [PAD, START] if symbols else [PAD, START, END]
            logits = logits.detach().index_fill(0, torch.tensor(banned), -math.inf)
            best = int(logits.argmax())
            if best == END:
                break
            symbols.append(best)
        assert written == symbols


def test_a_wide_beam_finds_the_likeliest_molecule_of_all() -> None:
    model = make()
    z = latents(3)
    options = SamplingOptions(strategy="beam", beam_width=4096)
    every = [
        list(row)
        for length in range(1, MAX_LENGTH + 1)
        for row in itertools.product(range(3, VOCAB), repeat=length)
    ]
    for row, written in zip(z, generate(model, z, options).rows(), strict=True):
        scores = batch_log_probabilities(model, every, row)
        assert written == every[int(scores.argmax())]


def batch_log_probabilities(model: SequenceVAE, rows: list[list[int]], z: Tensor) -> Tensor:
    from molvae.models.batch import Batch

    b = Batch.collate(rows)
    logits = model.logits(b.tokens, b.lengths, z.expand(len(rows), -1)).detach()
    logits[..., [PAD, START]] = -math.inf
    logits[:, 0, END] = -math.inf
    picked = logits.log_softmax(-1).gather(2, b.tokens[:, 1:, None])[..., 0]
    places = torch.arange(picked.shape[1])
    steps = (b.lengths - 1).clamp(max=MAX_LENGTH)
    return torch.where(places < steps[:, None], picked, 0).sum(1)


def test_a_beam_of_one_is_greedy() -> None:
    model = make()
    z = latents(40)
    beam = generate(model, z, SamplingOptions(strategy="beam", beam_width=1))
    assert beam.rows() == generate(model, z, SamplingOptions(strategy="greedy")).rows()


STRATEGIES = {
    "sample": SamplingOptions(),
    "narrow": SamplingOptions(temperature=0.7, top_k=3, top_p=0.9),
    "greedy": SamplingOptions(strategy="greedy"),
    "beam": SamplingOptions(strategy="beam", beam_width=3),
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_what_a_row_becomes_does_not_depend_on_the_rows_beside_it(name: str) -> None:
    model, z = make(), latents(30)
    together = generate(model, z, STRATEGIES[name], seed=5).rows()
    for start, stop in ((0, 7), (7, 8), (8, 30)):
        part = generate(model, z[start:stop], STRATEGIES[name], seed=5, first_row=start)
        assert part.rows() == together[start:stop]


@pytest.mark.parametrize("name", STRATEGIES)
def test_molecules_have_a_symbol_and_no_special_ones(name: str) -> None:
    model = make()
    with torch.no_grad():
        model.decoder.output.bias[:3] = 50.0  # eager to pad, start and end
    written = generate(model, latents(50), STRATEGIES[name])
    assert all(len(row) >= 1 and min(row) >= 3 for row in written.rows())
    assert written.lengths.tolist() == [len(row) for row in written.rows()]


def test_maximum_length_is_kept_and_reached() -> None:
    model = make()
    with torch.no_grad():
        model.decoder.output.bias[END] = -50.0
    assert generate(model, latents(3)).lengths.tolist() == [MAX_LENGTH] * 3
    short = generate(model, latents(3), SamplingOptions(max_length=2))
    assert short.ids.shape == (3, 2)


def test_seeds_give_the_same_molecules_again_and_others_for_others() -> None:
    model, z = make(), latents(64)
    state = torch.get_rng_state()
    first = generate(model, z, seed=1).rows()
    assert generate(model, z, seed=1).rows() == first
    assert generate(model, z, seed=2).rows() != first
    assert torch.equal(torch.get_rng_state(), state)


def test_threads_may_write_with_one_model_at_once() -> None:
    model, z = make(), latents(200)
    expected = [generate(model, z, seed=i).rows() for i in range(6)]
    with ThreadPoolExecutor(6) as pool:
        jobs = [pool.submit(generate, model, z, None, i) for i in range(6)]
        assert [job.result().rows() for job in jobs] == expected


def test_no_latents_give_no_molecules() -> None:
    written = generate(make(), latents(0))
    assert len(written) == 0
    assert written.rows() == []


def test_latents_of_another_size_are_refused() -> None:
    with pytest.raises(InputError, match=r"need \(n, 8\)"):
        generate(make(), torch.zeros(2, 3))


def test_options_without_a_meaning_are_refused() -> None:
    with pytest.raises(ConfigError, match="no meaning for strategy 'greedy'"):
        SamplingOptions.parse({"strategy": "greedy", "top_k": 3})


LOGITS = st.lists(st.integers(-40, 40).map(lambda n: n / 5), min_size=4, max_size=4, unique=True)


@given(LOGITS, st.integers(1, 6))
def test_top_k_keeps_the_k_likeliest(values: list[float], k: int) -> None:
    logits = torch.tensor([values])
    narrow(logits, 1.0, k, None)
    kept = {i for i, x in enumerate(logits[0].tolist()) if x > -math.inf}
    assert kept == set(sorted(range(4), key=lambda i: -values[i])[:k])


@given(LOGITS, st.floats(0.05, 1.0))
def test_top_p_keeps_the_least_set_that_holds_p(values: list[float], p: float) -> None:
    logits = torch.tensor([values], dtype=torch.float64)
    probability = logits.softmax(1)[0].tolist()
    narrow(logits, 1.0, None, p)
    kept = [i for i, x in enumerate(logits[0].tolist()) if x > -math.inf]
    falling = sorted(range(4), key=lambda i: -probability[i])
    assert sorted(kept) == sorted(falling[: len(kept)])
    held = [probability[i] for i in falling[: len(kept)]]
    assert sum(held) >= p - 1e-9
    assert len(kept) == 1 or sum(held[:-1]) < p + 1e-9


@settings(max_examples=25)
@given(st.integers(0, 2**63 - 1), st.integers(0, 2**40), st.integers(0, 500))
def test_row_streams_are_uniform_over_rows(seed: int, first: int, step: int) -> None:
    u = RowStreams(seed, first, 4096, torch.device("cpu")).uniform(step)
    assert 0 <= float(u.min()) <= float(u.max()) < 1
    assert float(u.mean()) == pytest.approx(0.5, abs=0.03)
    counts = torch.histc(u, 16, 0, 1)
    assert float(((counts - 256) ** 2 / 256).sum()) < 60
    assert abs(float(torch.corrcoef(torch.stack([u[:-1], u[1:]]))[0, 1])) < 0.1


def test_row_streams_are_independent_over_steps_and_seeds() -> None:
    first, second = (RowStreams(seed, 0, 20_000, torch.device("cpu")) for seed in (0, 1))
    drawn = torch.stack([first.uniform(0), first.uniform(1), second.uniform(0)])
    off = torch.corrcoef(drawn) - torch.eye(3)
    assert float(off.abs().max()) < 0.04


def test_symbols_of_no_probability_are_never_drawn() -> None:
    streams = RowStreams(0, 0, 50_000, torch.device("cpu"))
    logits = torch.tensor([-math.inf, 0.0, -math.inf, -12.0, -math.inf]).expand(50_000, -1)
    drawn = torch.cat([streams.choose(logits, step) for step in range(4)])
    assert set(drawn.tolist()) <= {1, 3}
