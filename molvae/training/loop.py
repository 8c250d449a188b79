"""The training loop: each step is a pure function of the state before it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from molvae.base.progress import Progress
from molvae.datasets.corpus import Corpus
from molvae.training.checkpoint import Loaded, load_model
from molvae.training.config import TrainConfig
from molvae.training.devices import make_fabric
from molvae.training.failures import memory_advice
from molvae.training.prepare import prepare
from molvae.training.run import (
    first_provenance,
    is_finished,
    is_unfinished,
    reopen,
    require_free,
    write_beginning,
)
from molvae.training.signals import StopRequest
from molvae.training.trainer import Trainer


def train(
    corpus: Corpus,
    out: str | os.PathLike[str],
    config: TrainConfig | None = None,
    *,
    start: str | os.PathLike[str] | Loaded | None = None,
    resume: bool = False,
    progress: bool | None = None,
) -> Path:
    """Train a model on a corpus and leave it as a model directory at ``out``, which is returned.

    ``start`` is a model to fine-tune: its sizes and weights are taken over. ``resume`` goes on
    with the run at ``out`` where it stood (bit for bit on a CPU, unless limited by time); it begins
    anew where there is none and returns at once where it is finished, so that the same call can
    be repeated until it is done. Under ``torchrun`` all processes work together.

    Raises :class:`~molvae.base.errors.InterruptedRun` on Ctrl-C and SIGTERM once the run is saved,
    :class:`~molvae.base.errors.TrainingError` for a loss that is not finite and for want of
    memory, and before anything is written :class:`~molvae.base.errors.ConfigError`,
    :class:`~molvae.base.errors.InputError` and :class:`~molvae.base.errors.FileError`.
    """
    out = Path(out)
    if resume and is_finished(out):
        return out
    going_on = resume and is_unfinished(out)
    loaded = None
    if going_on:
        prepared = reopen(out, corpus, config)
    else:
        require_free(out)
        loaded = load_model(start) if isinstance(start, str | os.PathLike) else start
        prepared = prepare(corpus, config or TrainConfig(), loaded)
    settings = prepared.config.run
    fabric = make_fabric(settings.device, settings.precision)
    fabric.barrier()  # no process writes before all have looked
    trainer = Trainer(prepared, fabric, out)
    if going_on:
        trainer.state.restore(out)
    elif fabric.is_global_zero:
        provenance = first_provenance(corpus, prepared, loaded, str(fabric.device))
        write_beginning(out, prepared, trainer.state, provenance)
    with ExitStack() as stack:
        stop = stack.enter_context(StopRequest())
        stack.enter_context(memory_advice(prepared.config.optimiser))
        stack.enter_context(trainer.logging(going_on))
        stack.callback(trainer.feed.close)
        shown = progress if fabric.is_global_zero else False
        run(trainer, stop, stack.enter_context(Progress(*trainer.length(), shown)))
    return out


def run(trainer: Trainer, stop: StopRequest, bar: Progress) -> None:
    """Every step that is left, and what is due after each; then the finished model."""
    state, settings = trainer.state, trainer.config.run
    trainer.begin()
    length, done = trainer.length()[1], 0
    while not trainer.ended():
        trainer.step()
        signal_number = trainer.agree(stop.signal_number)
        last = trainer.ended()
        line: dict[str, float] = {}
        if last or state.step % settings.log_every == 0:
            line |= trainer.training_line()
        if last or state.step % trainer.evaluate_every == 0:
            line |= trainer.validate()
        if line:
            bar.note(trainer.write(line))
        if signal_number and not last:
            trainer.leave(signal_number)
        if state.step % settings.save_every == 0:
            trainer.save()
        bar.advance(round(trainer.fraction() * length) - done)
        done = round(trainer.fraction() * length)
    trainer.finish()
