"""A property head for a model that is trained already, on its frozen latents."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from molvae.base.errors import ConfigError
from molvae.base.progress import track
from molvae.base.seeds import derive_seed
from molvae.datasets.corpus import Corpus
from molvae.models.heads import PropertyHead
from molvae.training.batches import BatchPlan
from molvae.training.checkpoint import Loaded, load_model, save_model
from molvae.training.config import TrainConfig
from molvae.training.devices import make_fabric
from molvae.training.evaluation import posteriors
from molvae.training.prepare import prepare
from molvae.training.run import first_provenance, now, require_free
from molvae.training.trainer import make_optimizer
from molvae.training.weights import get_weights, set_weights


def fit_head(
    corpus: Corpus,
    out: str | os.PathLike[str],
    config: TrainConfig,
    *,
    start: str | os.PathLike[str] | Loaded,
    progress: bool | None = None,
) -> Path:
    """Train a property head on the latents of ``start`` and write both as a model at ``out``.

    The labels are ``config.data.labels``, the head's sizes ``config.model.head``, the length of
    the training ``config.run.epochs`` (and ``patience``). The encoder stays as it is; each
    molecule is shown by a new draw from its posterior at every pass, so that the head learns how
    far a latent may move. The weights of the best validation loss are kept.

    Raises :class:`ConfigError` without labels, and what :func:`~molvae.training.train` raises.
    """
    out = Path(out)
    require_free(out)
    loaded = load_model(start) if isinstance(start, str | os.PathLike) else start
    prepared = prepare(corpus, config, loaded)
    model, run = prepared.model, prepared.config.run
    if model.head is None:
        raise ConfigError("there is no property to learn: name the labels in data.labels")
    fabric = make_fabric(run.device, run.precision)
    model.to(fabric.device).eval()
    size = config.optimiser.batch_size
    labels = torch.from_numpy(prepared.molecules.labels)
    known = ~labels.isnan().all(1).numpy()
    rows = {"train": prepared.train, "validation": prepared.validation}
    rows = {part: these[known[these]] for part, these in rows.items()}
    latents = {p: posteriors(model, prepared.molecules, r, fabric, size) for p, r in rows.items()}
    targets = {part: labels[these].to(fabric.device) for part, these in rows.items()}
    best = _fit(model.head, latents, targets, prepared.config, fabric, progress)
    provenance = first_provenance(corpus, prepared, loaded, str(fabric.device))
    provenance |= {"finished": now(), "head_only": True, "metrics": {"property": best}}
    save_model(out, model.cpu(), prepared.tokenizer, prepared.config, provenance)
    return out


def _fit(
    head: PropertyHead,
    latents: dict[str, tuple[Tensor, Tensor]],
    labels: dict[str, Tensor],
    config: TrainConfig,
    fabric: Fabric,
    progress: bool | None,
) -> float | None:
    """Train ``head``; the best validation loss in nats per molecule, None without validation."""
    run = config.run
    optimizer = make_optimizer(head, config.optimiser)
    mean, log_var = latents["train"]
    order = np.arange(len(mean))
    plan = BatchPlan(order, np.zeros_like(order), config.optimiser.batch_size, run.seed)
    best: float | None = None
    kept, waited = get_weights(head), 0
    for epoch in track(range(run.epochs), "property head", show=progress):
        for step in range(epoch * plan.steps_per_epoch, (epoch + 1) * plan.steps_per_epoch):
            rows = torch.from_numpy(plan.rows(step)).to(fabric.device)
            seed = derive_seed(run.seed, "noise", step, 0)
            generator = torch.Generator(fabric.device).manual_seed(seed)
            noise = torch.randn(
                (len(rows), mean.shape[1]), generator=generator, device=fabric.device
            )
            z = mean[rows] + (0.5 * log_var[rows]).exp() * noise
            loss = head.negative_log_likelihood(z, labels["train"][rows]).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(head.parameters(), config.optimiser.clip_norm)
            optimizer.step()
        if len(labels["validation"]) == 0:
            continue
        with torch.no_grad():
            nats = head.negative_log_likelihood(latents["validation"][0], labels["validation"])
        value = float(nats.sum(1).mean())
        waited += 1
        if best is None or value < best:
            best, waited = value, 0
            kept = {name: weight.clone() for name, weight in get_weights(head).items()}
        if 0 < run.patience <= waited:
            break
    if best is not None:
        set_weights(head, kept)
    return best
