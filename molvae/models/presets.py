"""Named sizes of the model."""

from __future__ import annotations

from molvae.base.errors import ConfigError
from molvae.models.config import ConditionConfig, ConditionProperty, ModelConfig, PriorConfig

PRESETS: dict[str, ModelConfig] = {
    # For tests: trains in seconds.
    "tiny": ModelConfig(embedding_dim=16, encoder_hidden=24, latent_dim=8, decoder_hidden=32),
    # For a demonstration on a laptop's CPU.
    "small": ModelConfig(encoder_hidden=128, latent_dim=64, decoder_hidden=384),
    "default": ModelConfig(),
    # The shipped `druglike`: six latent dimensions for every two symbols and 32 for the molecule.
    "local": ModelConfig(
        encoder_hidden=128,
        latent_dim=32,
        window=2,
        window_dim=6,
        min_std=0.1,
        forget=0.4,
        prior=PriorConfig(kind="blank"),
    ),
    # Conditioned on properties, those of data.conditions or else these two; most molecules lose
    # parts of z and many all of it, so that sampling from z = 0 is learnt, with the conditions.
    "conditional": ModelConfig(
        encoder_hidden=128,
        latent_dim=32,
        window=2,
        window_dim=6,
        min_std=0.1,
        forget=0.75,
        forget_all=0.6,
        prior=PriorConfig(kind="blank"),
        conditions=ConditionConfig(
            properties=(ConditionProperty(name="logp"), ConditionProperty(name="qed"))
        ),
    ),
    # The sizes of MOSES' VAE (Polykovskiy et al. 2020).
    "moses": ModelConfig(
        embedding_dim=32,
        encoder_hidden=256,
        bidirectional=False,
        latent_dim=128,
        decoder_hidden=512,
        decoder_layers=3,
    ),
}


def preset(name: str) -> ModelConfig:
    """The settings called ``name``; raises :class:`ConfigError` for an unknown name.

    >>> preset("default").decoder_hidden
    512
    """
    try:
        return PRESETS[name]
    except KeyError:
        raise ConfigError(
            f"there is no preset {name!r}; choose one of {', '.join(PRESETS)}"
        ) from None
