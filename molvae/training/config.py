"""All settings of a training run, in sections; the same record is the TOML file."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from molvae.base.records import Record
from molvae.models.config import ModelConfig
from molvae.models.objective import ObjectiveConfig
from molvae.training.schedules import ScheduleConfig


class OptimiserConfig(Record):
    """AdamW (Loshchilov & Hutter 2019), its peak learning rate, and what surrounds it.

    ``batch_size`` molecules go into each step, over all devices together. They are computed in
    ``micro_batches`` parts, in turn on one device or side by side on several, with the same result:
    raise it where memory runs out. ``clip_norm`` caps the norm of the gradient. ``average`` is the
    decay of the moving average of the weights that is evaluated and saved; 0 turns it off.
    """

    batch_size: int = Field(default=256, ge=1)
    micro_batches: int = Field(default=1, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = Field(default=0.01, ge=0)
    clip_norm: float = Field(default=5.0, gt=0)
    average: float = Field(default=0.999, ge=0, lt=1)


class RunConfig(Record):
    """How long, how often, where.

    The run ends after ``steps`` steps, or ``epochs`` where ``steps`` is not given; earlier after
    ``minutes``, which the schedules then follow (such a run repeats on the same machine only
    roughly), or when ``patience`` evaluations have brought no better validation loss (0: never).
    ``evaluate_every`` None is once an epoch, and every 1000 steps where epochs are longer.
    ``validation_molecules`` caps an evaluation. The saved model is that of the best validation
    loss if ``keep_best``, else the last.
    """

    epochs: int = Field(default=20, ge=1)
    steps: int | None = Field(default=None, ge=1)
    minutes: float | None = Field(default=None, gt=0)
    seed: int = 0
    device: str = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    log_every: int = Field(default=50, ge=1)
    evaluate_every: int | None = Field(default=None, ge=1)
    save_every: int = Field(default=500, ge=1)
    validation_molecules: int = Field(default=5000, ge=1)
    patience: int = Field(default=0, ge=0)
    keep_best: bool = True
    tensorboard: bool = False


class DataConfig(Record):
    """What is read from the corpus.

    ``labels`` are the label columns that the property head learns; their kind (regression or
    classification) is seen from their values. ``conditions`` are those that the model is
    conditioned on: labels of 0 and 1 alone are a category, others numbers, unless
    ``model.conditions`` says otherwise. ``new_symbols`` says what fine-tuning does with
    molecules that have symbols the model has never seen: refuse, drop them, or extend the model.
    """

    labels: tuple[str, ...] | None = None
    conditions: tuple[str, ...] | None = None
    new_symbols: Literal["error", "drop", "extend"] = "error"


class TrainConfig(Record):
    """A training run.

    >>> config = TrainConfig.parse({"optimiser": {"learning_rate": 0.002}})
    >>> config.optimiser.learning_rate, TrainConfig.parse(config.to_dict()) == config
    (0.002, True)
    """

    model: ModelConfig = ModelConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    data: DataConfig = DataConfig()
    run: RunConfig = RunConfig()
