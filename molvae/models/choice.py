"""Drawing one symbol per row, each row from a random stream of its own."""

from __future__ import annotations

import torch
from torch import Tensor

# Constants of SplitMix64 (Steele, Lea & Flood 2014), as signed 64-bit numbers.
_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_MIX_1 = 0xBF58476D1CE4E5B9 - (1 << 64)
_MIX_2 = 0x94D049BB133111EB - (1 << 64)
_BITS = 23  # of a uniform number: products with a single-precision total stay below it


class RowStreams:
    """Uniform numbers that depend on the seed, the row's number and the step, and nothing else.

    A counter-based generator (SplitMix64's finaliser over row and step): rows may be split over
    batches, machines and threads in any way and draw the same.

    >>> streams = RowStreams(seed=7, first_row=0, rows=4, device=torch.device("cpu"))
    >>> late = RowStreams(seed=7, first_row=2, rows=2, device=torch.device("cpu"))
    >>> bool((streams.uniform(3)[2:] == late.uniform(3)).all())
    True
    """

    def __init__(self, seed: int, first_row: int, rows: int, device: torch.device) -> None:
        numbers = torch.arange(first_row, first_row + rows, dtype=torch.int64, device=device)
        self._keys = _mix(_mix(numbers * _GOLDEN + seed) ^ seed)

    def keep(self, rows: Tensor) -> None:
        """Go on with ``rows (k,)`` alone."""
        self._keys = self._keys.index_select(0, rows)

    def uniform(self, step: int) -> Tensor:
        """One number in [0, 1) per row, ``(b,)`` float32."""
        bits = _mix(self._keys + _wrap((step + 1) * _GOLDEN))
        return _shift(bits, 64 - _BITS).to(torch.float32) * 2.0**-_BITS

    def choose(self, logits: Tensor, step: int) -> Tensor:
        """One symbol per row, ``(b,)``, from the distribution of ``logits (b, v)``.

        By inversion: the first symbol whose cumulative probability passes the row's number. One
        random number per row and step is enough, and no symbol of probability 0 is ever chosen.
        """
        cumulative = logits.float().softmax(1).cumsum(1)
        threshold = self.uniform(step)[:, None] * cumulative[:, -1:]
        return (cumulative <= threshold).sum(1)


def narrow(logits: Tensor, temperature: float, top_k: int | None, top_p: float | None) -> None:
    """Divide ``logits (b, v)`` by the temperature and set those not wanted to -inf, in place.

    >>> logits = torch.tensor([[3.0, 2.0, 1.0]])
    >>> narrow(logits, 0.5, top_k=2, top_p=None)
    >>> logits
    tensor([[6., 4., -inf]])
    """
    if temperature != 1:
        logits.div_(temperature)
    if top_k is not None and top_k < logits.shape[1]:
        least = logits.topk(top_k, dim=1).values[:, -1:]
        logits.masked_fill_(logits < least, -torch.inf)
    if top_p is not None and top_p < 1:
        falling, order = logits.sort(dim=1, descending=True)
        probability = falling.softmax(1)
        # Symbols whose likelier ones already hold top_p; the likeliest always stays.
        beyond = probability.cumsum(1) - probability >= top_p
        logits.masked_fill_(beyond.scatter(1, order, beyond), -torch.inf)


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift(x, 30)) * _MIX_1
    x = (x ^ _shift(x, 27)) * _MIX_2
    return x ^ _shift(x, 31)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift of 64-bit numbers."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _wrap(number: int) -> int:
    """A Python integer as a signed 64-bit one."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)
