"""How the scores of several parts become one number."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from molvae.base.errors import ConfigError

MeanName = Literal["arithmetic", "geometric", "product", "minimum"]
WEIGHTED: tuple[MeanName, ...] = ("arithmetic", "geometric")
"""Those in which weights have a meaning."""
NONNEGATIVE: tuple[MeanName, ...] = ("geometric", "product")
"""Those that take no negative scores."""


def combine(mean: MeanName, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    r"""One number ``(n,)`` for each row of ``scores (n, k)``; ``weights (k,)`` are positive.

    Arithmetic :math:`\sum w s / \sum w`, geometric :math:`\prod s^{w / \sum w}`, and, without
    regard to the weights, the product and the minimum. A NaN in a row gives NaN; so does a
    negative score in a geometric mean or a product.

    >>> scores = np.array([[0.25, 1.0], [0.0, 1.0]])
    >>> combine("geometric", scores, np.ones(2)), combine("arithmetic", scores, np.array([3, 1]))
    (array([0.5, 0. ]), array([0.4375, 0.25  ]))
    """
    if mean not in get_args(MeanName):
        raise ConfigError(f"unknown mean {mean!r}; there are {', '.join(get_args(MeanName))}")
    if mean == "arithmetic":
        return (scores * weights).sum(axis=1) / weights.sum()
    if mean == "minimum":
        return scores.min(axis=1)
    scores = np.where(scores < 0, np.nan, scores)
    if mean == "product":
        return scores.prod(axis=1)
    with np.errstate(divide="ignore"):  # a score of 0 makes the mean 0
        return np.exp((np.log(scores) * weights).sum(axis=1) / weights.sum())
