r"""From one molecule to another through the latent space, in three ways.

- ``linear``: evenly spaced points on the straight line between the two posterior means.
- ``spherical``: along the great circle, with the length of z changing evenly; in many dimensions a
  Gaussian prior lies on a sphere, which a straight line leaves (Shoemake 1985; White 2016,
  arXiv:1609.04468).
- ``dense``: over latents of real molecules only. Candidates are decoded between and beside the two
  ends, sane ones are encoded again, and the path is the shortest one from end to end over these,
  where a step of length *l* costs :math:`l^p`. With p > 1 many short steps cost less than one long
  one, so the path goes where the encoder puts many molecules: as candidates grow more, it becomes a
  geodesic of a metric that shrinks with their density (power-weighted shortest paths: Hwang,
  Damelin & Hero, Ann. Appl. Probab. 26:2791, 2016). Between the molecules of the path more
  candidates are decoded, and the path is sought again. Where the model has a critic, a candidate
  that it finds less realistic than both ends is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np

from molvae.base.errors import ConfigError, InputError
from molvae.base.seeds import derive_seed
from molvae.chem.alerts import sane_mask
from molvae.chem.similarity import pairwise_similarity
from molvae.chem.smiles import canonicalise, canonicalise_many
from molvae.generator import Generator
from molvae.latent.moves import spliced

Way = Literal["linear", "spherical", "dense"]
"""How to go from one molecule to the other."""

POWER = 4.0
"""The exponent p of a step's cost on a dense path."""
ROUNDS = 3
"""Times that candidates of a dense path are decoded."""
MARGIN = 1.0
"""Nats by which the critic may find a candidate less realistic than the less realistic end."""
_BETWEEN = 9
_NOISE = (0.0, 0.3, 0.5)
_SPLICES = 24


@dataclass(frozen=True, eq=False)
class Interpolation:
    """``k`` points on the way from one molecule to another, ends included."""

    way: Way
    ends: tuple[str, str]
    """The two molecules that were asked for, canonical."""
    reached: tuple[str | None, str | None]
    """Where the way begins and ends: what the ends decode to, on a dense path the ends."""
    t: np.ndarray
    """Share of the way that is behind each point, ``(k,)``, from 0 to 1."""
    z: np.ndarray
    """Latents ``(k, d)``: those asked for, on a dense path those of the molecules themselves."""
    smiles: tuple[str | None, ...]
    """What they decode to, canonical; None where that is no molecule."""
    to_first: np.ndarray
    """Tanimoto similarity (Morgan, radius 2) to the first end, ``(k,)``, NaN without a molecule."""
    to_second: np.ndarray
    """The same to the second end."""
    to_previous: np.ndarray
    """The same to the point before; NaN for the first."""
    sane: np.ndarray
    """Whether it is a sane molecule, ``(k,)`` bool."""

    def distinct(self) -> Interpolation:
        """Without points that have no molecule or the one of the point kept before them."""
        kept: list[int] = []
        for i, smiles in enumerate(self.smiles):
            if smiles is not None and not (kept and self.smiles[kept[-1]] == smiles):
                kept.append(i)
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        chosen: dict[str, Any] = {k: v[kept] for k, v in columns.items() if hasattr(v, "shape")}
        chosen["smiles"] = tuple(self.smiles[i] for i in kept)
        chosen["to_previous"] = _to_previous(chosen["smiles"])
        return replace(self, **chosen)

    def lost_ends(self) -> list[str]:
        """A sentence for each end that does not come back from the latent space, so that another
        molecule stands in its place."""
        pairs = zip(self.ends, self.reached, ("begins", "ends"), strict=True)
        return [
            f"{end} does not come back from this model's latent space: it decodes to "
            f"{found or 'no molecule'}; the way {verb} there (a dense way keeps its ends)"
            for end, found, verb in pairs
            if end != found
        ]

    def columns(self) -> dict[str, list[Any]]:
        """Columns of a table, a row for each point."""
        return {
            "smiles": list(self.smiles),
            "t": self.t.tolist(),
            "similarity_first": self.to_first.tolist(),
            "similarity_second": self.to_second.tolist(),
            "similarity_previous": self.to_previous.tolist(),
            "sane": self.sane.tolist(),
        }


def interpolate(
    generator: Generator,
    first: str,
    second: str,
    *,
    points: int = 11,
    way: Way = "linear",
    through: Sequence[str] = (),
    seed: int = 0,
) -> Interpolation:
    """Molecules on the way from ``first`` to ``second``, both SMILES.

    Args:
        generator: the model.
        first: the molecule to set out from.
        second: the molecule to reach.
        points: how many, both ends included; a dense path has as many as it needs.
        way: ``linear``, ``spherical`` or ``dense``; see the head of this file.
        through: known molecules over which a dense path may go as well; no other way takes them.
        seed: of the candidates of a dense path.

    Returns:
        The points. The ends of a linear or spherical path are what the ends decode to, which may
        be other molecules: :meth:`Interpolation.lost_ends` says so.

    Raises:
        InputError: an end cannot be encoded, or both are one molecule.
        ConfigError: ``points`` is below 2, there is no such ``way``, or it takes no ``through``.

    >>> from molvae.generator import load
    >>> druglike = load("druglike", "cpu")
    >>> found = interpolate(druglike, "CC(=O)Nc1ccc(O)cc1", "CC(=O)Oc1ccccc1C(=O)O", points=3)
    >>> found.smiles[0], found.z.shape, found.t
    ('CC(=O)Nc1ccc(O)cc1', (3, 254), array([0. , 0.5, 1. ]))
    >>> found.lost_ends()
    []
    """
    if points < 2:
        raise ConfigError(f"points is {points}: take at least 2, the ends")
    if way not in get_args(Way):
        raise ConfigError(f"there is no way {way!r}: take one of {', '.join(get_args(Way))}")
    if through and way != "dense":
        raise ConfigError(f"a {way} way goes through no molecules: take way dense, or no through")
    means = encoded_ends(generator, first, second)
    ends = (canonicalise(first), canonicalise(second))
    if way == "dense":
        return _dense(generator, ends, through, seed)
    t = np.linspace(0, 1, points)
    z = (straight if way == "linear" else circular)(means[0], means[1], t)
    return measured(way, t, z, generator.decode(z), ends)


def encoded_ends(generator: Generator, first: str, second: str) -> np.ndarray:
    """Posterior means ``(2, d)`` of two molecules; :class:`InputError` where there are none."""
    found = generator.posterior([first, second])
    for text, reason in zip((first, second), found.reasons, strict=True):
        if reason is not None:
            raise InputError(f"the model cannot encode {text!r}: {reason}")
    if np.array_equal(found.mean[0], found.mean[1]):
        raise InputError(f"{first!r} and {second!r} are the same molecule: give two")
    return found.mean


def straight(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points ``(k, d)`` on the line from ``a (d,)`` to ``b (d,)`` at ``t (k,)``."""
    return (a + t[:, None] * (b - a)).astype(np.float32)


def circular(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points ``(k, d)`` that turn evenly from ``a (d,)`` to ``b (d,)`` while their length changes
    evenly; a straight line where the two point the same way, opposite ways, or nowhere.

    >>> circular(np.array([1.0, 0.0]), np.array([0.0, 3.0]), np.array([0.5])).round(3)
    array([[1.414, 1.414]], dtype=float32)
    """
    lengths = np.linalg.norm(a), np.linalg.norm(b)
    if min(lengths) == 0:
        return straight(a, b, t)
    one, other = a / lengths[0], b / lengths[1]
    angle = np.arccos(np.clip(one @ other, -1, 1))
    if np.sin(angle) < 1e-6:
        return straight(a, b, t)
    turned = np.sin((1 - t) * angle)[:, None] * one + np.sin(t * angle)[:, None] * other
    length = lengths[0] + t * (lengths[1] - lengths[0])
    return (length[:, None] * turned / np.sin(angle)).astype(np.float32)


def measured(
    way: Way, t: np.ndarray, z: np.ndarray, smiles: Sequence[str | None], ends: tuple[str, str]
) -> Interpolation:
    """The points, two at least, with what is measured of them."""
    n = len(smiles)
    return Interpolation(
        way,
        ends,
        (smiles[0], smiles[-1]),
        t,
        z,
        tuple(smiles),
        pairwise_similarity(smiles, [ends[0]] * n),
        pairwise_similarity(smiles, [ends[1]] * n),
        _to_previous(smiles),
        sane_mask(smiles),
    )


def _to_previous(smiles: Sequence[str | None]) -> np.ndarray:
    if not smiles:
        return np.empty(0)
    return np.concatenate([[np.nan], pairwise_similarity(smiles[1:], smiles[:-1])])


# --- over real molecules ----------------------------------------------------------------------


def _dense(
    generator: Generator, ends: tuple[str, str], through: Sequence[str], seed: int
) -> Interpolation:
    nodes = _Nodes(generator, ends)
    nodes.add(canonicalise_many(through))
    path = [0, 1]
    for turn in range(ROUNDS):
        rng = np.random.default_rng(derive_seed(seed, "dense path", turn))
        for i, j in pairwise(path):
            nodes.add(_candidates(generator, nodes, i, j, rng))
        path = cheapest_path(nodes.z, POWER)
    z = nodes.z[path]
    lengths = np.linalg.norm(np.diff(z, axis=0), axis=1)
    t = np.concatenate([[0.0], np.cumsum(lengths) / lengths.sum()])
    return measured("dense", t, z, [nodes.smiles[i] for i in path], ends)


class _Nodes:
    """Molecules, each once, and where the encoder puts them; the first two are the ends."""

    def __init__(self, generator: Generator, ends: tuple[str, str]) -> None:
        self.generator = generator
        self.smiles: list[str] = []
        self.z = np.empty((0, generator.latent_dim), np.float32)
        self.least: float | None = None
        if generator.model.critic is not None:
            self.least = float(generator.realism(ends).min()) - MARGIN
        self._add(list(ends))

    def add(self, smiles: Sequence[str | None]) -> None:
        """Take in what is sane and realistic and can be encoded."""
        known = set(self.smiles)
        new = [s for s in dict.fromkeys(smiles) if s is not None and s not in known]
        good = sane_mask(new)
        if self.least is not None:
            good &= self.generator.realism(new) >= self.least
        self._add([s for s, kept in zip(new, good, strict=True) if kept])

    def _add(self, smiles: Sequence[str]) -> None:
        z = self.generator.encode(smiles)
        good = np.isfinite(z).all(1)
        self.smiles += [s for s, there in zip(smiles, good, strict=True) if there]
        self.z = np.concatenate([self.z, z[good]])


def _candidates(
    generator: Generator, nodes: _Nodes, i: int, j: int, rng: np.random.Generator
) -> list[str | None]:
    """What is decoded between two molecules, a little beside the lines, and where z has windows,
    with the beginning of the one and the end of the other."""
    a, b = nodes.z[i], nodes.z[j]
    t = np.linspace(0, 1, _BETWEEN + 2)[1:-1]
    lines = np.concatenate([straight(a, b, t), circular(a, b, t)])
    asked = [lines + noise * rng.standard_normal(lines.shape) for noise in _NOISE]
    if generator.windows.count:
        pair = np.array([i, j] * (_SPLICES // 2))
        first, second = nodes.z[pair], nodes.z[pair[::-1]]
        symbols = generator.symbols([nodes.smiles[i], nodes.smiles[j]] * (_SPLICES // 2))
        children = spliced(generator.windows, first, second, (symbols, symbols[::-1]), rng)
        asked.append(children)
    return generator.decode(np.concatenate(asked).astype(np.float32))


def cheapest_path(z: np.ndarray, power: float) -> list[int]:
    """The rows of ``z (n, d)`` on the cheapest path from the first to the second one.

    A step costs its length to the ``power``; a power of 1 goes straight.

    >>> z = np.array([[0.0, 0.0], [2.0, 0.0], [1.0, 0.2], [1.0, 3.0]])
    >>> cheapest_path(z, 1.0), cheapest_path(z, 4.0)
    ([0, 1], [0, 2, 1])
    """
    from scipy.sparse.csgraph import dijkstra
    from scipy.spatial.distance import cdist

    cost = cdist(z, z) ** power
    _, before = dijkstra(cost, directed=False, indices=0, return_predecessors=True)
    path = [1]
    while path[-1] != 0:
        path.append(int(before[path[-1]]))
    return path[::-1]
