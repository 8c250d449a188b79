"""Training, validation and test parts: at random, by scaffold, or as the source says; seeded.

A split is decided by 64-bit keys, one per molecule: a hash of its canonical SMILES (random) or of
its scaffold (scaffold), mixed with the seed. The parts are cut where the sorted keys reach the
wanted counts, so they have exact sizes, do not depend on the order of the rows or the number of
workers, and hardly move when rows are added.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import model_validator

from molvae.base.errors import InputError
from molvae.base.records import Record
from molvae.base.seeds import derive_seed

if TYPE_CHECKING:
    from rdkit import Chem

PARTS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)
_WORDS = {
    **dict.fromkeys(("train", "training", "trn"), TRAIN),
    **dict.fromkeys(("validation", "valid", "val", "dev"), VALIDATION),
    **dict.fromkeys(("test", "testing", "tst", "holdout"), TEST),
}


class SplitOptions(Record):
    """How molecules are divided; ``validation`` and ``test`` are shares of all molecules.

    ``auto`` is ``given`` where the source says the part of its rows (a column of words, or files
    for each part) and ``random`` elsewhere. Where a given split has no validation rows, the share
    ``validation`` of the training rows is set aside for it at random.

    >>> SplitOptions(method="scaffold", test=0.1).test
    0.1
    """

    method: Literal["auto", "random", "scaffold", "given"] = "auto"
    validation: float = 0.05
    test: float = 0.05
    seed: int = 0

    @model_validator(mode="after")
    def _check(self) -> SplitOptions:
        if not (self.validation >= 0 and self.test >= 0 and self.validation + self.test < 1):
            raise ValueError("validation and test are shares from 0 with a sum below 1")
        return self


def key(text: str) -> int:
    """A 64-bit hash of a SMILES, the same on all machines.

    >>> key("CCO") == key("CCO") != key("CCN")
    True
    """
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def with_seed(keys: np.ndarray, seed: int) -> np.ndarray:
    """Keys (n,) uint64 in another order for each seed; equal keys stay equal, others differ.

    Source: the finaliser of SplitMix64, a bijection (Steele, Lea and Flood, OOPSLA 2014).
    """
    z = keys + np.uint64(derive_seed(seed, "split"))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def scaffold(mol: Chem.Mol) -> str:
    """The Bemis-Murcko scaffold (rings and the chains between them) as canonical SMILES.

    Molecules without rings have the empty scaffold, and so form one group together.
    Source: Bemis and Murcko, J. Med. Chem. 1996, 39, 2887.
    """
    from rdkit.Chem.Scaffolds.MurckoScaffold import MurckoScaffoldSmiles

    return str(MurckoScaffoldSmiles(mol=mol))


def part_of_word(word: str) -> int:
    """The part that a word of a split column means: 0 train, 1 validation, 2 test.

    >>> part_of_word("Valid")
    1
    """
    try:
        return _WORDS[word.strip().lower()]
    except KeyError:
        raise InputError(
            f"{word!r} is no part of a split; the words are train, validation and test"
        ) from None


def split_random(keys: np.ndarray, options: SplitOptions) -> np.ndarray:
    """Parts (n,) uint8 of exact sizes from one key (n,) uint64 per molecule."""
    n, keys = len(keys), with_seed(keys, options.seed)
    validation, test = _counts(n, options)
    parts = np.full(n, TRAIN, dtype=np.uint8)
    if validation + test:
        kth = [k - 1 for k in (test, test + validation) if k]
        cuts = np.partition(keys, kth)
        if validation:
            parts[keys <= cuts[test + validation - 1]] = VALIDATION
        if test:
            parts[keys <= cuts[test - 1]] = TEST
    return parts


def split_groups(keys: np.ndarray, options: SplitOptions) -> np.ndarray:
    """Parts (n,) uint8 in which molecules of equal key (n,) uint64 stay together.

    The groups are taken in the order of their keys, first for the test part and then for
    validation; one that no longer fits is passed over, so no part exceeds its share and very
    large groups go to training.
    """
    validation, test = _counts(len(keys), options)
    _, group_of, sizes = np.unique(
        with_seed(keys, options.seed), return_inverse=True, return_counts=True
    )
    part_of_group = np.full(len(sizes), TRAIN, dtype=np.uint8)
    for part, room in ((TEST, test), (VALIDATION, validation)):
        for group in np.flatnonzero(part_of_group == TRAIN):
            if sizes[group] <= room:
                part_of_group[group] = part
                room -= int(sizes[group])
            if room == 0:
                break
    return part_of_group[group_of]


def split_given(parts: np.ndarray, keys: np.ndarray, options: SplitOptions) -> np.ndarray:
    """The given parts (n,), with validation set aside from training where none is given."""
    parts = parts.astype(np.uint8)
    train = np.flatnonzero(parts == TRAIN)
    if options.validation > 0 and len(train) and not (parts == VALIDATION).any():
        parts[train] = split_random(keys[train], options.replace(test=0.0))
    return parts


def _counts(n: int, options: SplitOptions) -> tuple[int, int]:
    """How many molecules are validation and test: at least one each from three molecules on, and
    never all of them."""
    least = 1 if n >= 3 else 0
    validation = max(round(n * options.validation), least if options.validation else 0)
    test = max(round(n * options.test), least if options.test else 0)
    validation = min(validation, max(n - 1, 0))
    return validation, min(test, max(n - 1, 0) - validation)
