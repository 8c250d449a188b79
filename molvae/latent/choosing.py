"""Choosing each draw among candidates, by a model's critic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from rdkit import Chem

from molvae.base.errors import ModelError
from molvae.base.parallel import chunked
from molvae.chem.features import part_counts
from molvae.chem.smiles import parse_many
from molvae.models.vae import SequenceVAE


def realism(model: SequenceVAE, smiles: Sequence[str | None], batch_size: int) -> np.ndarray:
    """:func:`logits` of molecules by their SMILES, so many at a time."""
    parts = list(chunked(smiles, batch_size)) or [[]]  # molecules are large: few at a time
    return np.concatenate([logits(model, parse_many(part)) for part in parts])


def logits(model: SequenceVAE, mols: Sequence[Chem.Mol | None]) -> np.ndarray:
    """The critic's logit for each molecule, ``(n,)``; NaN for None. Raises :class:`ModelError` for
    a model without a critic."""
    config, critic = model.config.critic, model.critic
    if config is None or critic is None:
        raise ModelError("this model has no critic; fit one with molvae models critic")
    counts = part_counts(mols, config.bits)
    rows = (counts.indices.astype(np.int64), counts.data, counts.indptr[:-1].astype(np.int64))
    with torch.inference_mode():
        given = [torch.from_numpy(part).to(model.device) for part in rows]
        found: np.ndarray = critic(*given).double().cpu().numpy()
    return np.where([mol is not None for mol in mols], found, np.nan)


def choose(
    score: np.ndarray, log_prob: np.ndarray, discount: float, several: int, seed: int
) -> list[int]:
    """The place of the one that is chosen among each ``several`` candidates, with probabilities in
    proportion to ``exp(score) / q ** discount``.

    ``score (n,)`` are the critic's logits, NaN where there is no molecule, and ``log_prob (n,)``
    log q of what was drawn.

    >>> choose(np.array([0.0, np.nan, np.nan, 0.0]), np.zeros(4), 0.0, 2, seed=1)
    [0, 3]
    """
    # The largest of log-weights with Gumbel noise is a draw by the weights.
    race = score - discount * log_prob + np.random.default_rng(seed).gumbel(size=len(score))
    race = np.where(np.isnan(score), -np.inf, race).reshape(-1, several)
    return (np.arange(len(race)) * several + race.argmax(1)).tolist()
