"""The decoder writing alone while it is trained: its own symbols, drawn one after the other."""

from __future__ import annotations

import torch
from torch import Tensor

from molvae.models.decoder import Decoder, Writer


@torch.no_grad()
def free_run(
    decoder: Decoder,
    z: Tensor,
    steps: int,
    special: tuple[int, int, int],
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Tokens ``(b, t)``, from the start to the end or to ``steps`` symbols, for ``z (b, d)``; and
    their lengths ``(b,)``, on the host.

    ``special`` are the ids of padding, start and end. All draws are from ``generator``.
    """
    pad, start, end = special
    with torch.autocast(z.device.type, enabled=False):
        writer = Writer(decoder, z)
        tokens = torch.full((len(z),), start, device=z.device)
        done = torch.zeros(len(z), dtype=torch.bool, device=z.device)
        written = [tokens]
        for step in range(steps):
            logits = writer.write(tokens).float()
            logits[:, [pad, start, end] if step == 0 else [pad, start]] = -torch.inf
            chances = logits.softmax(1).to(generator.device)
            drawn = torch.multinomial(chances, 1, generator=generator)[:, 0].to(z.device)
            tokens = drawn.masked_fill(done, pad)
            written.append(tokens)
            done = done | (tokens == end)
            if bool(done.all()):
                break
    found = torch.stack(written, 1)
    return found, (found != pad).sum(1).cpu()
