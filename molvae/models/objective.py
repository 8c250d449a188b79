"""The training objective as named terms, each with its raw value and its weight.

For a molecule x with labels y, minimise (in nats per molecule)::

    -log p(x|z)  +  kl_weight * KL(q(z|x) || p(z))  +  property_weight * -log p(y|z)

which for weights of 1 is the negative evidence lower bound of the joint likelihood (Kingma &
Welling 2014); ``kl_weight`` is the beta of Higgins et al. 2017, raised along a schedule while
training (Bowman et al. 2016). Other bottlenecks, and other ways to match the prior, have other
terms in place of the KL or beside it: see :meth:`~molvae.models.vae.SequenceVAE.losses`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from molvae.base.records import Record

NonNegative = Annotated[float, Field(ge=0)]


class Role(IntEnum):
    """What a symbol is for: an atom with others on both sides, one at an end of a branch or of the
    molecule, or a part of a ring or branch, its index symbols included."""

    ATOM = 0
    TERMINAL = 1
    STRUCTURAL = 2


class ObjectiveConfig(Record):
    """Weights of the terms, and free bits.

    ``free_bits`` nats of KL cost nothing (Kingma et al. 2016, eq. 15), which keeps the decoder from
    starving the latent space early on. ``free_bits_per`` "dimension": each latent dimension has
    that many, its KL averaged over the batch before the hinge; "molecule": each molecule has that
    many over all dimensions together, and the model may spend them where it likes.

    ``structure_weight`` is how much the symbols count that close rings and open branches, and
    ``terminal_weight`` the atoms at the ends of branches, beside 1 for other atoms: a wrong one of
    the first makes another molecule, of the second a near relative. z then keeps the first further
    apart, and what a small step in z changes first is an atom at an end. For as long as the encoder
    learns; see :meth:`~molvae.models.vae.SequenceVAE.freeze_space`.

    ``kind_weight`` is how much it counts besides that a symbol is at least of the right *kind*: an
    atom where an atom belongs, with the same bond before it, and able to go on where the molecule
    goes on; every symbol that makes a ring or branch is a kind of its own. An atom of the right
    kind in place of another makes a relative, so it is within kinds that a small step may change a
    symbol. An atom at an end must be itself only where z is shown no further than ``terminal_step``
    away (see ``model.latent_noise``; None: everywhere), so that it is what changes first.
    ``relative_weight`` is that of the squared difference between ``relative_distance`` and how far
    a molecule's z is from that of a relative with another atom of the kind at one end: a neighbour
    in z is then a relative. For as long as the encoder learns, as well. ``relative_share`` of the
    molecules with a relative are learnt as that relative: it is then what the decoder writes at the
    relative's place, rather than the molecule that is near it in the data.

    ``commitment_weight`` is that of the squared distance to the codes of a VQ-VAE, ``mmd_weight``
    that of the discrepancy between a batch's z and draws of N(0, I), the adversarial weights those
    of what it costs not to be taken for real by the model's discriminators.

    >>> ObjectiveConfig(kl_weight=0.1, free_bits=0.05).free_bits_per
    'dimension'
    """

    kl_weight: NonNegative = 1.0
    property_weight: NonNegative = 1.0
    structure_weight: NonNegative = 1.0
    terminal_weight: NonNegative = 1.0
    kind_weight: NonNegative = 0.0
    terminal_step: NonNegative | None = None
    relative_weight: NonNegative = 0.0
    relative_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    relative_distance: Annotated[float, Field(gt=0)] = 2.5
    commitment_weight: NonNegative = 0.25
    mmd_weight: NonNegative = 0.0
    latent_adversarial_weight: NonNegative = 1.0
    decoder_adversarial_weight: NonNegative = 1.0
    free_bits: NonNegative = 0.0
    free_bits_per: Literal["dimension", "molecule"] = "dimension"

    @model_validator(mode="after")
    def _knows_kinds(self) -> Self:
        if self.terminal_step is not None and not self.kind_weight:
            raise ValueError("terminal_step leaves an atom its kind alone; set kind_weight as well")
        return self

    @model_validator(mode="after")
    def _knows_relatives(self) -> Self:
        if self.relative_share and not self.relative_weight:
            raise ValueError("relative_share is of relatives at a distance; set relative_weight")
        return self

    @property
    def even(self) -> bool:
        """Whether all symbols count alike."""
        return self.structure_weight == self.terminal_weight == 1 and not self.kind_weight


@dataclass(frozen=True, eq=False)
class SymbolRoles:
    """Of packed symbols their ``roles (n,)`` and how far away z is shown, ``step (n,)``; and the
    ``kinds (2, v)`` of all symbols, for atoms that others follow and for those at an end (None: not
    told)."""

    roles: Tensor
    step: Tensor
    kinds: Tensor | None


@dataclass(frozen=True, eq=False)
class Term:
    """One term: ``raw`` its plain value, ``value`` what is minimised (differs by free bits)."""

    raw: Tensor
    value: Tensor
    weight: float


@dataclass(frozen=True, eq=False)
class Terms:
    """The terms of one batch by name (reconstruction, kl, property), and diagnostics beside them.

    ``total`` is the sum of ``weight * value``; ``rival`` what the discriminators lose, if there are
    any. Call ``backward()`` on ``learnt``, both together: nothing has a gradient of both.
    """

    terms: Mapping[str, Term]
    diagnostics: Mapping[str, Tensor] = field(default_factory=dict)
    rival: Tensor | None = None

    @property
    def total(self) -> Tensor:
        """The objective, a scalar in nats per molecule."""
        parts = [term.weight * term.value for term in self.terms.values()]
        return torch.stack(parts).sum()

    @property
    def learnt(self) -> Tensor:
        """The objective and, in the same pass, that of the discriminators."""
        return self.total if self.rival is None else self.total + self.rival

    def log(self) -> dict[str, float]:
        """Everything as plain numbers: ``total``, each term, ``<term>_weight``, diagnostics."""
        numbers = {"total": self.total.detach(), **self.diagnostics}
        numbers |= {name: term.raw.detach() for name, term in self.terms.items()}
        values = torch.stack([value.float() for value in numbers.values()]).tolist()
        weights = {f"{name}_weight": term.weight for name, term in self.terms.items()}
        return dict(zip(numbers, values, strict=True)) | weights


def kl_term(kl: Tensor, config: ObjectiveConfig, weight: float) -> Term:
    """The KL term of ``kl (b, d)`` nats per molecule and dimension, with free bits.

    >>> kl = torch.tensor([[0.5, 0.1], [0.7, 0.1]])
    >>> config = ObjectiveConfig(free_bits=0.2)
    >>> term = kl_term(kl, config, weight=1.0)
    >>> round(float(term.raw), 3), round(float(term.value), 3)
    (0.7, 0.8)
    """
    raw = kl.sum(1).mean()
    if config.free_bits == 0:
        value = raw
    elif config.free_bits_per == "dimension":
        value = kl.mean(0).clamp(min=config.free_bits).sum()
    else:
        value = kl.sum(1).clamp(min=config.free_bits).mean()
    return Term(raw.detach(), value, weight)


def weighted(
    nats: Tensor, logits: Tensor, symbols: Tensor, told: SymbolRoles, config: ObjectiveConfig
) -> Tensor:
    """What packed ``symbols (n,)`` with ``nats (n,)`` of -log p cost with their weights, ``(n,)``,
    which are 1 on average; ``logits (n, v)`` are where the nats come from."""
    ending, structural = told.roles == Role.TERMINAL, told.roles == Role.STRUCTURAL
    weights = torch.where(ending, config.terminal_weight, 1.0)
    weights = torch.where(structural, config.structure_weight, weights)
    if not config.kind_weight or told.kinds is None:
        return nats * (weights / weights.mean())
    # A kind is as likely as all of its symbols together.
    kinds = told.kinds[ending.long()]
    others = kinds != kinds.gather(1, symbols[:, None])
    logits = logits.float()
    of_kind = logits.logsumexp(1) - logits.masked_fill(others, -torch.inf).logsumexp(1)
    of_kind = torch.where(structural, nats, of_kind)
    within = nats - of_kind
    if config.terminal_step is not None:
        within = within * ~(ending & (told.step > config.terminal_step))
    of_kind_weights = weights + config.kind_weight
    return (of_kind_weights * of_kind + weights * within) / of_kind_weights.mean()
