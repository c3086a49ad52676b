"""Delivery after the run: the pending records of a run that has ended, was killed, or never had that backend."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracelet.delivery.attaching import call_each, is_backend, start_and_attach
from tracelet.delivery.delivery import Delivery
from tracelet.delivery.ledger.counting import count, ends
from tracelet.delivery.ledger.ledger import Ledger, ledger_file
from tracelet.delivery.limits import Settings
from tracelet.errors import JournalError, UsageError
from tracelet.journal import Cursor, liveness, read_events_by_writer, writers
from tracelet.journal.reading.lifetime import is_edit, writer_states
from tracelet.logs import get_logger
from tracelet.safe_files import refuse_linked_folder
from tracelet_hookspecs import BACKEND_HOOKS

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginManager

log = get_logger("tracelet.delivery")

_FINISHING: Final = 5.0  # seconds
_REPORT: Final = 0.2  # seconds between two reports of progress
#: A batch that fails for an unknown reason is split before the breaker opens, which would end the waiting.
LATER: Final = Settings(failures_before_split=Settings().breaker_after - 1)

ABOUT: Final = ("group", "parent", "job_type", "notes")
RUNNING: Final = "running"
KILLED: Final = "killed"


class Synced(NamedTuple):
    """What :func:`sync` did for one backend."""

    backend: str
    delivered: int  # now
    due: str  # what is still pending, in words; empty if nothing is
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
    progress: Callable[[int, int], None] | None = None,
) -> list[Synced]:
    """Deliver to these plugins what they have not received of a run: all of it, if they never had any.

    ``beside`` are plugins that have to be active for that, without being delivered to: processors.

    The plugins are started (``run_started``, the data hooks, ``run_ended``) and stopped. Returns when everything is
    delivered, when continuing is pointless, or after ``timeout`` seconds. If a run in progress delivers to a backend,
    that is left to the run. ``progress`` is called now and then with the records delivered and those in all, from a
    thread of its own.

    Raises:
        UsageError: there is no run in that folder.
        UnsafeFileError: the folder is a symbolic link.
    """
    refuse_linked_folder(run_dir)
    names = list(dict.fromkeys(names))
    run = RecordedRun(run_dir)
    before = {name: _delivered(run_dir, name) for name in names}
    delivery = Delivery(manager, run, run_dir, settings=settings or LATER)
    end = time.monotonic() + timeout

    def attach(name: str) -> None:
        if is_backend(manager, name):
            delivery.add(name)

    try:
        start_and_attach(manager, [*beside, *names], run, attach, delivery=delivery)
        with _reporting(delivery, progress):
            delivery.flush(timeout)
        status = delivery.status()
        if not run.is_part:
            call_each(manager, manager.active("run_ended"), "run_ended", run=run, outcome=run.outcome)
        due = delivery.finish(min(max(0.0, end - time.monotonic()), _FINISHING))
        errors = {name: _error(manager, name, status) for name in names}
    finally:
        delivery.finish(0.0)  # after an exception
        manager.stop_all_plugins()
    return [
        Synced(name, _delivered(run_dir, name) - before[name], due.get(name, ""), errors[name])
        for name in names
    ]


@contextmanager
def _reporting(delivery: Delivery, progress: Callable[[int, int], None] | None) -> Iterator[None]:
    """Report how far a delivery is while the block waits for it."""
    if progress is None:
        yield
        return
    over = threading.Event()

    def report() -> None:
        while not over.wait(_REPORT):
            states = delivery.status().values()
            done = sum(int(state.get("delivered") or 0) for state in states)
            progress(done, done + sum(int(state.get("pending") or 0) for state in states))

    thread = threading.Thread(target=report, name="tracelet progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(1.0)


def _error(manager: PluginManager, name: str, status: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return what kept a backend from receiving everything."""
    if name in status:
        error: str | None = status[name]["error"]
        return error
    info = manager.plugins.get(name)
    if info is None:
        return f"no plugin is named {name!r}; `tracelet plugins` lists all that can be found"
    return info.error or f"plugin {name!r} implements none of {', '.join(BACKEND_HOOKS)}"


def is_known(run_dir: Path, name: str) -> bool:
    """Say whether a backend was in use in a run's folder."""
    return ledger_file(run_dir, name).exists()


def is_due(run_dir: Path, name: str) -> bool:
    """Say whether records of a run are pending for a backend that was in use there."""
    if not is_known(run_dir, name):
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
    """Return what lies beyond a cursor, including holes that were passed over while they were being written."""
    return [(cursor.next, end), *cursor.holes]


def _delivered(run_dir: Path, name: str) -> int:
    try:
        return Ledger(run_dir, name).delivered
    except JournalError:
        return 0


class RecordedRun:
    """A run's identity, read from its journal. What a plugin records into it is not kept: the run is over."""

    def __init__(self, run_dir: Path) -> None:
        """Read it. Raises :class:`~tracelet.errors.UsageError` if there is no journal."""
        self.dir = run_dir
        self.id, self.name, self.project = run_dir.name, run_dir.name, ""
        self.started_at = 0.0
        #: When the outcome was recorded; for a killed run, the time of its latest event.
        self.ended_at = 0.0
        self._ended: str | None = None
        self.group: str | None = None
        self.parent: str | None = None
        self.job_type: str | None = None
        self.notes: str | None = None
        #: Whether it has no process that decides how the run went: rank zero recorded on another host.
        self.is_part = False
        self._ranks: list[Any] = []
        by_writer = read_events_by_writer(run_dir)
        if not any(by_writer.values()):
            raise UsageError(f"{run_dir}: expected the folder of a run, found no journal in it")
        for events in by_writer.values():
            is_edit = bool(events) and events[0].payload.get("edit") is True
            for event in events:
                self._learn_about(event.type, event.payload)
                if not is_edit:  # an edit says nothing of when the run ended, and how
                    self._learn(event.type, event.payload, event.time)
        self.is_part = bool(self._ranks) and all(self._ranks)

    def _learn_about(self, type: str, payload: Mapping[str, Any]) -> None:
        about = payload.get("run", {}) if type == "writer" else payload if type == "run" else {}
        if isinstance(about, Mapping):
            self.id = _text(about.get("id"), self.id)
            self.name = _text(about.get("name"), self.name)
            self.project = _text(about.get("project"), self.project)
            for key in ABOUT:
                if isinstance(about.get(key), str):
                    setattr(self, key, about[key] or None)

    def _learn(self, type: str, payload: Mapping[str, Any], time: float) -> None:
        if type == "writer":
            self.started_at = min(self.started_at or time, time)
            self._ranks.append(payload.get("rank"))
        elif type == "outcome" and payload.get("outcome"):
            self._ended = str(payload["outcome"])
        self.ended_at = max(self.ended_at, time)

    @property
    def outcome(self) -> str:
        """``running``, the outcome that the run recorded, or ``killed`` if it recorded none."""
        recording = (writer for writer in writers(self.dir) if not is_edit(self.dir, writer))
        alive = any(liveness(self.dir, writer) == RUNNING for writer in recording)
        return RUNNING if alive else self._ended or KILLED

    @property
    def writer_states(self) -> dict[str, tuple[str, float]]:
        """The state of each process that wrote to the run, and when it was last seen (seconds since the epoch).

        The states are ``running``, ``ended`` and ``killed``.
        """
        return writer_states(self.dir)

    def log_metric(self, name: str, value: Any, iteration: int | None = None) -> None:
        """Record nothing."""
        self._refuse("log_metric")

    def log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record nothing."""
        self._refuse("log")

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record nothing."""
        self._refuse("log_params")

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Record nothing."""
        self._refuse("set_tags")

    def log_artifact(self, local_path: str, artifact_path: str | None = None) -> None:
        """Record nothing."""
        self._refuse("log_artifact")

    def _refuse(self, method: str) -> None:
        log.info("run %s: %s is ignored, since earlier records are being delivered", self.id, method)


def _text(value: Any, otherwise: str) -> str:
    return value if isinstance(value, str) and value else otherwise
