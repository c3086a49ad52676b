"""The active run on the thread of a plugin: it records nothing from within a data hook."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from tracelet.host import leftovers

#: The runs of this thread or task, innermost last. A thread begins with an empty context, a task with a copy of its
#: creator's. It is here so that a plugin's thread can be given one without knowing what a run is.
own_runs: ContextVar[tuple[Any, ...] | None] = ContextVar("tracelet_runs", default=None)
#: Returns the program's run, set by the module that knows it.
program_run: list[Callable[[], Any]] = []
#: Returns the run that the module functions record into, set by the module that knows it.
active_run: list[Callable[[], Any]] = []


class _RunOfPlugin:
    """Takes the place of a run that the thread has started, so that no other thread pays for the check."""

    cell = None
    is_open = False
    on_main = True
    outcome = "none"  # as a run, it is none

    @property
    def run(self) -> Any:
        """The program's run, guarded."""
        from tracelet.delivery.guarded_run import GuardedRun

        run = program_run[-1]() if program_run else None
        return GuardedRun(run) if run is not None else self


def guard_plugin_thread() -> None:
    """Have the module functions record nothing from within a data hook. To be called on a plugin's thread."""
    if own_runs.get() is None:
        own_runs.set((_RunOfPlugin(),))


def guard_new_threads() -> None:
    """Do the same on the threads that a plugin starts in a data hook. Once per process."""
    if _guard_thread_of not in leftovers.in_new_thread:
        leftovers.in_new_thread.append(_guard_thread_of)


def _guard_thread_of(step: str) -> None:
    from tracelet.delivery.guarded_run import DATA_HOOKS

    if step in DATA_HOOKS:
        guard_plugin_thread()
