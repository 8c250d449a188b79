"""From the signs of a model's state to a verdict in words. The rules are all on this page.

In order, the first that holds decides:

1. **not yet trained**: given the true molecule's latent and the true symbols so far, the next
   symbol is not named at least ``TOKEN_GAIN`` more often than by always naming the commonest one.
2. **collapsing**: the decoder does as well with *another* molecule's latent as with the right one
   (within ``LATENT_GAIN``), or no dimension is active, or the latent carries under
   ``MINIMUM_KL`` nats, which tell fewer than ``exp(5) = 148`` molecules apart.
3. **not yet trained**: fewer than ``RECONSTRUCTED`` of held-out molecules come back exactly.
4. **healthy**, with reservations wherever another sign is out of its range: among them prior
   samples whose properties are more than ``PROPERTY_DISTANCE`` standard deviations from those of
   the held-out molecules. (Two draws of 30 from the same molecules are as far apart one time in a
   hundred; an autoencoder that gives back every molecule may be six off.)

What is advised depends on the bottleneck: a KL weight and a least width are for posteriors that
have a width.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

TOKEN_GAIN = 0.1
LATENT_GAIN = 0.02
MINIMUM_KL = 5.0
RECONSTRUCTED = 0.1
PROPERTY_DISTANCE = 1.0

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
    properties: Mapping[str, float] = field(default_factory=dict)
    """By name how far prior samples are from the held-out molecules, in standard deviations."""
    bottleneck: Literal["gaussian", "deterministic", "vq"] = "gaussian"
    """The posteriors of all but the first are points."""
    fitted_prior: bool = False
    """Whether samples are drawn from a prior fitted to the latents, not from N(0, I)."""


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
_NOISE = "train the decoder on latents that are a step off (model.latent_noise)"
_MATCH = (
    "pull the latents to N(0, I) while training, by MMD (--preset wae, objective.mmd_weight) or a "
    "discriminator (--preset aae, objective.latent_adversarial_weight)"
)
_PRIOR = "fit a prior to the latents (molvae models prior --kind mixture)"
_CODES = "fit a prior over the codes (molvae models prior --kind codes)"
_CODES_LONGER = "fit the prior over the codes for longer (molvae models prior --steps, --molecules)"


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
    wide = signs.bottleneck == "gaussian"
    if collapse := _collapse(signs):
        # The first three are about the KL.
        return Verdict("collapsing", collapse, _AGAINST_COLLAPSE[0 if wide else 3 :])
    if not signs.reconstructed >= RECONSTRUCTED:
        return Verdict(
            "not yet trained",
            (f"only {signs.reconstructed:.1%} of held-out molecules come back exactly",),
            (
                _TRAIN_ON,
                "if the loss stands still, "
                + ("lower objective.kl_weight or " if wide else "")
                + "raise model.decoder_hidden",
            ),
        )
    reservations = _reservations(signs)
    return Verdict(
        "healthy",
        tuple(reason for reason, _ in reservations),
        tuple(dict.fromkeys(one for _, advice in reservations for one in advice)),
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


def _reservations(signs: Signs) -> list[tuple[str, tuple[str, ...]]]:
    """(what is wrong, what to change); comparisons with NaN are false: not measured, not wrong."""
    wide = signs.bottleneck == "gaussian"
    smoother = (_SMOOTHER if wide else _NOISE,)
    samples = _nearer(signs)
    found: list[tuple[str, tuple[str, ...]]] = []
    if signs.reconstructed < 0.5:
        found.append((f"only {signs.reconstructed:.0%} come back exactly", (_TRAIN_ON,)))
    if far := {k: v for k, v in signs.properties.items() if v > PROPERTY_DISTANCE}:
        worst = sorted(far, key=lambda name: -far[name])
        listed = ", ".join(f"{name} {far[name]:.1f}" for name in worst)
        found.append(
            (
                "prior samples have properties far from those of held-out molecules (in standard "
                f"deviations: {listed})",
                samples,
            )
        )
    if signs.active_units < 0.1 * signs.dimensions:
        found.append(
            (
                f"{signs.active_units} of {signs.dimensions} dimensions are active",
                ("lower model.latent_dim" + (", or raise objective.free_bits" if wide else ""),),
            )
        )
    if not signs.fitted_prior and (signs.aggregate_scale < 0.7 or signs.aggregate_scale > 1.4):
        found.append(
            (
                f"latents have a spread of {signs.aggregate_scale:.2f} where the prior has 1",
                samples,
            )
        )
    if signs.half_similarity < 0.4:
        found.append(
            (
                "children resemble their parents too little (Tanimoto "
                f"{signs.half_similarity:.2f} where half have changed)",
                smoother,
            )
        )
    if signs.midpoint_gain < 0.05:
        found.append(("midpoints resemble neither end", smoother))
    if signs.uniqueness < 0.9:
        warmer = "sample at a higher temperature"
        found.append(
            (
                f"only {signs.uniqueness:.0%} of prior samples are distinct",
                (f"{warmer}, or raise objective.kl_weight",) if wide else (warmer, *samples),
            )
        )
    if signs.novelty < 0.5:
        found.append(
            (
                f"only {signs.novelty:.0%} of prior samples are new: it recites",
                ("train on more molecules, stop earlier, or raise model.token_dropout",),
            )
        )
    if signs.sane < 0.5:
        found.append((f"only {signs.sane:.0%} of prior samples are sane molecules", samples))
    return found


def _nearer(signs: Signs) -> tuple[str, ...]:
    """What brings prior samples nearer to molecules: by the bottleneck, and where they are from."""
    if signs.bottleneck == "gaussian":
        return (_SMOOTHER,)
    if signs.bottleneck == "vq":
        return (_CODES_LONGER if signs.fitted_prior else _CODES,)
    return (_MATCH,) if signs.fitted_prior else (_PRIOR, _MATCH)
