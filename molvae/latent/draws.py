"""What a decoder wrote, before anybody has read it as molecules."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from molvae.base.errors import ConfigError


def counted(n: int) -> int:
    """``n``, or :class:`ConfigError` where it is no number of molecules."""
    if n < 0:
        raise ConfigError(f"n is {n}: ask for 0 molecules or more")
    return n


@dataclass(frozen=True, eq=False)
class Draws:
    """Symbols of ``n`` draws, each of so many ``candidates``, one after the other.

    A few dozen bytes for each, so that another process may read them
    (:class:`~molvae.latent.reading.Reader`) than the one that holds the device.
    """

    ids: np.ndarray
    """Symbols without start and end, padded, ``(n * candidates, t)``, of the tokenizer's dtype."""
    lengths: np.ndarray
    """How many symbols each row has, ``(n * candidates,)``."""
    log_prob: np.ndarray
    """The log-probability of drawing each row, in nats, ``(n * candidates,)`` float64."""
    candidates: int = 1
    seed: int = 0
    """Of the choice among candidates."""

    def __len__(self) -> int:
        return len(self.ids) // self.candidates

    def rows(self, part: slice = slice(None)) -> list[list[int]]:
        """Each row's ids as a list, without padding."""
        pairs = zip(self.ids[part].tolist(), self.lengths[part].tolist(), strict=True)
        return [row[:length] for row, length in pairs]

    def noise(self) -> np.ndarray:
        """Gumbel noise for each row, ``(n * candidates,)``: see :func:`choose`."""
        return np.random.default_rng(self.seed).gumbel(size=len(self.ids))

    def parts(self, rows: int) -> Iterator[slice]:
        """The rows of some draws at a time, at most so many ``rows`` if a draw has no more."""
        step = max(1, rows // self.candidates) * self.candidates
        for start in range(0, len(self.ids), step):
            yield slice(start, start + step)


def choose(
    score: np.ndarray, log_prob: np.ndarray, noise: np.ndarray, discount: float, candidates: int
) -> list[int]:
    """The place of the one that is chosen among each so many ``candidates``, with probabilities in
    proportion to ``exp(score) / q ** discount``.

    ``score (n,)`` are a critic's logits, NaN where there is no molecule, ``log_prob (n,)`` log q of
    what was drawn, and ``noise (n,)`` Gumbel noise: the largest of log-weights with it is a draw by
    the weights.

    >>> choose(np.array([0.0, np.nan, np.nan, 0.0]), np.zeros(4), np.zeros(4), 0.0, 2)
    [0, 3]
    """
    race = score - discount * log_prob + noise
    race = np.where(np.isnan(score), -np.inf, race).reshape(-1, candidates)
    return (np.arange(len(race)) * candidates + race.argmax(1)).tolist()
