"""What `make demo` looks for: drug-like molecules whose log D lies in the window of oral drugs.

    value = QED * P(1 <= log D <= 3)

QED is computed; log D (octanol-water, pH 7.4) is predicted by the model's head, which was fitted to
measured values, and its uncertainty counts: a wide guess is worth less than a narrow one, down to
the head's error on molecules set aside. Narrower ones are not believed, for a search finds the
molecules of which a head is wrongly sure. The window is Waring's (Expert Opin. Drug Discov. 2010,
5, 235).

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

LOWEST, HIGHEST = 1.0, 3.0
SUREST = 0.85
"""The least standard deviation of a log D that is believed."""


def value(smiles: Sequence[str], log_d: np.ndarray, std: np.ndarray) -> np.ndarray:
    """``(n,)`` values of molecules, by the mean and spread of what is believed of their log D."""
    spread = np.maximum(std, SUREST)
    inside = norm.cdf(HIGHEST, log_d, spread) - norm.cdf(LOWEST, log_d, spread)
    return np.asarray(compute(smiles, ["qed"], progress=False)[:, 0] * inside)


@dataclass(frozen=True)
class DrugLikeInWindow:
    """The objective, with the log D of the model in the directory ``model``."""

    model: str

    @cached_property
    def _generator(self) -> Generator:
        return molvae.load(self.model, "cpu")

    def __call__(self, smiles: Sequence[str]) -> np.ndarray:
        """``(n,)`` values between 0 and 1, to be maximised."""
        predicted = self._generator.predict(list(smiles))
        return value(smiles, predicted["log_d"], predicted["log_d_std"])


wanted = DrugLikeInWindow("demo/model")
wanted_from_scratch = DrugLikeInWindow("demo/from-scratch/model")
