"""The objective of ``molvae optimize`` and how it is evaluated, from the command's settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from molvae.cli.common import say

if TYPE_CHECKING:
    from molvae.cli.optimize_settings import OptimizeSettings
    from molvae.optimize.constraints import Constraint
    from molvae.oracles.compose import Composed
    from molvae.oracles.objective import Direction, Objective
    from molvae.oracles.options import EvaluatorOptions


def chosen_objectives(chosen: OptimizeSettings, quiet: bool) -> list[Objective]:
    """The objective that the settings name, or the several properties."""
    from molvae.oracles.functions import property_objective

    aims: list[tuple[str, Direction]] = [(name, "maximize") for name in chosen.maximize]
    aims += [(name, "minimize") for name in chosen.minimize]
    if not aims:
        return [_brought(chosen, quiet)]
    return [
        property_objective(name, direction, target=chosen.target, width=chosen.width)
        for name, direction in aims
    ]


def _brought(chosen: OptimizeSettings, quiet: bool) -> Objective:
    """The one objective that is no property."""
    from molvae.oracles.command import command_objective
    from molvae.oracles.external import function_objective
    from molvae.oracles.fitted.objective import model_objective

    if chosen.task is not None:
        return described(chosen.task).objective()
    direction: Direction = chosen.direction or "maximize"  # the settings see to it that it is said
    if chosen.objective is not None:
        return function_objective(chosen.objective, direction, batch=chosen.takes_list)
    if chosen.command is not None:
        return command_objective(
            chosen.command,
            direction,
            protocol=chosen.protocol or "jsonl",
            timeout=chosen.timeout,
        )
    if chosen.oracle is not None:
        return model_objective(chosen.oracle, direction, pessimism=chosen.pessimism or 0.0)
    return _docking(chosen, direction, quiet)


def _docking(chosen: OptimizeSettings, direction: Direction, quiet: bool) -> Objective:
    from molvae.datasets.download import is_fetched
    from molvae.oracles.docking.receptors import dockstring_card
    from molvae.oracles.docking.score import DockingOptions, docking_objective

    if not is_fetched(dockstring_card()):
        say(dockstring_card().terms(), quiet)
    options = DockingOptions(exhaustiveness=chosen.exhaustiveness or 8, seed=chosen.seed)
    return docking_objective(chosen.dock or "", direction, options)


def chosen_constraints(
    chosen: OptimizeSettings, objectives: Sequence[Objective]
) -> list[Constraint]:
    """The constraints of the settings; a property is computed also where it is an objective."""
    from molvae.optimize.constraints import COMPUTED, read_constraints

    own = [each.name for each in objectives if each.name not in COMPUTED]
    return [c for text in chosen.constraint for c in read_constraints(text, own)]


def described(objective: str, model: str | None = None) -> Composed:
    """What the TOML file, or the task of that name, describes; ``model`` answers parts that ask a
    model and name none."""
    from molvae.base.errors import ConfigError
    from molvae.oracles.compose import read_objective
    from molvae.oracles.tasks import TASKS, task_file

    path = Path(objective)
    if not path.exists() and path.suffix != ".toml":
        if objective not in TASKS and path.name != objective:
            raise ConfigError(f"{objective}: there is no such file")
        path = task_file(objective)
    if model is None:
        return read_objective(path)
    from molvae.generator import load

    return read_objective(path, load(model))


def chosen_evaluation(chosen: OptimizeSettings) -> EvaluatorOptions:
    """Worker processes and limits; a limit by itself asks for one worker that can be stopped.

    A command keeps its time itself, so that what it answered in time counts.
    """
    from molvae.oracles.options import EvaluatorOptions

    timeout = chosen.timeout if chosen.command is None else None
    limited = timeout is not None or chosen.memory_mb is not None
    return EvaluatorOptions(
        workers=chosen.workers or int(limited),
        timeout=timeout,
        memory_mb=chosen.memory_mb,
        retries=chosen.retries,
    )
