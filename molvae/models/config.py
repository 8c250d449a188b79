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

    Where z has windows, ``channels`` are the sizes of convolutions over them, whose sums and
    largest values the perceptron reads in their place
    (:class:`~molvae.models.windowfeatures.WindowFeatures`); without any it reads z as it is.
    ``min_std`` is the least predictive standard deviation, in units of the labels' own spread.
    ``members`` perceptrons of like sizes make an ensemble, whose disagreement counts as
    uncertainty (:class:`~molvae.models.heads.PropertyHead`).
    """

    targets: Annotated[tuple[Target, ...], Field(min_length=1)]
    hidden: tuple[Positive, ...] = (256,)
    channels: tuple[Positive, ...] = ()
    min_std: Annotated[float, Field(ge=0)] = 0.01
    members: Positive = 1

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [target.name for target in self.targets]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the target {twice[0]!r} is named twice; name each target once")
        return self


class PriorConfig(Record):
    """Where sampling starts: see :mod:`molvae.models.prior`.

    ``kind`` "normal": N(0, I); "blank": z = 0, for a model trained to ``forget``; "exemplars": near
    one of ``exemplars`` stored molecules with ``symbols`` symbols in all, ``width`` of their
    posterior's standard deviations away, the last part of it to be written anew: a share that is
    drawn evenly from 0 to ``rewrite``. Fitted to encoded molecules: "mixture" of ``components``
    Gaussians; "vamp", of the posteriors of so many molecules; "flow" of ``transforms`` couplings
    with ``hidden`` units; "codes", a recurrence of ``hidden`` units over those of a VQ-VAE.
    """

    kind: Literal["normal", "blank", "exemplars", "mixture", "vamp", "flow", "codes"] = "normal"
    exemplars: Annotated[int, Field(ge=0)] = 0
    symbols: Annotated[int, Field(ge=0)] = 0
    width: Annotated[float, Field(ge=0)] = 1.0
    rewrite: Share = 0.0
    components: Annotated[int, Field(ge=0)] = 0
    transforms: Positive = 6
    hidden: Positive = 128

    @property
    def fitted(self) -> bool:
        """Whether it belongs to one latent space: it was fitted to molecules, or stores some."""
        return self.kind not in ("normal", "blank")

    @model_validator(mode="after")
    def _has_exemplars(self) -> Self:
        if self.kind == "exemplars" and not (self.exemplars and self.symbols):
            raise ValueError("an exemplar prior is fitted to a corpus: see molvae models prior")
        if self.kind in ("mixture", "vamp") and not self.components:
            raise ValueError(f"a {self.kind} prior has components, and their number is 0")
        return self


class BottleneckConfig(Record):
    """How the encoder's features become z.

    ``kind`` "gaussian": the mean and width of q(z|x), a VAE; "deterministic": a point, an
    autoencoder; "vq": a point, of which the decoder sees, for every ``code_dim`` dimensions, the
    nearest of ``codes`` vectors (:mod:`molvae.models.codebook`). These follow what they stand for
    by moving averages with ``decay``; one that is used less than ``revive`` times its share begins
    anew.
    """

    kind: Literal["gaussian", "deterministic", "vq"] = "gaussian"
    codes: Annotated[int, Field(ge=2)] = 512
    code_dim: Positive = 8
    decay: Annotated[float, Field(ge=0, lt=1)] = 0.99
    revive: Share = 0.05


class CriticConfig(Record):
    """A critic that tells the model's samples from data by ``features`` counts of parts of
    molecules, those of atoms in ``bits`` columns, with ``hidden`` units; each draw is one of
    ``candidates``, for which log q(x) counts ``discount`` less (:mod:`molvae.latent.critic`)."""

    bits: Annotated[int, Field(ge=64, multiple_of=16)] = 4096
    features: Annotated[int, Field(ge=0)] = 0
    hidden: Annotated[int, Field(ge=2, multiple_of=2)] = 64
    candidates: Positive = 4
    discount: Annotated[float, Field(ge=0, lt=1)] = 0.0


class ConditionProperty(Record):
    """A label that the decoder is told: a number, or one of a few ``levels``.

    ``levels`` are a category's names and the label values that stand for them, such as
    ``{"amide": 0, "urea": 1}``; for a category without any, the values found in the training data
    are their own names.
    """

    name: Annotated[str, Field(min_length=1)]
    kind: Literal["number", "category"] = "number"
    levels: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _levels_of_a_category(self) -> Self:
        if self.kind == "number" and self.levels:
            raise ValueError(f"{self.name!r} is a number and has no levels; make it a category")
        if len(set(self.levels.values())) < len(self.levels):
            raise ValueError(f"two levels of {self.name!r} have the same label value")
        return self


class ConditionConfig(Record):
    """What a conditional VAE is conditioned on (:mod:`molvae.models.conditions`).

    What is known of the ``properties`` becomes a vector of ``dim`` numbers, by a perceptron with
    ``hidden`` units. While training, a share ``drop_all`` of the molecules loses all of them, and a
    share ``drop`` of the others each at a rate of the molecule's own, so that any subset can be
    given. ``encoder``: q(z|x) is told them too, and z need not hold what they say.
    """

    properties: Annotated[tuple[ConditionProperty, ...], Field(min_length=1)]
    dim: Positive = 64
    hidden: Positive = 128
    drop_all: Share = 0.1
    drop: Share = 0.5
    encoder: bool = False

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [entry.name.casefold() for entry in self.properties]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the condition {twice[0]!r} is named twice; name each once")
        return self


class ModelConfig(Record):
    """The sizes of a SELFIES VAE.

    ``embedding_dim`` vectors per symbol; the encoder's GRU reads the molecule (in both directions
    if ``bidirectional``), its final states give the mean and width of q(z|x) in ``latent_dim``
    dimensions, never narrower than ``min_std``; the decoder's GRU writes it, seeing each of its
    previous symbols but a share of ``token_dropout`` blanked out (while training).

    ``window`` symbols at a time have ``window_dim`` latent dimensions of their own
    (:mod:`molvae.models.windows`) beside the ``latent_dim`` of the whole molecule, which may then
    be none; 0: no windows. A share ``forget`` of the molecules loses parts of z while training,
    which teaches the decoder to fill them in; of these a share ``forget_all`` loses
    all of z, which makes the decoder a language model as well, and of the others a share
    ``forget_end`` loses the end of the molecule rather than parts here and there. Molecules that
    forget nothing are shown z up to ``latent_noise`` away (in every dimension), and a share
    ``token_noise`` of their previous symbols replaced by others: so that, a step away, one symbol
    changes and the rest stays. A share ``own_mistakes`` of them is shown what the decoder would
    have written itself, which from such a z is not all right.

    ``direct`` hidden units tell the decoder what z says of each symbol by itself, whatever it has
    written before (:mod:`molvae.models.direct`); 0: z is read by the GRU alone. ``direct_alone``:
    the GRU is told nothing of z, and so is never led astray by it.

    ``latent_discriminator`` and ``decoder_discriminator`` are the hidden units of networks that
    are trained against the model (:mod:`molvae.models.matching`): one tells its z from draws of
    N(0, I), the other the decoder's states as it writes alone from those as it reads molecules; 0
    for none.

    ``tie_embeddings``: the decoder's output weights are its embedding (Press & Wolf 2017).
    ``conditions`` are properties that the decoder is told beside z; None: it knows z alone.

    >>> ModelConfig(latent_dim=32).replace(decoder_layers=2).decoder_layers
    2
    """

    embedding_dim: Positive = 64
    encoder_hidden: Positive = 256
    encoder_layers: Layers = 1
    bidirectional: bool = True
    latent_dim: Annotated[int, Field(ge=0)] = 64
    window: Annotated[int, Field(ge=0)] = 0
    window_dim: Positive = 8
    forget: Share = 0.0
    forget_all: Share = 0.15
    forget_end: Share = 0.0
    latent_noise: Annotated[float, Field(ge=0)] = 0.0
    token_noise: Share = 0.0
    own_mistakes: Share = 0.0
    min_std: Annotated[float, Field(ge=0, lt=1)] = 0.0
    decoder_hidden: Positive = 512
    decoder_layers: Layers = 1
    direct: Annotated[int, Field(ge=0)] = 0
    direct_alone: bool = False
    token_dropout: Share = 0.0
    tie_embeddings: bool = False
    bottleneck: BottleneckConfig = BottleneckConfig()
    latent_discriminator: Annotated[int, Field(ge=0)] = 0
    decoder_discriminator: Annotated[int, Field(ge=0)] = 0
    prior: PriorConfig = PriorConfig()
    critic: CriticConfig | None = None
    head: HeadConfig | None = None
    conditions: ConditionConfig | None = None

    @model_validator(mode="after")
    def _has_latents(self) -> Self:
        if self.latent_dim == 0 and self.window == 0:
            raise ValueError("latent_dim is 0 and there are no windows; raise latent_dim or window")
        return self

    @model_validator(mode="after")
    def _is_read(self) -> Self:
        if self.direct_alone and not self.direct:
            raise ValueError("direct_alone needs units to read z with; set direct, 256 for example")
        return self

    @model_validator(mode="after")
    def _head_fits(self) -> Self:
        if self.head is not None and self.head.channels and not self.window:
            raise ValueError("head.channels read windows, and there are none; leave them out")
        return self

    @model_validator(mode="after")
    def _bottleneck_fits(self) -> Self:
        kind, width = self.bottleneck.kind, self.bottleneck.code_dim
        if kind != "gaussian" and self.min_std:
            raise ValueError(f"min_std is a width, and a {kind} bottleneck has none; leave it out")
        window = self.window_dim if self.window else 0
        if kind == "vq" and (self.latent_dim % width or window % width):
            raise ValueError(
                f"bottleneck.code_dim is {width}, and latent_dim {self.latent_dim}"
                + (f" or window_dim {window}" if window else "")
                + " is no multiple of it"
            )
        return self
