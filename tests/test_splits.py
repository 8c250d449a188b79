"""Splits have exact sizes, keep groups whole, and depend on molecules and seed alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from molvae.base.errors import ConfigError, InputError
from molvae.datasets.splits import (
    TEST,
    TRAIN,
    VALIDATION,
    SplitOptions,
    key,
    part_of_word,
    scaffold,
    split_given,
    split_groups,
    split_random,
    with_seed,
)

KEYS = np.array([key(f"molecule {i}") for i in range(1000)], dtype=np.uint64)

GOLDEN_KEYS = [7863297522579887043, 17739307685125204407, 3214349773281139169]
GOLDEN_SEEDED = [1753315984103188393, 10344611681412422673, 11236476478282368081]


def sizes(parts: np.ndarray) -> list[int]:
    return np.bincount(parts, minlength=3).tolist()


def test_random_parts_have_exact_sizes():
    assert sizes(split_random(KEYS, SplitOptions(validation=0.1, test=0.2))) == [700, 100, 200]
    assert sizes(split_random(KEYS, SplitOptions(validation=0.0, test=0.0))) == [1000, 0, 0]
    assert sizes(split_random(KEYS, SplitOptions(validation=0.0, test=0.1))) == [900, 0, 100]
    assert sizes(split_random(KEYS, SplitOptions(validation=0.1, test=0.0))) == [900, 100, 0]


def test_the_seed_decides_and_the_order_of_rows_does_not():
    options = SplitOptions(seed=3)
    order = np.random.default_rng(0).permutation(len(KEYS))
    parts = split_random(KEYS, options)
    np.testing.assert_array_equal(split_random(KEYS[order], options), parts[order])
    assert (split_random(KEYS, SplitOptions(seed=4)) != parts).any()


def test_adding_rows_hardly_moves_the_others():
    options = SplitOptions(validation=0.1, test=0.1)
    before, after = split_random(KEYS[:900], options), split_random(KEYS, options)[:900]
    assert (before != after).mean() < 0.05


def test_the_split_of_a_seed_is_the_same_for_all_machines_and_versions():
    keys = np.array([key(s) for s in ("CCO", "c1ccccc1", "CC(=O)O")], dtype=np.uint64)
    assert keys.tolist() == GOLDEN_KEYS
    assert with_seed(keys, 7).tolist() == GOLDEN_SEEDED


@given(
    groups=st.lists(st.integers(0, 20), min_size=1, max_size=300),
    validation=st.floats(0, 0.4),
    test=st.floats(0, 0.4),
    seed=st.integers(0, 2**31),
)
def test_groups_stay_whole_and_no_part_exceeds_its_share(groups, validation, test, seed):
    keys = np.array([key(str(g)) for g in groups], dtype=np.uint64)
    options = SplitOptions(validation=validation, test=test, seed=seed)
    parts = split_groups(keys, options)
    for group in set(groups):
        assert len(set(parts[np.array(groups) == group].tolist())) == 1
    assert (parts == TEST).sum() <= max(round(len(groups) * test), 1)
    assert (parts == VALIDATION).sum() <= max(round(len(groups) * validation), 1)
    assert (parts == TRAIN).any()


@pytest.mark.parametrize("n", [1, 2, 3, 10])
def test_tiny_sets_keep_something_to_train_on(n: int):
    parts = split_random(KEYS[:n], SplitOptions())
    assert sizes(parts) == ([n, 0, 0] if n < 3 else [n - 2, 1, 1])


@given(n=st.integers(0, 50), validation=st.floats(0, 0.99), test=st.floats(0, 0.99))
def test_something_is_always_left_to_train_on(n: int, validation: float, test: float):
    if validation + test < 1:
        parts = split_random(KEYS[:n], SplitOptions(validation=validation, test=test))
        assert len(parts) == n
        assert (parts == TRAIN).any() or n == 0


def test_given_parts_stand_and_validation_comes_out_of_training():
    given_parts = np.array([TRAIN] * 800 + [TEST] * 200, dtype=np.uint8)
    parts = split_given(given_parts, KEYS, SplitOptions(validation=0.1))
    assert sizes(parts) == [720, 80, 200]
    assert (parts[800:] == TEST).all()
    given_parts[0] = VALIDATION
    np.testing.assert_array_equal(split_given(given_parts, KEYS, SplitOptions()), given_parts)


@pytest.mark.parametrize("word", ["train", "Training", " valid", "VAL", "dev", "test"])
def test_the_usual_words_for_parts_are_understood(word: str):
    assert part_of_word(word) in (TRAIN, VALIDATION, TEST)


def test_an_unknown_word_for_a_part_is_named():
    with pytest.raises(InputError, match="'fold3' is no part"):
        part_of_word("fold3")


@pytest.mark.parametrize(("validation", "test"), [(0.5, 0.5), (-0.1, 0.1), (0.9, 0.2)])
def test_shares_that_leave_no_training_data_are_refused(validation: float, test: float):
    with pytest.raises(ConfigError, match="sum below 1"):
        SplitOptions.parse({"validation": validation, "test": test})


def test_scaffolds_are_rings_and_linkers():
    from rdkit import Chem

    assert scaffold(Chem.MolFromSmiles("CCOc1ccc(Cc2ccccc2)cc1Cl")) == "c1ccc(Cc2ccccc2)cc1"
    assert scaffold(Chem.MolFromSmiles("CCCO")) == ""
