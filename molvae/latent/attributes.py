"""Attributes that a molecule has or lacks, as functions of SMILES."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from rdkit import Chem

from molvae.base.errors import ConfigError, InputError
from molvae.base.seeds import derive_seed
from molvae.chem.patterns import checked_smarts
from molvae.chem.properties import compute, property_function
from molvae.chem.similarity import fingerprints
from molvae.chem.smiles import parse_many

_FOLDS = 5


@dataclass(frozen=True)
class Attribute:
    """Something that a molecule has or lacks.

    ``judge`` takes ``n`` SMILES, None among them, to 1 (has it), 0 (lacks it) or NaN (cannot be
    said), ``(n,)``.
    """

    name: str
    judge: Callable[[Sequence[str | None]], np.ndarray]
    roc_auc: float = float("nan")
    """How well it tells held-out examples, where the judge is a model of examples; else NaN."""

    def lacked(self) -> Attribute:
        """The lack of it, as an attribute.

        >>> pattern("[F]").lacked().judge(["CF", "CC"])
        array([0., 1.])
        """
        return Attribute(f"no {self.name}", lambda smiles: 1 - self.judge(smiles), self.roc_auc)


def pattern(smarts: str) -> Attribute:
    """A match of ``smarts``; :class:`ConfigError` where that is no SMARTS.

    >>> pattern("[OX2H]").judge(["CCO", "CCC", None])
    array([ 1.,  0., nan])
    """
    try:
        query = Chem.MolFromSmarts(checked_smarts(smarts))
    except ValueError as error:
        raise ConfigError(f"the pattern {smarts!r}: {error}") from error

    def judge(smiles: Sequence[str | None]) -> np.ndarray:
        mols = parse_many(smiles)
        return np.array([np.nan if m is None else m.HasSubstructMatch(query) for m in mols], float)

    return Attribute(smarts, judge)


def beyond(name: str, *, above: float | None = None, below: float | None = None) -> Attribute:
    """A property of :data:`~molvae.chem.properties.PROPERTIES` above or below a threshold, or
    between two. Raises :class:`ConfigError` for an unknown property or no threshold.

    >>> beyond("heavy_atoms", above=2).judge(["CC", "CCC"])
    array([0., 1.])
    """
    property_function(name)
    if above is None and below is None:
        raise ConfigError(f"say where {name} should be: above a value, below one, or both")
    low, high = -np.inf if above is None else above, np.inf if below is None else below

    def judge(smiles: Sequence[str | None]) -> np.ndarray:
        value = compute(smiles, [name], progress=False)[:, 0]
        return np.where(np.isnan(value), np.nan, (value > low) & (value < high))

    words = ([f"above {above:g}"] if above is not None else []) + (
        [f"below {below:g}"] if below is not None else []
    )
    return Attribute(f"{name} {' and '.join(words)}", judge)


def labelled(
    name: str, smiles: Sequence[str | None], labels: np.ndarray, *, seed: int = 0
) -> Attribute:
    """What molecules of label 1 have and those of label 0 lack, as far as fingerprints tell.

    The judge is a logistic regression on Morgan bits of ``smiles`` with ``labels (n,)``, NaN where
    unknown; how well it tells examples that it was not fitted to is its ``roc_auc``.

    Raises :class:`InputError` for labels that are not 0 and 1, or fewer than five of either.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    prints = fingerprints(parse_many(smiles))
    known = np.isfinite(labels) & prints.any(1)
    there = np.asarray(labels)[known]
    if not np.isin(there, (0, 1)).all() or min((there == 1).sum(), (there == 0).sum()) < _FOLDS:
        raise InputError(
            f"the label {name} must be 1 or 0, each for at least {_FOLDS} molecules; for a "
            "measured number, make such a column first"
        )
    bits = np.unpackbits(prints[known], axis=1).astype(np.float32)
    model = LogisticRegression(C=0.1, max_iter=1000)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=derive_seed(seed, name) % 2**32)
    guesses = cross_val_predict(model, bits, there, cv=folds, method="decision_function")
    model.fit(bits, there)

    def judge(texts: Sequence[str | None]) -> np.ndarray:
        packed = fingerprints(parse_many(texts))
        found = model.predict(np.unpackbits(packed, axis=1).astype(np.float32)).astype(float)
        return np.where(packed.any(1), found, np.nan)

    return Attribute(name, judge, float(roc_auc_score(there, guesses)))
