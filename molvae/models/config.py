"""The settings of a model: what its parts are and how large."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from molvae.base.records import Record

Positive = Annotated[int, Field(gt=0)]
Layers = Annotated[int, Field(ge=1, le=3)]
Share = Annotated[float, Field(ge=0, le=1)]


class Target(Record):
    """A property that the head predicts: a number in its unit, or the probability of a class.

    ``kind`` "classification" means a label of 0 or 1.
    """

    name: Annotated[str, Field(min_length=1)]
    kind: Literal["regression", "classification"] = "regression"


class HeadConfig(Record):
    """The property head p(y|z): a multilayer perceptron over z with ``hidden`` layer sizes.

    ``min_std`` is the least predictive standard deviation, in units of the labels' own spread.
    """

    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    hidden: tuple[Positive, ...] = (256,)
    min_std: Annotated[float, Field(ge=0)] = 0.01

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [target.name for target in self.targets]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the target {twice[0]!r} is named twice; name each target once")
        return self


class ModelConfig(Record):
    """The sizes of a SELFIES VAE.

    ``embedding_dim`` vectors per symbol; the encoder's GRU reads the molecule (in both directions
    if ``bidirectional``), its final states give the mean and width of q(z|x) in ``latent_dim``
    dimensions, never narrower than ``min_std``; the decoder's GRU writes it, seeing each of its
    previous symbols but a share of ``token_dropout`` blanked out (while training).
    ``tie_embeddings``: the decoder's output weights are its embedding (Press & Wolf 2017).

    >>> ModelConfig(latent_dim=32).replace(decoder_layers=2).decoder_layers
    2
    """

    embedding_dim: Positive = 64
    encoder_hidden: Positive = 256
    encoder_layers: Layers = 1
    bidirectional: bool = True
    latent_dim: Positive = 64
    min_std: Annotated[float, Field(ge=0, lt=1)] = 0.0
    decoder_hidden: Positive = 512
    decoder_layers: Layers = 1
    token_dropout: Share = 0.0
    tie_embeddings: bool = False
    head: HeadConfig | None = None
