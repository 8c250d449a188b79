"""Judge a set of molecules by the field's measures: MOSES, GuacaMol, and what they leave out."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from molvae.base.errors import InputError
from molvae.base.records import Record
from molvae.base.seeds import derive_seed
from molvae.generator import Generator
from molvae.metrics.distributions import Distribution, distributions
from molvae.metrics.health import Health, HealthOptions, assess
from molvae.metrics.measures import WASSERSTEIN, measure, read_sample
from molvae.metrics.reference import Reference, facts, open_reference
from molvae.metrics.yardstick import yardstick_of

MINIMUM = 50
"""Valid molecules without which nothing is judged."""
MOSES_SIZE = 30_000
"""Samples that the published tables of MOSES are made of."""

Better = Literal["higher", "lower", ""]


class EvaluationOptions(Record):
    """How much is measured.

    ``molecules`` is how many of the given texts are judged, the first ones (None: all); ``copies``
    how many of the valid ones are compared with all training molecules; ``alerts`` how many are
    searched for alerts; ``yardstick`` whether training molecules are judged beside them.
    ``workers`` None takes every core; ``device`` is where ChemNet runs.
    """

    molecules: Annotated[int, Field(ge=1)] | None = None
    copies: Annotated[int, Field(ge=1)] = 2000
    alerts: Annotated[int, Field(ge=1)] = 5000
    yardstick: bool = True
    workers: Annotated[int, Field(ge=1)] | None = None
    device: str = "cpu"
    seed: int = 0

    @classmethod
    def fast(cls, **changes: Any) -> EvaluationOptions:
        """A third of the work: 10,000 molecules, 1,000 of them compared with the training set."""
        return cls(**{"molecules": 10_000, "copies": 1000, "alerts": 2000, **changes})


@dataclass(frozen=True)
class Measure:
    """One measure: its value, that of training molecules beside it, and which way is better."""

    name: str
    group: str
    value: float
    reference: float
    better: Better


@dataclass(frozen=True)
class Evaluation:
    """Everything that ``molvae evaluate`` prints."""

    molecules: int
    """Texts judged, valid or not."""
    valid: int
    reference: dict[str, Any]
    """Name of the reference and molecules of its sets."""
    yardstick: int
    """Training molecules that were judged for the column beside ours; 0 for none."""
    measures: tuple[Measure, ...]
    distributions: tuple[Distribution, ...]
    examples: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: dict[str, float]
    options: dict[str, Any]

    def __getitem__(self, name: str) -> float:
        """The value of one measure, by its name."""
        return next(found.value for found in self.measures if found.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; None where something was not measured."""
        plain: dict[str, Any] = _without_nan(asdict(self))
        return plain


def evaluate(
    smiles: Sequence[str | None],
    reference: Reference | str | os.PathLike[str] | Sequence[str] = "moses",
    *,
    generator: Generator | None = None,
    held_out: Sequence[str] | None = None,
    options: EvaluationOptions | None = None,
    progress: bool | None = None,
) -> Evaluation:
    """Judge molecules, given as SMILES in the order in which they were drawn, against a reference.

    Texts that are no molecule (or None) count against validity and are left out of the rest;
    repeats stay. With a ``generator`` its latent space is measured on ``held_out`` molecules as
    well. ``reference`` is what :func:`~molvae.metrics.reference.open_reference` takes; what has to
    be computed of it is kept in the data cache. Raises :class:`InputError` for fewer than
    :data:`MINIMUM` valid molecules.
    """
    options = options or EvaluationOptions()
    if isinstance(smiles, str):
        raise InputError("give a list of SMILES, not one text")
    if not isinstance(reference, Reference):
        reference = open_reference(
            reference, device=options.device, workers=options.workers, progress=progress
        )
    seconds: dict[str, float] = {}
    start = time.monotonic()
    taken = list(smiles[: options.molecules])
    _require(taken)
    sample = read_sample(
        taken,
        alerts=options.alerts,
        device=options.device,
        workers=options.workers,
        progress=progress,
    )
    found = sample.profile
    if len(found.smiles) < MINIMUM:
        raise InputError(
            f"only {len(found.smiles)} of {len(taken):,} texts are valid molecules; give at least "
            f"{MINIMUM}, better {MOSES_SIZE:,}"
        )
    seconds |= sample.seconds
    before = time.monotonic()
    known = (reference.statistics, reference.training, reference.baseline)
    seconds["reference"] = time.monotonic() - before
    before = time.monotonic()
    values = measure(
        sample,
        reference,
        copies=options.copies,
        workers=options.workers,
        progress=progress,
    )
    seconds["comparisons"] = time.monotonic() - before
    before = time.monotonic()
    yardstick = (
        yardstick_of(reference, len(found.smiles), copies=options.copies, alerts=options.alerts)
        if options.yardstick
        else None
    )
    seconds["yardstick"] = time.monotonic() - before
    beside = yardstick.measures if yardstick else {}
    measures = [
        Measure(name, _group(name), value, beside.get(name, math.nan), _better(name))
        for name, value in values.measures.items()
    ]
    if generator is not None:
        before = time.monotonic()
        measures += latent_measures(
            generator, _held_out(held_out, reference), seed=options.seed, progress=progress
        )
        seconds["model"] = time.monotonic() - before
    seconds["all"] = time.monotonic() - start
    held_nearest = yardstick.nearest if yardstick else np.empty(0)
    distinct = list(dict.fromkeys(found.smiles))
    order = np.random.default_rng(derive_seed(options.seed, "examples")).permutation(len(distinct))
    return Evaluation(
        molecules=found.given,
        valid=len(found.smiles),
        reference=facts(reference),
        yardstick=yardstick.molecules if yardstick else 0,
        measures=tuple(measures),
        distributions=distributions(
            found, next(iter(known[0].values())), values.nearest, held_nearest
        ),
        examples=tuple(distinct[i] for i in order[:24]),
        notes=tuple(_notes(len(found.smiles), yardstick.molecules if yardstick else 0, options)),
        seconds={name: round(value, 2) for name, value in seconds.items()},
        options=options.to_dict(),
    )


def _require(smiles: Sequence[str | None]) -> None:
    if len(smiles) < MINIMUM:
        raise InputError(
            f"{len(smiles)} molecules are too few to judge a distribution by; give at least "
            f"{MINIMUM}, better {MOSES_SIZE:,}"
        )


def _held_out(given: Sequence[str] | None, reference: Reference) -> Sequence[str]:
    if given is not None:
        return given
    if reference.trained_on_itself:
        raise InputError(
            "this reference has no molecules that the model has not seen; give held-out molecules"
        )
    return next(iter(reference.sets.values())).read()


def latent_measures(
    generator: Generator,
    held_out: Sequence[str],
    *,
    seed: int = 0,
    progress: bool | None = None,
) -> list[Measure]:
    """The measures of a model beside those of its samples: how it gives back ``held_out`` molecules
    (SMILES), and how continuous its latent space is."""
    wanted = HealthOptions(samples=100, seed=seed)
    found = assess(generator, held_out, options=wanted, progress=progress)
    return [
        Measure(name, "model", value, beside, better)
        for name, value, beside, better in _model_rows(found)
    ]


def _model_rows(found: Health) -> list[tuple[str, float, float, Better]]:
    back, latent = found.reconstruction, found.latent
    return [
        ("reconstruction", back.exact, math.nan, "higher"),
        ("reconstruction, sampled", back.exact_sampled, math.nan, "higher"),
        ("KL, nats", latent.kl, math.nan, ""),
        ("active units", float(latent.active_units), float(latent.dimensions), ""),
        ("half-way step", found.heritability.half_step, math.nan, ""),
        ("heritability", found.heritability.half_similarity, math.nan, "higher"),
        ("midpoints", found.midpoints.similarity, found.midpoints.unrelated, "higher"),
    ]


def _group(name: str) -> str:
    if name.startswith("GuacaMol"):
        return "GuacaMol"
    beyond = ("alerts", "sane", "known ring", "copies", "nearest")
    return "beyond" if name.startswith(beyond) else "MOSES"


def _better(name: str) -> Better:
    if name.startswith("FCD") or name in WASSERSTEIN or name in ("alerts", "copies"):
        return "lower"
    return "" if name.startswith("nearest") else "higher"


def _notes(valid: int, beside: int, options: EvaluationOptions) -> list[str]:
    notes = [
        f"nearest training molecules are those of {min(valid, options.copies):,} random molecules, "
        f"alerts those of the first {min(valid, options.alerts):,}"
    ]
    if valid != MOSES_SIZE:
        notes.append(
            f"FCD and Scaf depend on the number of molecules: published tables of MOSES have "
            f"{MOSES_SIZE:,}, this one {valid:,}"
        )
    if beside:
        notes.append(f"the column of the reference is {beside:,} of its training molecules")
    return notes


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value
