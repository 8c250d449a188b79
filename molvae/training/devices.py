"""Where a run computes: one CPU, one GPU, or all that ``torchrun`` started."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch
from torch import nn

from molvae.base.errors import ConfigError
from molvae.training.weights import get_weights

if TYPE_CHECKING:  # it takes over a second to import, and most who come here do not train
    from lightning_fabric import Fabric

_PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}


def make_fabric(device: str, precision: str) -> Fabric:
    """A launched Fabric for ``device`` (auto, cpu, cuda, cuda:N, mps) and precision (fp32, bf16).

    Under ``torchrun`` the processes and nodes that it started work together, data-parallel, each
    on the device of its local rank; otherwise one device is used.
    """
    from lightning_fabric import Fabric

    kind, _, index = device.partition(":")
    if kind == "auto":
        kind = _best_kind()
    _require(device, kind, index)
    if "TORCHELASTIC_RUN_ID" in os.environ:
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // local
        fabric = Fabric(
            accelerator=kind,
            devices=local,
            num_nodes=nodes,
            strategy="ddp" if local * nodes > 1 else "auto",
            precision=_PRECISIONS[precision],
        )
    else:
        chosen = [int(index)] if index else 1
        fabric = Fabric(accelerator=kind, devices=chosen, precision=_PRECISIONS[precision])
    fabric.launch()
    return fabric


def advice_on_precision(device: str, precision: str) -> str | None:
    """A sentence where bf16 was asked for and this processor, which would train, has no products of
    it; else None."""
    kind = _best_kind() if device == "auto" else device
    if precision != "bf16" or kind != "cpu" or _multiplies_bf16():
        return None
    return (
        "this processor has no instructions for bf16, which may be many times slower here than "
        "fp32: --set run.precision=fp32"
    )


def _multiplies_bf16() -> bool:
    """Whether the CPU has instructions for it; True where this torch cannot tell."""
    tests = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    known = [test for test in tests if hasattr(torch.cpu, test)]
    return not known or any(getattr(torch.cpu, test)() for test in known)


def _best_kind() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _require(device: str, kind: str, index: str) -> None:
    counts = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }
    if kind not in counts or (index and (not index.isdigit() or kind == "cpu")):
        raise ConfigError(f"run.device is {device!r}: write auto, cpu, cuda, cuda:N or mps")
    if int(index or 0) >= counts[kind]:
        raise ConfigError(
            f"run.device is {device!r} but this machine has {counts[kind]} such devices; "
            "write auto to take the best there is"
        )


@torch.no_grad()
def same_weights(model: nn.Module, fabric: Fabric) -> None:
    """Give every process the weights of the first."""
    if fabric.world_size > 1:
        for value in get_weights(model).values():
            torch.distributed.broadcast(value, src=0)


def sum_gradients(model: nn.Module, fabric: Fabric) -> None:
    """Replace each gradient by its sum over all processes: one transfer, after all micro-batches.

    Without :class:`DistributedDataParallel` a step is the same computation on any number of
    devices, and these models are small beside what a network carries in a step's time.
    """
    if fabric.world_size > 1:
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(flat)
        for gradient, total in zip(
            gradients, flat.split([g.numel() for g in gradients]), strict=True
        ):
            gradient.copy_(total.view_as(gradient))
