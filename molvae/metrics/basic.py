"""Validity, uniqueness and novelty of generated molecules (Polykovskiy et al. 2020, MOSES).

All three take what :meth:`molvae.generator.Generator.decode` answers: canonical SMILES, or None
where there is no molecule. Canonical SMILES are identity.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence


def validity(smiles: Sequence[str | None]) -> float:
    """The share that are molecules; NaN of nothing.

    >>> validity(["CCO", None])
    0.5
    """
    return _share(sum(s is not None for s in smiles), len(smiles))


def uniqueness(smiles: Iterable[str | None]) -> float:
    """The share of distinct ones among the molecules; NaN without a molecule.

    >>> uniqueness(["CCO", "CCO", None, "C"])
    0.6666666666666666
    """
    molecules = [s for s in smiles if s is not None]
    return _share(len(set(molecules)), len(molecules))


def novelty(smiles: Iterable[str | None], known: Iterable[str]) -> float:
    """The share of the distinct molecules that are not among ``known`` (canonical SMILES).

    ``known`` is read once and not kept, so it may be a stream of any length.

    >>> novelty(["CCO", "C", None], known=["C", "CC"])
    0.5
    """
    distinct = {s for s in smiles if s is not None}
    return _share(len(distinct) - len(distinct.intersection(known)), len(distinct))


def _share(count: int, total: int) -> float:
    return count / total if total else math.nan
