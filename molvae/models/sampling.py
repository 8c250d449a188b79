"""Writing molecules from latent vectors: greedy, by chance, or by beam search.

All rows of a batch advance together, one symbol at a time; finished rows leave it now and then, so
a few long molecules do not hold up the rest. Nothing waits for the device in between: whether rows
have finished is asked only every few steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from molvae.base.errors import InputError
from molvae.base.records import Record
from molvae.base.seeds import derive_seed
from molvae.models.beam import beam_search
from molvae.models.choice import RowStreams, narrow
from molvae.models.guidance import make_writer
from molvae.models.vae import SequenceVAE

_CHECK_EVERY = 4  # steps between two looks at which rows have finished
_CPU_BATCH, _GPU_BATCH = 512, 8192  # rows at a time; more brings nothing


class SamplingOptions(Record):
    """How to choose each symbol.

    ``strategy`` "sample" draws from the model's distribution with ``temperature`` (below 1:
    safer), of the ``top_k`` likeliest symbols only, and of the least set that holds ``top_p`` of
    the probability (nucleus sampling, Holtzman et al. 2020); "greedy" takes the likeliest symbol;
    "beam" keeps the ``beam_width`` likeliest beginnings. ``max_length`` symbols at most; None: the
    model's own. ``guidance`` is how much more than by themselves the conditions of a conditional
    model count (:mod:`molvae.models.guidance`); 1: as they are.

    >>> SamplingOptions(strategy="sample", temperature=0.8).top_k is None
    True
    """

    strategy: Literal["greedy", "sample", "beam"] = "sample"
    temperature: Annotated[float, Field(gt=0)] = 1.0
    top_k: Annotated[int, Field(gt=0)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    beam_width: Annotated[int, Field(gt=0)] = 8
    max_length: Annotated[int, Field(gt=0)] | None = None
    guidance: Annotated[float, Field(ge=0)] = 1.0

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        chance = self.top_k is not None or self.top_p is not None or self.temperature != 1
        if self.strategy != "sample" and chance:
            raise ValueError(
                f"temperature, top_k and top_p have no meaning for strategy {self.strategy!r}; "
                "use strategy 'sample' or leave them out"
            )
        return self


@dataclass(frozen=True, eq=False)
class Sequences:
    """On the host: ``ids (n, t)`` int64 symbols without start and end, padded; ``lengths (n,)``,
    how many symbols each row has; and ``log_prob (n,)``, that of drawing the row and no other, in
    nats, 0 where nothing is left to chance."""

    ids: Tensor
    lengths: Tensor
    log_prob: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self) -> list[list[int]]:
        """Each molecule's ids as a list, without padding."""
        return [
            row[:length]
            for row, length in zip(self.ids.tolist(), self.lengths.tolist(), strict=True)
        ]


@torch.inference_mode()
def generate(
    model: SequenceVAE,
    z: Tensor,
    options: SamplingOptions | None = None,
    seed: int = 0,
    first_row: int = 0,
    conditions: Tensor | None = None,
) -> Sequences:
    """Write one molecule for each row of ``z (n, d)``, and of ``conditions (n, k)`` in their own
    units (NaN: unknown), where the model takes any.

    Every row has a random stream of its own, named by ``seed`` and ``first_row`` plus its place:
    what it becomes does not depend on the rows beside it, nor on how many are written at once (but
    for ties that the rounding of differently shaped matrix products decides). So a part of a large
    job is the same molecules whoever writes it. Safe to call from several threads with one model.

    A molecule has at least one symbol; start and padding are never written; one that reaches
    ``max_length`` symbols ends there.

    >>> from molvae.models.presets import preset
    >>> model = SequenceVAE(preset("tiny"), vocab_size=12, max_length=20)
    >>> z = model.sample_prior(3, torch.Generator().manual_seed(0))
    >>> written = generate(model, z, seed=1)
    >>> len(written), int(written.lengths.max()) <= 20
    (3, True)
    """
    options = options or SamplingOptions()
    if z.ndim != 2 or z.shape[1] != model.latent_dim:
        raise InputError(
            f"z has shape {tuple(z.shape)}, but this model's latent vectors need "
            f"(n, {model.latent_dim})"
        )
    z = model.bottleneck.shown(z.to(model.device, model.decoder.embedding.weight.dtype))
    if conditions is not None:
        conditions = _checked(model, conditions, len(z)).to(z)
    steps = options.max_length or model.max_length
    size = _CPU_BATCH if z.device.type == "cpu" else _GPU_BATCH
    if options.strategy == "beam":
        size = max(1, size // options.beam_width)
    written, log_probs = [], []
    for start in range(0, len(z), size):
        part = z[start : start + size]
        given = None if conditions is None else conditions[start : start + size]
        if options.strategy == "beam":
            width, weight = options.beam_width, options.guidance
            written.append(beam_search(model, part, steps, width, given, weight))
            log_probs.append(torch.zeros(len(part)))
        else:
            ids, log_prob = _write(model, part, given, options, steps, seed, first_row + start)
            written.append(ids)
            log_probs.append(log_prob)
    ids = torch.cat([torch.empty(0, steps, dtype=torch.int64), *(w.cpu() for w in written)])
    log_prob = torch.cat([torch.empty(0), *(part.cpu() for part in log_probs)])
    return _trim(ids, log_prob, model.end_id, model.pad_id)


def _checked(model: SequenceVAE, conditions: Tensor, rows: int) -> Tensor:
    if model.conditions is None:
        raise InputError("this model takes no conditions")
    shape = (rows, len(model.conditions.names))
    if tuple(conditions.shape) != shape:
        raise InputError(
            f"conditions have the shape {tuple(conditions.shape)}, but {rows} latents of this "
            f"model need {shape}"
        )
    return conditions


def _write(
    model: SequenceVAE,
    z: Tensor,
    conditions: Tensor | None,
    options: SamplingOptions,
    steps: int,
    seed: int,
    first_row: int,
) -> tuple[Tensor, Tensor]:
    """Symbols (b, steps) with the end where it was written and padding after it; and log_prob (b,)
    of each row."""
    b, device = len(z), z.device
    ids = torch.full((b, steps), model.pad_id, dtype=torch.int64, device=device)
    log_prob = torch.zeros(b, device=device)
    writer = make_writer(model, z, conditions, options.guidance)
    streams = None
    if options.strategy == "sample":
        streams = RowStreams(derive_seed(seed, "symbols"), first_row, b, device)
    place = torch.arange(b, device=device)  # where each row that still goes on belongs
    tokens = torch.full((b,), model.start_id, dtype=torch.int64, device=device)
    done = torch.zeros(b, dtype=torch.bool, device=device)
    banned = torch.tensor([model.pad_id, model.start_id, model.end_id], device=device)
    for step in range(steps):
        logits = writer.write(tokens)
        logits.index_fill_(1, banned if step == 0 else banned[:2], -torch.inf)
        if streams is None:
            tokens = logits.argmax(1)
        else:
            narrow(logits, options.temperature, options.top_k, options.top_p)
            tokens = streams.choose(logits, step)
            of_each = logits.float().log_softmax(1).gather(1, tokens[:, None])[:, 0]
            log_prob[place] += of_each.masked_fill(done, 0)
        tokens.masked_fill_(done, model.pad_id)
        ids[place, step] = tokens
        done |= tokens == model.end_id
        if step % _CHECK_EVERY == _CHECK_EVERY - 1:
            alive = (~done).nonzero().squeeze(1)
            if len(alive) == 0:
                break
            if len(alive) < len(done):
                writer.keep(alive)
                place, tokens, done = place[alive], tokens[alive], done[alive]
                if streams is not None:
                    streams.keep(alive)
    return ids, log_prob


def _trim(ids: Tensor, log_prob: Tensor, end_id: int, pad_id: int) -> Sequences:
    symbols = (ids != end_id) & (ids != pad_id)
    lengths = symbols.sum(1)
    longest = int(lengths.max()) if len(lengths) else 0
    ids = ids.masked_fill(~symbols, pad_id)[:, :longest].contiguous()
    return Sequences(ids, lengths, log_prob)
