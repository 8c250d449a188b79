"""Moves in a latent space of windows: parts of z exchanged between molecules, or forgotten.

Where z has a vector for every few symbols (:mod:`molvae.models.windows`), a child of two molecules
has the beginning of the one and the end, or a middle piece, of the other; and a molecule of which
some windows are forgotten is one whose gap the decoder fills as the data would. Latents ``(n, d)``
float32, molecules of ``symbols (n,)``.
"""

from __future__ import annotations

import numpy as np

from molvae.models.windows import Windows

_EXCHANGED = 0.5
"""Share of the children that have a middle piece of the other parent, not its end."""
_SLIP = 2.0
"""Windows, as a standard deviation, between the place of a cut in the one parent and the other."""
_LONGER = 0.4
"""Chance that a gap ends at a window: gaps have 1 / 0.4 windows on average."""


def spliced(
    windows: Windows,
    first: np.ndarray,
    second: np.ndarray,
    symbols: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
) -> np.ndarray:
    """A child ``(n, d)`` of each pair of latents; the global part is left to the decoder.

    >>> windows = Windows(count=4, size=2, width=1, rest=0)
    >>> ones, twos = np.ones((1, 4)), 2 * np.ones((1, 4))
    >>> long = np.array([6])
    >>> spliced(windows, ones, twos, (long, long), np.random.default_rng(5))
    array([[1., 1., 1., 2.]], dtype=float32)
    """
    one, other = _parts(windows, first), _parts(windows, second)
    children = np.zeros_like(one)
    ends = (_reached(windows, symbols[0]), _reached(windows, symbols[1]))
    for row, (a, b) in enumerate(zip(*ends, strict=True)):
        cut = int(rng.integers(0, a + 1))
        if rng.random() < _EXCHANGED:
            end = int(rng.integers(cut, a + 1))
            begin = int(rng.integers(0, b + 1))
            middle = other[row, begin : int(rng.integers(begin, b + 1))]
            pieces = [one[row, :cut], middle, one[row, end:a]]
        else:
            begin = min(max(round(cut * b / a + _SLIP * rng.standard_normal()), 0), b)
            pieces = [one[row, :cut], other[row, begin:b]]
        _place(children[row], pieces)
    return _whole(windows, children, np.zeros((len(first), windows.rest)))


def with_gaps(
    windows: Windows, z: np.ndarray, symbols: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Each of ``z (n, d)`` with a gap: some windows taken out, others, forgotten, put in.

    Half of those whose length stays keep the global part.

    >>> windows = Windows(count=4, size=2, width=1, rest=0)
    >>> with_gaps(windows, np.ones((1, 4)), np.array([6]), np.random.default_rng(0))
    array([[1., 1., 1., 0.]], dtype=float32)
    """
    local, rest = _parts(windows, z), np.array(z[:, windows.count * windows.width :])
    children = np.zeros_like(local)
    for row, reached in enumerate(_reached(windows, symbols)):
        begin = int(rng.integers(0, reached))
        out = min(reached - begin, int(rng.geometric(_LONGER))) if rng.random() < 0.9 else 0
        put = int(rng.geometric(_LONGER)) if rng.random() < 0.8 else 0
        gap = np.zeros((put, windows.width))
        _place(children[row], [local[row, :begin], gap, local[row, begin + out : reached]])
        if out != put or rng.random() < 0.5:
            rest[row] = 0
    return _whole(windows, children, rest)


def without_ends(
    windows: Windows, z: np.ndarray, symbols: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Each of ``z (n, d)`` with its end forgotten, from a random window in its later part on.

    >>> windows = Windows(count=4, size=2, width=1, rest=0)
    >>> without_ends(windows, np.ones((1, 4)), np.array([6]), np.random.default_rng(0))
    array([[1., 1., 1., 0.]], dtype=float32)
    """
    local = _parts(windows, z)
    children = np.zeros_like(local)
    for row, reached in enumerate(_reached(windows, symbols)):
        kept = int(rng.integers(reached // 4, reached))
        children[row, :kept] = local[row, :kept]
    return _whole(windows, children, np.zeros((len(z), windows.rest)))


def _parts(windows: Windows, z: np.ndarray) -> np.ndarray:
    return np.asarray(z)[:, : windows.count * windows.width].reshape(
        len(z), windows.count, windows.width
    )


def _whole(windows: Windows, local: np.ndarray, rest: np.ndarray) -> np.ndarray:
    flat = local.reshape(len(local), windows.count * windows.width)
    return np.concatenate([flat, rest], axis=1).astype(np.float32)


def _reached(windows: Windows, symbols: np.ndarray) -> list[int]:
    """How many windows molecules of so many symbols reach into, the end included."""
    found: list[int] = np.minimum(symbols // windows.size + 1, windows.count).tolist()
    return found


def _place(row: np.ndarray, pieces: list[np.ndarray]) -> None:
    joined = np.concatenate(pieces)[: len(row)]
    row[: len(joined)] = joined
