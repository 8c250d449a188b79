"""A module's weights by name, each once, also where two places share one (tied embeddings)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def get_weights(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and saved buffers of ``module`` by name; a shared parameter appears once.

    >>> sorted(get_weights(nn.Linear(2, 1)))
    ['bias', 'weight']
    """
    parameters = dict(module.named_parameters())
    every_name = dict(module.named_parameters(remove_duplicate=False))
    buffers = {k: v for k, v in module.state_dict().items() if k not in every_name}
    return {name: value.detach() for name, value in {**parameters, **buffers}.items()}


@torch.no_grad()
def set_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy ``weights`` into ``module``; names and shapes must be exactly those it has.

    Raises ``KeyError`` naming a weight that is missing, superfluous or of another shape.
    """
    own = get_weights(module)
    for name in own.keys() ^ weights.keys():
        raise KeyError(f"weight {name!r} is {'missing' if name in own else 'not of this model'}")
    for name, value in own.items():
        if value.shape != weights[name].shape:
            found, wanted = tuple(weights[name].shape), tuple(value.shape)
            raise KeyError(f"weight {name!r} has the shape {found}, not {wanted}")
    for name, value in own.items():
        value.copy_(weights[name])


def halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``weights`` as they are stored in half the space: matrices as float16, all else unchanged.

    Vectors (biases, the scales of labels) weigh next to nothing and keep their precision, whole
    numbers are what they are, and a matrix with a value beyond float16's range stays as it is.
    :func:`set_weights` widens them again.

    >>> {name: w.dtype for name, w in halved(get_weights(nn.Linear(2, 1))).items()}
    {'weight': torch.float16, 'bias': torch.float32}
    """
    most = torch.finfo(torch.float16).max
    return {
        name: value.half()
        if value.is_floating_point() and value.ndim > 1 and bool((value.abs() <= most).all())
        else value
        for name, value in weights.items()
    }
