"""Two-dimensional maps of where molecules lie in a latent space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from molvae.base.errors import ConfigError, InputError
from molvae.base.seeds import derive_seed
from molvae.generator import Generator

Method = Literal["pca", "tsne"]
LIMIT = 1000
"""Molecules on a map, at most, unless it is said otherwise."""
_PERPLEXITY = 30.0
_COMPONENTS = 50
_LEAST = 3


@dataclass(frozen=True, eq=False)
class Atlas:
    """Where ``n`` molecules lie on maps of several kinds, ``places[method]`` ``(n, 2)``.

    ``rows`` are the places in what was given of these molecules: all that could be encoded, or of
    too many a random part. ``explained`` is the share of the variance on each axis of the PCA, NaN
    where there is none.
    """

    smiles: tuple[str, ...]
    rows: np.ndarray
    places: dict[Method, np.ndarray]
    explained: tuple[float, float]
    readable: int
    """How many could be encoded."""
    reasons: list[str | None]
    """Why a molecule of what was given could not be, None where it could."""


def atlas(
    generator: Generator,
    smiles: Sequence[str | None],
    methods: Sequence[Method] = ("pca", "tsne"),
    *,
    limit: int = LIMIT,
    seed: int = 0,
) -> Atlas:
    """Maps of the posterior means of molecules.

    ``pca`` is a projection: straight lines stay straight, distances are those of the two directions
    in which the latents vary most. ``tsne`` (van der Maaten & Hinton, JMLR 9:2579, 2008; started
    from the PCA, with a perplexity of 30, or less for few molecules) keeps neighbours together, and
    its distances and sizes of groups mean nothing.

    Raises :class:`InputError` where fewer than three distinct molecules can be encoded, and
    :class:`ConfigError` for an unknown method or a ``limit`` below three.

    >>> from molvae.generator import load
    >>> found = atlas(load("druglike", "cpu"), ["CCO", "CCCO", "C1CC", "c1ccccc1O"], ["pca"])
    >>> found.rows, found.places["pca"].shape
    (array([0, 1, 3]), (3, 2))
    """
    for method in methods:
        if method not in get_args(Method):
            known = ", ".join(get_args(Method))
            raise ConfigError(f"there is no map {method!r}: take one of {known}")
    if limit < _LEAST:
        raise ConfigError(f"limit is {limit}: take at least {_LEAST} molecules")
    found = generator.posterior(smiles)
    good = np.flatnonzero([reason is None for reason in found.reasons])
    rng = np.random.default_rng(derive_seed(seed, "atlas"))
    rows = np.sort(rng.permutation(good)[:limit])
    z = found.mean[rows].astype(np.float64)
    if len(np.unique(z, axis=0)) < _LEAST:
        raise InputError(
            f"only {len(good)} of {len(smiles)} molecules can be read by this model, or they are "
            f"all the same: a map takes at least {_LEAST} distinct ones"
        )
    axes, share = _principal(z)
    places = {m: axes[:, :2] if m == "pca" else _neighbours(axes, seed) for m in methods}
    texts = [smiles[i] for i in rows]
    return Atlas(
        tuple(text for text in texts if text is not None),
        rows,
        places,
        (float(share[0]), float(share[1])),
        len(good),
        found.reasons,
    )


def _principal(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates ``(n, k)`` on the principal axes, k at most 50, and shares of the variance."""
    from sklearn.decomposition import PCA

    pca = PCA(min(_COMPONENTS, *z.shape), svd_solver="full")
    return pca.fit_transform(z), pca.explained_variance_ratio_


def _neighbours(axes: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE

    perplexity = min(_PERPLEXITY, (len(axes) - 1) / 3)
    start = axes[:, :2] / axes[:, 0].std() * 1e-4
    tsne = TSNE(perplexity=perplexity, init=start, random_state=derive_seed(seed, "t-SNE") % 2**32)
    return np.asarray(tsne.fit_transform(axes), np.float64)
