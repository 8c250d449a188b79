"""A property head for a model that is trained already, on its frozen latents.

An ensemble of small networks, each stopped where the validation part says so, and then made as
unsure as it turned out to be: predicted widths and probabilities that can be taken at their word.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from molvae.base.errors import ConfigError
from molvae.base.progress import track
from molvae.base.seeds import derive_seed
from molvae.datasets.corpus import Corpus
from molvae.models.config import HeadConfig
from molvae.models.heads import PropertyHead
from molvae.models.windows import Windows
from molvae.training.batches import BatchPlan
from molvae.training.checkpoint import Loaded, history_of, load_model, save_model
from molvae.training.config import OptimiserConfig, TrainConfig
from molvae.training.devices import make_fabric
from molvae.training.evaluation import posteriors
from molvae.training.prepare import prepare
from molvae.training.run import first_provenance, now, require_free
from molvae.training.trainer import make_optimizer

MEMBERS = 8
"""Of the ensemble, unless the settings give a number."""
CHANNELS = (32, 32)
"""Of the convolutions over the windows of z, where it has some, unless the settings give others."""
EPOCHS, PATIENCE = 300, 10
"""The length of the training, unless the settings give it."""

_FEWEST = 20  # validation labels from which widths are learnt
_FACTORS = torch.logspace(0, 1, 101)


@dataclass(frozen=True, eq=False)
class Examples:
    """Molecules to learn from: the mean and log-variance of q(z|x), ``(n, d)`` each, and labels
    ``(n, p)``, NaN where one is missing."""

    mean: Tensor
    log_var: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def std(self) -> Tensor:
        """How far each latent may move, ``(n, d)``: not at all where the posterior is the prior,
        which tells nothing of the molecule (the windows beyond its end)."""
        told = (self.mean != 0) | (self.log_var != 0)
        return (0.5 * self.log_var).exp() * told


def fit_head(
    corpus: Corpus,
    out: str | os.PathLike[str],
    config: TrainConfig,
    *,
    start: str | os.PathLike[str] | Loaded,
    progress: bool | None = None,
) -> Path:
    """Train a property head on the latents of ``start`` and write both as a model at ``out``.

    The labels are ``config.data.labels``, the head's sizes ``config.model.head`` (an ensemble of
    :data:`MEMBERS`, with :data:`CHANNELS` where z has windows, unless it says otherwise), the
    length of the training ``config.run.epochs`` and ``patience`` (:data:`EPOCHS` and
    :data:`PATIENCE` if not given). The encoder stays as it is. See :func:`fit_to_latents` for how
    the head learns.

    Raises :class:`ConfigError` without labels, and what :func:`~molvae.training.train` raises.
    """
    out = Path(out)
    began, clock = now(), time.monotonic()
    require_free(out)
    loaded = load_model(start) if isinstance(start, str | os.PathLike) else start
    prepared = prepare(corpus, config, loaded, frozen=True)
    model, run = prepared.model, prepared.config.run
    if model.head is None:
        raise ConfigError("there is no property to learn: name the labels in data.labels")
    sizes = prepared.config.model.head
    assert sizes is not None
    given = config.model.head.model_fields_set if config.model.head else set()
    usual = {"members": MEMBERS, "channels": CHANNELS if model.windows.count else ()}
    sizes = sizes.model_copy(update={k: v for k, v in usual.items() if k not in given})
    fabric = make_fabric(run.device, run.precision)
    model.to(fabric.device).eval()
    size = config.optimiser.batch_size
    labels = torch.from_numpy(prepared.molecules.labels)
    known = ~labels.isnan().all(1).numpy()
    rows = {"train": prepared.train, "validation": prepared.validation}
    rows = {part: these[known[these]] for part, these in rows.items()}
    examples = {
        part: Examples(
            *posteriors(model, prepared.molecules, these, fabric, size),
            labels[these].to(fabric.device),
        )
        for part, these in rows.items()
    }
    model.head = fit_to_latents(
        sizes,
        model.windows,
        examples["train"],
        examples["validation"],
        config.optimiser,
        epochs=run.epochs if "epochs" in run.model_fields_set else EPOCHS,
        patience=run.patience if "patience" in run.model_fields_set else PATIENCE,
        seed=run.seed,
        progress=progress,
    )
    model.config = model.config.model_copy(update={"head": sizes})
    metrics = {"property": _nats(model.head, examples["validation"])}
    provenance = first_provenance(corpus, prepared, loaded, str(fabric.device))
    provenance |= {
        "started": began,
        "finished": now(),
        "seconds": round(time.monotonic() - clock, 3),
        "head_only": True,
        "metrics": metrics,
    }
    history = None if isinstance(start, Loaded) else history_of(start)
    save_model(out, model.cpu(), prepared.tokenizer, prepared.config, provenance, history=history)
    return out


def fit_to_latents(
    config: HeadConfig,
    windows: Windows,
    train: Examples,
    validation: Examples,
    optimiser: OptimiserConfig,
    *,
    epochs: int = EPOCHS,
    patience: int = PATIENCE,
    seed: int = 0,
    progress: bool | None = None,
) -> PropertyHead:
    """A head of the sizes ``config`` that has learnt ``train``, calibrated on ``validation``;
    ``windows`` say how their latents are laid out.

    Each molecule is shown by a new draw from its posterior at every pass and to every member, so
    that the head learns how far a latent may move. Every member keeps the weights of its own best
    validation loss; training ends when ``patience`` passes have improved none (0: after
    ``epochs``). Then :func:`calibrate`. Without validation molecules both are left out.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "head"))
    head = PropertyHead(windows, config, generator).to(train.mean.device)
    head.fit_scaling(train.labels.cpu())
    # So that no dimension weighs more for the unit it happens to have.
    centre, spread = head.input_scale(train.mean, (0.5 * train.log_var).exp())
    fitter = _Fitter(head, optimiser, seed)
    parts = [_scaled(part, centre, spread) for part in (train, validation)]
    fitter.run(parts[0], parts[1], epochs, patience, progress)
    head.fold_inputs(centre, spread)
    if len(validation):
        calibrate(head, validation)
    return head.requires_grad_(False)


@torch.no_grad()
def calibrate(head: PropertyHead, examples: Examples) -> None:
    """Make ``head`` as unsure as ``examples`` show it to be: one factor for each property.

    The factor that makes the labels likeliest multiplies the members' standard deviations, or
    divides their logits (temperature scaling, Guo et al. 2017, arXiv:1706.04599). It is 1 at least:
    the weights were chosen by these molecules, whose errors are therefore smaller than others'.
    Properties with fewer than 20 labels are left alone.
    """
    first, log_var = head(examples.mean)
    first, log_var = (x if x.ndim == 3 else x[None] for x in (first, log_var))
    labels = (examples.labels - head.mean) / head.scale
    own = log_var.exp().mean(0)
    apart = first.var(0, correction=0)
    factors = torch.ones(len(head.names), device=own.device)
    for i, kind in enumerate(head.kinds):
        known = ~labels[:, i].isnan()
        if int(known.sum()) < _FEWEST:
            continue
        y = labels[known, i]
        tried = _FACTORS.to(own)[:, None]
        if kind == "classification":
            chance = (first[:, None, known, i] / tried).sigmoid().mean(0)
            nats = -torch.where(y > 0.5, chance, 1 - chance).clamp_min(1e-12).log()
        else:
            variance = own[known, i] * tried.square() + apart[known, i]
            error = y - first[:, known, i].mean(0)
            nats = 0.5 * (error.square() / variance + variance.log())
        factors[i] = tried[nats.mean(1).argmin(), 0]
    head.widen(factors)


class _Fitter:
    """One training of a head, whose members stop one by one."""

    def __init__(self, head: PropertyHead, config: OptimiserConfig, seed: int) -> None:
        self.head = head
        self.config = config
        self.seed = seed
        self.optimizer = make_optimizer(head, config)
        self.best = torch.full((head.members,), torch.inf, device=head.mean.device)
        self.kept = {name: weight.detach().clone() for name, weight in head.named_parameters()}

    def run(
        self,
        train: Examples,
        validation: Examples,
        epochs: int,
        patience: int,
        progress: bool | None,
    ) -> None:
        order = np.arange(len(train))
        plan = BatchPlan(order, np.zeros_like(order), self.config.batch_size, self.seed)
        std = train.std()
        waited = 0
        for epoch in track(range(epochs), "property head", show=progress):
            for step in range(epoch * plan.steps_per_epoch, (epoch + 1) * plan.steps_per_epoch):
                rows = torch.from_numpy(plan.rows(step)).to(std.device)
                self._step(step, train.mean[rows], std[rows], train.labels[rows])
            if len(validation) == 0:
                continue
            waited = 0 if self._keep_better(validation) else waited + 1
            if 0 < patience <= waited:
                break
        if len(validation):
            with torch.no_grad():
                for name, weight in self.head.named_parameters():
                    weight.copy_(self.kept[name])

    def _step(self, step: int, mean: Tensor, std: Tensor, labels: Tensor) -> None:
        seed = derive_seed(self.seed, "noise", step, 0)
        generator = torch.Generator(mean.device).manual_seed(seed)
        members = self.head.members
        shape = mean.shape if members == 1 else (members, *mean.shape)
        noise = torch.randn(shape, generator=generator, device=mean.device)
        nats = self.head.member_nats(mean + std * noise, labels)
        self.optimizer.zero_grad()
        (nats.sum() / len(labels)).backward()
        limit = self.config.clip_norm * members**0.5
        torch.nn.utils.clip_grad_norm_(self.head.parameters(), limit)
        self.optimizer.step()

    @torch.no_grad()
    def _keep_better(self, validation: Examples) -> bool:
        """Keep the weights of the members that have never been better; whether there are any."""
        nats = self.head.member_nats(validation.mean, validation.labels)
        value = nats.sum(-1).mean(-1).reshape(-1)
        better = value < self.best
        self.best = torch.where(better, value, self.best)
        for name, weight in self.head.named_parameters():
            if self.head.members > 1:
                self.kept[name][better] = weight[better]
            elif bool(better):
                self.kept[name].copy_(weight)
        return bool(better.any())


def _scaled(examples: Examples, centre: Tensor, spread: Tensor) -> Examples:
    std = examples.std()
    log_var = torch.where(std > 0, 2 * (std / spread).log(), -torch.inf)
    return Examples((examples.mean - centre) / spread, log_var, examples.labels)


@torch.no_grad()
def _nats(head: PropertyHead, examples: Examples) -> float | None:
    """Nats per molecule, None where there are none."""
    if not len(examples):
        return None
    return float(head.negative_log_likelihood(examples.mean, examples.labels).sum(1).mean())
