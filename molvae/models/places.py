"""A device by its name."""

from __future__ import annotations

import torch

from molvae.base.errors import ConfigError


def device_named(name: str) -> torch.device:
    """``cpu``, ``cuda``, ``cuda:N`` or ``mps``, or with ``auto`` the best there is.

    Raises :class:`ConfigError` for one that this machine does not have.

    >>> device_named("cpu")
    device(type='cpu')
    """
    kind, _, index = name.partition(":")
    there = {
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
        "cpu": 1,
    }
    if kind == "auto" and not index:
        return torch.device(next(kind for kind, count in there.items() if count))
    if kind not in there or (index and not index.isdigit()):
        raise ConfigError(f"there is no device {name!r}: write auto, cpu, cuda, cuda:N or mps")
    if int(index or 0) >= there[kind]:
        raise ConfigError(f"this machine has no device {name!r}; write auto for the best there is")
    return torch.device(name)
