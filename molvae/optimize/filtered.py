"""Generators that keep to some of their molecules: sane ones, and those typical of the model.

Molecules to begin with are the user's own choice and are not filtered.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from molvae.base.seeds import derive_seed
from molvae.chem.alerts import sane_mask
from molvae.generator import Generator
from molvae.latent.typicality import check_typical, surprisal, typical_surprisal
from molvae.models.windows import Windows
from molvae.optimize.proposals import LocalGenerator, MoleculeGenerator, admitted, local

DRAWS = 30
"""Samples for each that is kept, beyond which no more are drawn."""
LEAST = 500
"""Samples that are drawn in any case before it is said that hardly any is kept."""
TOGETHER = 25
"""Fewest samples drawn together."""


@dataclass(frozen=True)
class FilteredGenerator(ABC):
    """``inner`` without the molecules that :meth:`keep` turns down."""

    inner: MoleculeGenerator

    @abstractmethod
    def keep(self, smiles: Sequence[str | None]) -> list[str | None]:
        """The molecules, None where one is turned down."""

    @property
    def adjective(self) -> str:
        """What its molecules are, in a word, or nothing."""
        return ""

    @property
    def latent_dim(self) -> int:
        """Length ``d`` of a latent vector."""
        return self.inner.latent_dim

    @property
    def fingerprint(self) -> str:
        """The model's, with what a campaign cannot go on without."""
        return self.inner.fingerprint

    @property
    def windows(self) -> Windows | None:
        """The model's, if it has any."""
        windowed = local(self.inner)
        return None if windowed is None else windowed.windows

    def encode(self, smiles: Sequence[str]) -> np.ndarray:
        """Latents ``(n, d)`` of any molecules."""
        return self.inner.encode(smiles)

    def symbols(self, smiles: Sequence[str | None]) -> np.ndarray:
        """How many symbols each molecule has, ``(n,)``."""
        return self._local().symbols(smiles)

    def decode(self, z: np.ndarray) -> list[str | None]:
        """Molecules of ``z (n, d)``, None where they are turned down."""
        return self.keep(self.inner.decode(z))

    def rewrite(self, z: np.ndarray, *, seed: int) -> list[str | None]:
        """Random molecules of ``z (n, d)``, None where they are turned down."""
        return self.keep(self._local().rewrite(z, seed=seed))

    def admit(self, smiles: Sequence[str | None]) -> list[str | None]:
        """The molecules, None where this or ``inner`` turns them down."""
        return self.keep(admitted(self.inner, smiles))

    def sample(self, n: int, *, seed: int) -> list[str]:
        """``n`` molecules from the prior that are kept, or fewer where hardly any is."""
        found: list[str] = []
        size, drawn = max(n, TOGETHER), 0
        while len(found) < n and (drawn < LEAST or drawn < DRAWS * max(1, len(found))):
            stream = derive_seed(seed, "draw", drawn // size) if drawn else seed
            found += [s for s in self.keep(self.inner.sample(size, seed=stream)) if s is not None]
            drawn += size
        return found[:n]

    def _local(self) -> LocalGenerator:
        windowed = local(self.inner)
        assert windowed is not None
        return windowed


@dataclass(frozen=True)
class SaneGenerator(FilteredGenerator):
    """``inner`` without the molecules that :func:`molvae.chem.alerts.insane_reason` objects to."""

    @property
    def adjective(self) -> str:
        """What its molecules are."""
        return "sane"

    @property
    def fingerprint(self) -> str:
        """The model's, and that it is filtered."""
        return f"{self.inner.fingerprint}, sane molecules only"

    def keep(self, smiles: Sequence[str | None]) -> list[str | None]:
        """The molecules, None where they are not sane."""
        return [s if good else None for s, good in zip(smiles, sane_mask(smiles), strict=True)]


@dataclass(frozen=True)
class TypicalGenerator(FilteredGenerator):
    """``inner`` without the molecules that ``model`` would hardly write itself.

    What is kept is as easy for it to write (:func:`~molvae.latent.typicality.surprisal`) as the
    easiest ``share`` of its own samples. A search moves to whatever scores, also on graphs, where
    no model has a say; this keeps it to molecules like those that the model has learnt.
    """

    model: Generator
    share: float
    progress: bool | None = False
    """Whether a bar is shown while samples are drawn for :attr:`limit`."""

    def __post_init__(self) -> None:
        check_typical(self.model, self.share)

    @cached_property
    def limit(self) -> float:
        """The most that is typical, in nats for each symbol; who only encodes does not wait for
        it."""
        return typical_surprisal(self.model, self.share, progress=self.progress)

    @property
    def adjective(self) -> str:
        """What its molecules are."""
        return f"typical ({self.share:g})"

    @property
    def fingerprint(self) -> str:
        """The model's, and to what it is kept."""
        return f"{self.inner.fingerprint}, typical molecules only ({self.share:g})"

    def keep(self, smiles: Sequence[str | None]) -> list[str | None]:
        """The molecules, None where they are not typical."""
        there = [s for s in smiles if s is not None]
        nats = dict(zip(there, surprisal(self.model, there) if there else [], strict=True))
        return [s if s is not None and nats[s] <= self.limit else None for s in smiles]


def filtered(
    generator: Generator,
    *,
    sane: bool = False,
    typical: float | None = None,
    progress: bool | None = False,
) -> MoleculeGenerator:
    """``generator``, kept to ``sane`` molecules, and to such a share of ``typical`` ones. Raises
    what :func:`~molvae.latent.typicality.check_typical` does."""
    kept: MoleculeGenerator = SaneGenerator(generator) if sane else generator
    return kept if typical is None else TypicalGenerator(kept, generator, typical, progress)


def only(generator: MoleculeGenerator) -> str:
    """To which molecules it is kept, to be said after what it does; nothing where it is free.

    >>> import molvae
    >>> only(filtered(molvae.load("druglike", "cpu"), sane=True))
    ', among sane molecules'
    """
    kept: list[str] = []
    inner: object = generator
    while isinstance(inner, FilteredGenerator):
        kept, inner = [inner.adjective, *kept], inner.inner
    adjectives = [adjective for adjective in kept if adjective]
    return f", among {' and '.join(adjectives)} molecules" if adjectives else ""
