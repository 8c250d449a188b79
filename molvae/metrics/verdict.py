"""From the signs of a model's state to a verdict in words. The rules are all on this page.

In order, the first that holds decides:

1. **not yet trained**: given the true molecule's latent and the true symbols so far, the next
   symbol is not named at least ``TOKEN_GAIN`` more often than by always naming the commonest one.
2. **collapsing**: the decoder does as well with *another* molecule's latent as with the right one
   (within ``LATENT_GAIN``), or no dimension is active, or the latent carries under
   ``MINIMUM_KL`` nats, which tell fewer than ``exp(5) = 148`` molecules apart.
3. **not yet trained**: fewer than ``RECONSTRUCTED`` of held-out molecules come back exactly.
4. **healthy**, with reservations wherever another sign is out of its range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

TOKEN_GAIN = 0.1
LATENT_GAIN = 0.02
MINIMUM_KL = 5.0
RECONSTRUCTED = 0.1

Status = Literal["healthy", "collapsing", "not yet trained"]


@dataclass(frozen=True)
class Signs:
    """What the verdict rests on; shares between 0 and 1, NaN where it was not measured."""

    token_accuracy: float
    """Share of next symbols named rightly, teacher forced, from the posterior means."""
    token_accuracy_misplaced: float
    """The same with the latents of other molecules: what the decoder knows without z."""
    commonest_symbol: float
    """The share of the commonest symbol."""
    reconstructed: float
    """Share of held-out molecules that come back exactly, greedily from the posterior mean."""
    kl: float
    """Nats per molecule."""
    active_units: int
    dimensions: int
    aggregate_scale: float
    """Root mean square, over dimensions, of the aggregate posterior; the prior's is 1."""
    uniqueness: float
    novelty: float
    sane: float
    """Share of prior samples that are sane."""
    half_similarity: float
    """Heritability: similarity of changed children at the step where half have changed."""
    midpoint_gain: float
    """Similarity of midpoints to the nearer end, less that of unrelated molecules."""


@dataclass(frozen=True)
class Verdict:
    """The state of a model in words."""

    status: Status
    reasons: tuple[str, ...]
    """What the status rests on; for a healthy model, its reservations."""
    advice: tuple[str, ...]
    """What to change, in the order in which to try it."""

    def __str__(self) -> str:
        if self.status == "healthy" and not self.reasons:
            return "healthy"
        link = ", but " if self.status == "healthy" else ": "
        return self.status + link + "; ".join(self.reasons)


_TRAIN_ON = "train longer (run.epochs), or on more molecules"
_AGAINST_COLLAPSE = (
    "lower the KL weight (objective.kl_weight)",
    "let it rise later and more slowly, or cyclically (schedule.kl, schedule.kl_rise)",
    "let each dimension spend some nats freely (objective.free_bits)",
    "hide more of the decoder's input (model.token_dropout)",
)
_SMOOTHER = "raise the KL weight (objective.kl_weight) or the least width (model.min_std)"


def judge(signs: Signs) -> Verdict:
    """Apply the rules of this module.

    >>> judge(Signs(.95, .55, .3, .6, 40.0, 60, 64, 1.0, 1.0, .9, .9, .6, .1)).status
    'healthy'
    """
    if not signs.token_accuracy >= signs.commonest_symbol + TOKEN_GAIN:
        return Verdict(
            "not yet trained",
            (
                f"it names {signs.token_accuracy:.0%} of the next symbols, "
                f"always naming the commonest would give {signs.commonest_symbol:.0%}",
            ),
            (_TRAIN_ON, "if the loss does not fall, lower optimiser.learning_rate"),
        )
    if collapse := _collapse(signs):
        return Verdict("collapsing", collapse, _AGAINST_COLLAPSE)
    if not signs.reconstructed >= RECONSTRUCTED:
        return Verdict(
            "not yet trained",
            (f"only {signs.reconstructed:.1%} of held-out molecules come back exactly",),
            (
                _TRAIN_ON,
                "if the loss stands still, lower objective.kl_weight or raise model.decoder_hidden",
            ),
        )
    reservations = _reservations(signs)
    return Verdict(
        "healthy",
        tuple(reason for reason, _ in reservations),
        tuple(dict.fromkeys(advice for _, advice in reservations)),
    )


def _collapse(signs: Signs) -> tuple[str, ...]:
    reasons = []
    gain = signs.token_accuracy - signs.token_accuracy_misplaced
    if gain < LATENT_GAIN:
        reasons.append(
            f"the decoder hardly listens to z ({signs.token_accuracy:.1%} of symbols right with a "
            f"molecule's own z, {signs.token_accuracy_misplaced:.1%} with another's)"
        )
    if signs.active_units == 0:
        reasons.append(f"none of {signs.dimensions} dimensions is active")
    if signs.kl < MINIMUM_KL:
        reasons.append(
            f"z carries {signs.kl:.2g} nats, enough to tell "
            f"{math.exp(max(signs.kl, 0.0)):.0f} molecules apart"
        )
    return tuple(reasons)


def _reservations(signs: Signs) -> list[tuple[str, str]]:
    """(what is wrong, what to change); comparisons with NaN are false: not measured, not wrong."""
    found = []
    if signs.reconstructed < 0.5:
        found.append((f"only {signs.reconstructed:.0%} come back exactly", _TRAIN_ON))
    if signs.active_units < 0.1 * signs.dimensions:
        found.append(
            (
                f"{signs.active_units} of {signs.dimensions} dimensions are active",
                "lower model.latent_dim, or raise objective.free_bits",
            )
        )
    if signs.aggregate_scale < 0.7 or signs.aggregate_scale > 1.4:
        found.append(
            (
                f"latents have a spread of {signs.aggregate_scale:.2f} where the prior has 1",
                _SMOOTHER,
            )
        )
    if signs.half_similarity < 0.4:
        found.append(
            (
                "children resemble their parents too little (Tanimoto "
                f"{signs.half_similarity:.2f} where half have changed)",
                _SMOOTHER,
            )
        )
    if signs.midpoint_gain < 0.05:
        found.append(("midpoints resemble neither end", _SMOOTHER))
    if signs.uniqueness < 0.9:
        found.append(
            (
                f"only {signs.uniqueness:.0%} of prior samples are distinct",
                "sample at a higher temperature, or raise objective.kl_weight",
            )
        )
    if signs.novelty < 0.5:
        found.append(
            (
                f"only {signs.novelty:.0%} of prior samples are new: it recites",
                "train on more molecules, stop earlier, or raise model.token_dropout",
            )
        )
    if signs.sane < 0.5:
        found.append(
            (f"only {signs.sane:.0%} of prior samples are sane molecules", _SMOOTHER),
        )
    return found
