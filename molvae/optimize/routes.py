"""Proposal routes: the ways in which a new molecule comes of the best ones so far.

Through the latent space: a step in it (perturbation), an ascent of what a surrogate hopes for
(gradient), parts of two latents put together (crossover), a part of a latent forgotten and written
anew by the decoder (rewriting), and the prior. And on the graph itself, where a small change stays
small: an edit, and a recombination of two graphs. Whatever a route proposes becomes a candidate
only once the model can encode it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Set
from dataclasses import dataclass
from random import Random

import numpy as np
from rdkit import Chem

from molvae.base.seeds import derive_seed
from molvae.chem import edits
from molvae.latent.moves import spliced, with_gaps, without_ends
from molvae.optimize import proposals
from molvae.optimize.config import Routes
from molvae.optimize.proposals import Candidates, MoleculeGenerator, admitted, local

SCALES = 8.0
"""The longest latent step is so many times the shortest."""
RANK = 5.0
"""A molecule of rank r (from 0) has children in proportion to 1 / (RANK + r)."""
ENDINGS = 0.3
"""Share of the rewritten molecules that lose their end, not a part in the middle."""


@dataclass(frozen=True)
class Parents:
    """Molecules ``smiles (p,)``, their latents ``z (p, d)``, and how often each is chosen."""

    smiles: tuple[str, ...]
    z: np.ndarray
    weight: np.ndarray

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Numbers ``(n,)`` of parents, with repeats."""
        return rng.choice(len(self.smiles), n, p=self.weight / self.weight.sum())


def by_rank(n: int) -> np.ndarray:
    """The weight ``(n,)`` of each of ``n`` molecules, best first.

    >>> (by_rank(3) / by_rank(3)[0]).round(2)
    array([1.  , 0.83, 0.71])
    """
    weight = 1.0 / (RANK + np.arange(n))
    return weight / weight.sum()


Climb = Callable[[np.ndarray], np.ndarray]
"""From latents ``(n, d)`` to better ones."""


def offspring(
    generator: MoleculeGenerator,
    parents: Parents,
    n: int,
    routes: Routes,
    length: float,
    seen: Set[str],
    seed: int,
    climb: Climb | None = None,
) -> Candidates:
    """New molecules among ``n`` children of ``parents`` (at least one), none of them in ``seen``.

    ``length`` is the longest latent step, in standard deviations of the prior. Without ``climb``,
    which makes an ascent from each of some latents, there are none by gradient.
    """
    rng = np.random.default_rng(derive_seed(seed, "offspring"))
    able = {"rewriting": local(generator) is not None, "gradient": climb is not None}
    ways = [name for name in routes.names if able.get(name, True)]
    shares = np.array([getattr(routes, name) for name in ways])
    counts = dict(zip(ways, rng.multinomial(n, shares / shares.sum()).tolist(), strict=True))
    latents = [_LATENT[name](generator, parents, counts[name], length, rng) for name in _LATENT]
    origin = [name for name in _LATENT for _ in range(counts[name])]
    if climb is not None and counts["gradient"]:
        latents.append(climb(parents.z[parents.draw(counts["gradient"], rng)]))
        origin += ["gradient"] * counts["gradient"]
    asked = np.concatenate(latents)
    smiles = generator.decode(asked) if len(asked) else []
    for name in [name for name in _MOLECULES if counts.get(name)]:
        made = _MOLECULES[name](generator, parents, counts[name], rng, derive_seed(seed, name))
        smiles += admitted(generator, made) if name in _OF_GRAPHS else made
        origin += [name] * len(made)
    nowhere = np.full((len(smiles) - len(asked), generator.latent_dim), np.nan)
    return proposals.known(generator, smiles, origin, seen, np.concatenate([asked, nowhere]))


# --- latents to be decoded ``(n, d)``, with steps up to a length --------------------------------


def _perturbation(
    generator: MoleculeGenerator, parents: Parents, n: int, length: float, rng: np.random.Generator
) -> np.ndarray:
    """Steps are of all scales up to ``length``: nobody knows how rough the decoder is there."""
    z = parents.z[parents.draw(n, rng)]
    step = length * SCALES ** -rng.random((n, 1))
    return z + step * rng.standard_normal(z.shape)


def _crossover(
    generator: MoleculeGenerator, parents: Parents, n: int, length: float, rng: np.random.Generator
) -> np.ndarray:
    """Pieces of two latents, or, where they are not in windows, a way from one to the other."""
    first, second = parents.draw(n, rng), parents.draw(n, rng)
    z, others = parents.z[first], parents.z[second]
    windowed = local(generator)
    if windowed is not None:
        symbols = windowed.symbols(parents.smiles)
        return spliced(windowed.windows, z, others, (symbols[first], symbols[second]), rng)
    way = rng.uniform(0.1, 0.5, (n, 1))
    return z + way * (others - z) + length / 4 * rng.standard_normal(z.shape)


# --- molecules -----------------------------------------------------------------------------------


def _prior(
    generator: MoleculeGenerator, parents: Parents, n: int, rng: np.random.Generator, seed: int
) -> list[str | None]:
    return list(generator.sample(n, seed=seed))


def _rewriting(
    generator: MoleculeGenerator, parents: Parents, n: int, rng: np.random.Generator, seed: int
) -> list[str | None]:
    windowed = local(generator)
    assert windowed is not None
    chosen = parents.draw(n, rng)
    symbols = windowed.symbols(parents.smiles)[chosen]
    z = parents.z[chosen]
    end = rng.random(n) < ENDINGS
    windows = windowed.windows
    gaps = with_gaps(windows, z[~end], symbols[~end], rng)
    ends = without_ends(windows, z[end], symbols[end], rng)
    return windowed.rewrite(np.concatenate([gaps, ends]), seed=seed)


def _edit(
    generator: MoleculeGenerator, parents: Parents, n: int, rng: np.random.Generator, seed: int
) -> list[str | None]:
    random = Random(seed)
    graphs = [_editable(parents.smiles[i]) for i in parents.draw(n, rng)]
    return [None if mol is None else edits.mutate(mol, random) for mol in graphs]


def _recombination(
    generator: MoleculeGenerator, parents: Parents, n: int, rng: np.random.Generator, seed: int
) -> list[str | None]:
    random = Random(seed)
    first, second = ([_editable(parents.smiles[i]) for i in parents.draw(n, rng)] for _ in "12")
    pairs = zip(first, second, strict=True)
    return [None if a is None or b is None else edits.cross(a, b, random) for a, b in pairs]


_Latent = Callable[[MoleculeGenerator, Parents, int, float, np.random.Generator], np.ndarray]
_Molecules = Callable[[MoleculeGenerator, Parents, int, np.random.Generator, int], list[str | None]]
_LATENT: dict[str, _Latent] = {"perturbation": _perturbation, "crossover": _crossover}
_MOLECULES: dict[str, _Molecules] = {
    "prior": _prior,
    "rewriting": _rewriting,
    "edit": _edit,
    "recombination": _recombination,
}
_OF_GRAPHS = ("edit", "recombination")


@functools.lru_cache(maxsize=4096)
def _editable(smiles: str) -> Chem.Mol | None:
    return edits.editable(smiles)
