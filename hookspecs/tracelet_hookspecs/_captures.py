"""How captures and the objects in frameworks' own slots agree on who records, so that nothing is recorded twice."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

#: A true attribute of this name marks an object that records into tracelet what its framework reports.
MARK: Final = "records_into_tracelet"
_ALL: Final = ""


class _Suspended(threading.local):
    """How many blocks of this thread suspend which captures."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}


_suspended = _Suspended()


def records_into_tracelet(objects: Iterable[Any] | None) -> bool:
    """Return whether one of a framework's loggers or callbacks records into tracelet itself.

    Such an object has a true attribute ``records_into_tracelet``. A capture asks this of the objects that it
    finds beside itself, and leaves the recording to them.

    >>> class Logger:
    ...     records_into_tracelet = True
    >>> records_into_tracelet([print, Logger()]), records_into_tracelet([print])
    (True, False)
    """
    return any(getattr(each, MARK, False) is True for each in objects or ())


@contextmanager
def suspend_captures(*names: str) -> Iterator[None]:
    """Have captures record nothing on this thread while the block runs: those of these names, or all of them.

    Whoever records what a framework reports wraps the framework's own writing in this, since the capture of a lower
    level would record the same again: a trainer that writes event files through a ``SummaryWriter``.
    """
    counts = _suspended.counts
    given = names or (_ALL,)
    for name in given:
        counts[name] = counts.get(name, 0) + 1
    try:
        yield
    finally:
        for name in given:
            counts[name] -= 1
            if not counts[name]:
                del counts[name]


def is_suspended(name: str) -> bool:
    """Return whether the capture of this name records nothing on this thread now."""
    counts = _suspended.counts
    return bool(counts) and (_ALL in counts or name in counts)
