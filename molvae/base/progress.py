"""Progress on standard error: a bar with the time left, silent when nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sized
from types import TracebackType
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Progress as RichProgress,
)

T = TypeVar("T")


class Progress:
    """One bar on standard error, used as a context manager.

    ``show`` None means: only when standard error is a terminal. ``advance`` moves it on,
    ``note`` sets the short text at its right end (losses, counts).

    >>> with Progress("counting", total=3, show=False) as bar:
    ...     for _ in range(3):
    ...         bar.advance()
    """

    def __init__(self, description: str, total: int | None = None, show: bool | None = None):
        self.visible = sys.stderr.isatty() if show is None else show
        self._total = total
        self._description = description
        self._bar: RichProgress | None = None

    def __enter__(self) -> Progress:
        if self.visible:
            self._bar = RichProgress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=Console(stderr=True),
                transient=False,
            )
            self._bar.start()
            self._task = self._bar.add_task(self._description, total=self._total, note="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, n: int = 1) -> None:
        """Move the bar on by ``n``."""
        if self._bar is not None:
            self._bar.advance(self._task, n)

    def note(self, text: str) -> None:
        """Set the short text at the right end of the bar."""
        if self._bar is not None:
            self._bar.update(self._task, note=text)


def track(
    items: Iterable[T], description: str, total: int | None = None, show: bool | None = None
) -> Iterator[T]:
    """Iterate over ``items`` with a bar.

    >>> list(track("ab", "letters", show=False))
    ['a', 'b']
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Progress(description, total, show) as bar:
        for item in items:
            yield item
            bar.advance()
