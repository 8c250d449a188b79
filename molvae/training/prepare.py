"""From a corpus, settings and perhaps a model to start from, to everything that a run works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from molvae.base.errors import ConfigError, InputError
from molvae.base.seeds import derive_seed
from molvae.chem.tokenizer import Tokenizer
from molvae.datasets.corpus import Corpus
from molvae.models.config import ConditionConfig, HeadConfig, ModelConfig, Target
from molvae.models.vae import SequenceVAE
from molvae.training.batches import Molecules
from molvae.training.checkpoint import Loaded, build_model
from molvae.training.conditions import condition_values, conditioned, resolve_conditions
from molvae.training.config import TrainConfig
from molvae.training.growth import widened
from molvae.training.vocabulary import (
    Vocabulary,
    extend_rows,
    match_vocabulary,
    own_vocabulary,
)
from molvae.training.weights import get_weights, set_weights

ADJUSTABLE = frozenset(
    {
        "head",
        "token_dropout",
        "token_noise",
        "latent_noise",
        "own_mistakes",
        "direct_alone",
        "min_std",
        "forget",
        "forget_all",
        "forget_end",
        "latent_discriminator",
        "decoder_discriminator",
        "prior",
        "critic",
    }
)
"""What fine-tuning may change about a model; all else is fixed by its weights."""


@dataclass(frozen=True)
class Prepared:
    """A run before its first step; ``config`` is resolved: the model section says all."""

    config: TrainConfig
    model: SequenceVAE
    tokenizer: Tokenizer
    molecules: Molecules
    train: np.ndarray
    validation: np.ndarray


def prepare(
    corpus: Corpus,
    config: TrainConfig,
    start: Loaded | None = None,
    tokenizer: Tokenizer | None = None,
    *,
    frozen: bool = False,
) -> Prepared:
    """Resolve the settings against the corpus and make the model: new, or from ``start``.

    ``frozen``: nothing but the head will change, so a prior fitted to the space still holds.
    ``tokenizer`` is the model's where it is settled already: that of ``start``, or of a run that is
    resumed; a new model takes that of the corpus.
    """
    resumed = start is None and tokenizer is not None  # all was settled when it began
    tokenizer = start.tokenizer if start else tokenizer
    if tokenizer is None:
        vocabulary = own_vocabulary(corpus)
    else:
        vocabulary = match_vocabulary(corpus, tokenizer, config.data.new_symbols)
    sizes = _sizes_of_start(config.model, start.model.config) if start else config.model
    same_space = frozen and vocabulary.tokenizer == tokenizer
    if sizes.prior.fitted and not same_space:
        # What it was fitted to is no longer what the model writes like.
        sizes = sizes.replace(prior={"kind": "blank" if sizes.forget else "normal"})
    if start is None and sizes.critic is not None and not resumed:
        raise ConfigError("model.critic is not made by training: molvae models critic")
    same_draws = _draws_as_before(config, sizes, start, vocabulary.tokenizer)
    if not (resumed or same_space or same_draws):
        sizes = sizes.model_copy(update={"critic": None})  # it knows another model's habits
    head = resolve_head(corpus, config.data.labels, sizes.head)
    config = with_conditions(corpus, config, start)
    conditions = config.model.conditions
    sizes = sizes.model_copy(update={"head": head, "conditions": conditions})
    config = config.model_copy(update={"model": sizes})
    molecules = molecules_of(corpus, vocabulary, head, None if frozen else conditions)
    train = _usable(corpus, vocabulary, "train")
    validation = _usable(corpus, vocabulary, "validation")
    if len(train) == 0:
        raise InputError("there are no molecules to train on: the train part is empty")
    model = build_model(config, vocabulary.tokenizer, derive_seed(config.run.seed, "weights"))
    same_head = start is not None and head == start.model.config.head
    if head is not None and not same_head:
        model.fit_scaling(molecules.labels[train])
    new_conditions = start is None or start.model.conditions is None
    if model.conditions is not None and molecules.conditions is not None and new_conditions:
        model.conditions.fit_scaling(molecules.conditions[train])
    if start is not None:
        adopt(start, model, vocabulary.tokenizer, keep_head=same_head)
    return Prepared(config, model, vocabulary.tokenizer, molecules, train, validation)


def with_conditions(
    corpus: Corpus, config: TrainConfig, start: Loaded | None = None
) -> TrainConfig:
    """The settings with the conditions in full; see :func:`resolve_conditions`."""
    wanted = config.model.conditions
    fixed = start.model.config.conditions if start else None
    found = resolve_conditions(corpus, config.data.conditions, wanted, fixed)
    if found is None and wanted is None:
        return config
    model = config.model.model_copy(update={"conditions": found})
    return config.model_copy(update={"model": model})


def molecules_of(
    corpus: Corpus,
    vocabulary: Vocabulary,
    head: HeadConfig | None,
    conditions: ConditionConfig | None = None,
) -> Molecules:
    """The corpus with the ids of the vocabulary and the label columns of the head, in its order,
    and those that the model is told."""
    names = [target.name for target in head.targets] if head else []
    columns = [_column(corpus, name) for name in names]
    return Molecules(
        tokens=corpus.tokens,
        offsets=np.asarray(corpus.offsets),
        labels=np.asarray(corpus.labels)[:, columns].astype(np.float32, copy=False),
        ids=vocabulary.ids,
        grammar=vocabulary.tokenizer.grammar,
        pad_id=vocabulary.tokenizer.pad_id,
        start_id=vocabulary.tokenizer.start_id,
        end_id=vocabulary.tokenizer.end_id,
        conditions=condition_values(corpus, conditions),
    )


def resolve_head(
    corpus: Corpus, labels: tuple[str, ...] | None, head: HeadConfig | None
) -> HeadConfig | None:
    """The head for the wanted labels: that of the settings where it predicts just these.

    ``labels`` None takes the head as it is; no names mean no head. Kinds are seen from the values:
    labels of 0 and 1 only are a class.
    """
    if labels is None:
        for target in head.targets if head else ():
            _column(corpus, target.name)
        return head
    if not labels:
        return None
    if head is not None and tuple(target.name for target in head.targets) == labels:
        return head
    if len(set(labels)) < len(labels):
        raise ConfigError("data.labels names a label twice; name each once")
    targets = tuple(Target(name=name, kind=_kind(corpus, name)) for name in labels)
    return head.model_copy(update={"targets": targets}) if head else HeadConfig(targets=targets)


def adopt(start: Loaded, model: SequenceVAE, tokenizer: Tokenizer, *, keep_head: bool) -> None:
    """Copy the weights of ``start`` into ``model``, whose ``tokenizer`` may know more symbols.

    Without ``keep_head`` the head of ``model``, if it has one, stays as it is; so do discriminators
    that ``start`` has not, or has of another size.
    """
    own = get_weights(model)
    weights = {
        name: value
        for name, value in get_weights(start.model).items()
        if name in own or not name.startswith(("prior.", "critic.", "rivals."))
    }
    if not start.model.config.direct:
        weights |= {k: v for k, v in own.items() if k.startswith("decoder.direct.")}
    for name, value in own.items():
        if name.startswith("rivals."):
            given = weights.get(name)
            weights[name] = value if given is None or given.shape != value.shape else given
    if not keep_head:
        heads = {k: v for k, v in own.items() if k.startswith("head.")}
        weights = {k: v for k, v in weights.items() if not k.startswith("head.")} | heads
    if model.conditions is not None and start.model.conditions is None:
        weights = conditioned(weights, model)
    more_symbols = tokenizer.vocab_size != start.tokenizer.vocab_size
    if model.config.decoder_hidden != start.model.config.decoder_hidden:
        if more_symbols:
            raise ConfigError(
                "a model cannot be given new symbols and a wider decoder at once: leave out "
                "model.decoder_hidden, and widen the decoder in a run of its own"
            )
        weights = widened(weights, model)
    if model.latent_dim != start.model.latent_dim:
        raise ConfigError(
            f"with its new symbols the corpus has molecules of {tokenizer.max_length} symbols, and "
            f"the windows of the model end at {start.tokenizer.max_length}; prepare the corpus "
            f"with --max-symbols {start.tokenizer.max_length}"
        )
    if more_symbols:
        weights = extend_rows(weights, model, start.tokenizer, tokenizer)
    set_weights(model, weights)


def _sizes_of_start(wanted: ModelConfig, start: ModelConfig) -> ModelConfig:
    changes = {name: getattr(wanted, name) for name in wanted.model_fields_set}
    if wanted.prior.fitted and wanted.prior != start.prior:
        raise ConfigError(
            f"model.prior is {wanted.prior.kind}, which training cannot make: molvae models prior"
        )
    if wanted.critic is not None and wanted.critic != start.critic:
        raise ConfigError("model.critic is not made by training: molvae models critic")
    changes.pop("conditions", None)  # of these, resolve_conditions knows more
    grown = {"decoder_hidden"} | (set() if start.direct else {"direct"})
    for name, value in changes.items():
        larger = name in grown and value > getattr(start, name)
        if name not in ADJUSTABLE and value != getattr(start, name) and not larger:
            raise ConfigError(
                f"model.{name} is {value} but that of the model to start from is "
                f"{getattr(start, name)}; leave it out"
            )
    kept = {k: v for k, v in changes.items() if k in ADJUSTABLE or k in grown}
    return start.model_copy(update=kept)


def _draws_as_before(
    config: TrainConfig, sizes: ModelConfig, start: Loaded | None, tokenizer: Tokenizer
) -> bool:
    """Whether the run changes nothing of what the model draws: it starts from z = 0, where a
    decoder that rests from the first step on goes on writing the same."""
    if start is None or config.schedule.decoder > 0 or tokenizer != start.tokenizer:
        return False
    return sizes.prior.kind == start.model.config.prior.kind == "blank"


def _usable(corpus: Corpus, vocabulary: Vocabulary, part: str) -> np.ndarray:
    rows = corpus.indices(part)
    return rows[vocabulary.usable[rows]]


def _column(corpus: Corpus, name: str) -> int:
    names = list(corpus.label_names)
    if name not in names:
        raise InputError(
            f"the corpus has no label {name!r} for the property head; it has "
            f"{', '.join(names) or 'none'}; set data.labels to those wanted, or to [] for no head"
        )
    return names.index(name)


def _kind(corpus: Corpus, name: str) -> Literal["regression", "classification"]:
    values = np.asarray(corpus.labels[:, _column(corpus, name)])
    known = np.unique(values[~np.isnan(values)])
    return "classification" if np.array_equal(known, [0, 1]) else "regression"
