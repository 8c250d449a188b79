"""Candidates: latents asked of the generator, and the new molecules that it makes of them."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np

from molvae.chem.smiles import canonicalise_many
from molvae.models.windows import Windows


class MoleculeGenerator(Protocol):
    """What the optimiser needs of a generator; :class:`molvae.generator.Generator` is one."""

    @property
    def latent_dim(self) -> int:
        """Length ``d`` of a latent vector."""
        ...

    @property
    def fingerprint(self) -> str:
        """What tells this model from every other one."""
        ...

    def encode(self, smiles: Sequence[str]) -> np.ndarray:
        """Latents ``(n, d)``; rows of NaN for what cannot be encoded."""
        ...

    def decode(self, z: np.ndarray) -> list[str | None]:
        """A SMILES for each row of ``z (n, d)``, or None; the same one each time."""
        ...

    def sample(self, n: int, *, seed: int) -> list[str]:
        """SMILES of ``n`` molecules from the generator's prior."""
        ...


class LocalGenerator(MoleculeGenerator, Protocol):
    """A generator whose latents lie in windows, so that they can be taken apart."""

    @property
    def windows(self) -> Windows:
        """How they lie in z."""
        ...

    def symbols(self, smiles: Sequence[str | None]) -> np.ndarray:
        """How many symbols each molecule has, ``(n,)``."""
        ...

    def rewrite(self, z: np.ndarray, *, seed: int) -> list[str | None]:
        """A random molecule for each row of ``z (n, d)``, in which zero windows are open."""
        ...


def local(generator: MoleculeGenerator) -> LocalGenerator | None:
    """The generator, if its latents lie in windows."""
    windows: Windows | None = getattr(generator, "windows", None)
    return cast(LocalGenerator, generator) if windows is not None and windows.count else None


def admitted(generator: MoleculeGenerator, smiles: Sequence[str | None]) -> Sequence[str | None]:
    """Molecules that did not come of the generator, None for those that it would turn down."""
    admit = getattr(generator, "admit", None)
    return smiles if admit is None else cast(Sequence[str | None], admit(smiles))


@dataclass(frozen=True)
class Candidates:
    """New molecules ``(n,)``, their own latents ``z (n, d)``, and what was ``asked (n, d)``.

    Rows of ``asked`` are NaN where the generator was asked for no particular latent.
    """

    smiles: tuple[str, ...]
    z: np.ndarray
    asked: np.ndarray
    origin: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.smiles)

    @classmethod
    def join(cls, parts: Sequence[Candidates]) -> Candidates:
        """All of ``parts`` (at least one), the first of equal molecules."""
        smiles = [s for part in parts for s in part.smiles]
        origin = [o for part in parts for o in part.origin]
        first = list({s: i for i, s in reversed(list(enumerate(smiles)))}.values())[::-1]
        return cls(
            tuple(smiles[i] for i in first),
            np.concatenate([part.z for part in parts])[first],
            np.concatenate([part.asked for part in parts])[first],
            tuple(origin[i] for i in first),
        )


def known(
    generator: MoleculeGenerator,
    smiles: Sequence[str | None],
    origin: Sequence[str],
    seen: Set[str] = frozenset(),
    asked: np.ndarray | None = None,
) -> Candidates:
    """The molecules of ``smiles`` that are molecules, can be encoded, and are not in ``seen``."""
    dim = generator.latent_dim
    canonical = canonicalise_many(smiles)
    first: dict[str, int] = {}
    for i, text in enumerate(canonical):
        if text is not None and text not in seen:
            first.setdefault(text, i)
    names = list(first)
    z = np.asarray(generator.encode(names), float) if names else np.empty((0, dim))
    kept = [i for i in range(len(names)) if np.isfinite(z[i]).all()]
    rows = [first[names[i]] for i in kept]
    return Candidates(
        tuple(names[i] for i in kept),
        z[kept].reshape(-1, dim),
        np.full((len(rows), dim), np.nan) if asked is None else asked[rows],
        tuple(origin[i] for i in rows),
    )


def from_prior(generator: MoleculeGenerator, n: int, seen: Set[str], seed: int) -> Candidates:
    """New molecules among ``n`` samples of the generator's prior."""
    smiles = generator.sample(n, seed=seed)
    return known(generator, smiles, ["prior"] * len(smiles), seen)


def decoded(
    generator: MoleculeGenerator, asked: np.ndarray, origin: Sequence[str], seen: Set[str]
) -> Candidates:
    """New molecules that the generator makes of the latents ``asked (n, d)``."""
    return known(generator, generator.decode(asked), origin, seen, asked)
