"""Progress on the terminal, for whatever takes longer than a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tracelet.messages import plain

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")

Advance = Callable[[int, int], None]  # done, in all

DELAY: Final = 1.0  # seconds before anything is shown


class _Bar:
    """A bar that appears once the work has taken a while."""

    def __init__(self, label: str, unit: str) -> None:
        self._label, self._unit = label, unit
        self._began = time.monotonic()
        self._progress: Progress | None = None
        self._task: Any = None

    def __call__(self, done: int, total: int) -> None:
        if done == 0:
            self._began = time.monotonic()
        if self._progress is None:
            if time.monotonic() - self._began < DELAY or done >= total:
                return
            self._progress = _make_progress(self._unit)
            self._task = self._progress.add_task(plain(self._label), total=total)
            self._progress.start()
        self._progress.update(self._task, completed=done, total=total)

    def close(self) -> None:
        """Remove the bar."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def _make_progress(unit: str) -> Progress:
    from rich import progress
    from rich.console import Console

    amount = progress.DownloadColumn() if unit == "bytes" else progress.MofNCompleteColumn()
    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        amount,
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,  # it leaves no trace in the terminal
    )


@contextmanager
def progress_bar(label: str, unit: str = "") -> Iterator[Advance | None]:
    """Give a function that reports progress; ``None`` if stderr is no terminal.

    The bar appears after a second, on stderr, and is gone at the end.
    """
    if not _is_terminal():
        yield None
        return
    bar = _Bar(label, unit)
    try:
        yield bar
    finally:
        bar.close()


class _IndexBar(_Bar):
    """A bar for work that the library begins by itself: it is gone as soon as all is done."""

    def __call__(self, done: int, total: int) -> None:
        super().__call__(done, total)
        if done >= total:
            self.close()


def index_progress() -> Advance | None:
    """Return a function that shows how far the index of runs is; ``None`` if stderr is no terminal."""
    if not _is_terminal():
        return None
    import atexit

    bar = _IndexBar("reading new runs", "")
    atexit.register(bar.close)  # Ctrl-C must not leave the terminal without its cursor
    return bar


def track(items: Iterable[T], label: str, total: int) -> Iterator[T]:
    """Yield items, and show how many of them are done."""
    with progress_bar(label) as advance:
        for at, item in enumerate(items):
            if advance is not None:
                advance(at, total)
            yield item


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError, OSError):
        return False
