"""Drawing over processes: the part that takes the device, and the part that takes cores."""

from __future__ import annotations

import contextlib
import functools
from collections import abc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch

from molvae.base.parallel import ordered_map
from molvae.bulk.options import BulkOptions
from molvae.generator import Generator
from molvae.latent.draws import Draws
from molvae.latent.reading import Reader

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Work(Generic[Item, Result]):
    """A kind of work: of each item something is written, on the device, and read, on a core.

    Both are functions of a module, and what they return travels between processes.
    """

    write: Callable[[Generator, BulkOptions, Item], Draws]
    read: Callable[[Reader, BulkOptions, Draws], Result]

    def draw(self, generator: Generator, options: BulkOptions, item: Item) -> Result:
        """Both, one after the other."""
        return self.read(generator.reader, options, self.write(generator, options, item))

    def spread(
        self, generator: Generator, options: BulkOptions, items: Iterable[Item], workers: int
    ) -> abc.Generator[Result, None, None]:
        """Every item, in order, by ``workers`` processes; the same whatever they are.

        On a CPU they do all of it; of another device this process alone makes use.
        """
        if workers <= 1:
            for item in items:
                with _one_thread():
                    drawn = self.draw(generator, options, item)
                yield drawn
        elif shares_cores(generator):
            job = functools.partial(self.draw, generator, options)
            yield from _in_workers(job, items, workers)
        else:
            job = functools.partial(self.read, generator.reader, options)
            yield from _in_workers(job, self._written(generator, options, items), workers)

    def _written(
        self, generator: Generator, options: BulkOptions, items: Iterable[Item]
    ) -> Iterator[Draws]:
        for item in items:
            with _one_thread():
                written = self.write(generator, options, item)
            yield written


def shares_cores(generator: Generator) -> bool:
    """Whether the model computes on the cores on which molecules are read, too."""
    return generator.device.type == "cpu"


def _in_workers(
    job: Callable[[Any], Result], items: Iterable[Any], workers: int
) -> Iterator[Result]:
    return ordered_map(_do, items, workers, initializer=_start_worker, initargs=(job,))


# A worker process serves one job: what it needs is handed to it once, when it starts.
_JOB: list[Callable[[Any], Any]] = []


def _start_worker(job: Callable[[Any], Any]) -> None:
    torch.set_num_threads(1)
    _JOB.append(job)


def _do(item: Any) -> Any:
    return _JOB[0](item)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Sums are rounded differently by several threads; a block is the same everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
