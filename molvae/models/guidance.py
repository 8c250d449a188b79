"""Classifier-free guidance: what is asked for, weighed more than the model alone would.

The decoder writes with the conditions and without them at once, and each next symbol is drawn from

    logits = unconditional + w (conditional - unconditional)

that is, from p(x|z) (p(x|z, y) / p(x|z))^w up to a constant, symbol by symbol (Ho & Salimans 2022,
arXiv:2207.12598, there for diffusion with ``w = 1 + their w``). ``w`` 1 is the conditional model
itself and costs nothing more, 0 the unconditional one, above 1 trades variety for nearness.
"""

from __future__ import annotations

import torch
from torch import Tensor

from molvae.models.decoder import Writer
from molvae.models.vae import SequenceVAE


class GuidedWriter:
    """A :class:`~molvae.models.decoder.Writer` that guides; its rows are written twice inside.

    ``told (b, d)`` and ``untold (b, d)`` are what the decoder is told with the conditions and
    without them; ``weight`` is w.
    """

    def __init__(self, model: SequenceVAE, told: Tensor, untold: Tensor, weight: float) -> None:
        self._writer = Writer(model.decoder, torch.cat([told, untold]))
        self._rows, self._weight = len(told), weight

    def write(self, tokens: Tensor) -> Tensor:
        """Take each row's next symbol ``(b,)``; guided logits ``(b, v)`` for the one after."""
        conditional, unconditional = self._writer.write(tokens.repeat(2)).chunk(2)
        return unconditional.lerp(conditional, self._weight)

    def keep(self, rows: Tensor) -> None:
        """Go on with ``rows (k,)`` alone, in that order; a row may be named more than once."""
        self._writer.keep(torch.cat([rows, rows + self._rows]))
        self._rows = len(rows)


def make_writer(
    model: SequenceVAE, z: Tensor, conditions: Tensor | None, guidance: float
) -> Writer | GuidedWriter:
    """What writes from ``z (b, d)`` and ``conditions (b, k)``: guided where that changes anything.

    Make and use it under :func:`torch.inference_mode`.
    """
    told = model.told(z, conditions)
    if conditions is None or guidance == 1:
        return Writer(model.decoder, told)
    return GuidedWriter(model, told, model.told(z), guidance)
