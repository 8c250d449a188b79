"""Small corpora in memory and settings for models that train in a second."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np

from molvae.chem.tokenizer import Tokenizer
from molvae.datasets.corpus import Corpus
from molvae.training.config import TrainConfig

SAMPLES = Path(__file__).parents[1] / "data" / "samples"
SIZES = {"embedding_dim": 8, "encoder_hidden": 12, "latent_dim": 4, "decoder_hidden": 16}


@cache
def sample_smiles(name: str = "moses_2000", n: int = 200) -> tuple[str, ...]:
    return tuple((SAMPLES / f"{name}.smi").read_text().split()[:n])


def corpus_of(
    smiles: tuple[str, ...],
    labels: dict[str, np.ndarray] | None = None,
    tokenizer: Tokenizer | None = None,
    held_out: float = 0.2,
) -> Corpus:
    """A corpus in memory; the first ``held_out`` share is for validation."""
    tokenizer = tokenizer or Tokenizer.from_smiles(smiles)
    ids = [np.array(tokenizer.encode_one(text), tokenizer.dtype) for text in smiles]
    split = np.zeros(len(ids), np.uint8)
    split[: round(held_out * len(ids))] = 1
    columns = list((labels or {}).values())
    arrays = [
        np.concatenate(ids),
        np.cumsum([0, *map(len, ids)], dtype=np.int64),
        np.stack(columns, 1).astype(np.float32) if columns else np.zeros((len(ids), 0), np.float32),
        split,
    ]
    meta = {
        "labels": [{"name": name} for name in labels or {}],
        "counts": {"train": 0, "validation": 0, "test": 0},
        "sha256": hashlib.sha256(repr(smiles).encode()).hexdigest(),
    }
    return Corpus(Path("in-memory"), meta, tokenizer, arrays)


@cache
def tiny_corpus(n: int = 200) -> Corpus:
    """Molecules with a number (their length, some missing) and a class (any aromatic atom)."""
    smiles = sample_smiles(n=n)
    length = np.array([len(text) for text in smiles], np.float32)
    length[3::7] = np.nan
    aromatic = np.array([float("c" in text) for text in smiles])
    return corpus_of(smiles, {"length": length, "aromatic": aromatic})


def tiny_config(**sections: dict[str, object]) -> TrainConfig:
    """A run of 12 steps of a model of 16 units; ``sections`` change single keys."""
    values: dict[str, dict[str, object]] = {
        "model": {**SIZES, "token_dropout": 0.2},
        "optimiser": {"batch_size": 32, "learning_rate": 0.01},
        "run": {"steps": 12, "log_every": 4, "evaluate_every": 6, "save_every": 5, "device": "cpu"},
    }
    for section, changes in sections.items():
        values[section] = {**values.get(section, {}), **changes}
    return TrainConfig.parse(values)
