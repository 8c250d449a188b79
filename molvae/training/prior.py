"""Giving a trained model another prior: where its sampling starts."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from molvae.base.errors import ConfigError, InputError
from molvae.base.seeds import derive_seed
from molvae.datasets.corpus import Corpus
from molvae.models.config import CriticConfig, PriorConfig
from molvae.models.critic import Critic
from molvae.training.checkpoint import Loaded, build_model, history_of, load_model, save_model
from molvae.training.latent_priors import fit_latent_prior
from molvae.training.run import now
from molvae.training.vocabulary import match_vocabulary
from molvae.training.weights import get_weights, set_weights

EXEMPLARS = 100_000
"""Molecules that an exemplar prior stores, unless the settings give a number."""
MOLECULES, STEPS = 50_000, 2000
"""Molecules that other priors are fitted to, and steps of those that learn by gradients."""


def with_prior(
    start: str | os.PathLike[str] | Loaded,
    config: PriorConfig,
    corpus: Corpus | None = None,
    *,
    exemplars: int = EXEMPLARS,
    molecules: int = MOLECULES,
    steps: int = STEPS,
    seed: int = 0,
    progress: bool | None = False,
) -> Loaded:
    """The model ``start`` with the prior ``config`` in place of its own; nothing else changes.

    For "exemplars" so many training molecules of ``corpus`` are drawn and stored with the model
    (all of them where there are fewer); what it then holds of the data is for anyone to read.
    "mixture", "vamp", "flow" and "codes" are fitted to the latents of so many training
    ``molecules``: see :func:`~molvae.training.latent_priors.fit_latent_prior`.

    Raises :class:`ConfigError` without a corpus or where the prior does not suit the model,
    :class:`InputError` for a corpus without training molecules that the model can write.
    """
    loaded = load_model(start) if isinstance(start, str | os.PathLike) else start
    stored: dict[str, torch.Tensor] = {}
    if config.fitted and corpus is None:
        raise ConfigError(f"a {config.kind} prior needs the corpus that it is fitted to")
    told: dict[str, Any] = {}
    if config.kind == "exemplars":
        assert corpus is not None
        tokens, lengths = _draw(corpus, loaded, exemplars, seed)
        config = config.model_copy(update={"exemplars": len(lengths), "symbols": len(tokens)})
        stored = {
            "prior.tokens": torch.from_numpy(tokens),
            "prior.lengths": torch.from_numpy(lengths),
        }
    elif config.fitted:
        assert corpus is not None
        prior, nats = fit_latent_prior(
            loaded,
            config,
            corpus,
            molecules=molecules,
            steps=steps,
            seed=seed,
            progress=progress,
        )
        stored = {f"prior.{name}": value for name, value in get_weights(prior).items()}
        told = {"molecules": molecules, "held_out_nats": nats}
    made = _changed(loaded, {"prior": config}, "prior.", stored)
    fitted = {"prior": config.to_dict(), **told}
    return replace(made, provenance={**made.provenance, "prior_fitted": fitted})


def with_critic(
    loaded: Loaded, config: CriticConfig | None, critic: Critic | None = None
) -> Loaded:
    """The model with ``critic``, of the sizes ``config``, in place of its own, if it had one;
    without any it has none. Nothing else changes."""
    stored = {} if critic is None else get_weights(critic)
    named = {f"critic.{name}": weight for name, weight in stored.items()}
    return _changed(loaded, {"critic": config}, "critic.", named)


def _changed(
    loaded: Loaded, settings: dict[str, Any], part: str, stored: dict[str, torch.Tensor]
) -> Loaded:
    """The model with other ``settings`` and with ``stored`` for the weights of a ``part``."""
    sizes = loaded.model.config.model_copy(update=settings)
    run = loaded.config.model_copy(update={"model": sizes})
    model = build_model(run, loaded.tokenizer)
    weights = get_weights(loaded.model)
    kept = {name: value for name, value in weights.items() if not name.startswith(part)}
    set_weights(model, kept | stored)
    return Loaded(model.eval(), loaded.tokenizer, run, loaded.provenance)


def fit_prior(
    start: str | os.PathLike[str],
    out: str | os.PathLike[str],
    config: PriorConfig,
    corpus: Corpus | None = None,
    *,
    exemplars: int = EXEMPLARS,
    molecules: int = MOLECULES,
    steps: int = STEPS,
    seed: int = 0,
    progress: bool | None = False,
) -> Path:
    """Write the model ``start`` with another prior to ``out``; see :func:`with_prior`."""
    made = with_prior(
        start,
        config,
        corpus,
        exemplars=exemplars,
        molecules=molecules,
        steps=steps,
        seed=seed,
        progress=progress,
    )
    fitted = {**made.provenance["prior_fitted"], "time": now()}
    if corpus is not None:
        fitted["corpus"] = corpus.sha256
    provenance = {**made.provenance, "prior_fitted": fitted}
    history = history_of(start)
    save_model(out, made.model, made.tokenizer, made.config, provenance, history=history)
    return Path(out)


def _draw(corpus: Corpus, loaded: Loaded, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The model's ids of ``count`` training molecules one after the other, and their lengths."""
    vocabulary = match_vocabulary(corpus, loaded.tokenizer, "drop")
    rows = corpus.indices("train")
    rows = rows[vocabulary.usable[rows]]
    if len(rows) == 0:
        raise InputError("the corpus has no training molecules that the model can write")
    random = np.random.default_rng(derive_seed(seed, "exemplars"))
    chosen = np.sort(random.permutation(rows)[:count])
    offsets = np.asarray(corpus.offsets)
    parts = [corpus.tokens[offsets[row] : offsets[row + 1]] for row in chosen]
    lengths = np.array([len(part) for part in parts], np.int16)
    kind = np.uint8 if loaded.tokenizer.vocab_size <= 256 else np.int16
    return vocabulary.ids[np.concatenate(parts)].astype(kind), lengths
