"""What the requests share: the store, the series that were read last, and the tails of runs that are recording."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from typing import Any, Final, NamedTuple

from tracelet.errors import StoreError
from tracelet.store import RunRecord, Store
from tracelet.store.dense_series import MIN_POINTS, DenseSeries, read_dense
from tracelet.store.metric_keys import as_patterns
from tracelet.store.outlines.outline_file import Outline
from tracelet.store.outlines.reading import read_outlined
from tracelet.store.rewinds import Rewound, split_rewinds
from tracelet.store.tail import Tail, series_cursor
from tracelet.ui.outlining import Outlining

_MOST_BYTES: Final = 72_000_000  # of points, kept in memory; a single series may take more
_POINT: Final = 24  # bytes
_MOST_RECORDS: Final = 200  # kept in memory, without their points
_PATIENCE: Final = 0.5  # seconds that a list of runs may be old
_AHEAD: Final = 1_000_000  # points read ahead
_FRESH: Final = 1.0  # seconds for which the series of a running run are not read again
_IDLE: Final = 60.0  # seconds after which a tail that nobody reads is dropped
_RECENT: Final = 0.2  # seconds for which a tail is not moved on again


class SeriesRead(NamedTuple):
    """A series as it was read: what counts, what was computed again, and the cursor behind it."""

    rewound: Rewound
    cursor: dict[str, int]
    read_at: float
    state: Any  # of the run's files at that time

    @property
    def nbytes(self) -> int:
        """The memory that the points take."""
        effective, ghosts = self.rewound
        if isinstance(effective, DenseSeries):
            return effective.nbytes
        return _POINT * (len(effective) + sum(len(ghost.series) for ghost in ghosts))


class Sources:
    """Reads runs for the API. Any thread may use it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.be_patient(_PATIENCE)
        self._tell = store.report_progress(self._note_progress)  # the terminal
        self._progress: tuple[int, int] | None = None
        self._fields: tuple[str, dict[str, list[str]]] = ("?", {})
        self._series: OrderedDict[tuple[str, str], SeriesRead] = OrderedDict()
        self._records: dict[str, tuple[Any, RunRecord]] = {}  # with the state of the run's files before
        self._tails: dict[str, tuple[Tail, float, float]] = {}
        self._outlines = Outlining(store)
        self._lock = threading.Lock()
        self._reading = threading.Lock()  # one at a time: reading takes memory
        #: Whether the server is about to end, so that streams end, too.
        self.closing = False

    def prepare(self) -> None:
        """Begin to prepare in the background what takes long to read."""
        self._outlines.start()

    def note_request(self) -> None:
        """Take note that somebody waits for an answer: what is prepared in the background waits, too."""
        self._outlines.note_request()

    def close(self) -> None:
        """End streams, and what goes on in the background."""
        self.closing = True
        self._outlines.close()

    def _note_progress(self, done: int, total: int) -> None:
        self._progress = (done, total) if done < total else None
        if self._tell is not None:
            self._tell(done, total)

    @property
    def progress(self) -> tuple[int, int] | None:
        """How many of the runs have been looked at, and how many there are, while the index is brought up to date."""
        return self._progress

    def fields(self, newest: int | None = None) -> dict[str, list[str]]:
        """Return the names of params, tags and metrics, of all runs or of the newest."""
        if newest is not None:
            return self.store.fields(newest)
        version = self.store.version()
        if self._fields[0] != version:
            self._fields = (version, self.store.fields())
        return self._fields[1]

    def run(self, id: str) -> RunRecord:
        """Return a run of the store by its id; one that has ended is read again only if its files have changed."""
        state = self.store.state(id) if os.path.basename(id) == id else None
        with self._lock:
            known = self._records.get(id)
        if known is not None and state is not None and known[0] == state and known[1].outcome != "running":
            return known[1]
        outline = self._outlines.of(id, state)
        record = self._read(id) if outline is None else read_outlined(self.store, id, outline.history())
        if outline is None:
            self._outlines.request(record)
        with self._lock:
            if len(self._records) >= _MOST_RECORDS:
                self._records.clear()
            self._records[id] = (state, record)
        return record

    def _read(self, id: str) -> RunRecord:
        """Read a run by its id. Paths and the like, which :meth:`Store.run` takes, are refused."""
        record = self.store.run(id) if os.path.basename(id) == id else None
        if record is None or record.id != id:
            raise StoreError(f"no run with the id {id!r}", run=id)
        return record

    def outline(self, record: RunRecord) -> Outline | None:
        """Return what charts of the whole range draw of a run, if it was prepared and the run has not changed."""
        return None if record.outcome == "running" else self._outlines.of(record.id, record.source.state())

    def series(self, record: RunRecord, names: list[str]) -> dict[str, SeriesRead]:
        """Return some metrics of a run, without those that it lacks."""
        if record.outcome == "running":
            self.tail(record)  # before the points are read, so that it has all that come later
        state = record.source.state()
        with self._reading:
            found = {name: known for name in names if (known := self._known(record, name, state))}
            missing = [name for name in names if name not in found]
            missing = [name for name in missing if not self._find_long(record, name, state, found)]
            if missing:
                self._find_all(record, missing, state, found)
        return found

    def _find_long(self, record: RunRecord, name: str, state: Any, found: dict[str, SeriesRead]) -> bool:
        """Read a series of millions of points in parts; return whether that was possible."""
        count = record.summary()[name]["count"] if name in record.summary() else 0
        if count < MIN_POINTS or record.outcome == "running":
            return False
        dense = read_dense(record.dir, record.id, name, count)
        if dense is None:
            return False
        found[name] = SeriesRead(Rewound(dense[0], []), dense[1], time.monotonic(), state)
        self._keep(record.id, name, found[name])
        return True

    def _find_all(
        self, record: RunRecord, missing: list[str], state: Any, found: dict[str, SeriesRead]
    ) -> None:
        """Read the series that are missing, and some that will be asked for next."""
        # A record keeps the points that it has read, so it is not the one that is shared.
        fresh = self._read(record.id) if record.outcome == "running" else record.without_points()
        wanted = [*missing, *_read_ahead(fresh, missing)]
        for one in fresh.series(as_patterns(wanted), missing_ok=True):
            cursor = series_cursor(one.origin.parts if one.origin is not None else ())
            read = SeriesRead(split_rewinds(one), cursor, time.monotonic(), state)
            self._keep(record.id, one.name, read)
            if one.name in missing:
                found[one.name] = read

    def _known(self, record: RunRecord, name: str, state: Any) -> SeriesRead | None:
        with self._lock:
            known = self._series.get((record.id, name))
            if known is None or known.state != state:
                return None
            if record.outcome == "running" and time.monotonic() - known.read_at > _FRESH:
                return None
            self._series.move_to_end((record.id, name))
            return known

    def _keep(self, run: str, name: str, read: SeriesRead) -> None:
        with self._lock:
            self._series[run, name] = read
            self._series.move_to_end((run, name))
            held = sum(one.nbytes for one in self._series.values())
            while held > _MOST_BYTES and len(self._series) > 1:
                held -= self._series.popitem(last=False)[1].nbytes

    def tail(self, record: RunRecord) -> Tail:
        """Return the tail of a run, brought up to date."""
        with self._lock:
            now = time.monotonic()
            for run, (_, _, used) in list(self._tails.items()):
                if now - used > _IDLE:
                    del self._tails[run]
            tail, advanced, _ = self._tails.get(record.id, (None, 0.0, 0.0))
        if tail is None:
            tail = record.source.tail()
            advanced = now
        elif now - advanced > _RECENT:
            tail.advance()
            advanced = now
        with self._lock:
            kept = self._tails.setdefault(record.id, (tail, advanced, now))[0]
            self._tails[record.id] = (kept, advanced, now)
        return kept


def _read_ahead(record: RunRecord, names: list[str]) -> list[str]:
    """Return the metrics that follow by name, as many as memory allows.

    Reading some metrics takes about as long as reading many, and whoever sees these charts will scroll to the next.
    """
    summary = record.summary()
    room = _AHEAD - sum(summary[name]["count"] for name in names if name in summary)
    following: list[str] = []
    for name in sorted(name for name in summary if name > max(names)):
        room -= summary[name]["count"]
        if room < 0:
            break
        following.append(name)
    return following
