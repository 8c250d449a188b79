"""Batches: every molecule once an epoch, by step index alone, with next to no padding."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import corpus_of, sample_smiles, tiny_corpus

from molvae.base.errors import InputError
from molvae.models.batch import Batch
from molvae.training.batches import BatchPlan, Molecules, in_length_order, parts
from molvae.training.prepare import molecules_of
from molvae.training.vocabulary import own_vocabulary


def plan_of(lengths, batch_size=16, seed=0, first=1000):
    lengths = np.asarray(lengths)
    return BatchPlan(np.arange(first, first + len(lengths)), lengths, batch_size, seed)


@settings(deadline=None)
@given(
    n=st.integers(1, 300),
    batch_size=st.integers(1, 40),
    seed=st.integers(0, 2**31),
    epoch=st.integers(0, 3),
)
def test_an_epoch_shows_every_molecule_once_in_batches_of_even_size(n, batch_size, seed, epoch):
    plan = plan_of(np.arange(n) % 7 + 1, batch_size, seed)
    first = epoch * plan.steps_per_epoch
    batches = [plan.rows(step) for step in range(first, first + plan.steps_per_epoch)]
    assert sorted(np.concatenate(batches)) == list(range(1000, 1000 + n))
    sizes = {len(rows) for rows in batches}
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1


def test_a_batch_is_a_function_of_its_step_alone():
    lengths = np.random.default_rng(0).integers(1, 50, 500)
    in_order = [plan_of(lengths).rows(step).tolist() for step in range(80)]
    plan = plan_of(lengths)
    jumping = {step: plan.rows(step).tolist() for step in (79, 3, 40, 41, 0)}
    assert all(in_order[step] == rows for step, rows in jumping.items())


def test_epochs_and_seeds_differ():
    plan = plan_of(np.ones(100))
    assert plan.rows(0).tolist() != plan.rows(plan.steps_per_epoch).tolist()
    assert plan.rows(0).tolist() != plan_of(np.ones(100), seed=1).rows(0).tolist()


def test_batches_have_like_lengths_and_come_in_random_order():
    lengths = np.random.default_rng(0).integers(1, 60, 3200)
    plan = plan_of(lengths, batch_size=32)
    rows = [plan.rows(step) - 1000 for step in range(plan.steps_per_epoch)]
    padded = sum(len(r) * lengths[r].max() for r in rows)
    assert padded < 1.06 * lengths.sum()
    means = [lengths[r].mean() for r in rows]
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.3


def test_no_molecules_are_an_error():
    with pytest.raises(InputError, match="train part is empty"):
        plan_of([])


def test_assembly_equals_collating_row_by_row():
    corpus = tiny_corpus()
    molecules = molecules_of(corpus, own_vocabulary(corpus), None)
    rows = np.array([7, 0, 199, 42])
    batch = molecules.batch(rows)
    expected = Batch.collate([corpus[i] for i in rows])
    assert torch.equal(batch.tokens, expected.tokens)
    assert torch.equal(batch.lengths, expected.lengths)


def test_assembly_gives_the_models_ids_and_the_rows_labels():
    molecules = Molecules(
        tokens=np.array([3, 4, 4], np.uint8),
        offsets=np.array([0, 1, 3]),
        labels=np.array([[np.nan], [2.0]], np.float32),
        ids=np.array([0, 1, 2, 9, 8]),
    )
    batch = molecules.batch(np.array([1, 0]))
    assert batch.tokens.tolist() == [[1, 8, 8, 2], [1, 9, 2, 0]]
    assert batch.lengths.tolist() == [4, 3]
    torch.testing.assert_close(batch.labels, torch.tensor([[2.0], [torch.nan]]), equal_nan=True)


def test_parts_share_out_a_batch():
    rows = np.arange(11)
    dealt = parts(rows, 3)
    assert sorted(np.concatenate(dealt)) == rows.tolist()
    assert {len(part) for part in dealt} == {3, 4}


def test_evaluation_goes_by_length_and_leaves_nobody_out():
    corpus = corpus_of(sample_smiles(n=50))
    rows = np.arange(10, 50)
    batches = list(in_length_order(rows, corpus.lengths[rows], 16))
    assert [len(batch) for batch in batches] == [16, 16, 8]
    lengths = corpus.lengths[np.concatenate(batches)]
    assert (np.diff(lengths) >= 0).all()
    assert sorted(np.concatenate(batches)) == rows.tolist()
