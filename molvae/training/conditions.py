"""What a conditional model is told of a corpus: which columns, of which kind, in which range."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor, nn

from molvae.base.errors import ConfigError, InputError
from molvae.datasets.corpus import Corpus
from molvae.models.config import ConditionConfig, ConditionProperty
from molvae.training.weights import get_weights

MOST_LEVELS = 256
"""A category with more of them is more likely a number."""


def resolve_conditions(
    corpus: Corpus,
    wanted: tuple[str, ...] | None,
    config: ConditionConfig | None,
    fixed: ConditionConfig | None = None,
) -> ConditionConfig | None:
    """The conditions of a run, every property with its kind and levels.

    ``wanted`` are names of labels in any case; None takes those of ``config``, no names mean no
    conditions. Kinds and levels that ``config`` does not give are seen from the values. ``fixed``
    are those of a model to start from, of which only the rates of dropping may change.
    """
    if fixed is not None:
        return _of_start(wanted, config, fixed)
    if wanted == () or (wanted is None and config is None):
        return None
    given = {entry.name.casefold(): entry for entry in (config.properties if config else ())}
    names = wanted or tuple(entry.name for entry in given.values())
    entries = []
    for name in names:
        own = corpus.label_names[_column(corpus, name)]
        entries.append(_settled(corpus, own, given.get(name.casefold())))
    values = config.model_dump(exclude_unset=True) if config else {}
    return ConditionConfig.parse({**values, "properties": entries}, where="data.conditions")


def condition_values(corpus: Corpus, config: ConditionConfig | None) -> np.ndarray | None:
    """The corpus's columns of the conditions, ``(n, k)`` float32; None without any.

    Raises :class:`InputError` for a label of a category that is none of its levels.
    """
    if config is None:
        return None
    columns = [_column(corpus, entry.name) for entry in config.properties]
    values = np.asarray(corpus.labels)[:, columns].astype(np.float32, copy=False)
    for entry, column in zip(config.properties, values.T, strict=True):
        if entry.kind == "category":
            _check_levels(entry, column)
    return values


def conditioned(weights: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """``weights`` of a model without conditions for ``model``, which is else the same and takes
    some: it writes as before, because what it is told has no weight yet."""
    own = get_weights(model)
    grown = dict(weights)
    for name, new in own.items():
        if name.startswith("conditions."):
            grown[name] = new
        elif name.startswith("decoder.") and weights[name].shape != new.shape:
            missing = new.shape[1] - weights[name].shape[1]  # what is told stands behind z
            grown[name] = nn.functional.pad(weights[name], (0, missing))
    return grown


def _of_start(
    wanted: tuple[str, ...] | None, config: ConditionConfig | None, fixed: ConditionConfig
) -> ConditionConfig:
    own = tuple(entry.name.casefold() for entry in fixed.properties)
    asked = None if config is None else tuple(p.name.casefold() for p in config.properties)
    asked = asked if wanted is None else tuple(name.casefold() for name in wanted)
    if asked is not None and asked != own:
        raise ConfigError(
            "the model to start from is conditioned on "
            f"{', '.join(entry.name for entry in fixed.properties)}, which its weights fix; leave "
            "data.conditions out"
        )
    given = config.model_dump(include={"drop", "drop_all"}, exclude_unset=True) if config else {}
    return fixed.model_copy(update=given)


def _settled(corpus: Corpus, name: str, given: ConditionProperty | None) -> dict[str, object]:
    """One property in full: its kind and levels as given, else as the values show them."""
    if given is not None and (given.kind == "number" or given.levels):
        return {**given.model_dump(), "name": name}
    values = np.asarray(corpus.labels[:, _column(corpus, name)])
    found = np.unique(values[~np.isnan(values)])
    if given is None and not np.array_equal(found, [0, 1]):
        return {"name": name, "kind": "number", "levels": {}}
    if len(found) > MOST_LEVELS:
        raise ConfigError(
            f"the condition {name!r} has {len(found):,} different values, too many for a "
            "category; make it a number"
        )
    levels = {f"{value:g}": float(value) for value in found}
    return {"name": name, "kind": "category", "levels": levels}


def _check_levels(entry: ConditionProperty, column: np.ndarray) -> None:
    levels = np.array(list(entry.levels.values()), np.float32)
    strange, counts = np.unique(
        column[~np.isnan(column) & ~np.isin(column, levels)], return_counts=True
    )
    if len(strange) == 0:
        return
    shown = [f"{value:g} ({n:,})" for value, n in zip(strange[:5], counts, strict=False)]
    raise InputError(
        f"{counts.sum():,} molecules have a label of the condition {entry.name!r} that is none of "
        f"its levels ({', '.join(entry.levels)}): {', '.join(shown)}"
        f"{', ...' if len(strange) > 5 else ''}; name them among the levels, if its conditions "
        "are new, or leave their cells empty, which makes them unknown"
    )


def _column(corpus: Corpus, name: str) -> int:
    folded = [own.casefold() for own in corpus.label_names]
    if name.casefold() not in folded:
        raise InputError(
            f"the corpus has no label {name!r} to condition on; it has "
            f"{', '.join(corpus.label_names) or 'none'}; name those with --condition, or prepare "
            f"the corpus with this one (molvae data prepare ... -p {name.casefold()} computes it)"
        )
    return folded.index(name.casefold())
