"""Outlines for the page: found if there is one, and made in the background for large runs that lack one."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from typing import Any, Final

from tracelet.logs import get_logger
from tracelet.store import RunRecord, Store
from tracelet.store.journal_access import list_segments
from tracelet.store.outlines.outline_file import SUFFIX, Outline, outline_folder, outline_path
from tracelet.store.outlines.reading import largest_runs, run_ids
from tracelet.store.point_columns import load_numpy

log = get_logger("tracelet.ui")

MIN_POINTS: Final = 500_000  # in all metrics of a run; a smaller one is read fast enough
_MOST_BYTES: Final = 1 << 30  # of all outlines: beyond it, the oldest are removed
_MOST_RUNS: Final = 20  # made in advance, the newest
_PAUSE: Final = (
    2.0  # seconds without a request before one is made: whoever waits for a chart has the cores first
)
_LONGEST_WAIT: Final = 30.0  # seconds


class Outlining:
    """The outlines of a store. Any thread may use it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder = outline_folder(store.dir) if store.has_journals else None
        self._known: dict[str, Outline] = {}
        self._wanted: list[str] = []  # runs to outline, the next one last
        self._tried: set[str] = set()
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._is_closed = False
        self._requested = 0.0  # when somebody asked for something

    def note_request(self) -> None:
        """Take note that somebody waits for an answer."""
        self._requested = time.monotonic()

    def of(self, run: str, state: Any) -> Outline | None:
        """Return the outline of a run whose journal has these files, if there is one."""
        if self._folder is None or state is None:
            return None
        known = self._known.get(run)
        if known is None or not known.is_of(state):
            known = Outline.read(outline_path(self._folder, run), state)
            if known is not None:
                if len(self._known) > _MOST_RUNS:
                    self._known.clear()
                self._known[run] = known
        return known

    def request(self, record: RunRecord) -> None:
        """Have the outline of a large run made next, if this server makes any."""
        if self._folder is None or record.outcome == "running" or record.id in self._tried:
            return
        if sum(one["count"] for one in record.summary().values()) >= MIN_POINTS:
            with self._condition:
                self._wanted.append(record.id)
                self._condition.notify()

    def start(self) -> None:
        """Begin to make outlines."""
        if self._folder is not None and load_numpy() is not None:
            self._thread = threading.Thread(target=self._work, name="tracelet outlines", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop making outlines."""
        with self._condition:
            self._is_closed = True
            process = self._process
            self._condition.notify()
        if process is not None:
            with contextlib.suppress(OSError):
                process.kill()

    def _work(self) -> None:
        try:
            self._clean_up()
            with self._condition:
                self._wanted = [*reversed(largest_runs(self._store, MIN_POINTS, _MOST_RUNS)), *self._wanted]
            while (run := self._next()) is not None:
                self._wait_for_pause()
                self._make(run)
        except Exception:  # a cache: the page works without it
            log.debug("no outlines are made", exc_info=True)

    def _next(self) -> str | None:
        with self._condition:
            self._condition.wait_for(lambda: self._wanted or self._is_closed)
            return None if self._is_closed else self._wanted.pop()

    def _wait_for_pause(self) -> None:
        until = time.monotonic() + _LONGEST_WAIT
        with self._condition:
            while (
                left := min(until, self._requested + _PAUSE) - time.monotonic()
            ) > 0 and not self._is_closed:
                self._condition.wait(left)

    def _make(self, run: str) -> None:
        assert self._folder is not None
        if run in self._tried:
            return
        self._tried.add(run)
        run_dir = self._store.run(run).dir
        if self.of(run, list_segments(run_dir)) is not None:
            return
        command = [
            sys.executable,
            "-m",
            "tracelet.store.outlines",
            str(self._store.dir),
            str(self._folder),
            run,
        ]
        with self._condition:
            if self._is_closed:
                return
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        self._process.wait()

    def _clean_up(self) -> None:
        """Remove the outlines of runs that are gone, and the oldest if they take too much room."""
        assert self._folder is not None
        present = run_ids(self._store)
        files = sorted(self._folder.glob(f"*{SUFFIX}"), key=lambda file: -file.stat().st_mtime)
        held = 0
        for file in files:
            held += file.stat().st_size
            if held > _MOST_BYTES or file.name.rsplit(".", 2)[0] not in present:
                with contextlib.suppress(OSError):
                    file.unlink()
