"""Making two sets of vectors look alike: by their kernel means, or before a discriminator.

What is matched is the aggregate posterior with the prior (a Wasserstein or an adversarial
autoencoder), or the decoder's states as it writes alone with those as it reads molecules.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from molvae.models.objective import Term
from molvae.models.packing import Packing
from molvae.models.parts import linear

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Widths of the kernels, as multiples of the mean squared distance of draws from N(0, I)."""
PENALTY = 1.0
"""Weight of the discriminator's gradient penalty."""


def mmd(x: Tensor, y: Tensor) -> Tensor:
    r"""The squared maximum mean discrepancy of ``x (b, d)`` and ``y (b, d)``, unbiased: a scalar.

    .. math:: \frac{1}{b(b-1)} \sum_{i \ne j} \bigl[ k(x_i, x_j) + k(y_i, y_j) \bigr]
              - \frac{2}{b^2} \sum_{i,j} k(x_i, y_j)

    with the inverse multiquadratics :math:`k(x, y) = \sum_s C_s / (C_s + \|x - y\|^2)`,
    :math:`C_s = 2 d s` (Tolstikhin et al. 2018, arXiv:1711.01558). 0 for a single row.

    >>> x = torch.tensor([[0.0], [0.0]])
    >>> float(mmd(x, x)), bool(mmd(x, x + 9) > 1)
    (0.0, True)
    """
    b = len(x)
    if b < 2:
        return (x * 0).sum()
    with torch.autocast(x.device.type, enabled=False):  # differences of near numbers
        within, across = _kernel(x, x) + _kernel(y, y), _kernel(x, y)
        own = (within.sum() - within.diagonal().sum()) / (b * (b - 1))
        return own - 2 * across.mean()


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    distances = (x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.t()).clamp(min=0)
    widths = [2 * x.shape[1] * scale for scale in SCALES]
    return torch.stack([width / (width + distances) for width in widths]).sum(0)


class Discriminator(nn.Module):
    """The logit that something is real, of two hidden layers.

    Args:
        inputs: dimension of what it sees.
        hidden: units of each layer.
        generator: draws the initial weights.
    """

    def __init__(self, inputs: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.first = linear(inputs, hidden, generator)
        self.second = linear(hidden, hidden, generator)
        self.last = linear(hidden, 1, generator)

    def forward(self, x: Tensor, packing: Packing | None = None) -> Tensor:
        """Logits ``(b,)`` of ``x (b, f)``, or of the rows of packed ``x (n, f)``, over whose
        places the first layer is averaged."""
        seen = functional.silu(self.first(x))
        if packing is not None:
            sums = seen.new_zeros(len(packing.lengths), seen.shape[1])
            seen = sums.index_add(0, packing.row, seen) / packing.restore(packing.lengths)[:, None]
        logits: Tensor = self.last(functional.silu(self.second(seen)))[:, 0]
        return logits


def contest(
    judge: Discriminator,
    real: Tensor,
    fake: Tensor,
    packings: tuple[Packing, Packing] | None = None,
) -> tuple[Tensor, Tensor]:
    r"""What ``fake`` loses, and what ``judge`` loses, by the logits D of the latter: scalars.

    .. math:: \overline{-\log \sigma(D(\mathrm{fake}))}, \qquad
              \overline{-\log \sigma(D(\mathrm{real}))} +
              \overline{-\log (1 - \sigma(D(\mathrm{fake})))} +
              \tfrac12 \overline{\|\nabla D(\mathrm{real})\|^2}

    The non-saturating game (Goodfellow et al. 2014) with the gradient penalty at real points that
    makes it converge (Mescheder, Geiger & Nowozin 2018, arXiv:1801.04406). The gradient of the
    first reaches ``fake`` alone and that of the second ``judge`` alone, so one backward pass of
    both is a step of each. ``packings`` are those of packed ``real`` and ``fake``.
    """
    theirs, ours = packings or (None, None)
    with torch.autocast(fake.device.type, enabled=False):
        real, fake = real.detach().float(), fake.float()
        weights = {name: weight.detach() for name, weight in judge.named_parameters()}
        fool = functional.softplus(-functional_call(judge, weights, (fake, ours))).mean()
        learning = torch.is_grad_enabled()
        real.requires_grad_(learning)
        yes, no = judge(real, theirs), judge(fake.detach(), ours)
        own = functional.softplus(-yes).mean() + functional.softplus(no).mean()
        if learning:
            (slope,) = torch.autograd.grad(yes.sum(), real, create_graph=True)
            own = own + 0.5 * PENALTY * slope.square().sum() / len(yes)
    return fool, own


@dataclass
class Matched:
    """The terms that make things alike, and what the discriminators lose in their games."""

    terms: dict[str, Term] = field(default_factory=dict)
    losses: dict[str, Tensor] = field(default_factory=dict)

    def compare(self, weight: float, x: Tensor, y: Tensor) -> None:
        """Add :func:`mmd` of ``x (b, d)`` and ``y (b, d)``."""
        apart = mmd(x, y)
        self.terms["mmd"] = Term(apart.detach(), apart, weight)

    def play(
        self,
        name: str,
        judge: Discriminator,
        weight: float,
        real: Tensor,
        fake: Tensor,
        packings: tuple[Packing, Packing] | None = None,
    ) -> None:
        """Add the :func:`contest` called ``name``; ``weight`` is that of what ``fake`` loses."""
        fool, own = contest(judge, real, fake, packings)
        self.terms[f"{name}_adversarial"] = Term(fool.detach(), fool, weight)
        self.losses[name] = own

    @property
    def diagnostics(self) -> dict[str, Tensor]:
        """What each discriminator loses, for the log."""
        return {f"{name}_discriminator": own.detach() for name, own in self.losses.items()}

    @property
    def rival(self) -> Tensor | None:
        """What all discriminators lose together; None without any."""
        return torch.stack(list(self.losses.values())).sum() if self.losses else None
