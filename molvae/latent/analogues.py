"""Relatives of a molecule: what the model writes near its latent, at a chosen similarity.

Two kinds of steps are taken from the lead's posterior mean, as many of each. One goes a random
length in a random direction and is decoded greedily. The other, where z lies in windows, forgets
some of them, or puts forgotten ones in, and the decoder writes there what the data would have
(:mod:`molvae.latent.moves`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from molvae.base.errors import ConfigError, InputError
from molvae.base.progress import Progress
from molvae.base.seeds import derive_seed
from molvae.chem.alerts import sane_mask
from molvae.chem.diversity import diverse_subset
from molvae.chem.patterns import scaffold
from molvae.chem.similarity import pairwise_similarity
from molvae.chem.smiles import canonicalise, parse, parse_many
from molvae.generator import Generator
from molvae.latent.moves import with_gaps

SIMILARITY = (0.4, 1.0)
"""Of the analogues to the lead, where no range is said."""
STEPS = (0.2, 1.0)
"""Lengths of the steps, in standard deviations of the prior along every dimension."""
DRAWS = 100
"""Draws for each analogue that is wanted, at most; and a thousand more."""
POOL = 5
"""Molecules found for each that is wanted, before the most diverse are picked."""


@dataclass(frozen=True)
class Analogues:
    """Distinct relatives of ``lead``, the best first, and what became of the draws."""

    lead: str
    """The lead's canonical SMILES."""
    smiles: tuple[str, ...]
    similarity: np.ndarray
    """To the lead, ``(n,)`` (Tanimoto, Morgan bits of radius 2)."""
    distance: np.ndarray
    """Between the posterior means of the analogue and the lead, ``(n,)``."""
    drawn: int
    """Latents that were decoded."""
    found: int
    """Distinct molecules among them that were as asked; ``smiles`` are the best of these."""

    def columns(self) -> dict[str, list[Any]]:
        """Columns of a table, a row for each analogue."""
        return {
            "smiles": list(self.smiles),
            "similarity": self.similarity.tolist(),
            "latent_distance": self.distance.tolist(),
        }


def analogues(
    generator: Generator,
    lead: str,
    n: int = 50,
    *,
    similarity: tuple[float, float] = SIMILARITY,
    keep_scaffold: bool = False,
    sane: bool = False,
    diverse: bool = False,
    seed: int = 0,
    progress: bool | None = False,
) -> Analogues:
    """Up to ``n`` relatives of ``lead``, a SMILES; fewer where so many draws find no more.

    Args:
        generator: the model.
        lead: the molecule.
        n: how many are wanted.
        similarity: the least and the greatest to the lead (Tanimoto, Morgan bits of radius 2).
        keep_scaffold: only those that hold the lead's Bemis-Murcko scaffold, stereo aside, as it is
            or as part of a larger one.
        sane: only sane molecules.
        diverse: pick those most unlike each other and the lead out of five times as many, in the
            order of the picking; else the most similar come first.
        seed: of the draws.
        progress: show a bar; None means only on a terminal.

    Raises:
        InputError: the lead cannot be encoded, or has no scaffold to keep.
        ConfigError: ``n`` is below 1, or the range of similarities is none.

    >>> from molvae.generator import load
    >>> found = analogues(load("druglike", "cpu"), "CC(=O)Nc1ccc(O)cc1", 3, similarity=(0.5, 0.9))
    >>> len(found.smiles), bool((found.similarity >= 0.5).all())
    (3, True)
    """
    low, high = similarity
    if n < 1:
        raise ConfigError(f"n is {n}: take at least 1")
    if not 0 <= low <= high <= 1:
        raise ConfigError(f"the similarities are {low:g} to {high:g}: give two from 0 to 1, "
                          "the lower one first")  # fmt: skip
    place = generator.posterior([lead])
    if place.reasons[0] is not None:
        raise InputError(f"the model cannot encode {lead!r}: {place.reasons[0]}")
    wanted = _Wanted(canonicalise(lead), similarity, keep_scaffold, sane)
    draws = _Draws(generator, wanted.lead, place.mean)
    enough, limit = (POOL * n if diverse else n), DRAWS * n + 1000
    found: dict[str, float] = {}
    drawn = turn = 0
    with Progress("analogues", enough, progress) as bar:
        while len(found) < enough and drawn < limit:
            size = min(generator.batch_size, limit - drawn)
            before = min(len(found), enough)
            new = [s for s in draws.draw(size, derive_seed(seed, "analogues", turn)) if s]
            found |= wanted.those(s for s in dict.fromkeys(new) if s not in found)
            drawn, turn = drawn + size, turn + 1
            bar.advance(min(len(found), enough) - before)
    ranked = sorted(found, key=lambda s: (-found[s], s))
    if diverse:
        ranked = [wanted.lead, *ranked]
        chosen = [ranked[i] for i in diverse_subset(ranked, n + 1)[1:]]
    else:
        chosen = ranked[:n]
    away = generator.encode(chosen) - place.mean
    return Analogues(
        wanted.lead,
        tuple(chosen),
        np.array([found[s] for s in chosen]),
        np.linalg.norm(away, axis=1),
        drawn,
        len(found),
    )


class _Draws:
    """Molecules near a lead."""

    def __init__(self, generator: Generator, lead: str, mean: np.ndarray) -> None:
        self.generator, self.mean = generator, mean
        self.symbols = generator.symbols([lead])

    def draw(self, size: int, seed: int) -> list[str | None]:
        """``size`` of them, half by steps and half by gaps where z has windows."""
        rng = np.random.default_rng(seed)
        gaps = size // 2 if self.generator.windows.count else 0
        z = np.repeat(self.mean, size, 0)
        length = rng.uniform(*STEPS, size=(size - gaps, 1))
        stepped = z[gaps:] + length * rng.standard_normal((size - gaps, z.shape[1]))
        found = self.generator.decode(stepped)
        if gaps:
            symbols = np.repeat(self.symbols, gaps)
            open_windows = with_gaps(self.generator.windows, z[:gaps], symbols, rng)
            found += self.generator.rewrite(open_windows, seed=seed)
        return found


class _Wanted:
    """What an analogue must be like."""

    def __init__(
        self, lead: str, similarity: tuple[float, float], keep_scaffold: bool, sane: bool
    ) -> None:
        self.lead, self.similarity, self.sane = lead, similarity, sane
        self.core = None
        if keep_scaffold:
            core = scaffold(parse(lead))
            if not core:
                raise InputError(f"the lead {lead!r} has no ring, hence no scaffold to keep")
            self.core = parse(core)

    def those(self, smiles: Iterable[str]) -> dict[str, float]:
        """Those that are as wanted, with their similarity to the lead; the lead is none."""
        new = [text for text in smiles if text != self.lead]
        alike = pairwise_similarity(new, [self.lead] * len(new))
        good = (alike >= self.similarity[0]) & (alike <= self.similarity[1])
        if self.sane:
            good &= sane_mask(new)
        if self.core is not None:
            mols = parse_many(new)
            good &= [mol is not None and mol.HasSubstructMatch(self.core) for mol in mols]
        return {new[i]: float(alike[i]) for i in np.flatnonzero(good)}
