"""What the operating system's ways of making and ending processes ask of a writer."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import weakref
from typing import Protocol


class Forked(Protocol):
    """What has something to do in a forked child, and at its end."""

    def after_fork(self) -> None:
        """Leave alone what is the parent's."""

    def close(self) -> None:
        """End what is the child's own."""


_living: dict[int, weakref.ref[Forked]] = {}


def remember(one: Forked) -> None:
    """Call it in each forked child."""
    _living[id(one)] = weakref.ref(one)


def forget(one: Forked) -> None:
    """Stop calling it."""
    _living.pop(id(one), None)


def _after_fork_in_child() -> None:
    for reference in list(_living.values()):
        one = reference()
        if one is not None:
            one.after_fork()


os.register_at_fork(after_in_child=_after_fork_in_child)


def close_at_exit(one: Forked) -> None:
    """End a forked child's file with the child; processes of multiprocessing have an exit of their own."""
    reference = weakref.ref(one)

    def close() -> None:
        found = reference()
        if found is not None:
            found.close()

    with contextlib.suppress(RuntimeError):  # the interpreter is on its way out already
        atexit.register(close)
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.Finalize(None, close, exitpriority=0)
