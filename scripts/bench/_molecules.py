"""Molecules for the codec's benchmarks: distinct rows of the public sets, drawn by seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from molvae.base.seeds import derive_seed
from molvae.datasets.download import fetch
from molvae.datasets.readers import read_molecules

SETS = ("moses", "zinc250k")
_SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples"


def molecules(name: str, count: int, *, seed: int = 0, smoke: bool = False) -> list[str]:
    """``count`` distinct SMILES of the set ``name`` as it is published, at random.

    ``smoke`` takes them from the sample in the repository, which needs no download.
    """
    path = _SAMPLES / f"{name}_2000.smi" if smoke else fetch(name)[0]
    texts = sorted({row.smiles for row in read_molecules(path) if row.problem is None})
    return random.Random(derive_seed(seed, name)).sample(texts, min(count, len(texts)))


def random_strings(
    alphabet: Sequence[str], count: int, *, longest: int, seed: int = 0
) -> list[list[str]]:
    """``count`` lists of symbols, of all lengths from 1 to ``longest``."""
    draw = random.Random(derive_seed(seed, *alphabet))
    return [draw.choices(alphabet, k=draw.randint(1, longest)) for _ in range(count)]
