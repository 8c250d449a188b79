"""Cross-validation folds: at random, and by scaffold, which asks for molecules of another kind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from molvae.chem.smiles import parse
from molvae.datasets.splits import key, scaffold, with_seed


def random_folds(
    smiles: Sequence[str], labels: np.ndarray, folds: int, seed: int, *, stratify: bool
) -> np.ndarray:
    """The fold (n,) int of each molecule, all of the same size but one; by its SMILES and the
    seed, not by its place. ``stratify`` gives every fold its share of each class.

    >>> random_folds(["C", "CC", "CCC", "CCCC"], np.array([0, 0, 1, 1]), 2, 0, stratify=True)
    array([1, 0, 0, 1])
    """
    keys = with_seed(np.array([key(text) for text in smiles], dtype=np.uint64), seed)
    order = np.lexsort((keys, labels)) if stratify else np.argsort(keys)
    found = np.empty(len(smiles), dtype=np.int64)
    found[order] = np.arange(len(smiles)) % folds
    return found


def scaffold_folds(smiles: Sequence[str], folds: int, seed: int) -> np.ndarray | None:
    """The fold (n,) int of each molecule, those of one Bemis-Murcko scaffold together; None where
    there are fewer scaffolds than folds. Molecules without rings count as one scaffold.

    >>> scaffold_folds(["c1ccccc1C", "c1ccccc1CC", "C1CC1", "CC"], 2, 0).tolist()
    [0, 0, 1, 1]
    """
    scaffolds = [scaffold(parse(text)) for text in smiles]
    names, group, sizes = np.unique(scaffolds, return_inverse=True, return_counts=True)
    if len(names) < folds:
        return None
    keys = with_seed(np.array([key(str(name)) for name in names], dtype=np.uint64), seed)
    fold_of = np.empty(len(names), dtype=np.int64)
    filled = np.zeros(folds, dtype=np.int64)
    for place in np.lexsort((keys, -sizes)):  # the largest group goes where there is most room
        fold_of[place] = filled.argmin()
        filled[fold_of[place]] += sizes[place]
    return fold_of[group]
