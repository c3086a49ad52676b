"""Which run the module functions mean: that of this thread or task, else the innermost one of the program."""

from __future__ import annotations

import contextlib
import sys
import threading
from contextvars import ContextVar
from pathlib import Path
from typing import Final

from tracelet.logs import get_logger
from tracelet.run import plugin_threads
from tracelet.run.run import Run

log = get_logger("tracelet.run")

_SHELLS: Final = frozenset({"ipykernel", "IPython", "prompt_toolkit"})  # packages whose tasks execute cells


class StartedRun:
    """A run that this program has started, and where: thread, task, cell."""

    __slots__ = ("cell", "name", "on_main", "outer", "place", "run")

    def __init__(self, run: Run, name: str | None, outer: tuple[StartedRun, ...]) -> None:
        self.run = run
        #: The name given to ``start_run``.
        self.name = name
        #: The runs that were open in the same context when this one was started.
        self.outer = outer
        self.place = (threading.get_ident(), _task())
        self.on_main = threading.current_thread() is threading.main_thread() and self.place[1] is None
        self.cell = current_cell()

    @property
    def is_open(self) -> bool:
        """Whether the run has not ended."""
        return self.run.outcome is None

    @property
    def is_nested(self) -> bool:
        """Whether it was started inside a run of another thread or task."""
        return any(other.is_open and other.place != self.place for other in self.outer)


_own: ContextVar[tuple[StartedRun, ...] | None] = plugin_threads.own_runs
_program: list[StartedRun] = []  # in the order of their start
_warned: list[bool] = []


def add(run: Run, name: str | None) -> None:
    """Make a run the active one of this thread or task."""
    outer = tuple(other for other in _own.get() or () if other.is_open)
    started = StartedRun(run, name, outer)
    _program.append(started)
    for other in [each for each in _program if not each.is_open]:  # never empties the list: others look at it
        with contextlib.suppress(ValueError):  # another thread was first
            _program.remove(other)
    _own.set((*outer, started))


def active_run() -> Run | None:
    """Return the run that the module functions record into, or ``None``.

    It is the innermost open run that this thread or task has started, else the program's innermost one: the main
    thread's, if it has one. A worker thread or task whose own run has ended does not get that of another.
    """
    own = _own.get()
    # These cover nearly every call, and each costs as little as it can.
    if own is not None:
        last = own[-1]
        if last.run.outcome is None and last.cell is None:
            return last.run
    elif len(_program) == 1 and _program[0].run.outcome is None:
        return _program[0].run
    return _search(own)


def _search(own: tuple[StartedRun, ...] | None) -> Run | None:
    for started in reversed(own or ()):
        if started.is_open:
            return started.run if started.cell is None else _newest_of_cells(started).run
    return _run_of_program(had_own=own is not None and not own[-1].on_main)


def adoptable_run() -> Run | None:
    """Return the run that ``tracelet run`` has opened, unless the program has started a run already."""
    return next((started.run for started in _program if started.is_open and started.run.adoptable), None)


def _newest_of_cells(mine: StartedRun) -> StartedRun:
    """Return a run that a later cell has started: whether cells share a context depends on the kernel."""
    later = [
        other
        for other in _program
        if other.is_open and other.on_main and (other.cell or 0) > (mine.cell or 0)
    ]
    return later[-1] if later and threading.current_thread() is threading.main_thread() else mine


def _run_of_program(*, had_own: bool) -> Run | None:
    everything = [started for started in _program if started.is_open]
    candidates = [started for started in everything if started.on_main]
    if not candidates and not had_own:
        candidates = [started for started in everything if not started.is_nested] or everything
    if not candidates:
        return None
    if len({started.place for started in candidates}) > 1 and not _warned:
        _warned.append(True)
        log.warning(
            "%s has no run of its own, and several threads or tasks have one: what it logs is recorded in run %s;"
            " call the methods of the run that you mean",
            threading.current_thread().name,
            candidates[-1].run.id,
        )
    return candidates[-1].run


def finish_runs_of_cells(name: str | None, project: str) -> None:
    """Finish the run that a cell of a notebook left open when the cell, or one like it, is run again."""
    cell = current_cell()
    for other in list(_program) if cell is not None else ():
        is_earlier = other.is_open and other.on_main and other.cell not in (None, cell)
        if is_earlier and other.name == name and other.run.project == project:
            log.warning(
                "run %s (%s) was still open; a cell starts a run of the same name, so it is finished now",
                other.run.name,
                other.run.id,
            )
            other.run.finish()


def current_cell() -> int | None:
    """Return the number of the cell that IPython is executing, or ``None`` in any other program."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    count = getattr(shell, "execution_count", None)
    return count if isinstance(count, int) else None


def _task() -> int | None:
    """Return what identifies the running task of asyncio. The task that runs the cells of a notebook does not count."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return None
    return id(task) if task is not None and not _runs_cells(task) else None


def _runs_cells(task: object) -> bool:
    coroutine = getattr(task, "get_coro", lambda: None)()
    file = getattr(getattr(coroutine, "cr_code", None), "co_filename", "")
    return not _SHELLS.isdisjoint(Path(file).parts)


plugin_threads.program_run.append(lambda: _run_of_program(had_own=False))
plugin_threads.active_run.append(active_run)
