"""Counters and queues that threads, signal handlers and forks may use at once, without a lock."""

from __future__ import annotations

import sys
from _thread import RLock
from collections import deque
from collections.abc import Iterator
from itertools import count, islice
from typing import TypeVar

Item = TypeVar("Item")


def drain(queue: deque[Item]) -> Iterator[Item]:
    """Take items out of a queue until it is empty; another thread may do so at the same time."""
    while True:
        try:
            item = queue.popleft()
        except IndexError:
            return
        yield item


class Tally:
    """A count that threads, signal handlers and forks may increase at once without a lock."""

    def __init__(self) -> None:
        self._steps = new_counter()

    def add(self, amount: int = 1) -> None:
        """Add to the count."""
        deque(islice(self._steps, amount), maxlen=0)

    @property
    def value(self) -> int:
        """The count so far."""
        return position(self._steps)


class LockedCounter:
    """``itertools.count`` for interpreters without a GIL, on which taking several numbers is not atomic.

    Taking one number from a plain ``count`` is atomic there as well (by compare-and-exchange, since 3.13.0).
    But a thread that needs many consecutive numbers would never get them while another takes single ones.
    """

    def __init__(self) -> None:
        self._steps = count()
        self._lock = RLock()  # a signal handler may run while its own thread holds it

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        with self._lock:
            return next(self._steps)

    def draw(self, amount: int) -> list[int]:
        """Return this many numbers. They are consecutive unless a signal handler interrupted."""
        with self._lock:
            return list(islice(self._steps, amount))

    def __repr__(self) -> str:
        return repr(self._steps)


def has_gil() -> bool:
    """Say whether this interpreter runs one thread at a time."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def new_counter() -> Iterator[int]:
    """Return a counter from 0 whose steps are atomic."""
    return count() if has_gil() else LockedCounter()


def draw_several(counter: Iterator[int], amount: int) -> list[int]:
    """Return a counter's next numbers, which are not necessarily consecutive."""
    return counter.draw(amount) if isinstance(counter, LockedCounter) else list(islice(counter, amount))


def position(counter: Iterator[int]) -> int:
    """Return the next number of a counter without taking it."""
    return int(repr(counter)[len("count(") : -1])
