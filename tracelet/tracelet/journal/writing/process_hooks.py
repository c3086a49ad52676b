"""Hooks for forks and for the end of a process."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import weakref
from typing import Protocol


class Forked(Protocol):
    """An object with work to do in a forked child and at the child's end."""

    def after_fork(self) -> None:
        """Leave the parent's file alone."""

    def close(self) -> None:
        """Close the child's own file."""


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
    """Close a forked child's file when the child exits; multiprocessing has its own exit handlers."""
    reference = weakref.ref(one)

    def close() -> None:
        found = reference()
        if found is not None:
            found.close()

    with contextlib.suppress(RuntimeError):  # the interpreter is already exiting
        atexit.register(close)
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.Finalize(None, close, exitpriority=0)
