"""Do random points of a latent space, and points between molecules, decode to molecules at all?

A space is *complete* where whatever lies in it is a molecule that makes sense, and *continuous*
where what lies near is alike; :mod:`molvae.metrics.heritability` measures the second, and this the
first. Decoding is greedy, so it is the point that answers and not the decoder alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molvae.base.seeds import derive_seed
from molvae.chem.alerts import SanityOptions, sane_mask
from molvae.chem.similarity import pairwise_similarity
from molvae.generator import Generator

SHARES = (0.25, 0.5, 0.75)
"""Of the way between two molecules."""


@dataclass(frozen=True)
class Region:
    """What so many ``points`` of one kind decode to; shares between 0 and 1."""

    name: str
    points: int
    valid: float
    """Share that is a molecule."""
    sane: float
    """Share that is a sane molecule."""
    distinct: float
    """Share of different molecules."""
    ends: float
    """Share that is one of the two ends; NaN where there are none."""
    similarity: float
    """Mean Tanimoto similarity (Morgan, radius 2) to the nearer of the two ends, of those that are
    neither; NaN where there are none."""


def completeness(
    generator: Generator,
    smiles: Sequence[str],
    means: np.ndarray,
    *,
    sane: SanityOptions | None = None,
    seed: int = 0,
) -> tuple[Region, ...]:
    """Random points, as many as there are ``smiles``, and points between random pairs of these.

    Random ones from N(0, I); from the normal distribution that has the mean and the widths of the
    molecules' own latents, ``means (n, d)``; then a quarter, half and three quarters of the
    straight way from each molecule, canonical, to a random other one.
    """
    n = len(smiles)
    noise = np.random.default_rng(derive_seed(seed, "completeness")).standard_normal(means.shape)
    order = np.random.default_rng(derive_seed(seed, "between")).permutation(n)
    first, second = order, np.roll(order, -1)
    ends = [smiles[i] for i in first], [smiles[i] for i in second]
    regions: list[tuple[str, np.ndarray, tuple[list[str], list[str]] | None]] = [
        ("random, N(0, I)", noise, None),
        ("random, as wide as the latents", means.mean(0) + means.std(0) * noise, None),
    ]
    for t in SHARES:
        between = (1 - t) * means[first] + t * means[second]
        regions.append((f"between two molecules, at {t:g}", between, ends))
    return tuple(
        _region(name, generator.decode(z.astype(np.float32)), pair, sane)
        for name, z, pair in regions
    )


def _region(
    name: str,
    found: Sequence[str | None],
    ends: tuple[list[str], list[str]] | None,
    sane: SanityOptions | None,
) -> Region:
    there = [s for s in found if s is not None]
    at_end = similarity = float("nan")
    if ends is not None:
        same = np.array([s in pair for s, *pair in zip(found, *ends, strict=True)])
        alike = np.fmax(*(pairwise_similarity(found, side) for side in ends))
        left = alike[~same & np.isfinite(alike)]
        at_end, similarity = float(same.mean()), float(left.mean()) if len(left) else similarity
    return Region(
        name,
        len(found),
        len(there) / len(found),
        float(sane_mask(found, sane).mean()),
        len(set(there)) / len(found),
        at_end,
        similarity,
    )
