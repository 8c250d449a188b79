"""What a search is after: objectives with their directions, constraints, and where it is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from pydantic import model_validator

from molvae.base.errors import ConfigError
from molvae.base.records import Record
from molvae.optimize.constraints import Constraint, read_constraints
from molvae.optimize.restriction import Restriction


class Aim(Record):
    """One objective: its ``name``, an assay of the user's, and which way is better."""

    name: str
    direction: Literal["maximize", "minimize"]

    def __str__(self) -> str:
        return f"{self.direction} {self.name}"


class Goals(Record):
    """One or several objectives, and what molecules must meet besides.

    >>> goals = Goals.of(
    ...     {"pIC50": "maximize", "clearance": "minimize"},
    ...     constraints=["SA < 4 and no alerts"],
    ...     measured=["solubility >= 50"],
    ... )
    >>> goals.assays
    ('pIC50', 'clearance', 'solubility')
    >>> str(goals)
    'maximize pIC50, minimize clearance, with sa < 4, alerts = 0, solubility >= 50'
    """

    objectives: tuple[Aim, ...]
    constraints: tuple[Constraint, ...] = ()
    restriction: Restriction = Restriction()

    @classmethod
    def of(
        cls,
        objectives: Mapping[str, str] | Sequence[tuple[str, str]],
        constraints: Sequence[str | Constraint] = (),
        *,
        measured: Sequence[str] = (),
        restriction: Restriction | Mapping[str, Any] | None = None,
    ) -> Self:
        """The goals that texts say.

        Args:
            objectives: names, each with ``maximize`` or ``minimize``.
            constraints: such as ``SA < 4``; see :func:`~molvae.optimize.constraints.
                read_constraints`. One that names an objective bounds what is measured of it.
            measured: constraints on assays that are no objectives.
            restriction: the lead that the search is kept near.

        Raises:
            ConfigError: an objective without a direction or with two, a constraint that cannot be
                read or met, a lead that is no molecule.
        """
        pairs = list(objectives.items() if isinstance(objectives, Mapping) else objectives)
        twice = [name for name, n in Counter(name for name, _ in pairs).items() if n > 1]
        if twice:
            raise ConfigError(f"objective {twice[0]!r} is named twice; give it one direction")
        for name, direction in pairs:
            if direction not in ("maximize", "minimize"):
                raise ConfigError(
                    f"objective {name!r}: direction is {direction!r}; say 'maximize' or 'minimize'"
                )
        others = [c for text in measured for c in read_constraints(text, measured=True)]
        assays = [*(name for name, _ in pairs), *(c.name for c in others)]
        bounds = [
            c
            for said in constraints
            for c in ([said] if isinstance(said, Constraint) else read_constraints(said, assays))
        ]
        if restriction is None:
            restriction = Restriction()
        if not isinstance(restriction, Restriction):
            restriction = Restriction.parse(restriction, "restriction")
        return cls.parse(
            {
                "objectives": [{"name": name, "direction": way} for name, way in pairs],
                "constraints": [c.to_dict() for c in (*bounds, *others)],
                "restriction": restriction.to_dict(),
            },
            "goals",
        )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not self.objectives:
            raise ValueError("there is no objective; name what to maximize or minimize")
        for name in dict.fromkeys(c.name for c in self.constraints):
            both = [c for c in self.constraints if c.name == name]
            low, high = max(c.bounds[0] for c in both), min(c.bounds[1] for c in both)
            if low > high:
                raise ValueError(
                    f"no molecule meets {' and '.join(map(str, both))}; loosen one of them"
                )
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the objectives."""
        return tuple(aim.name for aim in self.objectives)

    @property
    def assays(self) -> tuple[str, ...]:
        """What is measured: the objectives, then what only constraints bound."""
        bounded = (c.name for c in self.measured)
        return tuple(dict.fromkeys((*self.names, *bounded)))

    @property
    def measured(self) -> tuple[Constraint, ...]:
        """The constraints on what is measured."""
        return tuple(c for c in self.constraints if c.kind == "measured")

    @property
    def computed(self) -> tuple[Constraint, ...]:
        """The constraints on what is computed."""
        return tuple(c for c in self.constraints if c.kind == "computed")

    @property
    def filters(self) -> bool:
        """Whether molecules can be turned down without measuring them."""
        return bool(self.computed or self.restriction.labels)

    @property
    def plain(self) -> bool:
        """Whether there is one objective and nothing else."""
        return len(self.objectives) == 1 and not self.constraints and not self.filters

    @property
    def signs(self) -> np.ndarray:
        """1 for each objective ``(m,)`` of which more is better, -1 where less is."""
        return np.array([1.0 if aim.direction == "maximize" else -1.0 for aim in self.objectives])

    def __str__(self) -> str:
        demands = [*map(str, self.constraints), *self.restriction.labels]
        aims = ", ".join(map(str, self.objectives))
        return f"{aims}, with {', '.join(demands)}" if demands else aims
