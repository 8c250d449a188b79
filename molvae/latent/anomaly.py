"""Which molecules are unlike those of a reference: scores of a model, and a verdict.

Three scores say how a molecule differs. How many nats a symbol the model needs to write it,
-log p(x|z=0) / symbols, a true likelihood where the decoder has learnt to write alone
(a blank prior, model.forget), else the bound of :meth:`Generator.score`, and left out where there
is none either; how many it needs given the molecule's own latent; and how far this lies from those
of the reference, a squared Mahalanobis distance.
Windows that a molecule does not reach say nothing: of the others their mean and mean square count,
and the global part of z. Each score becomes the share of reference molecules that score as high,
and the combined score is Fisher's, the sum of -log of these shares.

The verdict is split conformal (Vovk, Gammerman & Shafer 2005; Lei et al. 2018, arXiv:1604.04173):
one half of the reference fits the scores, and a molecule's p-value is its rank in the other half of
m, (1 + those that score as high) / (m + 1). A new molecule that is like the reference (exchangeable
with it) has p <= a with a probability of at most a, whatever the scores are, and however few the
molecules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from molvae.base.errors import ConfigError, InputError, ModelError
from molvae.base.parallel import chunked
from molvae.base.progress import Progress
from molvae.base.seeds import derive_seed
from molvae.chem.smiles import parse_many, smiles_list
from molvae.generator import Generator
from molvae.latent.posteriors import Posteriors, Reasons
from molvae.latent.typicality import alone, drawn, writes_alone
from molvae.models.windows import Windows

FORMAT = 1
REASONS = {
    "likelihood": "an improbable row of symbols: the model finds it hard to write",
    "reconstruction": "it does not come back from its own latent",
    "distance": "its latent is far from those of the reference",
}
"""The scores that are combined, and what each says of a molecule."""
LEAST = 40
"""Reference molecules without which nothing is fitted."""
_CHUNK = 2048
_RIDGE = 1e-3
_DIGITS = 3


@dataclass(frozen=True, eq=False)
class Scores:
    """What a model says of ``n`` molecules, each ``(n,)``; NaN where it cannot encode one.

    More is more unlike. ``likelihood``, ``reconstruction`` (at the posterior's mean) and ``bound``
    (minus the ELBO) are in nats for each symbol, the end included; ``nats`` is the reconstruction
    of the whole molecule; ``exact`` is 1 where the decoder writes it greedily without a mistake.
    A model whose posteriors are points has no ``bound``, and no ``likelihood`` but that of a
    decoder that has learnt to write alone: NaN.
    """

    likelihood: np.ndarray
    reconstruction: np.ndarray
    nats: np.ndarray
    exact: np.ndarray
    bound: np.ndarray
    summary: np.ndarray
    """What is kept of the latents for their distance, ``(n, k)``."""
    parsed: np.ndarray
    reasons: Reasons


@dataclass(frozen=True, eq=False)
class Verdicts:
    """Scores and verdicts of ``n`` molecules; what could not be judged is NaN and None.

    ``combined`` and ``p`` belong to each other; ``combined`` is infinite for what the model cannot
    encode. ``verdict`` is "anomaly", "usual", or None for what is no molecule; ``reasons`` say why
    of anomalies, and what is wrong where there is no verdict.
    """

    scores: Scores
    distance: np.ndarray
    combined: np.ndarray
    p: np.ndarray
    verdict: list[str | None]
    reasons: Reasons

    def columns(self) -> dict[str, Any]:
        """Columns of a table."""
        scores = self.scores
        exact = [None if np.isnan(v) else bool(v) for v in scores.exact]
        return {
            "verdict": self.verdict,
            "p_value": self.p,
            "score": np.where(np.isfinite(self.combined), self.combined, np.nan),
            "reason": [
                r if v != "usual" else None for r, v in zip(self.reasons, self.verdict, strict=True)
            ],
            "likelihood": scores.likelihood,
            "reconstruction": scores.reconstruction,
            "reconstruction_nats": scores.nats,
            "exact": exact,
            "bound": scores.bound,
            "distance": self.distance,
        }


def score(
    generator: Generator, smiles: Sequence[str | None], *, progress: bool | None = False
) -> Scores:
    """The :class:`Scores` of molecules; a molecule's do not depend on which others there are."""
    parts = []
    smiles = smiles_list(smiles)
    with Progress("scoring", len(smiles), progress) as bar:
        for texts in chunked(smiles, _CHUNK):
            parts.append(_score(generator, texts))
            bar.advance(len(texts))
    if not parts:
        raise InputError("there are no molecules to score")
    reasons = [reason for part in parts for reason in part.reasons]
    arrays = {
        f.name: np.concatenate([getattr(part, f.name) for part in parts])
        for f in fields(Scores)
        if f.name != "reasons"
    }
    return Scores(**arrays, reasons=reasons)


def _score(generator: Generator, smiles: list[str | None]) -> Scores:
    found = generator.posterior(smiles)
    own = generator.likelihood(smiles, found.mean)
    bound = found.kl() - drawn(generator, smiles, found).nats
    needed = -alone(generator, smiles).nats if writes_alone(generator) else bound
    known = own.symbols > 0
    each = np.maximum(own.symbols, 1)
    return Scores(
        likelihood=needed / each,
        reconstruction=-own.nats / each,
        nats=-own.nats,
        exact=np.where(known, own.correct == own.symbols, np.nan),
        bound=bound / each,
        summary=summary(generator.windows, found, generator.symbols(smiles)),
        parsed=np.array([mol is not None for mol in parse_many(smiles)]),
        reasons=found.reasons,
    )


def summary(windows: Windows, found: Posteriors, symbols: np.ndarray) -> np.ndarray:
    """Mean and mean square of the windows that molecules reach, and the global part, ``(n, k)``.

    >>> windows = Windows(count=3, size=2, width=1, rest=1)
    >>> z = np.array([[1.0, 3.0, 0.0, 5.0]])
    >>> summary(windows, Posteriors(z, z, [None]), np.array([2])).tolist()
    [[2.0, 5.0, 5.0]]
    """
    mean = found.mean.astype(np.float64)
    local = mean[:, : windows.count * windows.width]
    local = local.reshape(len(mean), windows.count, windows.width)
    rest = mean[:, windows.count * windows.width :]
    if not windows.count:
        return rest
    reached = np.arange(windows.count) * windows.size <= symbols[:, None]
    count = reached.sum(1)[:, None]
    sums = [np.where(reached[..., None], power, 0).sum(1) for power in (local, local**2)]
    return np.concatenate([sums[0] / count, sums[1] / count, rest], 1)


@dataclass(frozen=True, eq=False)
class Detector:
    """Fitted to the molecules of a reference, whose texts it does not hold.

    ``centre (k,)`` and ``precision (k, k)`` of their summaries; ``fitted`` the sorted scores of one
    half by name, none of a score that the model does not have; ``calibrated`` the sorted combined
    ones ``(m,)`` of the other, infinite for molecules that the model cannot encode. ``model`` is
    the fingerprint of the model.

    >>> from molvae.chem.tokenizer import Tokenizer
    >>> from molvae.models.presets import preset
    >>> from molvae.models.vae import SequenceVAE
    >>> known = ["C" * n + end for n in range(1, 25) for end in ("O", "N")]
    >>> tokenizer = Tokenizer.from_smiles(known)
    >>> untrained = SequenceVAE(preset("tiny"), tokenizer.vocab_size, tokenizer.max_length)
    >>> generator = Generator(untrained, tokenizer)
    >>> detector = Detector.fit(generator, known, source="chains")
    >>> detector.judge(generator, ["CCO", "CCBr", "C1"], false_alarms=0.05).verdict
    ['usual', 'anomaly', None]
    """

    model: str
    source: str
    centre: np.ndarray
    precision: np.ndarray
    fitted: Mapping[str, np.ndarray]
    calibrated: np.ndarray

    @classmethod
    def fit(
        cls,
        generator: Generator,
        smiles: Sequence[str | None],
        *,
        source: str,
        seed: int = 0,
        progress: bool | None = False,
    ) -> Detector:
        """Fit to one half of ``smiles``, drawn by ``seed``, and calibrate on the other.

        They should be molecules that the model has not been trained on. Raises
        :class:`InputError` for fewer than :data:`LEAST` molecules.
        """
        distinct = list(dict.fromkeys(text for text in smiles if text is not None))
        found = score(generator, distinct, progress=progress) if distinct else None
        rows = np.flatnonzero(found.parsed) if found is not None else np.empty(0, np.int64)
        if found is None or len(rows) < LEAST:
            raise InputError(
                f"{source}: {len(rows)} reference molecules are too few; give at least {LEAST}"
            )
        rows = np.random.default_rng(derive_seed(seed, "halves")).permutation(rows)
        first, second = np.sort(rows[: len(rows) // 2]), np.sort(rows[len(rows) // 2 :])
        first = first[~np.isnan(found.exact[first])]
        if len(first) < LEAST // 4:
            raise InputError(f"{source}: the model can encode hardly any of these molecules")
        kept = found.summary[first]
        spread = np.cov(kept.T).reshape(kept.shape[1], -1)
        spread += np.diag(_RIDGE * np.diag(spread) + 1e-9)
        detector = cls(
            generator.fingerprint, source, kept.mean(0), np.linalg.inv(spread), {}, np.empty(0)
        )
        raw = detector._raw(found)
        fitted = {k: np.sort(v[first][~np.isnan(v[first])]) for k, v in raw.items()}
        detector = replace(detector, fitted=fitted)
        combined = detector._combined(raw)[0][second]
        return replace(detector, calibrated=np.sort(np.where(np.isnan(combined), np.inf, combined)))

    def threshold(self, false_alarms: float) -> float:
        """The combined score from which on (above which) a molecule is an anomaly.

        Raises :class:`ConfigError` for a rate that so few molecules cannot hold, or that is below
        the share of the reference that the model cannot encode.
        """
        m = len(self.calibrated)
        if not 0 < false_alarms < 1:
            raise ConfigError(f"false_alarms is {false_alarms}: give a share between 0 and 1")
        place = int(np.floor(false_alarms * (m + 1) + 1e-9))
        if place < 1:
            raise ConfigError(
                f"false_alarms is {false_alarms}, but {m} reference molecules can hold no less "
                f"than {1 / (m + 1):.3g}; give a larger share or more reference molecules"
            )
        limit = float(self.calibrated[m - place])
        if np.isinf(limit):
            share = float(np.isinf(self.calibrated).mean())
            raise ConfigError(
                f"false_alarms is {false_alarms}, but the model cannot encode {share:.1%} of the "
                "reference molecules, all of which are anomalies; give a larger share"
            )
        return limit

    def judge(
        self,
        generator: Generator,
        smiles: Sequence[str | None],
        *,
        false_alarms: float = 0.05,
        progress: bool | None = False,
    ) -> Verdicts:
        """Verdicts on molecules, with at most the share ``false_alarms`` of molecules like the
        reference called anomalies. Raises :class:`ModelError` for another model than the one that
        the detector is of."""
        if generator.fingerprint != self.model:
            raise ModelError(
                "the calibration is of another model; make one of this model with "
                "molvae anomalies --reference MODEL --data FILE --save-calibration PLACE"
            )
        self.threshold(false_alarms)
        found = score(generator, smiles, progress=progress)
        raw = self._raw(found)
        combined, shares = self._combined(raw)
        lost = found.parsed & np.isnan(found.exact)
        if np.isnan(combined[found.parsed & ~lost]).any():
            raise ModelError(
                "the calibration counts with a likelihood, and this model has none; make it anew "
                "with molvae anomalies --save-calibration"
            )
        combined[lost] = np.inf
        m = len(self.calibrated)
        above = m - np.searchsorted(self.calibrated, np.nan_to_num(combined, posinf=np.inf))
        p = np.where(found.parsed, (1 + above) / (m + 1), np.nan)
        strange = (p <= false_alarms + 1e-12) | lost
        verdict: list[str | None] = [
            ("anomaly" if strange[i] else "usual") if found.parsed[i] else None
            for i in range(len(p))
        ]
        names = self._scored
        reasons = [
            found.reasons[i] or (REASONS[names[int(shares[i].argmin())]] if strange[i] else None)
            for i in range(len(p))
        ]
        return Verdicts(found, raw["distance"], combined, p, verdict, reasons)

    @property
    def _scored(self) -> list[str]:
        """The names of the scores that the model has."""
        return [name for name in REASONS if len(self.fitted[name])]

    def _raw(self, found: Scores) -> dict[str, np.ndarray]:
        apart = found.summary - self.centre
        distance = np.einsum("ni,ij,nj->n", apart, self.precision, apart)
        return {
            "likelihood": found.likelihood,
            "reconstruction": found.reconstruction,
            "distance": distance,
        }

    def _combined(self, raw: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Fisher's score ``(n,)`` and the shares ``(n, k)`` it is made of; NaN where a score is."""
        shares = []
        for name in self._scored:
            n, values = len(self.fitted[name]), raw[name]
            share = (1 + n - np.searchsorted(self.fitted[name], values)) / (n + 1)
            shares.append(np.where(np.isnan(values), np.nan, share))
        stacked = np.stack(shares, 1)
        # Rounded, so that equal ones are equal also when read back from a file.
        return np.round(-np.log(stacked).sum(1), _DIGITS), stacked
