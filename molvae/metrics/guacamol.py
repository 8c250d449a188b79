"""The distribution-learning benchmarks of GuacaMol.

Brown, Fiscato, Segler and Vaucher, J. Chem. Inf. Model. 59:1096 (2019): validity, uniqueness,
novelty, and two scores from 0 to 1, one from Kullback-Leibler divergences of nine descriptors and
of the similarity to the nearest other molecule, one from the Fréchet ChemNet distance. Molecules
are counted without stereo.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import entropy, gaussian_kde

from molvae.chem.similarity import fingerprints, similarity
from molvae.chem.smiles import parse_many

SAMPLES = 10_000
CONTINUOUS = ("bertz", "logp", "mw", "tpsa")
DISCRETE = ("hba", "hbd", "rotatable_bonds", "aliphatic_rings", "aromatic_rings")
_BITS = 4096
_EPSILON = 1e-10
_BLOCK = 512


def kl_score(sample: Mapping[str, np.ndarray], baseline: Mapping[str, np.ndarray]) -> float:
    """The mean of exp(-KL(baseline || sample)) over all columns, each ``(n,)``; NaN for too few.

    Columns: :data:`CONTINUOUS`, :data:`DISCRETE` and ``nearest``.

    >>> same = {"hbd": np.arange(50.0), "logp": np.linspace(0, 1, 50)}
    >>> kl_score(same, same)
    1.0
    """
    scores = []
    for name, theirs in baseline.items():
        divergence = discrete_kl if name in DISCRETE else continuous_kl
        scores.append(math.exp(-divergence(theirs, sample[name])))
    return float(np.mean(scores))


def continuous_kl(baseline: np.ndarray, sample: np.ndarray) -> float:
    """KL(baseline || sample) in nats of kernel density estimates at 1,000 points.

    NaN where a side has no spread to estimate a density from.
    """
    if min(len(baseline), len(sample)) < 2 or not baseline.std() or not sample.std():
        return math.nan
    both = np.concatenate([baseline, sample])
    points = np.linspace(both.min(), both.max(), num=1000)
    p, q = gaussian_kde(baseline)(points), gaussian_kde(sample)(points)
    return float(entropy(p + _EPSILON, q + _EPSILON))


def discrete_kl(baseline: np.ndarray, sample: np.ndarray) -> float:
    """KL(baseline || sample) in nats of histograms of ten bins that span the baseline; infinite
    where no value of the sample is inside them."""
    if not len(baseline) or not len(sample):
        return math.nan
    p, edges = np.histogram(baseline, bins=10, density=True)
    counts = np.histogram(sample, bins=edges)[0]
    if not counts.sum():
        return math.inf
    q = counts / (counts.sum() * np.diff(edges))
    return float(entropy(p + _EPSILON, q + _EPSILON))


def nearest_others(smiles: Sequence[str]) -> np.ndarray:
    """Each molecule's Tanimoto similarity to the most similar other one, ``(n,)``.

    Morgan fingerprints, radius 2, 4,096 bits.

    >>> nearest_others(["CCO", "CCCO", "CCO"]).round(3).tolist()
    [1.0, 0.556, 1.0]
    """
    prints = fingerprints(parse_many(smiles), 2, _BITS)
    best = np.zeros(len(prints))
    for start in range(0, len(prints), _BLOCK):
        found = similarity(prints[start : start + _BLOCK], prints)
        rows = np.arange(len(found))
        found[rows, start + rows] = 0
        best[start : start + len(found)] = found.max(axis=1)
    return best


def fcd_score(distance: float) -> float:
    """exp(-0.2 FCD).

    >>> fcd_score(0.0)
    1.0
    """
    return math.exp(-0.2 * distance)
