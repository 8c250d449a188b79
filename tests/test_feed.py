"""Batches come in the order of the steps, whoever makes them."""

import threading

import numpy as np
import pytest
import torch

from molvae.models.batch import Batch
from molvae.models.packing import Packing
from molvae.training.feed import AHEAD, Feed, Step


def test_on_a_cpu_a_batch_is_made_when_it_is_asked_for() -> None:
    made: list[int] = []

    def make(step: int) -> Step:
        made.append(step)
        return np.arange(step), [Batch.collate([[5, 6], [7]])]

    feed = Feed(make, torch.device("cpu"))
    rows, (batch,) = feed.at(3)
    assert len(rows) == 3
    assert batch.tokens.shape == (2, 4)
    assert made == [3]
    feed.close()


def test_for_a_gpu_the_coming_steps_are_made_ahead_by_one_thread_in_order() -> None:
    made: list[tuple[int, str]] = []
    far = threading.Event()

    def make(step: int) -> Step:
        made.append((step, threading.current_thread().name))
        if step == 5 + AHEAD - 1:
            far.set()
        return np.arange(step), []  # without batches nothing is pinned, which needs a GPU

    feed = Feed(make, torch.device("cuda"))
    assert len(feed.at(5)[0]) == 5
    assert far.wait(30)  # while nobody has asked for more than the first
    assert [len(feed.at(step)[0]) for step in (6, 7)] == [6, 7]
    feed.close()
    assert [step for step, _ in made] == list(range(5, 5 + len(made)))
    assert AHEAD <= len(made) <= AHEAD + 2
    assert {name.split("_")[0] for _, name in made} == {"batches"}


def test_what_goes_wrong_in_the_thread_is_raised_at_its_step() -> None:
    def make(step: int) -> Step:
        if step == 1:
            raise ValueError("row 7 is damaged")
        return np.arange(step), []

    feed = Feed(make, torch.device("cuda"))
    feed.at(0)
    with pytest.raises(ValueError, match="row 7"):
        feed.at(1)
    feed.close()


def test_a_batch_that_is_laid_out_holds_the_packing_that_it_would_get() -> None:
    batch = Batch.collate([[5, 6, 7], [8], [9, 4]])
    packing = batch.laid_out().to("cpu").packing
    assert packing is not None
    expected = Packing.of(batch.lengths - 1)
    assert packing.counts == expected.counts
    for name in ("order", "row", "place", "step", "lengths", "starts"):
        assert torch.equal(getattr(packing, name), getattr(expected, name)), name
