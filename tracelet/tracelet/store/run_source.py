"""Where the data of one run comes from: the journal in its folder, or something that answers in the same terms."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from tracelet import safe_files
from tracelet.journal import Columns, Damage, EventRecord, read_columns, read_events_by_writer
from tracelet.store import journal_access
from tracelet.store.accumulator import Summary
from tracelet.store.details import Details, read_details
from tracelet.store.history import History

if TYPE_CHECKING:
    from tracelet.store.tail import Tail


class RunSource(Protocol):
    """What a record reads. ``dir`` is a folder on this machine with the run's files, as far as they are here."""

    dir: Path

    #: Whether reading some metrics takes much less time than reading all.
    is_selective: bool

    @property
    def location(self) -> str:
        """Where the run is, for people: a path or a URL."""

    def renew(self) -> RunSource:
        """Return the run as it is now."""

    def check_journal(self, what: str) -> None:
        """Raise :class:`UsageError` if there is no journal, which ``what`` (a command) works on."""

    def read(
        self, last_time: Callable[[str], float], history: History | None = None
    ) -> tuple[Details, History | None]:
        """Return the run's details, and its history if that comes along with them, or is given because it is known.

        ``last_time`` returns when a process recorded its last point.
        """

    def history(self) -> History:
        """Return what all events of the run add up to."""

    def events(self) -> dict[str, list[EventRecord]]:
        """Return the events of each process."""

    def columns(self, names: Iterable[str] | None, damage: Damage) -> dict[str, Columns]:
        """Return the points of metrics by recorded name (``None``: of all)."""

    def summaries(self) -> dict[str, Summary] | None:
        """Return the statistics of each metric if they are known without reading all points, else ``None``."""

    def state(self) -> Any:
        """Return a value that changes when the run does; ``None`` if there is no such run."""

    def tail(self) -> Tail:
        """Return a tail, which follows the run from now on."""

    def open(self, path: str, sha256: str | None) -> BinaryIO:
        """Open a file of an artifact for reading. Raises OSError."""

    def fetch(self, path: str, sha256: str | None) -> None:
        """Make sure that a file of an artifact is in ``dir``. Raises OSError."""


class Location(Protocol):
    """Where the runs of a store are. ``data`` is a folder on this machine, ``only`` the id of a single run."""

    @property
    def data(self) -> Path:
        """The data folder, or the folder with local copies."""

    @property
    def runs(self) -> Path:
        """The folder of the runs."""

    @property
    def only(self) -> str | None:
        """The only run of the store, if it is that of a single run."""

    @property
    def has_journals(self) -> bool:
        """Whether each run is a folder with a journal."""

    @property
    def shown(self) -> str:
        """The path or the URL, for people."""

    @property
    def patience(self) -> float:
        """The least age in seconds of a list that a program gets which asks many times per second."""

    def run_ids(self) -> list[str]:
        """Return the ids of all runs, sorted."""

    def has_runs(self) -> bool:
        """Return whether there may be any run."""

    def has(self, run_id: str) -> bool:
        """Return whether there is a run of this id."""

    def source(self, run_id: str) -> RunSource:
        """Return where a run's data comes from."""

    def check_writable(self, what: str) -> None:
        """Raise :class:`UsageError` if the runs cannot be changed. ``what`` is the verb: edit, delete."""


class JournalSource:
    """A run in a folder of this machine."""

    is_selective = False

    def __init__(self, run_dir: Path) -> None:
        self.dir = run_dir

    @property
    def location(self) -> str:
        """The run's folder."""
        return str(self.dir)

    def renew(self) -> RunSource:
        """Return the same: everything is read when it is asked for."""
        return self

    def check_journal(self, what: str) -> None:
        """Do nothing: there is a journal."""

    def read(
        self, last_time: Callable[[str], float], history: History | None = None
    ) -> tuple[Details, History | None]:
        """Read the journal."""
        return read_details(self.dir, last_time, history)

    def history(self) -> History:
        """Return what all events add up to; nothing if the journal cannot be read."""
        return read_details(self.dir, lambda _: 0.0)[1]

    def events(self) -> dict[str, list[EventRecord]]:
        """Return the events of each process."""
        return read_events_by_writer(self.dir)

    def columns(self, names: Iterable[str] | None, damage: Damage) -> dict[str, Columns]:
        """Return points from the journal."""
        return read_columns(self.dir, names, damage=damage)

    def summaries(self) -> dict[str, Summary] | None:
        """Return ``None``: only the points can tell."""
        return None

    def state(self) -> Any:
        """Return the journal's files."""
        try:
            return journal_access.list_segments(self.dir)
        except (OSError, ValueError):  # none, or no name for a folder
            return None

    def tail(self) -> Tail:
        """Follow the journal."""
        from tracelet.store.tail import RunTail

        return RunTail(self.dir)

    def open(self, path: str, sha256: str | None) -> BinaryIO:
        """Open a file of the run's folder. No link is followed."""
        return safe_files.open_stream(self.dir, path)

    def fetch(self, path: str, sha256: str | None) -> None:
        """Do nothing: all files are here."""
