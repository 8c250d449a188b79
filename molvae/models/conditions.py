"""What a conditional VAE is told of a molecule beside z: properties, of which any may be missing.

For properties y the model is q(z|x) and p(x|z, y) (Sohn, Lee & Yan 2015; for molecules Lim et al.
2018, arXiv:1806.05805), or q(z|x, y) where the encoder is told them as well. What is known becomes
one vector c that the decoder reads as if it were more of z::

    c = perceptron([scaled numbers, which are known, levels]),  and c = 0 where nothing is known

So the unconditional model is in the same weights, as is that of every subset of the properties:
known ones are dropped at random while training (:func:`drop`), as in classifier-free guidance (Ho &
Salimans 2022, arXiv:2207.12598).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from molvae.base.errors import InputError
from molvae.models.config import ConditionConfig
from molvae.models.parts import linear, uniform


class Conditioner(nn.Module):
    """The properties of ``config`` to a vector of ``config.dim`` numbers.

    The training labels' mean, spread and range are buffers, saved with the weights.

    >>> config = ConditionConfig.parse({"properties": [{"name": "logp"}], "dim": 4})
    >>> conditions = Conditioner(config, torch.Generator().manual_seed(0))
    >>> conditions(torch.tensor([[2.5], [torch.nan]])).count_nonzero(1)
    tensor([4, 0])
    """

    mean: Tensor
    scale: Tensor
    low: Tensor
    high: Tensor
    numbers: Tensor
    level_of: Tensor
    level_value: Tensor

    def __init__(self, config: ConditionConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        entries = config.properties
        numbers = [i for i, entry in enumerate(entries) if entry.kind == "number"]
        levels = [(i, v) for i, entry in enumerate(entries) for v in entry.levels.values()]
        inputs = 2 * len(numbers) + len(levels)
        self.layers = nn.Sequential(
            linear(inputs, config.hidden, generator),
            nn.SiLU(),
            linear(config.hidden, config.dim, generator),
        )
        for name, value in (("mean", 0.0), ("scale", 1.0), ("low", 0.0), ("high", 0.0)):
            self.register_buffer(name, torch.full((len(entries),), value))
        places = torch.tensor([i for i, _ in levels], dtype=torch.int64)
        self.register_buffer("numbers", torch.tensor(numbers, dtype=torch.int64), persistent=False)
        self.register_buffer("level_of", places, persistent=False)
        self.register_buffer("level_value", torch.tensor([v for _, v in levels]), persistent=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The properties, in the order of the columns."""
        return tuple(entry.name for entry in self.config.properties)

    def forward(self, values: Tensor) -> Tensor:
        """c ``(b, dim)`` of ``values (b, k)`` in their own units, NaN where one is not known."""
        given = values.index_select(1, self.numbers)
        known = ~given.isnan()
        mean, scale = self.mean[self.numbers], self.scale[self.numbers]
        scaled = torch.where(known, (given - mean) / scale, 0.0)
        levels = values.index_select(1, self.level_of) == self.level_value
        told = torch.cat([known, levels], 1)
        inputs = torch.cat([scaled.to(self.mean.dtype), told.to(self.mean.dtype)], 1)
        outputs: Tensor = self.layers(inputs)
        return torch.where(told.any(1, keepdim=True), outputs, 0.0)

    def unknown(self, rows: int) -> Tensor:
        """c ``(rows, dim)`` where nothing is known."""
        return self.mean.new_zeros(rows, self.config.dim)

    def fit_scaling(self, values: np.ndarray | Tensor) -> None:
        """Set scales and ranges from training ``values (n, k)``, NaN where missing.

        Raises :class:`InputError` where a property has no values.
        """
        table = torch.as_tensor(values, dtype=torch.float64)
        for i, entry in enumerate(self.config.properties):
            known = table[:, i][~table[:, i].isnan()]
            if len(known) == 0 or not bool(known.isfinite().all()):
                what = "no values" if len(known) == 0 else "infinite values"
                raise InputError(
                    f"the condition {entry.name!r} has {what}; correct the column or drop it"
                )
            if entry.kind == "category":
                continue
            std = float(known.std(correction=0))
            self.mean[i] = float(known.mean())
            self.scale[i] = std if std > 1e-12 * (1 + abs(float(self.mean[i]))) else 1.0
            self.low[i], self.high[i] = float(known.min()), float(known.max())


def drop(values: Tensor, config: ConditionConfig, generator: torch.Generator) -> Tensor:
    """``values (b, k)`` with some of them lost (NaN): of a share ``drop_all`` of the rows all, of a
    share ``drop`` of the others each at a rate of the row's own, drawn evenly from 0 to 1."""
    draws = uniform((3, len(values)), generator, values.device)
    rate = torch.where(draws[0] < config.drop, draws[1], 0.0)
    rate = torch.where(draws[2] < config.drop_all, 1.0, rate)
    lost = uniform(tuple(values.shape), generator, values.device) < rate[:, None]
    return values.masked_fill(lost, torch.nan)
