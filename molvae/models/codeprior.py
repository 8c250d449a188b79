"""The autoregressive prior over the codes of a VQ-VAE."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from molvae.models.bottleneck import Encode
from molvae.models.codebook import look_up, nearest
from molvae.models.config import BottleneckConfig, ModelConfig, PriorConfig
from molvae.models.decoder import Decoder, Writer
from molvae.models.packing import Packing
from molvae.models.windows import Windows

_CHUNK = 4096  # rows that are drawn together


class CodePrior(nn.Module):
    """Slot by slot, the probability of the next code given those before (van den Oord et al. 2017,
    section 3.3), by a GRU of ``config.hidden`` units: a :class:`Decoder` whose symbols are codes.

    After the codes come the blank and the start. ``codes (k, c)`` are the model's own, with which
    it was fitted.
    """

    def __init__(self, dim: int, config: PriorConfig, book: BottleneckConfig) -> None:
        super().__init__()
        self.dim, self.slots, self.start = dim, dim // book.code_dim, book.codes + 1
        self.codes: Tensor
        self.register_buffer("codes", torch.zeros(book.codes, book.code_dim))
        sizes = ModelConfig(latent_dim=1, decoder_hidden=config.hidden)
        alone = Windows(count=0, size=0, width=0, rest=1)  # z is always 0
        generator = torch.Generator().manual_seed(0)
        self.network = Decoder(sizes, book.codes + 2, alone, generator)

    def sample(self, n: int, generator: torch.Generator, encode: Encode | None = None) -> Tensor:
        """``(n, dim)`` float32 draws, the vectors of codes, on the generator's device."""
        sizes = [min(_CHUNK, n - first) for first in range(0, n, _CHUNK)]
        parts = [look_up(self.codes, self._draw(size, generator)) for size in sizes]
        return torch.cat([self.codes.new_empty(0, self.dim), *parts]).to(generator.device)

    def log_prob(self, z: Tensor) -> Tensor:
        """log P(codes of z) in nats, ``(n,)``, for ``z (n, dim)``."""
        return self.log_prob_of(self.indices(z))

    def indices(self, z: Tensor) -> Tensor:
        """The codes of ``z (n, dim)``, ``(n, s)``."""
        return nearest(self.codes, z)

    def log_prob_of(self, indices: Tensor) -> Tensor:
        """log P in nats, ``(n,)``, of the codes ``indices (n, s)``."""
        n = len(indices)
        packing = Packing.of(torch.full((n,), self.slots), indices.device)
        start = torch.full((n, 1), self.start, device=indices.device)
        before = packing.pack(torch.cat([start, indices[:, :-1]], 1))
        logits = self.network(packing, before, self._nothing(n))[:, : self.start]
        nats = functional.cross_entropy(logits, packing.pack(indices), reduction="none")
        return -packing.sum_rows(nats)

    @torch.inference_mode()
    def _draw(self, n: int, generator: torch.Generator) -> Tensor:
        writer = Writer(self.network, self._nothing(n))
        tokens = torch.full((n,), self.start, device=self.codes.device)
        drawn = []
        for _ in range(self.slots):
            chances = writer.write(tokens)[:, : self.start].float().softmax(1).to(generator.device)
            tokens = torch.multinomial(chances, 1, generator=generator)[:, 0].to(tokens.device)
            drawn.append(tokens)
        return torch.stack(drawn, 1)

    def _nothing(self, n: int) -> Tensor:
        return self.codes.new_zeros(n, 1)
