"""How many floating-point operations the matrix products of a training step need, at least."""

from __future__ import annotations

from molvae.models.config import ModelConfig


def training_flop(config: ModelConfig, symbols: int, molecules: int, tokens: int) -> float:
    """Operations (a multiplication and an addition are two) of one step's matrix products.

    Counted is what the mathematics asks for and no more: true tokens only, no padding; the input
    of a first layer is a look-up, so it is no product; the backward pass needs two products for
    each one of the forward pass (for the weights and for what came before). Element-wise work, the
    optimiser and the softmax are not counted, though they take their time.
    """
    e, h, d = config.encoder_hidden, config.decoder_hidden, config.latent_dim
    directions = 2 if config.bidirectional else 1
    recurrent = 3 * e * e * config.encoder_layers * directions
    between = 3 * e * (e * directions) * (config.encoder_layers - 1) * directions
    writing = 3 * h * h * (2 * config.decoder_layers - 1) + h * symbols
    per_molecule = 2 * d * e * directions + d * h * (3 + config.decoder_layers)
    return 3 * 2.0 * (tokens * (recurrent + between + writing) + molecules * per_molecule)
