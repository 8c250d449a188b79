"""Beam search: the likeliest of the many molecules that a latent vector could be written as."""

from __future__ import annotations

import torch
from torch import Tensor

from molvae.models.guidance import make_writer
from molvae.models.vae import SequenceVAE

_CHECK_EVERY = 4  # steps between two looks at whether all rows are decided


def beam_search(
    model: SequenceVAE,
    z: Tensor,
    steps: int,
    width: int,
    conditions: Tensor | None = None,
    guidance: float = 1.0,
) -> Tensor:
    """The likeliest sequence found for each row of ``z (b, d)``: symbols ``(b, steps)``; given
    ``conditions (b, k)``, where the model takes any.

    The end stands where it was reached, padding after it. Keeps the ``width`` likeliest beginnings
    per row; a row is decided once its best is finished, since likelihoods only fall.
    """
    b, device = len(z), z.device
    given = None if conditions is None else conditions.repeat_interleave(width, 0)
    writer = make_writer(model, z.repeat_interleave(width, 0), given, guidance)
    ids = torch.full((b, width, steps), model.pad_id, dtype=torch.int64, device=device)
    # One beginning per row at first, or all beams would be the same.
    scores = torch.full((b, width), -torch.inf, dtype=z.dtype, device=device)
    scores[:, 0] = 0
    tokens = torch.full((b * width,), model.start_id, dtype=torch.int64, device=device)
    done = torch.zeros(b, width, dtype=torch.bool, device=device)
    offsets = (torch.arange(b, device=device) * width)[:, None]
    for step in range(steps):
        logits = writer.write(tokens)
        logits[:, [model.pad_id, model.start_id]] = -torch.inf
        if step == 0:
            logits[:, model.end_id] = -torch.inf
        gains = logits.log_softmax(1).view(b, width, -1)
        # A finished beam has one way on, padding, that costs nothing.
        gains.masked_fill_(done[:, :, None], -torch.inf)
        gains[:, :, model.pad_id].masked_fill_(done, 0)
        scores, best = (scores[:, :, None] + gains).flatten(1).topk(width, dim=1)
        parent = best // model.vocab_size
        symbol = best % model.vocab_size
        ids = ids.gather(1, parent[:, :, None].expand_as(ids))
        ids[:, :, step] = symbol
        done = done.gather(1, parent) | (symbol == model.end_id)
        tokens = symbol.flatten()
        writer.keep((parent + offsets).flatten())
        if step % _CHECK_EVERY == _CHECK_EVERY - 1 and bool(done[:, 0].all()):
            break
    return ids[:, 0]
