"""Delivering later: what is due of a run that has ended, was killed, or never had that backend."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracelet.delivery.delivery import Delivery
from tracelet.delivery.ledger.counting import count
from tracelet.delivery.ledger.ledger import Ledger, ledger_file
from tracelet.delivery.pipeline.plan import BACKEND_HOOKS
from tracelet.delivery.pipeline.reader import ends
from tracelet.delivery.pipeline.recorded import RecordedRun
from tracelet.delivery.settings import Settings
from tracelet.errors import JournalError, PluginError
from tracelet.journal import Cursor, writers
from tracelet_hookspecs import RunView

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginManager

log = logging.getLogger("tracelet.delivery")

_FINISHING: Final = 5.0  # seconds
#: A batch that fails for no reason known is looked into before the breaker opens, which would end the waiting.
LATER: Final = Settings(failures_before_split=Settings().breaker_after - 1)


class Synced(NamedTuple):
    """What :func:`sync` did for one backend."""

    backend: str
    delivered: int  # now
    due: str  # what is left, in words; empty where nothing is
    error: str | None

    @property
    def complete(self) -> bool:
        """Whether the backend has everything."""
        return not self.due and self.error is None


def sync(
    run_dir: Path,
    manager: PluginManager,
    names: Iterable[str],
    *,
    beside: Iterable[str] = (),
    timeout: float = float("inf"),
    settings: Settings | None = None,
) -> list[Synced]:
    """Deliver to each of these plugins what it has not had of a run: all of it, where it never had any.

    ``beside`` are plugins that have to be at work for it, without being delivered to: processors.

    The plugins are started for it (``run_started``, the data hooks, ``run_ended``) and stopped. Returns when all is
    delivered, when it is no use to go on, or when ``timeout`` seconds are over. A backend that a live run delivers to
    is left to it.

    Raises:
        UsageError: there is no run in that folder.
    """
    names = list(dict.fromkeys(names))
    run = RecordedRun(run_dir)
    before = {name: _delivered(run_dir, name) for name in names}
    delivery = Delivery(manager, run, run_dir, settings=settings or LATER)
    end = time.monotonic() + timeout
    try:
        active = _start(manager, delivery, run, [*beside, *names])
        delivery.flush(timeout)
        status = delivery.status()
        _call(manager, active, "run_ended", run=run, outcome=run.outcome)
        due = delivery.finish(min(max(0.0, end - time.monotonic()), _FINISHING))
        errors = {name: _trouble(manager, name, status) for name in names}
    finally:
        delivery.finish(0.0)  # where an exception came in between
        manager.stop_all_plugins()
    return [
        Synced(name, _delivered(run_dir, name) - before[name], due.get(name, ""), errors[name])
        for name in names
    ]


def _trouble(manager: PluginManager, name: str, status: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Say what kept a backend from getting everything."""
    if name in status:
        error: str | None = status[name]["error"]
        return error
    info = manager.plugins.get(name)
    if info is None:
        return f"no plugin is named {name!r}; `tracelet plugins` lists all that can be found"
    return info.error or f"plugin {name!r} implements none of {', '.join(BACKEND_HOOKS)}"


def _start(manager: PluginManager, delivery: Delivery, run: RunView, names: Iterable[str]) -> list[str]:
    started = manager.start_plugins(dict.fromkeys(names))
    active = [name for name, is_active in started.items() if is_active]
    _call(manager, active, "run_started", run=run)
    for name in active:
        if any(manager.handle(name).implements(hook) for hook in BACKEND_HOOKS):
            delivery.add(name)
    return active


def _call(manager: PluginManager, names: Iterable[str], hook: str, **kwargs: Any) -> None:
    for name in names:
        handle = manager.handle(name)
        if handle.implements(hook) and handle.worker.usable:
            try:
                handle.call(hook, **kwargs)
            except PluginError as error:
                log.warning("%s", error)


def is_due(run_dir: Path, name: str) -> bool:
    """Say whether a backend that had some of a run is still to get the rest."""
    if not ledger_file(run_dir, name).exists():
        return False
    try:
        pages = Ledger(run_dir, name).pages
    except JournalError:
        return True
    cursors = {writer: page.cursor for writer, page in pages.items()}
    return any(
        count(run_dir, writer, start, stop)
        for writer, end in ends(run_dir, writers(run_dir)).items()
        for start, stop in _ahead(cursors.get(writer, Cursor()), end)
    )


def _ahead(cursor: Cursor, end: int) -> list[tuple[int, int]]:
    """Return what lies beyond a cursor: what was passed over while it was being written, too."""
    return [(cursor.next, end), *cursor.holes]


def _delivered(run_dir: Path, name: str) -> int:
    try:
        return Ledger(run_dir, name).delivered
    except JournalError:
        return 0
