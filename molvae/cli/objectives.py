"""The objective of ``molvae optimize`` and how it is evaluated, from the command's settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from molvae.cli.common import say

if TYPE_CHECKING:
    from molvae.cli.optimize_settings import OptimizeSettings
    from molvae.oracles.compose import Composed
    from molvae.oracles.objective import Objective
    from molvae.oracles.options import EvaluatorOptions


def chosen_objective(chosen: OptimizeSettings, quiet: bool) -> Objective:
    """The one objective that the settings name."""
    from molvae.oracles.command import command_objective
    from molvae.oracles.external import function_objective
    from molvae.oracles.fitted.objective import model_objective
    from molvae.oracles.functions import property_objective

    if chosen.task is not None:
        return described(chosen.task).objective()
    if chosen.direction is not None:
        if chosen.objective is not None:
            return function_objective(chosen.objective, chosen.direction, batch=chosen.takes_list)
        if chosen.command is not None:
            return command_objective(
                chosen.command,
                chosen.direction,
                protocol=chosen.protocol or "jsonl",
                timeout=chosen.timeout,
            )
        if chosen.oracle is not None:
            return model_objective(
                chosen.oracle, chosen.direction, pessimism=chosen.pessimism or 0.0
            )
        if chosen.dock is not None:
            from molvae.datasets.download import is_fetched
            from molvae.oracles.docking.receptors import dockstring_card
            from molvae.oracles.docking.score import DockingOptions, docking_objective

            if not is_fetched(dockstring_card()):
                say(dockstring_card().terms(), quiet)
            return docking_objective(
                chosen.dock,
                chosen.direction,
                DockingOptions(exhaustiveness=chosen.exhaustiveness or 8, seed=chosen.seed),
            )
    if chosen.maximize is not None:
        return property_objective(
            chosen.maximize, "maximize", target=chosen.target, width=chosen.width
        )
    return property_objective(
        chosen.minimize or "", "minimize", target=chosen.target, width=chosen.width
    )


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
