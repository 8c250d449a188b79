"""Everything a run needs to go on exactly where it stood, as one file without pickle."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from molvae.base.errors import ModelError
from molvae.training.average import WeightAverage
from molvae.training.tensorfile import read_tensors, write_tensors
from molvae.training.weights import get_weights, set_weights

STATE_FILE = "resume/state.safetensors"


@dataclass
class TrainState:
    """The moving parts of a run: what a kill would lose and :meth:`save` keeps.

    ``table (log_every, k)`` has the terms of the steps since the last line of the history, one row
    a step, so that a mean over a line does not depend on interruptions. ``waited`` counts
    evaluations since the best validation loss; ``model_step`` and ``metrics`` are those of the
    model that was last written to be kept.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: WeightAverage
    table: Tensor
    step: int = 0
    best_loss: float | None = None
    waited: int = 0
    model_step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    interval_start: float = 0.0
    interval_molecules: int = 0
    interval_tokens: int = 0

    _NUMBERS = (
        "step",
        "best_loss",
        "waited",
        "model_step",
        "metrics",
        "seconds",
        "interval_start",
        "interval_molecules",
        "interval_tokens",
    )

    def save(self, directory: Path) -> None:
        """Write the state below ``directory``, atomically; the former one stands until then."""
        tensors = {"table": self.table}
        tensors |= {f"model/{name}": value for name, value in get_weights(self.model).items()}
        tensors |= {f"average/{name}": value for name, value in self.average.values.items()}
        names = {id(p): name for name, p in self.model.named_parameters()}
        for parameter, values in self.optimizer.state.items():
            for key, value in values.items():
                tensors[f"optimizer/{key}/{names[id(parameter)]}"] = value
        numbers = {name: getattr(self, name) for name in self._NUMBERS}
        write_tensors(directory / STATE_FILE, tensors, {"state": json.dumps(numbers)})

    def restore(self, directory: Path) -> None:
        """Take over the state that :meth:`save` wrote for the same model and settings."""
        path = directory / STATE_FILE
        tensors, texts = read_tensors(path)
        try:
            self.table.copy_(tensors.pop("table"))
            set_weights(self.model, _below("model/", tensors))
            averages = _below("average/", tensors)
            for name, value in self.average.values.items():
                value.copy_(averages[name])
            parameters = dict(self.model.named_parameters())
            for place, tensor in _below("optimizer/", tensors).items():
                key, name = place.split("/", 1)
                parameter = parameters[name]
                # AdamW counts its steps on the CPU unless it is fused.
                self.optimizer.state[parameter][key] = tensor.to(self._home(key, parameter))
            for name, value in json.loads(texts["state"]).items():
                setattr(self, name, value)
        except (KeyError, RuntimeError) as error:
            raise ModelError(
                f"{path} is not the state of this run's model and settings: start the run again"
            ) from error

    def _home(self, key: str, parameter: Tensor) -> torch.device:
        fused = any(group.get("fused") for group in self.optimizer.param_groups)
        return parameter.device if key != "step" or fused else torch.device("cpu")


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
