"""The property head p(y|z): what a molecule's latent vector says about its properties."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from molvae.base.errors import InputError
from molvae.models.config import HeadConfig
from molvae.models.parts import floored_log_var, linear


@dataclass(frozen=True, eq=False)
class Prediction:
    """Properties of ``n`` molecules.

    ``values (n, p)``: for regression the expected value in the label's unit, for classification the
    probability of class 1. ``std (n, p)``: the predictive standard deviation in the label's unit;
    for classification that of a coin with that probability, sqrt(p (1 - p)).
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    values: Tensor
    std: Tensor


class PropertyHead(nn.Module):
    """A multilayer perceptron over z with two outputs per property.

    Regression is a Gaussian whose mean and width both depend on z (Kendall & Gal 2017, eq. 5),
    over labels scaled to mean 0 and standard deviation 1; the scales are buffers, saved with the
    weights, and :class:`Prediction` is in the labels' own units. Classification is Bernoulli: the
    first output is its logit, the second unused.
    """

    mean: Tensor
    scale: Tensor
    is_class: Tensor

    def __init__(self, latent_dim: int, config: HeadConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.names = tuple(target.name for target in config.targets)
        self.kinds = tuple(target.kind for target in config.targets)
        self.min_std = config.min_std
        sizes = (latent_dim, *config.hidden)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [linear(inputs, outputs, generator), nn.SiLU()]
        # Small at first: the head starts from "the mean, give or take one standard deviation".
        layers.append(linear(sizes[-1], 2 * len(self.names), generator, scale=0.1))
        self.layers = nn.Sequential(*layers)
        self.register_buffer("mean", torch.zeros(len(self.names)))
        self.register_buffer("scale", torch.ones(len(self.names)))
        classes = torch.tensor([kind == "classification" for kind in self.kinds])
        self.register_buffer("is_class", classes, persistent=False)

    def fit_scaling(self, labels: np.ndarray | Tensor) -> None:
        """Set the scales from training ``labels (n, p)``, NaN where missing.

        Raises :class:`InputError` where a target has no labels, or a class is not 0 or 1.
        """
        values = torch.as_tensor(labels, dtype=torch.float64)
        if values.ndim != 2 or values.shape[1] != len(self.names):
            raise InputError(
                f"the head predicts {len(self.names)} properties ({', '.join(self.names)}), but "
                f"the labels have shape {tuple(values.shape)}; give one column for each"
            )
        for i, (name, kind) in enumerate(zip(self.names, self.kinds, strict=True)):
            known = values[:, i][~values[:, i].isnan()]
            if len(known) == 0 or not bool(known.isfinite().all()):
                what = "no labels" if len(known) == 0 else "infinite labels"
                raise InputError(f"the target {name!r} has {what}; correct the column or drop it")
            if kind == "classification":
                if not bool(((known == 0) | (known == 1)).all()):
                    raise InputError(
                        f"the target {name!r} is a class but has labels other than 0 and 1; "
                        "recode them or make it a regression target"
                    )
                continue
            std = float(known.std(correction=0))
            self.mean[i] = float(known.mean())
            self.scale[i] = std if std > 1e-12 * (1 + abs(float(self.mean[i]))) else 1.0

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """``(n, p)`` each: scaled mean or logit, and the scaled log-variance."""
        outputs = self.layers(z)
        outputs = outputs.to(torch.promote_types(outputs.dtype, torch.float32))
        first, second = outputs.chunk(2, dim=-1)
        return first, floored_log_var(second, self.min_std)

    def negative_log_likelihood(self, z: Tensor, labels: Tensor) -> Tensor:
        """-log p(y|z) in nats per molecule and property ``(b, p)``, 0 where the label is missing.

        For ``z (b, d)`` and ``labels (b, p)`` in their own units; regression densities are those
        of the scaled labels, so that properties of different units weigh alike.
        """
        first, log_var = self(z)
        known = ~labels.isnan()
        y = torch.where(known, labels, self.mean).to(first.dtype)
        y = (y - self.mean) / self.scale  # class labels have mean 0 and scale 1
        gaussian = 0.5 * ((y - first).square() * (-log_var).exp() + log_var + math.log(2 * math.pi))
        bernoulli = functional.binary_cross_entropy_with_logits(
            first, y.clamp(0, 1), reduction="none"
        )
        return torch.where(self.is_class, bernoulli, gaussian) * known

    def predict(self, z: Tensor) -> Prediction:
        """The properties of ``z (n, d)`` in the labels' units."""
        first, log_var = self(z)
        probability = first.sigmoid()
        values = torch.where(self.is_class, probability, first * self.scale + self.mean)
        std = torch.where(
            self.is_class,
            (probability * (1 - probability)).sqrt(),
            (0.5 * log_var).exp() * self.scale,
        )
        return Prediction(self.names, self.kinds, values, std)
