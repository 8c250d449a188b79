"""A generator that keeps to molecules that meet what can be said of them without measuring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molvae.base.seeds import derive_seed
from molvae.chem.smiles import canonicalise_many
from molvae.optimize.config import Routes
from molvae.optimize.feasibility import demands, misses, shortfalls
from molvae.optimize.filtered import FilteredGenerator, only
from molvae.optimize.goals import Goals
from molvae.optimize.proposals import MoleculeGenerator
from molvae.optimize.routes import Parents, by_rank, offspring

DRAWS = 4
"""Times that the prior is drawn from to make up for what is turned down."""
ROUNDS = 8
"""Rounds of the search for molecules that meet the demands, where the prior has too few."""
CHILDREN = 256
"""Children in a round."""
PARENTS = 20
"""Molecules that miss the demands by least, from which a round sets out."""
LENGTHS = (0.5, 1.0, 2.0)
"""Longest steps of the rounds in turn, in standard deviations of the prior."""
ASKED = 256
"""Samples from which to set out without a lead, and to count to say why there is nothing."""


@dataclass(frozen=True)
class RestrictedGenerator(FilteredGenerator):
    """``inner`` without the molecules that miss a computed constraint or a restriction.

    They cost no measurement, so none is ever proposed that misses them. Where samples of the prior
    hardly ever meet them, such as a scaffold, :meth:`sample` searches the latent space for ones
    that do, from the leads and from the samples that miss them by least. The fingerprint is the
    model's alone: the demands are a campaign's settings.
    """

    goals: Goals

    def keep(self, smiles: Sequence[str | None]) -> list[str | None]:
        """The molecules, None where they miss a demand."""
        found = canonicalise_many(smiles)
        missed = misses(self.goals, found)
        return [text if miss == 0 else None for text, miss in zip(found, missed, strict=True)]

    def sample(self, n: int, *, seed: int) -> list[str]:
        """At most ``n`` molecules that meet the demands, the prior's own first."""
        found: dict[str, float] = {}
        for attempt in range(DRAWS):
            stream = derive_seed(seed, "draw", attempt)
            found |= self._missed(self.inner.sample(n, seed=stream))
            enough = sum(miss == 0 for miss in found.values())
            if enough >= n or enough * DRAWS < n * (attempt + 1):  # draws alone will not do
                break
        met = sum(miss == 0 for miss in found.values())
        if met < n and not self.goals.restriction.leads:
            # A search that has no lead to set out from needs a choice of samples instead.
            found |= self._missed(self.inner.sample(ASKED, seed=derive_seed(seed, "choice")))
        made = [text for text, miss in found.items() if miss == 0]
        return made[:n] if len(made) >= n else made + self._search(found, n - len(made), seed)

    def _search(self, drawn: dict[str, float], n: int, seed: int) -> list[str]:
        """``n`` molecules that meet the demands and are not among those ``drawn``, or fewer."""
        missed = drawn | self._missed(self.goals.restriction.leads)
        met = [text for text, miss in missed.items() if miss == 0 and text not in drawn]
        for number in range(ROUNDS):
            best = sorted(missed, key=lambda text: missed[text])[: 2 * PARENTS]
            z = np.asarray(self.inner.encode(best), float).reshape(-1, self.latent_dim)
            rows = np.flatnonzero(np.isfinite(z).all(axis=1))[:PARENTS]
            if len(met) >= n or not len(rows):
                break
            parents = Parents(tuple(best[i] for i in rows), z[rows], by_rank(len(rows)))
            length = LENGTHS[number % len(LENGTHS)]
            stream = derive_seed(seed, "search", number)
            found = offspring(
                self.inner, parents, CHILDREN, Routes(), length, missed.keys(), stream
            )
            totals = misses(self.goals, found.smiles)
            met += [text for text, miss in zip(found.smiles, totals, strict=True) if miss == 0]
            missed |= dict(zip(found.smiles, totals.tolist(), strict=True))
        return met[:n]

    def _missed(self, smiles: Sequence[str]) -> dict[str, float]:
        """By how much each of the molecules among ``smiles`` misses the demands, in total."""
        texts = [text for text in canonicalise_many(smiles) if text is not None]
        missed = misses(self.goals, texts)
        return dict(zip(texts, missed.tolist(), strict=True))


def shortage(generator: MoleculeGenerator, goals: Goals, seed: int) -> str | None:
    """Why there are no molecules that meet the demands of ``goals``, or None where there are."""
    if not goals.filters or RestrictedGenerator(generator, goals).sample(1, seed=seed):
        return None
    samples = generator.sample(ASKED, seed=derive_seed(seed, "shortage"))
    met = (shortfalls(goals, samples) == 0).sum(axis=0)
    counts = "; ".join(f"{n} {label}" for n, label in zip(met, demands(goals), strict=True))
    return (
        f"none of the molecules generated meets all constraints (of {len(samples)} samples of the "
        f"model{only(generator)}: {counts}); loosen one of them, or start from molecules that meet "
        "them"
    )
