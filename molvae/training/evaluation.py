"""The objective on held-out molecules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from molvae.base.seeds import derive_seed
from molvae.models.objective import ObjectiveConfig, Terms
from molvae.models.vae import SequenceVAE
from molvae.training.batches import Molecules, in_length_order
from molvae.training.health import ACTIVE_VARIANCE

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def named_values(terms: Terms) -> dict[str, Tensor]:
    """All that a batch has to tell, each a scalar: the total, the raw terms, the diagnostics."""
    raw = {name: term.raw for name, term in terms.terms.items()}
    return {"total": terms.total.detach(), **raw, **terms.diagnostics}


def validation_rows(rows: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """At most ``limit`` of ``rows``, always the same ones for a seed."""
    random = np.random.default_rng(derive_seed(seed, "validation rows"))
    return np.sort(random.permutation(rows)[:limit])


@torch.no_grad()
def evaluate(
    model: SequenceVAE,
    molecules: Molecules,
    rows: np.ndarray,
    objective: ObjectiveConfig,
    fabric: Fabric,
    batch_size: int,
    seed: int,
) -> Mapping[str, float]:
    """Means over the molecules ``rows``, at the objective's full KL weight, with fixed noise.

    ``active_units`` is counted from the posterior means. All processes share the work and get the
    same answer, which depends on their number by rounding alone.
    """
    was_training = model.training
    model.eval()
    names: list[str] = []
    sums = torch.zeros(0, dtype=torch.float64, device=fabric.device)
    batches = list(in_length_order(rows, molecules.lengths_of(rows), batch_size))
    for i in range(fabric.global_rank, len(batches), fabric.world_size):
        batch = molecules.batch(batches[i]).to(fabric.device)
        generator = torch.Generator(fabric.device).manual_seed(derive_seed(seed, "validation", i))
        with fabric.autocast():
            values = named_values(model.losses(batch, objective, generator))
            means = model.encode(batch.tokens, batch.lengths).mean.double()
        names = list(values)
        molecule_means = torch.stack(list(values.values())).double()
        moments = torch.cat([means.sum(0), means.square().sum(0)])
        parts = torch.cat([molecule_means * len(batch), moments])
        sums = parts if len(sums) == 0 else sums + parts
    model.train(was_training)
    if fabric.world_size > 1:
        names, sums = _shared(names, sums, fabric)
    averages = sums / len(rows)
    first, second = averages[len(names) :].chunk(2)
    active = ((second - first.square()) > ACTIVE_VARIANCE).sum()
    return dict(zip(names, averages.tolist(), strict=False)) | {"active_units": float(active)}


def _shared(names: list[str], sums: Tensor, fabric: Fabric) -> tuple[list[str], Tensor]:
    """Sums over all processes; one that had no batch to do learns the names from the first."""
    names, size = fabric.broadcast((names, len(sums)))
    total = sums if len(sums) else sums.new_zeros(size)
    return names, fabric.all_reduce(total, reduce_op="sum")


@torch.no_grad()
def posteriors(
    model: SequenceVAE, molecules: Molecules, rows: np.ndarray, fabric: Fabric, batch_size: int
) -> tuple[Tensor, Tensor]:
    """Mean and log-variance of q(z|x), ``(n, d)`` each, for the molecules ``rows (n,)``."""
    width = model.latent_dim
    mean = torch.empty(len(rows), width, device=fabric.device)
    log_var = torch.empty_like(mean)
    places = np.arange(len(rows))
    for chosen in in_length_order(places, molecules.lengths_of(rows), batch_size):
        batch = molecules.batch(rows[chosen]).to(fabric.device)
        with fabric.autocast():
            posterior = model.encode(batch.tokens, batch.lengths)
        mean[chosen], log_var[chosen] = posterior.mean.float(), posterior.log_var.float()
    return mean, log_var
