"""Is a model's latent space healthy? All signs of one checkpoint, measured together.

Each figure alone can be had cheaply (a collapsed model samples well, an autoencoder reconstructs
well), so none is printed without the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field

from molvae.base.errors import InputError
from molvae.base.progress import Progress
from molvae.base.records import Record
from molvae.base.seeds import derive_seed
from molvae.chem.alerts import SanityOptions, sane_mask
from molvae.chem.properties import compute
from molvae.chem.smiles import canonicalise_many
from molvae.generator import Generator
from molvae.latent.posteriors import Posteriors
from molvae.metrics.basic import novelty, uniqueness, validity
from molvae.metrics.completeness import Region, completeness
from molvae.metrics.distribution import PropertyDistance, property_distances
from molvae.metrics.heritability import (
    STEPS,
    Heritability,
    Midpoints,
    heritability,
    midpoints,
)
from molvae.metrics.prediction import (
    ClassificationQuality,
    RegressionQuality,
    classification_quality,
    regression_quality,
)
from molvae.metrics.verdict import Signs, Verdict, judge
from molvae.training.health import LatentHealth, latent_health

Count = Annotated[int, Field(ge=3)]


class HealthOptions(Record):
    """How much is measured: the defaults take about half a minute on one core.

    Numbers of ``held_out`` molecules, prior ``samples``, and ``parents`` of heritability,
    midpoints and random points; ``steps`` in standard deviations of the prior, the first one 0;
    ``properties`` whose distributions are compared; ``sane`` says which molecules count as sane.
    """

    held_out: Count = 1000
    samples: Count = 1000
    parents: Count = 250
    steps: Annotated[tuple[float, ...], Field(min_length=2)] = STEPS
    properties: tuple[str, ...] = ("qed", "logp", "sa", "tpsa", "mw", "rings")
    temperature: Annotated[float, Field(gt=0)] = 1.0
    sane: SanityOptions = SanityOptions()
    seed: int = 0


@dataclass(frozen=True)
class Reconstruction:
    """What comes back of held-out molecules; shares between 0 and 1."""

    molecules: int
    unreadable: int
    """Held-out molecules that the tokenizer cannot write; left out of everything."""
    exact: float
    """Same canonical SMILES, greedily from the posterior mean."""
    exact_sampled: float
    """The same from one draw of the posterior."""
    token_accuracy: float
    token_accuracy_misplaced: float
    """Token accuracy with the latents of other molecules: what the decoder knows without z."""
    commonest_symbol: float
    nats: float
    """-log p(x|z), z drawn from the posterior, mean per molecule."""
    elbo: float
    """Evidence lower bound on log p(x), nats, mean per molecule; NaN where posteriors are points,
    of which there is none."""


@dataclass(frozen=True)
class Samples:
    """Molecules drawn from the prior; novelty is NaN where the training set was not given."""

    drawn: int
    validity: float
    uniqueness: float
    novelty: float
    sane: float
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Health:
    """Everything that ``molvae health`` prints."""

    verdict: Verdict
    reconstruction: Reconstruction
    latent: LatentHealth
    samples: Samples
    properties: tuple[PropertyDistance, ...]
    heritability: Heritability
    midpoints: Midpoints
    regions: tuple[Region, ...]
    """Random points of the space, and points between molecules."""
    head: tuple[RegressionQuality | ClassificationQuality, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON (NaN where something was not measured)."""
        return asdict(self)


def assess(
    generator: Generator,
    held_out: Sequence[str],
    labels: Mapping[str, Sequence[float] | np.ndarray] | None = None,
    training: Iterable[str] | None = None,
    *,
    options: HealthOptions | None = None,
    progress: bool | None = None,
) -> Health:
    """Measure a model on molecules that it has not seen.

    ``labels`` maps target names to values aligned with ``held_out`` (NaN where missing);
    ``training`` are the canonical SMILES against which novelty counts, read as a stream.
    Raises :class:`InputError` when fewer than three held-out molecules can be read.
    """
    options = options or HealthOptions()
    seed = options.seed
    with Progress("health", total=8, show=progress) as bar:
        chosen = _choose(len(held_out), options.held_out, seed)
        canonical = canonicalise_many([held_out[i] for i in chosen])
        found = generator.posterior(canonical)
        kept = [i for i, reason in enumerate(found.reasons) if reason is None]
        if len(kept) < 3:
            first = next(filter(None, found.reasons), None)
            raise InputError(
                f"only {len(kept)} of {len(chosen)} held-out molecules can be read by this model"
                f"{f' (the first reason: {first})' if first else ''}; "
                "give at least 3 like those it was trained on"
            )
        smiles = [s for i in kept if (s := canonical[i]) is not None]
        posteriors = Posteriors(found.mean[kept], found.std[kept], [None] * len(kept))
        bar.advance()

        back = _reconstruction(generator, smiles, posteriors, len(chosen) - len(kept), seed)
        with np.errstate(divide="ignore"):  # a point's logarithm is -inf
            log_var = 2 * np.log(posteriors.std)
        latent = latent_health(
            torch.from_numpy(posteriors.mean),
            torch.from_numpy(log_var),
            torch.Generator().manual_seed(derive_seed(seed, "latent")),
        )
        bar.advance()

        drawn, _ = generator.draw(
            options.samples, temperature=options.temperature, seed=derive_seed(seed, "samples")
        )
        samples = Samples(
            drawn=len(drawn),
            validity=validity(drawn),
            uniqueness=uniqueness(drawn),
            novelty=math.nan if training is None else novelty(drawn, training),
            sane=float(sane_mask(drawn, options.sane).mean()),
            examples=tuple(dict.fromkeys(s for s in drawn if s is not None))[:12],
        )
        bar.advance()
        properties = property_distances(
            compute(drawn, options.properties, progress=False),
            compute(smiles, options.properties, progress=False),
            options.properties,
        )
        bar.advance()

        parents, means = smiles[: options.parents], posteriors.mean[: options.parents]
        inherited = heritability(
            generator, parents, means, steps=options.steps, sane=options.sane, seed=seed
        )
        bar.advance()
        halfway = midpoints(generator, parents, means, seed=seed)
        bar.advance()
        regions = completeness(generator, parents, means, sane=options.sane, seed=seed)
        bar.advance()
        head = _head(generator, posteriors.mean, labels or {}, chosen[kept])
        bar.advance()

    signs = Signs(
        token_accuracy=back.token_accuracy,
        token_accuracy_misplaced=back.token_accuracy_misplaced,
        commonest_symbol=back.commonest_symbol,
        reconstructed=back.exact,
        kl=latent.kl,
        active_units=latent.active_units,
        dimensions=latent.dimensions,
        aggregate_scale=math.hypot(latent.mean_spread, latent.mean_width),
        uniqueness=samples.uniqueness,
        novelty=samples.novelty,
        sane=samples.sane,
        half_similarity=inherited.half_similarity,
        midpoint_gain=halfway.similarity - halfway.unrelated,
        properties={one.name: one.relative for one in properties},
        bottleneck=generator.model.config.bottleneck.kind,
        fitted_prior=generator.model.config.prior.fitted,
    )
    verdict = judge(signs)
    return Health(verdict, back, latent, samples, properties, inherited, halfway, regions, head)


def _choose(available: int, wanted: int, seed: int) -> np.ndarray:
    order = np.random.default_rng(derive_seed(seed, "held-out")).permutation(available)
    return np.asarray(order[:wanted])


def _reconstruction(
    generator: Generator, smiles: Sequence[str], posteriors: Posteriors, unreadable: int, seed: int
) -> Reconstruction:
    z = posteriors.sample(seed)
    own = generator.likelihood(smiles, posteriors.mean)
    misplaced = generator.likelihood(smiles, np.roll(posteriors.mean, 1, axis=0))
    nats = -generator.likelihood(smiles, z).nats
    return Reconstruction(
        molecules=len(smiles),
        unreadable=unreadable,
        exact=_same(generator.decode(posteriors.mean), smiles),
        exact_sampled=_same(generator.decode(z), smiles),
        token_accuracy=float(own.correct.sum() / own.symbols.sum()),
        token_accuracy_misplaced=float(misplaced.correct.sum() / misplaced.symbols.sum()),
        commonest_symbol=_commonest_share(generator, smiles),
        nats=float(nats.mean()),
        elbo=-float((nats + posteriors.kl()).mean()),
    )


def _same(found: Sequence[str | None], wanted: Sequence[str]) -> float:
    return sum(a == b for a, b in zip(found, wanted, strict=True)) / len(wanted)


def _commonest_share(generator: Generator, smiles: Sequence[str]) -> float:
    """The share of the commonest symbol, ends included: what a constant answer would get right."""
    ids = [generator.tokenizer.encode_one(s) for s in smiles]
    counts = np.bincount(np.concatenate(ids))
    ends = len(ids)
    return float(max(counts.max(), ends) / (counts.sum() + ends))


def _head(
    generator: Generator,
    means: np.ndarray,
    labels: Mapping[str, Sequence[float] | np.ndarray],
    rows: np.ndarray,
) -> tuple[RegressionQuality | ClassificationQuality, ...]:
    names = [name for name in generator.targets if name in labels]
    if not names:
        return ()
    predicted = generator.predict(means)
    result: list[RegressionQuality | ClassificationQuality] = []
    for name in names:
        known = np.asarray(labels[name], dtype=np.float64)[rows]
        std = predicted.get(f"{name}_std")
        result.append(
            classification_quality(name, known, predicted[name])
            if std is None
            else regression_quality(name, known, predicted[name], std)
        )
    return tuple(result)
