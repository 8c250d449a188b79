"""Named models: sizes, and the parts that make the well-known variants.

The objective and the schedule that belong to a variant stand in :mod:`molvae.training.presets`.
"""

from __future__ import annotations

from molvae.base.errors import ConfigError
from molvae.models.config import (
    BottleneckConfig,
    ConditionConfig,
    ConditionProperty,
    ModelConfig,
    PriorConfig,
)

_SMALL = ModelConfig(encoder_hidden=128, latent_dim=64, decoder_hidden=384)

PRESETS: dict[str, ModelConfig] = {
    # For tests: trains in seconds.
    "tiny": ModelConfig(embedding_dim=16, encoder_hidden=24, latent_dim=8, decoder_hidden=32),
    # For a demonstration on a laptop's CPU.
    "small": _SMALL,
    "default": ModelConfig(),
    # The sizes of the shipped `druglike`: six latent dimensions for every two symbols, 32 for all.
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
    # The variants, of the sizes of `small`.
    "autoencoder": _SMALL.model_copy(update={"bottleneck": BottleneckConfig(kind="deterministic")}),
    # Makhzani et al. 2016: a discriminator in the place of the KL.
    "aae": _SMALL.model_copy(
        update={"bottleneck": BottleneckConfig(kind="deterministic"), "latent_discriminator": 256}
    ),
    # Tolstikhin et al. 2018: the discrepancy between z and the prior in the place of the KL.
    "wae": _SMALL.model_copy(update={"bottleneck": BottleneckConfig(kind="deterministic")}),
    # In the spirit of Larsen et al. 2016: what it writes from the prior must look like molecules.
    "vae-gan": _SMALL.model_copy(update={"decoder_discriminator": 256}),
    # Higgins et al. 2017.
    "beta-vae": _SMALL,
    # Sixteen codes of 512 (van den Oord et al. 2017).
    "vq-vae": _SMALL.model_copy(
        update={
            "latent_dim": 128,
            "bottleneck": BottleneckConfig(kind="vq", codes=512, code_dim=8),
        }
    ),
}


def preset(name: str) -> ModelConfig:
    """The model's settings called ``name``; raises :class:`ConfigError` for an unknown name.

    >>> preset("default").decoder_hidden
    512
    """
    try:
        return PRESETS[name]
    except KeyError:
        raise ConfigError(
            f"there is no preset {name!r}; choose one of {', '.join(PRESETS)}"
        ) from None
