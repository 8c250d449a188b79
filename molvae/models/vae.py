"""The sequence VAE: q(z|x), p(z), p(x|z) and p(y|z) put together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from molvae.base.errors import InputError
from molvae.models.batch import Batch
from molvae.models.bottleneck import Bottleneck, Point, Posterior
from molvae.models.conditions import Conditioner, drop
from molvae.models.config import ModelConfig
from molvae.models.critic import Critic
from molvae.models.decoder import Decoder
from molvae.models.encoder import Encoder
from molvae.models.freerun import free_run
from molvae.models.heads import Prediction, PropertyHead
from molvae.models.matching import Discriminator, Matched
from molvae.models.objective import (
    ObjectiveConfig,
    SymbolRoles,
    Term,
    Terms,
    kl_term,
    weighted,
)
from molvae.models.packing import Packing
from molvae.models.parts import normal, uniform
from molvae.models.prior import make_prior
from molvae.models.relatives import relatives, relatives_term, swapped
from molvae.models.windows import Windows, forget

_LOOKS = 2  # times that the decoder looks at what it has written before it goes on from there
_FREE = 4  # one in so many of a batch is written alone for the decoder's discriminator


class SequenceVAE(nn.Module):
    """A variational autoencoder over sequences of symbols (Bowman et al. 2016; for molecules
    Gómez-Bombarelli et al. 2018), with a property head.

    Args:
        config: the sizes of the parts.
        vocab_size: the number of symbols ``v``, padding, start and end included.
        max_length: the most symbols a molecule may have, without start and end.
        seed: determines the initial weights.

    A row of tokens is ``[start, symbols..., end, padding...]``. The encoder reads the symbols and
    the end; the decoder sees start and the symbols and predicts the symbols and the end.

    >>> from molvae.models.presets import preset
    >>> model = SequenceVAE(preset("tiny"), vocab_size=12, max_length=20)
    >>> batch = Batch.collate([[5, 6, 7], [8]])
    >>> model.encode(batch.tokens, batch.lengths).mean.shape
    torch.Size([2, 8])
    >>> terms = model.losses(batch, ObjectiveConfig(), torch.Generator().manual_seed(0))
    >>> sorted(terms.terms)
    ['kl', 'reconstruction']
    """

    def __init__(
        self,
        config: ModelConfig,
        vocab_size: int,
        max_length: int,
        pad_id: int = 0,
        start_id: int = 1,
        end_id: int = 2,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.config = config
        self.vocab_size, self.max_length = vocab_size, max_length
        self.pad_id, self.start_id, self.end_id = pad_id, start_id, end_id
        generator = torch.Generator().manual_seed(seed)
        self.encoder = Encoder(config, vocab_size, generator)
        self.frozen = self.resting = False
        self.windows = Windows.of(max_length, config.window, config.window_dim, config.latent_dim)
        told = config.conditions.dim if config.conditions else 0
        read = told if config.conditions and config.conditions.encoder else 0
        self.bottleneck = Bottleneck(self.encoder.features + read, self.windows, config, generator)
        self.prior = make_prior(config, self.windows, vocab_size)
        self.critic = None if config.critic is None else Critic(config.critic, generator)
        # What is told stands behind z, so to the decoder it is more of z's global part.
        windows = replace(self.windows, rest=self.windows.rest + told)
        self.decoder = Decoder(config, vocab_size, windows, generator)
        self.head = (
            None if config.head is None else PropertyHead(self.windows, config.head, generator)
        )
        self.conditions = (
            None if config.conditions is None else Conditioner(config.conditions, generator)
        )

        inputs = {
            "latent": (self.latent_dim, config.latent_discriminator),
            "decoder": (config.decoder_hidden, config.decoder_discriminator),
        }
        self.rivals = nn.ModuleDict(
            {
                name: Discriminator(seen, hidden, generator)
                for name, (seen, hidden) in inputs.items()
                if hidden
            }
        )

    @property
    def latent_dim(self) -> int:
        """The length of z, the windows' parts included."""
        return self.windows.dim

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.decoder.embedding.weight.device

    def encode(
        self, tokens: Tensor, lengths: Tensor, conditions: Tensor | None = None
    ) -> Posterior:
        """q(z|x), mean and log-variance ``(b, d)``, for ``tokens (b, t)``, ``lengths (b,)``.

        ``conditions (b, k)`` count where the encoder is told them (q(z|x, y)); NaN and None:
        unknown.
        """
        packing = self._packing(lengths)
        return self._posterior(packing, packing.pack(tokens[:, 1:]), conditions)

    def logits(
        self, tokens: Tensor, lengths: Tensor, z: Tensor, conditions: Tensor | None = None
    ) -> Tensor:
        """Logits ``(b, t - 1, v)`` for ``tokens[:, 1:]`` given what stands before, ``z (b, d)`` and
        ``conditions (b, k)``.

        Zeros beyond each row's end; ``t`` is the longest row's length.
        """
        packing = self._packing(lengths)
        told = self.told(self.bottleneck.shown(z), conditions)
        return packing.unpack(self.decoder(packing, packing.pack(tokens), told))

    def told(self, z: Tensor, conditions: Tensor | None = None) -> Tensor:
        """All that the decoder is told: ``z (b, d)`` as it is shown to it, and in a conditional
        model what is known of ``conditions (b, k)`` behind it; NaN and None: unknown."""
        known = self._condition(conditions, len(z))
        return z if known is None else torch.cat([z, known.to(z.dtype)], 1)

    def log_likelihood(
        self, tokens: Tensor, lengths: Tensor, z: Tensor, conditions: Tensor | None = None
    ) -> Tensor:
        """log p(x|z) in nats per molecule, ``(b,)``, for ``z (b, d)``; of a conditional model
        log p(x|z, y) for ``conditions (b, k)``."""
        packing = self._packing(lengths)
        seen, symbols = packing.pack(tokens), packing.pack(tokens[:, 1:])
        told = self.told(self.bottleneck.shown(z), conditions)
        nats = self._token_nats(packing, seen, symbols, told)[0]
        return -packing.sum_rows(nats)

    def elbo(
        self,
        tokens: Tensor,
        lengths: Tensor,
        noise: Tensor,
        conditions: Tensor | None = None,
    ) -> Tensor:
        """The evidence lower bound on log p(x) in nats per molecule, ``(b,)``; of a conditional
        model on log p(x|y) for ``conditions (b, k)``.

        ``noise (s, b, d)`` standard normal: the reconstruction is averaged over ``s`` draws of z;
        the KL is exact. NaN where posteriors are points, of which there is no bound.
        """
        posterior = self.encode(tokens, lengths, conditions)
        draws = [
            self.log_likelihood(tokens, lengths, posterior.sample(e), conditions) for e in noise
        ]
        return torch.stack(draws).mean(0) - posterior.kl().sum(1)

    def losses(
        self,
        batch: Batch,
        objective: ObjectiveConfig,
        generator: torch.Generator,
        kl_weight: float | None = None,
    ) -> Terms:
        """The objective's terms on a batch: reconstruction, kl, and property with labels and head.

        All randomness (of z, what is forgotten, hidden, mistaken) is drawn from ``generator``.
        ``kl_weight`` replaces the objective's at this step of a schedule. Diagnostics:
        ``nats_per_token`` and ``token_accuracy``. A bottleneck without widths has no kl; one with
        a codebook has the ``commitment`` in its place and the ``perplexity`` of the batch's codes,
        of which it takes note while training, for :meth:`step_done`. With the weight or the parts
        for them: ``relatives`` (its raw value is how far from them molecules are), ``mmd``,
        ``latent_adversarial`` and ``decoder_adversarial``.
        """
        packing = batch.packing or self._packing(batch.lengths)
        related = None
        if objective.relative_weight and batch.hosts is not None and not self.frozen:
            related, some = relatives(packing, batch, generator)
            share = objective.relative_share if self.training else 0.0
            batch, related = swapped(packing, batch, related, some, share, generator)
        symbols = packing.pack(batch.tokens[:, 1:])
        if self.training and self.config.conditions is not None and batch.conditions is not None:
            known = drop(batch.conditions, self.config.conditions, generator)
            batch = replace(batch, conditions=known)
        conditions = batch.conditions
        posterior = self._posterior(packing, symbols, conditions)
        z = posterior.sample(normal(tuple(posterior.mean.shape), generator, posterior.mean))

        shown = self.bottleneck.shown(z)
        lengths = packing.restore(packing.lengths) - 1
        known, whole, step = self._known(shown, lengths, generator)
        seen = self._mistaken(packing, packing.pack(batch.tokens), whole, generator)
        told = self.told(known, conditions)
        seen = self._own_mistakes(packing, seen, told, whole, generator)
        nats, logits, states = self._token_nats(packing, seen, symbols, told)
        costs = nats
        if not (objective.even or batch.roles is None or self.frozen):
            roles = packing.pack(batch.roles[:, 1:])
            marked = SymbolRoles(roles, step[packing.row], batch.kinds)
            costs = weighted(nats, logits, symbols, marked, objective)
        reconstruction = costs.sum() / len(batch)

        terms = {"reconstruction": Term(nats.detach().sum() / len(batch), reconstruction, 1.0)}
        diagnostics = {
            "nats_per_token": nats.detach().mean(),
            "token_accuracy": (logits.detach().argmax(1) == symbols).float().mean(),
        }
        if not isinstance(posterior, Point):
            weight = objective.kl_weight if kl_weight is None else kl_weight
            terms["kl"] = kl_term(posterior.kl(), objective, weight)
        if related is not None:
            theirs = self._posterior(packing, related, conditions)
            terms["relatives"] = relatives_term(posterior.mean, theirs.mean, some, objective)
        if (codebook := self.bottleneck.codebook) is not None:
            apart = codebook.commitment(z).mean()
            terms["commitment"] = Term(apart.detach(), apart, objective.commitment_weight)
            diagnostics["perplexity"] = codebook.perplexity(z)
            if self.training and not self.frozen and torch.is_grad_enabled():
                codebook.note(z, generator)
        matched = self._matched(z, states, packing, objective, generator)
        terms |= matched.terms
        diagnostics |= matched.diagnostics
        if self.head is not None and batch.labels is not None:
            own = self.windows.reached(z, lengths)
            property_nats = self.head.negative_log_likelihood(own, batch.labels).sum() / len(batch)
            terms["property"] = Term(
                property_nats.detach(), property_nats, objective.property_weight
            )
        return Terms(terms, diagnostics, matched.rival)

    def step_done(self, total: Callable[[Tensor], Tensor], first: bool) -> None:
        """What follows a step of the optimiser: codes move (:meth:`.Codebook.learn`)."""
        if self.bottleneck.codebook is not None and not self.frozen:
            self.bottleneck.codebook.learn(total, first)

    def freeze_space(self) -> None:
        """From here on the encoder stays as it is, and with it what every z means: only the decoder
        and the head go on learning."""
        if not self.frozen:
            self.frozen = True
            parts: list[nn.Module] = [self.encoder, self.bottleneck]
            if self.conditions is not None and self.conditions.config.encoder:
                parts.append(self.conditions)  # what they mean to the encoder
            for part in parts:
                part.requires_grad_(False)

    def freeze_writing(self) -> None:
        """From here on the decoder writes exactly as before with nothing to go by (z = 0, and no
        condition known): only the encoder, the head, the conditions, and how the decoder reads z
        go on learning. Nothing is forgotten any more, which is for learning to write."""
        self.resting = True
        self.decoder.requires_grad_(False)
        for weight in self.decoder.reading():
            weight.requires_grad_(True)

    @torch.inference_mode()
    def sample_prior(self, n: int, generator: torch.Generator) -> Tensor:
        """``n`` latents ``(n, d)`` from the model's prior, on the generator's device."""
        return self.prior.sample(n, generator, self.encode)

    def predict(self, z: Tensor) -> Prediction:
        """The properties of ``z (n, d)``; raises :class:`InputError` without a property head."""
        if self.head is None:
            raise InputError("this model has no property head; train one with labels")
        return self.head.predict(z)

    def fit_scaling(self, labels: np.ndarray | Tensor) -> None:
        """Set the property head's label scales from training ``labels (n, p)``."""
        if self.head is not None:
            self.head.fit_scaling(labels)

    def _matched(
        self,
        z: Tensor,
        states: Tensor,
        packing: Packing,
        objective: ObjectiveConfig,
        generator: torch.Generator,
    ) -> Matched:
        """What makes z ``(b, d)`` like the prior, and what the decoder writes from the prior like
        molecules, by its packed ``states``."""
        matched = Matched()
        if objective.mmd_weight or "latent" in self.rivals:
            prior, noise = (normal(tuple(z.shape), generator, z) for _ in range(2))
            # What a molecule does not reach into is the prior itself.
            z = torch.where(z == 0, noise, z)
            if objective.mmd_weight:
                matched.compare(objective.mmd_weight, z, prior)
            if "latent" in self.rivals:
                weight = objective.latent_adversarial_weight
                matched.play("latent", self._rival("latent"), weight, prior, z)
        if "decoder" in self.rivals:
            start = normal((max(1, len(z) // _FREE), z.shape[1]), generator, z)
            shown = self.told(self.bottleneck.shown(start))
            special = (self.pad_id, self.start_id, self.end_id)
            tokens, lengths = free_run(self.decoder, shown, self.max_length, special, generator)
            free = self._packing(lengths)
            alone = self.decoder.states(free, free.pack(tokens), shown)
            weight = objective.decoder_adversarial_weight
            judge = self._rival("decoder")
            matched.play("decoder", judge, weight, states, alone, (packing, free))
        return matched

    def _rival(self, name: str) -> Discriminator:
        return cast(Discriminator, self.rivals[name])

    def _packing(self, lengths: Tensor) -> Packing:
        return Packing.of(lengths - 1, self.device)

    def _condition(self, conditions: Tensor | None, rows: int) -> Tensor | None:
        """What is known of ``conditions (b, k)`` as one vector, ``(b, c)``; None without any."""
        if self.conditions is None:
            return None
        if conditions is None:
            return self.conditions.unknown(rows)
        known: Tensor = self.conditions(conditions.to(self.device))
        return known

    def _posterior(
        self, packing: Packing, symbols: Tensor, conditions: Tensor | None = None
    ) -> Posterior:
        features, places = self.encoder(packing, symbols, self.windows.count > 0)
        if self.config.conditions is not None and self.config.conditions.encoder:
            known = self._condition(conditions, len(features))
            assert known is not None
            features = torch.cat([features, known.to(features.dtype)], 1)
            if places is not None:
                places = torch.cat([places, known[packing.row].to(places.dtype)], 1)
        posterior: Posterior = self.bottleneck(packing, features, places)
        return posterior

    def _known(
        self, z: Tensor, symbols: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the decoder is told of z ``(b, d)`` while training, which molecules forget nothing,
        ``(b,)``, and how far away it is, ``(b,)``: parts of it are forgotten, and where nothing is,
        it is a step away."""
        whole = torch.ones(len(z), dtype=torch.bool, device=z.device)
        steps = torch.zeros(len(z), device=z.device)
        if not self.training:
            return z, whole, steps
        known = z
        if self.config.forget and not self.resting:
            config = self.config
            shares = (config.forget, config.forget_all, config.forget_end)
            known, whole = forget(z, self.windows, symbols, shares, generator)
        if self.config.latent_noise:
            drawn = self.config.latent_noise * uniform((len(z), 1), generator, z.device)
            noise = drawn * normal(tuple(z.shape), generator, z)
            known = torch.where(whole[:, None], known + noise, known)
            steps = drawn[:, 0] * whole
        return known, whole, steps

    def _mistaken(
        self, packing: Packing, tokens: Tensor, whole: Tensor, generator: torch.Generator
    ) -> Tensor:
        """What the decoder is shown of the symbols before, while training: never the start changed.

        Token dropout (Bowman et al. 2016, section 3.1) hides a share, which become padding, so
        that it must ask z. Token noise puts others of the batch in the place of a share, where z is
        ``whole``, so that it learns to go on as z says after a mistake.
        """
        if not self.training:
            return tokens
        if self.config.token_noise:
            wrong = uniform((packing.size,), generator, tokens.device) < self.config.token_noise
            wrong &= whole[packing.row]
            wrong[: packing.counts[0]] = False
            others = torch.randperm(packing.size, generator=generator, device=generator.device)
            tokens = torch.where(wrong, tokens[others.to(tokens.device)], tokens)
        if self.config.token_dropout:
            hidden = uniform((packing.size,), generator, tokens.device) < self.config.token_dropout
            hidden[: packing.counts[0]] = False
            tokens = tokens.masked_fill(hidden, self.pad_id)
        return tokens

    def _own_mistakes(
        self,
        packing: Packing,
        seen: Tensor,
        told: Tensor,
        whole: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        """``seen (n,)``, in a share of the ``whole (b,)`` molecules with what the decoder would
        have written itself: so that it learns to go on as z says after mistakes of its own.

        All places at once, from what it has seen before, a few times over (parallel scheduled
        sampling, Duckworth et al. 2019, arXiv:1906.04331; Bengio et al. 2015).
        """
        if not (self.training and self.config.own_mistakes):
            return seen
        some = uniform((len(whole),), generator, whole.device) < self.config.own_mistakes
        start = seen.new_full((len(whole),), self.start_id)
        fixed = (packing.step == 0) | ~(some & whole)[packing.row]
        shown = seen
        with torch.no_grad():
            for _ in range(_LOOKS):
                states = self.decoder.states(packing, shown, told)
                written = self.decoder.answers(packing, states, told).argmax(1)
                before = torch.cat([start, written])[packing.previous]
                special = (before == self.pad_id) | (before == self.start_id)
                # It goes on where the molecule does: there is no reading on after an end.
                shown = torch.where(fixed | special | (before == self.end_id), seen, before)
        return shown

    def _token_nats(
        self, packing: Packing, seen: Tensor, symbols: Tensor, z: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """-log p of each packed symbol (n,), the logits (n, v), and the decoder's states (n, h)."""
        states = self.decoder.states(packing, seen, z)
        logits = self.decoder.answers(packing, states, z)
        nats = functional.cross_entropy(logits, symbols, reduction="none")
        return nats, logits, states
