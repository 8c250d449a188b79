"""What `make demo` looks for: drug-like molecules whose log D lies in the window of oral drugs.

    value = QED * P(1 <= log D <= 3)

QED is computed; log D (octanol-water, pH 7.4) is predicted by the model's head, which was fitted to
measured values. How far that may be wrong depends on how near a molecule is to what was measured:
`Trust` learns it from measured molecules that the head was not fitted to. So relatives of measured
molecules are worth more than strangers, of which a head may be wrongly sure. What has the
fingerprint of a molecule that the head was fitted to has no value: it is known. The window is
Waring's (Expert Opin. Drug Discov. 2010, 5, 235).

A pattern for objectives of your own: a function of a list of SMILES that returns as many numbers,
NaN where there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import norm

import molvae
from molvae import Generator
from molvae.chem.properties import compute
from molvae.chem.similarity import fingerprints, nearest
from molvae.chem.smiles import parse_many
from molvae.datasets.corpus import Corpus

LABEL = "log_d"
LOWEST, HIGHEST = 1.0, 3.0
ASSAY = 0.3
"""No prediction is taken to be surer than a measurement is."""


def value(smiles: Sequence[str], log_d: np.ndarray, std: np.ndarray) -> np.ndarray:
    """``(n,)`` values of molecules, by the mean and spread of what is believed of their log D."""
    inside = norm.cdf(HIGHEST, log_d, std) - norm.cdf(LOWEST, log_d, std)
    return np.asarray(compute(smiles, ["qed"], progress=False)[:, 0] * inside)


class Trust:
    """How far a head's predictions are off, by the similarity to the nearest measured molecule.

    A straight line through the squared errors of the corpus' validation part over its similarity
    (Tanimoto, Morgan bits of radius 2) to the training part; never above the variance of all that
    was measured, which is the error of one who knows nothing.
    """

    def __init__(self, generator: Generator, corpus: Corpus) -> None:
        column = list(corpus.label_names).index(LABEL)
        known, others = corpus.indices("train"), corpus.indices("validation")
        self._prints = fingerprints(parse_many(corpus.smiles(known)))
        self._variance = float(np.var(corpus.labels[known, column]))
        smiles = corpus.smiles(others)
        square = (generator.predict(smiles)[LABEL] - corpus.labels[others, column]) ** 2
        there = np.isfinite(square)
        self._line = np.polyfit(self.similarity(smiles)[there], square[there], 1)

    def similarity(self, smiles: Sequence[str]) -> np.ndarray:
        """To the nearest molecule that the head was fitted to, ``(n,)``."""
        return nearest(fingerprints(parse_many(smiles)), self._prints)[1]

    def spread(self, similarity: np.ndarray) -> np.ndarray:
        """The standard deviations ``(n,)`` to be expected of predictions so near."""
        square = np.polyval(self._line, similarity)
        return np.sqrt(np.clip(square, ASSAY**2, self._variance))


@dataclass(frozen=True)
class DrugLikeInWindow:
    """The objective, with the log D of the model in ``place/model``, measured in ``place/logd``."""

    place: str

    @cached_property
    def _generator(self) -> Generator:
        return molvae.load(f"{self.place}/model", "cpu")

    @cached_property
    def trust(self) -> Trust:
        """How far the head is right."""
        return Trust(self._generator, Corpus.open(f"{self.place}/logd"))

    def __call__(self, smiles: Sequence[str]) -> np.ndarray:
        """``(n,)`` values between 0 and 1, to be maximised."""
        near = self.trust.similarity(smiles)
        log_d = self._generator.predict(list(smiles))[LABEL]
        return np.where(near < 1, value(smiles, log_d, self.trust.spread(near)), np.nan)


wanted = DrugLikeInWindow("demo")
wanted_from_scratch = DrugLikeInWindow("demo/from-scratch")
