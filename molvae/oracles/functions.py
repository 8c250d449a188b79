"""Objectives made of molvae's own properties."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence

import numpy as np

from molvae.base.errors import ConfigError
from molvae.chem.properties import PROPERTIES, compute
from molvae.oracles.objective import Direction, Objective


def property_objective(
    name: str,
    direction: Direction,
    *,
    target: float | None = None,
    width: float | None = None,
) -> Objective:
    """The property ``name`` of :data:`molvae.chem.properties.PROPERTIES`, nothing added to it.

    With ``target`` and ``width`` (both in the property's unit) the value is the closeness to the
    target, ``exp(-(x - target)² / (2 width²))``: 1 on it, 0.61 one width away. It is to be
    maximised.

    >>> str(property_objective("qed", "maximize"))
    'maximise qed'
    >>> near = property_objective("logp", "maximize", target=2.5, width=0.5)
    >>> str(near)
    'maximise closeness of logp to 2.5 (width 0.5)'

    Raises:
        ConfigError: an unknown property, a target without a width (or the reverse), a width that
            is not positive, or a closeness that is to be minimised.
    """
    if name not in PROPERTIES:
        near = difflib.get_close_matches(name, PROPERTIES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(sorted(PROPERTIES))
        raise ConfigError(f"no property is called {name!r}; {hint}")
    if target is None and width is None:

        def values(smiles: Sequence[str]) -> np.ndarray:
            return compute(smiles, [name])[:, 0]

        return Objective(name, values, direction, batch=True)

    if target is None or width is None:
        raise ConfigError(f"closeness of {name} needs both a target and a width")
    if not (math.isfinite(target) and math.isfinite(width) and width > 0):
        raise ConfigError(
            f"closeness of {name}: target {target} and width {width} must be finite, "
            "and the width positive"
        )
    if direction != "maximize":
        raise ConfigError(f"closeness of {name} to {target:g} can only be maximised")

    def closeness(smiles: Sequence[str]) -> np.ndarray:
        return np.exp(-0.5 * ((compute(smiles, [name])[:, 0] - target) / width) ** 2)

    label = f"closeness of {name} to {target:g} (width {width:g})"
    return Objective(label, closeness, direction, batch=True)
