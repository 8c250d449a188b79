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
from molvae.models.parts import floored_log_var
from molvae.models.stacked import mapping
from molvae.models.windowfeatures import WindowFeatures
from molvae.models.windows import Windows


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
    """A multilayer perceptron over z with two outputs per property, or an ensemble of them.

    ``windows`` say how z is laid out; with ``channels`` there must be some, for the perceptron then
    reads :class:`WindowFeatures`.

    Regression is a Gaussian whose mean and width both depend on z (Kendall & Gal 2017, eq. 5),
    over labels scaled to mean 0 and standard deviation 1; the scales are buffers, saved with the
    weights, and :class:`Prediction` is in the labels' own units. Classification is Bernoulli: the
    first output is its logit, the second unused. An ensemble answers with the mean of its members,
    and with the variance of their mixture: their own variances and how far they disagree
    (Lakshminarayanan et al. 2017, arXiv:1612.01474, section 2.4).
    """

    mean: Tensor
    scale: Tensor
    is_class: Tensor

    def __init__(self, windows: Windows, config: HeadConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.names = tuple(target.name for target in config.targets)
        self.kinds = tuple(target.kind for target in config.targets)
        self.min_std = config.min_std
        self.members = config.members
        self.features = (
            WindowFeatures(windows, config.channels, config.members, generator)
            if config.channels
            else None
        )
        sizes = (self.features.outputs if self.features else windows.dim, *config.hidden)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [mapping(config.members, inputs, outputs, generator), nn.SiLU()]
        # Small at first: the head starts from "the mean, give or take one standard deviation".
        layers.append(mapping(config.members, sizes[-1], 2 * len(self.names), generator, 0.1))
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
        """``(n, p)`` each: scaled mean or logit, and the scaled log-variance.

        Of an ensemble ``(m, n, p)``; its members may each have latents of their own, ``(m, n, d)``.
        """
        outputs = self.layers(z if self.features is None else self.features(z))
        outputs = outputs.to(torch.promote_types(outputs.dtype, torch.float32))
        first, second = outputs.chunk(2, dim=-1)
        return first, floored_log_var(second, self.min_std)

    def negative_log_likelihood(self, z: Tensor, labels: Tensor) -> Tensor:
        """-log p(y|z) in nats per molecule and property ``(b, p)``, 0 where the label is missing.

        For ``z (b, d)`` and ``labels (b, p)`` in their own units; regression densities are those
        of the scaled labels, so that properties of different units weigh alike. Of an ensemble, the
        average over its members, each of which learns by itself.
        """
        nats = self.member_nats(z, labels)
        return nats if nats.ndim == 2 else nats.mean(0)

    def member_nats(self, z: Tensor, labels: Tensor) -> Tensor:
        """:meth:`negative_log_likelihood` by member, ``(m, b, p)``; of one head ``(b, p)``."""
        first, log_var = self(z)
        known = ~labels.isnan()
        y = torch.where(known, labels, self.mean).to(first.dtype)
        y = (y - self.mean) / self.scale  # class labels have mean 0 and scale 1
        gaussian = 0.5 * ((y - first).square() * (-log_var).exp() + log_var + math.log(2 * math.pi))
        bernoulli = functional.binary_cross_entropy_with_logits(
            first, y.clamp(0, 1).expand_as(first), reduction="none"
        )
        return torch.where(self.is_class, bernoulli, gaussian) * known

    def predict(self, z: Tensor) -> Prediction:
        """The properties of ``z (n, d)`` in the labels' units."""
        first, log_var = self(z)
        value = torch.where(self.is_class, first.sigmoid(), first)
        variance = log_var.exp()
        if self.members > 1:
            variance = variance.mean(0) + value.var(0, correction=0)
            value = value.mean(0)
        coin = (value * (1 - value)).clamp(min=0)
        return Prediction(
            self.names,
            self.kinds,
            values=torch.where(self.is_class, value, value * self.scale + self.mean),
            std=torch.where(self.is_class, coin, variance).sqrt() * self.scale,
        )

    def input_scale(self, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
        """Centre and spread ``(d,)`` of the latents of molecules with posteriors ``mean`` and
        ``std (n, d)``: the aggregate posterior's; those that all windows share, where they are read
        alike (:meth:`WindowFeatures.input_scale`)."""
        centre = mean.mean(0)
        spread = (mean.var(0, correction=0) + std.square().mean(0)).sqrt()
        if self.features is not None:
            self.features.input_scale(mean, std, centre, spread)
        return centre, spread

    @torch.no_grad()
    def fold_inputs(self, centre: Tensor, spread: Tensor) -> None:
        """Take z from now on where ``(z - centre) / spread`` was taken; ``(d,)`` each, as
        :meth:`input_scale` gives them."""
        first = self.layers[0]
        weight, bias = first.weight, first.bias
        assert isinstance(weight, Tensor)
        assert isinstance(bias, Tensor)
        if self.features is not None:
            self.features.fold_inputs(spread)
            rest = self.features.windows.rest
            centre, spread = centre[len(centre) - rest :], spread[len(spread) - rest :]
            weight = weight[..., weight.shape[-1] - rest :]
        weight /= spread
        bias -= weight @ centre

    @torch.no_grad()
    def widen(self, factors: Tensor) -> None:
        """Multiply every member's own standard deviations by ``factors (p,)``, and divide the
        logits of classes by them."""
        last = self.layers[-1]
        weight, bias = last.weight, last.bias
        assert isinstance(weight, Tensor)
        assert isinstance(bias, Tensor)
        targets = len(self.names)
        share = torch.where(self.is_class, 1 / factors, 1.0)
        weight[..., :targets, :] *= share[:, None]
        bias[..., :targets] *= share
        bias[..., targets:] += torch.where(self.is_class, 0.0, 2 * factors.log())
