"""What one process does at each step of a run: compute, record, evaluate, save."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import torch
from torch.nn import Parameter

from molvae.base.errors import ConfigError, InterruptedRun, TrainingError
from molvae.base.seeds import derive_seed
from molvae.training.average import WeightAverage
from molvae.training.batches import BatchPlan, parts
from molvae.training.checkpoint import HISTORY, WEIGHTS, write_weights
from molvae.training.config import OptimiserConfig
from molvae.training.devices import same_weights, sum_gradients
from molvae.training.evaluation import evaluate, named_values, validation_rows
from molvae.training.failures import first_non_finite
from molvae.training.feed import Feed, Step
from molvae.training.history import History, Log, TensorBoard
from molvae.training.prepare import Prepared
from molvae.training.run import finish
from molvae.training.schedules import kl_weight, learning_rate
from molvae.training.state import TrainState

if TYPE_CHECKING:
    from lightning_fabric import Fabric

AGREE_EVERY = 16
"""Steps after which several processes ask each other for the time and for a wish to stop."""


class Trainer:
    """One process's share of a run. ``steps`` is its full length; ``state`` where it stands."""

    def __init__(self, prepared: Prepared, fabric: Fabric, out: Path):
        config = prepared.config
        self.config, self.fabric, self.out = config, fabric, out
        self.molecules = prepared.molecules
        self.model = prepared.model.to(fabric.device).train()
        same_weights(self.model, fabric)
        settings, seed = config.optimiser, config.run.seed
        lengths = self.molecules.lengths_of(prepared.train)
        self.plan = BatchPlan(prepared.train, lengths, settings.batch_size, seed)
        self.steps = config.run.steps or config.run.epochs * self.plan.steps_per_epoch
        self.parts = fabric.world_size * math.ceil(settings.micro_batches / fabric.world_size)
        if len(self.plan) // self.plan.steps_per_epoch < self.parts:
            raise ConfigError(
                f"a batch of {settings.batch_size} molecules cannot be computed in {self.parts} "
                "parts; raise optimiser.batch_size or use fewer micro-batches or devices"
            )
        self.validation = validation_rows(
            prepared.validation, config.run.validation_molecules, seed
        )
        if config.run.patience and len(self.validation) == 0:
            raise ConfigError("run.patience needs validation molecules, and the corpus has none")
        self.evaluate_every = config.run.evaluate_every or min(self.plan.steps_per_epoch, 1000)
        self.names = (*self._term_names(prepared.train[:1]), "gradient_norm")
        self.state = TrainState(
            model=self.model,
            optimizer=make_optimizer(self.model, settings),
            average=WeightAverage(self.model, settings.average),
            table=torch.zeros(config.run.log_every, len(self.names), device=fabric.device),
        )
        # Each is held back by itself: a discriminator's gradients are not the model's.
        self.players = [side for side in sides(self.model) if side]
        self.feed = Feed(self._batches, fabric.device)
        self._logs: list[Log] = []
        self._began = time.monotonic()

    def begin(self) -> None:
        """Start the clock."""
        self._began = time.monotonic() - self.state.seconds

    def fraction(self) -> float:
        """How much of the run is behind: of its steps or, where further on, of its time."""
        minutes = self.config.run.minutes
        time_spent = self.state.seconds / (60 * minutes) if minutes else 0.0
        return max(self.state.step / self.steps, time_spent)

    def length(self) -> tuple[str, int]:
        """What the progress bar counts, and how many there are: steps, or seconds of a limit."""
        minutes = self.config.run.minutes
        return (
            ("training (seconds)", math.ceil(60 * minutes)) if minutes else ("training", self.steps)
        )

    def ended(self) -> bool:
        """Whether no step is left: by their number, by time, or by patience."""
        patience = self.config.run.patience
        return self.fraction() >= 1 or 0 < patience <= self.state.waited

    def step(self) -> None:
        """One step of the optimiser, on one batch."""
        state, config, device = self.state, self.config, self.fabric.device
        fraction = self.fraction()
        weight = kl_weight(config.schedule, config.objective.kl_weight, fraction)
        rate = learning_rate(config.schedule, config.optimiser.learning_rate, state.step, fraction)
        if fraction >= config.schedule.encoder:
            self.model.freeze_space()
        if fraction >= config.schedule.decoder:
            self.model.freeze_writing()
        rows, batches = self.feed.at(state.step)
        values = torch.zeros(len(self.names) - 1, device=device)
        state.optimizer.zero_grad()
        for part, batch in zip(self._own_parts(), batches, strict=True):
            seed = derive_seed(config.run.seed, "noise", state.step, part)
            generator = torch.Generator(device).manual_seed(seed)
            with self.fabric.autocast():
                terms = self.model.losses(batch, config.objective, generator, weight)
            share = len(batch) / len(rows)
            (terms.learnt * share).backward()
            values += torch.stack(list(named_values(terms).values())).float() * share
        sum_gradients(self.model, self.fabric)
        norm, *_ = (
            torch.nn.utils.clip_grad_norm_(parameters, config.optimiser.clip_norm)
            for parameters in self.players
        )
        state.table[state.step % len(state.table)] = torch.cat([values, norm.view(1)])
        if device.type == "cpu" and not bool(norm.isfinite()):
            self._require_finite(taken=False)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        state.optimizer.step()
        self.model.step_done(self._total, self.fabric.is_global_zero)
        state.average.update(state.step)
        state.step += 1
        state.interval_molecules += len(rows)
        state.interval_tokens += int(self.molecules.lengths_of(rows).sum()) + len(rows)
        self._now = {"learning_rate": rate, "kl_weight": weight}

    def _total(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes of each of their ``values``."""
        return self.fabric.all_reduce(values, reduce_op="sum")

    def _own_parts(self) -> range:
        return range(self.fabric.global_rank, self.parts, self.fabric.world_size)

    def _batches(self, step: int) -> Step:
        rows = self.plan.rows(step)
        dealt = parts(rows, self.parts)
        return rows, [self.molecules.batch(dealt[part]) for part in self._own_parts()]

    def agree(self, signal_number: int) -> int:
        """Settle the time spent and whether a signal asks to stop; its number, or 0."""
        seconds = time.monotonic() - self._began
        if self.fabric.world_size > 1:
            if self.state.step % AGREE_EVERY:
                return 0
            mine = torch.tensor([seconds, float(signal_number)], device=self.fabric.device)
            torch.distributed.all_reduce(mine, torch.distributed.ReduceOp.MAX)
            seconds, signal_number = float(mine[0]), int(mine[1])
        self.state.seconds = seconds
        return signal_number

    def training_line(self) -> dict[str, float]:
        """Means of the terms since the last line, and the speed."""
        means = self._require_finite().mean(0).tolist()
        state = self.state
        seconds = max(time.monotonic() - self._began - state.interval_start, 1e-9)
        line = {f"train_{name}": value for name, value in zip(self.names, means, strict=True)}
        line["molecules_per_second"] = state.interval_molecules / seconds
        line["tokens_per_second"] = state.interval_tokens / seconds
        state.interval_molecules = state.interval_tokens = 0
        return line

    def validate(self) -> dict[str, float]:
        """The objective on held-out molecules; the model is written if it is to be kept."""
        if len(self.validation) == 0:
            return {}
        state, run = self.state, self.config.run
        with state.average.in_place():
            values = evaluate(
                self.model,
                self.molecules,
                self.validation,
                self.config.objective,
                self.fabric,
                batch_size=max(1, self.config.optimiser.batch_size // self.parts),
                seed=run.seed,
            )
            better = state.best_loss is None or values["total"] < state.best_loss
            state.waited = 0 if better else state.waited + 1
            if better:
                state.best_loss = values["total"]
            if better or not run.keep_best:
                state.metrics = {k: v for k, v in values.items() if math.isfinite(v)}
                state.model_step = state.step
                self._write_weights()
        return {f"validation_{name}": value for name, value in values.items()}

    def write(self, line: dict[str, float]) -> str:
        """Add a line to the history; the short text for the progress bar."""
        state = self.state
        row = {
            "step": state.step,
            "epoch": self.plan.epoch(state.step - 1),
            "seconds": time.monotonic() - self._began,
            **self._now,
            **line,
        }
        for log in self._logs:
            log.write(row)
        state.interval_start = time.monotonic() - self._began
        return _note(row)

    def save(self) -> None:
        """Keep the whole state, so that the run can go on from here."""
        self._require_finite()
        if self.fabric.is_global_zero:
            self.state.save(self.out)

    def leave(self, signal_number: int) -> NoReturn:
        """Save and end, because a signal asked to."""
        self.save()
        self._ensure_model()
        self.fabric.barrier()
        raise InterruptedRun(
            f"stopped at step {self.state.step:,} of {self.steps:,} and saved to {self.out}; "
            "go on with the same command and --resume",
            signal_number,
        )

    def finish(self) -> None:
        """Leave the finished model."""
        state = self.state
        if state.model_step == 0:
            with state.average.in_place():
                self._write_weights()
            state.model_step = state.step
        if self.fabric.is_global_zero:
            finish(
                self.out,
                {
                    "steps": state.step,
                    "model_step": state.model_step,
                    "seconds": round(state.seconds, 3),
                    "processes": self.fabric.world_size,
                    "metrics": state.metrics,
                },
            )
        self.fabric.barrier()

    @contextmanager
    def logging(self, going_on: bool) -> Iterator[None]:
        """Within the block lines go to the history and, if asked for, to TensorBoard."""
        if not self.fabric.is_global_zero:
            yield
            return
        columns = ["step", "epoch", "seconds", "learning_rate", "kl_weight"]
        columns += [f"train_{name}" for name in self.names]
        columns += ["molecules_per_second", "tokens_per_second"]
        if len(self.validation):
            columns += [f"validation_{name}" for name in (*self.names[:-1], "active_units")]
        with ExitStack() as stack:
            kept = self.state.step if going_on else None
            self._logs = [History(self.out / HISTORY, tuple(columns), kept)]
            if self.config.run.tensorboard:
                self._logs.append(TensorBoard(self.out / "tensorboard"))
            for log in self._logs:
                stack.callback(log.close)
            yield

    def _require_finite(self, taken: bool = True) -> torch.Tensor:
        """The rows of the table since the last line ``(r, k)``, over all processes.

        Ends the run where one has a NaN or infinity. ``taken`` False: the last row's step has not
        been taken, so the weights are still good.
        """
        state = self.state
        filled = (state.step - taken) % len(state.table) + 1
        table = state.table[:filled].clone()
        if self.fabric.world_size > 1:
            table[:, -1] /= self.fabric.world_size  # every process has the same norm
            torch.distributed.all_reduce(table)
        found = first_non_finite(table, self.names)
        if found is None:
            return table
        row, name = found
        wrong_step = state.step - taken - filled + row + 2
        if taken or row + 1 < filled:
            state.restore(self.out)
        elif self.fabric.is_global_zero:
            state.save(self.out)
        self._ensure_model()
        raise TrainingError(
            f"the {name.replace('_', ' ')} is not finite at step {wrong_step:,}; {self.out} keeps "
            f"the model of step {state.model_step or state.step:,}; lower optimiser.learning_rate "
            f"(now {self.config.optimiser.learning_rate}) or optimiser.clip_norm and go on from "
            "that model with --from"
        )

    def _ensure_model(self) -> None:
        """Where no model has been kept yet, keep the present one."""
        if not (self.out / WEIGHTS).exists():
            with self.state.average.in_place():
                self._write_weights()

    def _write_weights(self) -> None:
        if self.fabric.is_global_zero:
            write_weights(self.out, self.model)

    @torch.no_grad()
    def _term_names(self, rows: np.ndarray) -> tuple[str, ...]:
        generator = torch.Generator(self.fabric.device).manual_seed(0)
        batch = self.molecules.batch(rows).to(self.fabric.device)
        return tuple(named_values(self.model.losses(batch, self.config.objective, generator)))


def sides(model: torch.nn.Module) -> tuple[list[Parameter], list[Parameter]]:
    """The parameters of a model, and those of the discriminators that play against it."""
    own: list[Parameter] = []
    rivals: list[Parameter] = []
    for name, parameter in model.named_parameters():
        (rivals if name.startswith("rivals.") else own).append(parameter)
    return own, rivals


def make_optimizer(model: torch.nn.Module, config: OptimiserConfig) -> torch.optim.AdamW:
    """AdamW, fused where the device has it; weight decay for matrices alone.

    Discriminators remember less of their gradients' direction (as Radford, Metz & Chintala 2016):
    what they learn from moves.
    """
    parameters, rivals = sides(model)
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if rivals:
        moving = (min(0.5, config.betas[0]), config.betas[1])
        groups.append({"params": rivals, "weight_decay": 0.0, "betas": moving})
    fused = parameters[0].device.type in ("cpu", "cuda")
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=fused)


def _note(row: dict[str, float]) -> str:
    texts = {
        "train_reconstruction": "rec {:.2f}",
        "train_kl": "KL {:.2f}",
        "train_perplexity": "codes {:.0f}",
        "kl_weight": "x {:.3g}",
        "train_property": "prop {:.3f}",
        "validation_total": "val {:.2f}",
        "molecules_per_second": "{:,.0f} mol/s",
    }
    return "  ".join(text.format(row[name]) for name, text in texts.items() if name in row)
