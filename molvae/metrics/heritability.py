"""Do neighbours in the latent space resemble each other as molecules?

A search moves in z and hopes that children take after their parents. Reconstruction says nothing
about it: a model can return every molecule exactly and still decode, one small step away, to
something that nobody would call related. Two measurements on held-out molecules:

- **heritability**: steps of growing size from the posterior mean in random directions;
- **midpoints**: the molecule halfway between two others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molvae.base.seeds import derive_seed
from molvae.chem.alerts import SanityOptions, sane_mask
from molvae.chem.similarity import pairwise_similarity
from molvae.generator import Generator
from molvae.metrics.distribution import QUANTILES

STEPS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4)
"""Sizes of the steps, in standard deviations of the prior along every dimension."""


@dataclass(frozen=True)
class Step:
    """What became of the children at one step size."""

    size: float
    unchanged: float
    """Share that decodes to the parent itself."""
    similarity: float
    """Mean Tanimoto similarity (Morgan, radius 2) of the changed ones to their parents."""
    sane: float
    """Share that is a sane molecule."""


@dataclass(frozen=True)
class Heritability:
    """Children of ``parents`` molecules, one each per step size.

    The two ``half_`` numbers look only at the ``reproduced`` parents, those that come back
    exactly at step 0, and so compare models however much they reconstruct; NaN where fewer than
    ``20`` come back, or where even the largest step changes less than half.
    """

    parents: int
    reproduced: int
    steps: tuple[Step, ...]
    half_step: float
    """The step at which half of the children differ from their parent, interpolated."""
    half_similarity: float
    """The mean similarity of the changed children at that step."""


@dataclass(frozen=True)
class Midpoints:
    """Tanimoto similarity of halfway molecules to the nearer of their two ends."""

    pairs: int
    similarity: float
    unrelated: float
    """The same of a held-out molecule that has nothing to do with the pair."""
    quantiles: tuple[float, ...]
    """Similarities at :data:`~molvae.metrics.distribution.QUANTILES`."""
    unrelated_quantiles: tuple[float, ...]


def heritability(
    generator: Generator,
    smiles: Sequence[str],
    means: np.ndarray,
    *,
    steps: Sequence[float] = STEPS,
    sane: SanityOptions | None = None,
    seed: int = 0,
) -> Heritability:
    r"""Decode :math:`\mu + s\,\varepsilon`, :math:`\varepsilon \sim N(0, I)`, greedily for each
    step :math:`s`.

    ``smiles (n,)`` are canonical and ``means (n, d)`` their posterior means; the direction
    :math:`\varepsilon` of a molecule is the same for all steps.
    """
    n = len(smiles)
    noise = np.random.default_rng(derive_seed(seed, "heritability")).standard_normal(means.shape)
    z = np.concatenate([means + step * noise for step in steps])
    children = generator.decode(z)
    unchanged = np.array([c == p for c, p in zip(children, [*smiles] * len(steps), strict=True)])
    alike = pairwise_similarity(children, [*smiles] * len(steps))
    shape = (len(steps), n)
    return summarise_steps(
        steps,
        unchanged.reshape(shape),
        alike.reshape(shape),
        sane_mask(children, sane).reshape(shape),
    )


def summarise_steps(
    steps: Sequence[float], unchanged: np.ndarray, alike: np.ndarray, sane: np.ndarray
) -> Heritability:
    """The table of :func:`heritability` from its raw outcomes, each ``(steps, n)``.

    ``alike`` is the similarity of child and parent, NaN for a child that is no molecule.
    """
    table = tuple(
        Step(
            size=float(size),
            unchanged=_mean(unchanged[i]),
            similarity=_mean(alike[i][~unchanged[i]]),
            sane=_mean(sane[i]),
        )
        for i, size in enumerate(steps)
    )
    back = unchanged[0] if steps[0] == 0 else np.zeros(unchanged.shape[1], dtype=bool)
    half_step, half_similarity = (math.nan, math.nan)
    if back.sum() >= 20:
        half_step, half_similarity = half_way(
            steps,
            [_mean(row[back]) for row in unchanged],
            [_mean(a[back & ~u]) for a, u in zip(alike, unchanged, strict=True)],
        )
    return Heritability(unchanged.shape[1], int(back.sum()), table, half_step, half_similarity)


def half_way(
    steps: Sequence[float], unchanged: Sequence[float], alike: Sequence[float]
) -> tuple[float, float]:
    """(step, similarity) where the share unchanged first falls to a half, linearly interpolated.

    >>> half_way([0.0, 0.2, 0.4], [1.0, 0.75, 0.25], [math.nan, 0.8, 0.6])
    (0.30000000000000004, 0.7)
    """
    for i in range(1, len(steps)):
        if unchanged[i] <= 0.5 < unchanged[i - 1]:
            share = (unchanged[i - 1] - 0.5) / (unchanged[i - 1] - unchanged[i])
            step = steps[i - 1] + share * (steps[i] - steps[i - 1])
            before = alike[i] if math.isnan(alike[i - 1]) else alike[i - 1]
            return step, before + share * (alike[i] - before)
    return math.nan, math.nan


def midpoints(
    generator: Generator, smiles: Sequence[str], means: np.ndarray, *, seed: int = 0
) -> Midpoints:
    """Decode the mean of two molecules' latents, for each molecule and a random other one.

    ``smiles (n,)`` and ``means (n, d)`` as in :func:`heritability`; at least three molecules.
    """
    n = len(smiles)
    if n < 3:
        return Midpoints(0, math.nan, math.nan, (), ())
    order = np.random.default_rng(derive_seed(seed, "midpoints")).permutation(n)
    # Neighbours on one random circle: every molecule is an end twice, and the one after next
    # is a stranger to the pair.
    first, second, stranger = order, np.roll(order, -1), np.roll(order, -2)
    halfway = generator.decode(0.5 * (means[first] + means[second]))
    ends = ([smiles[i] for i in first], [smiles[i] for i in second])
    found = _nearer(halfway, *ends)
    chance = _nearer([smiles[i] for i in stranger], *ends)
    return Midpoints(n, _mean(found), _mean(chance), _quantiles(found), _quantiles(chance))


def _nearer(
    smiles: Sequence[str | None], first: Sequence[str], second: Sequence[str]
) -> np.ndarray:
    return np.fmax(pairwise_similarity(smiles, first), pairwise_similarity(smiles, second))


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan


def _quantiles(values: np.ndarray) -> tuple[float, ...]:
    known = values[np.isfinite(values)]
    return tuple(np.quantile(known, QUANTILES).tolist()) if len(known) else ()
