"""A description at work: molecules in, and out the total with what every part contributed."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from molvae.base.errors import ConfigError, MolvaeError, OracleError
from molvae.oracles.batch import Batch
from molvae.oracles.description import Composition, Description, Group, read_description
from molvae.oracles.means import NONNEGATIVE, MeanName, combine
from molvae.oracles.modifiers import Modify
from molvae.oracles.objective import Objective
from molvae.oracles.parts import Part, Raw, Setting

if TYPE_CHECKING:
    from molvae.generator import Generator


@dataclass(frozen=True)
class PartScores:
    """One part of n molecules: ``raw (n,)`` in its own unit, ``score (n,)`` after its modifier.

    A part of a group is called ``group / part``; ``depth`` counts the groups it is in.
    """

    name: str
    raw: np.ndarray
    score: np.ndarray
    depth: int = 0


@dataclass(frozen=True)
class Scores:
    """``total (n,)``, every part, and for each molecule without a total the reason."""

    total: np.ndarray
    parts: tuple[PartScores, ...]
    reasons: list[str | None]


@dataclass(frozen=True)
class _Term:
    """A part made ready: either it computes ``raw`` itself or its ``terms`` do."""

    name: str
    weight: float
    raw: Raw | None
    modify: Modify | None
    mean: MeanName | None = None
    terms: tuple[_Term, ...] = ()


class Composed:
    """An objective made of parts, ready to score molecules; each is parsed once for all parts.

    ``model`` is what a part of kind ``model`` asks where it names none; ``folder`` is where
    relative paths start.

    >>> composed = Composed(Description.parse({
    ...     "direction": "maximize",
    ...     "mean": "arithmetic",
    ...     "parts": [
    ...         {"kind": "property", "property": "rings", "modifier": {"kind": "range", "low": 1}},
    ...         {"kind": "smarts", "pattern": "[#7]", "want": "absent", "weight": 3},
    ...     ],
    ... }))
    >>> composed.score(["c1ccncc1", "c1ccccc1", "C1"]).total
    array([0.25, 1.  ,  nan])

    Raises:
        ConfigError: a part cannot be built: no such model, target or file.
    """

    def __init__(
        self,
        description: Description,
        *,
        folder: str | os.PathLike[str] = "",
        model: Generator | None = None,
    ) -> None:
        self.description = description
        self._setting = Setting(Path(folder), model)
        self._terms = _terms(description, self._setting)

    def __reduce__(self) -> tuple[Any, ...]:
        # Parts are closures, which no pickle takes to another process: they are made there again.
        return _again, (self.description, self._setting)

    def score(self, smiles: Sequence[str | None]) -> Scores:
        """The total and all parts of each molecule; NaN, with a reason, where there is none."""
        batch = Batch(smiles)
        parts: list[PartScores] = []
        total = _combined(batch, self.description.mean, self._terms, parts)
        reasons = [
            None if np.isfinite(value) else _reason(batch, row, parts)
            for row, value in enumerate(total)
        ]
        return Scores(total, tuple(parts), reasons)

    def total(self, smiles: Sequence[str | None]) -> np.ndarray:
        """The total alone, ``(n,)``."""
        return self.score(smiles).total

    def reasons(self, smiles: Sequence[str | None]) -> list[str | None]:
        """For each molecule without a total the reason, None for the others."""
        return self.score(smiles).reasons

    def objective(self) -> Objective:
        """The same as an objective of a batch of molecules."""
        return Objective(
            self.description.name,
            self.total,
            self.description.direction,
            batch=True,
            explain=self.reasons,
            definition=self.description.model_dump(mode="json", exclude_none=True),
        )


def read_objective(path: str | os.PathLike[str], model: Generator | None = None) -> Composed:
    """The objective described in a TOML file, ready to score; see ``docs/objectives.md``.

    Raises :class:`FileError`, :class:`InputError` or :class:`ConfigError` that says where and what.
    """
    description = read_description(path)
    try:
        return Composed(description, folder=Path(path).parent, model=model)
    except ConfigError as error:
        raise ConfigError(f"{os.fspath(path)}: {error}") from error


def _again(description: Description, setting: Setting) -> Composed:
    return Composed(description, folder=setting.folder, model=setting.model)


def _terms(composition: Composition, setting: Setting) -> tuple[_Term, ...]:
    names = _labels(composition.parts)
    made = []
    for name, part in zip(names, composition.parts, strict=True):
        if isinstance(part, Group):
            terms = _terms(part, setting)
            modify = _modify(name, part, functools.partial(_group, part.mean, terms))
            made.append(_Term(name, part.weight, None, modify, part.mean, terms))
        else:
            raw = _built(name, part, setting)
            made.append(_Term(name, part.weight, raw, _modify(name, part, raw)))
    return tuple(made)


def _built(name: str, part: Part, setting: Setting) -> Raw:
    try:
        return part.build(setting)
    except ConfigError as error:
        raise ConfigError(f"part {name!r}: {error}") from error


def _group(mean: MeanName | None, terms: tuple[_Term, ...], batch: Batch) -> np.ndarray:
    return _combined(batch, mean, terms, [])


def _modify(name: str, part: Part, raw: Raw) -> Modify | None:
    def raw_of(smiles: str) -> float:
        (value,) = raw(Batch([smiles]))
        if not np.isfinite(value):
            raise ConfigError(f"part {name!r} has no value for its own mean_of, {smiles}")
        return float(value)

    return None if part.modifier is None else part.modifier.build(raw_of)


def _labels(parts: Sequence[Part]) -> list[str]:
    """A name for each part, all different: names that are made up get numbers."""
    given = {part.name for part in parts}
    labels: list[str] = []
    for part in parts:
        label, number = part.label(), 1
        while part.name is None and (label in labels or label in given):
            number += 1
            label = f"{part.label()} {number}"
        labels.append(label)
    return labels


def _combined(
    batch: Batch,
    mean: MeanName | None,
    terms: tuple[_Term, ...],
    parts: list[PartScores],
    prefix: str = "",
    depth: int = 0,
) -> np.ndarray:
    """The mean of the terms ``(n,)``; each is added to ``parts``, a group before its own."""
    scores = []
    for term in terms:
        name = prefix + term.name
        inner: list[PartScores] = []
        if term.raw is None:
            raw = _combined(batch, term.mean, term.terms, inner, f"{name} / ", depth + 1)
        else:
            raw = _raw(name, term.raw, batch)
        score = raw if term.modify is None else term.modify(raw)
        parts += [PartScores(name, raw, score, depth), *inner]
        scores.append(score)
    weights = np.array([term.weight for term in terms])
    return combine(mean or "arithmetic", np.stack(scores, axis=1), weights)


def _raw(name: str, raw: Raw, batch: Batch) -> np.ndarray:
    try:
        return raw(batch)
    except MolvaeError as error:
        raise OracleError(f"part {name!r}: {error}") from error


def _reason(batch: Batch, row: int, parts: Sequence[PartScores]) -> str:
    problem = batch.problem(row)
    if problem is not None:
        return f"not a molecule: {problem}"
    lacking = [part for part in parts if not np.isfinite(part.raw[row])]
    if lacking:  # the innermost: a group lacks what its part lacks
        deepest = max(lacking, key=lambda part: part.depth)
        return f"part {deepest.name!r} cannot be computed for this molecule"
    negative = next((part for part in parts if part.score[row] < 0), None)
    if negative is not None:
        return (
            f"part {negative.name!r} is {negative.score[row]:.4g}, and a "
            f"{' or '.join(NONNEGATIVE)} mean takes no negative scores; give it a modifier"
        )
    return "its parts have no mean"
