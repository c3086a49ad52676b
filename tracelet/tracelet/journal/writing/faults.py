"""What can keep a record from being written, what it is called, and counters that need no lock."""

from __future__ import annotations

import errno
import sys
from _thread import RLock
from collections import deque
from collections.abc import Iterator
from itertools import count, islice
from typing import TypeVar

Item = TypeVar("Item")

REASONS = {
    errno.ENOSPC: "disk full",
    errno.EDQUOT: "disk quota reached",
    errno.EROFS: "read-only file system",
    errno.EACCES: "folder not writable",
    errno.EPERM: "folder not writable",
    errno.EFBIG: "file size limit",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files",
    errno.ENOENT: "folder deleted",
    errno.ENOTDIR: "not a folder",
    errno.EEXIST: "not a folder",
    errno.ESTALE: "folder deleted",
    errno.EIO: "input/output error",
    errno.ENOMEM: "out of memory",
}
# What keeps a file from being mapped though it is open: then a plain write still does.
SHORT_OF_HANDLES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})


class UnavailableError(Exception):
    """The record has no place to go at this moment. ``reason`` is what a drop is counted under."""

    def __init__(self, reason: str, number: int | None = None, segment: int | None = None) -> None:
        self.reason = reason
        self.errno = number
        self.segment = segment
        super().__init__(reason)

    def bare(self) -> UnavailableError:
        """Forget how it came about: it is kept, and would keep what the calls on the way held."""
        self.__traceback__ = self.__cause__ = self.__context__ = None
        return self

    @classmethod
    def because(cls, error: OSError, segment: int | None = None) -> UnavailableError:
        """Return the fault that an error of the operating system stands for."""
        known = REASONS.get(error.errno or 0)
        return cls(known or (error.strerror or str(error)).lower(), error.errno, segment)


class AbandonedError(Exception):
    """The call began before a fork: the parent finishes it, the child's copy of it records nothing."""


class ReplacedError(UnavailableError):
    """The file was deleted and another one takes its place: try again there."""

    def __init__(self) -> None:
        super().__init__(REASONS[errno.ENOENT], errno.ENOENT)


def taken(queue: deque[Item]) -> Iterator[Item]:
    """Take items out of a queue until it is empty; another thread may do so at the same time."""
    while True:
        try:
            item = queue.popleft()
        except IndexError:
            return
        yield item


class Tally:
    """A count that threads, signal handlers and forks may step at once without a lock."""

    def __init__(self) -> None:
        self._steps = new_counter()

    def add(self, amount: int = 1) -> None:
        """Count."""
        deque(islice(self._steps, amount), maxlen=0)

    @property
    def value(self) -> int:
        """The count so far."""
        return position(self._steps)


class LockedCounter:
    """``itertools.count`` for interpreters without a GIL, where several steps are not one.

    A single step of the plain one would be atomic there, too (by compare-and-exchange, from 3.13.0 on). But of two
    threads, one that wants many numbers in a row would never get them beside one that wants single ones.
    """

    def __init__(self) -> None:
        self._steps = count()
        self._lock = RLock()  # a signal handler may come in while its own thread holds it

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        with self._lock:
            return next(self._steps)

    def several(self, amount: int) -> list[int]:
        """Return so many numbers, which follow each other unless a signal handler came in."""
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


def several(counter: Iterator[int], amount: int) -> list[int]:
    """Return a counter's next numbers, which need not follow each other."""
    return counter.several(amount) if isinstance(counter, LockedCounter) else list(islice(counter, amount))


def position(counter: Iterator[int]) -> int:
    """Return the number that a counter would give next, without taking it."""
    return int(repr(counter)[len("count(") : -1])
