"""The newest points of a run of a lake: only files that were added since the last look are read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from tracelet.lake.lake import LakeRun
from tracelet.lake.run_files import DataFile
from tracelet.store.tail import Tail
from tracelet_hookspecs.lake_layout import METRICS

_PERIOD: Final = 2.0  # seconds between two looks, since each is a request


class LakeTail(Tail):
    """Follows the files of a run."""

    def __init__(self, renew: Callable[[], LakeRun]) -> None:
        self._renew = renew
        self._known: set[DataFile] = set()
        self._reached: dict[str, int] = {}  # by process: the place of its last record that was read
        self._version: str | None = None
        self._looked = float("-inf")
        self._has_begun = False
        super().__init__()

    def advance(self) -> None:
        """Read the files that were added."""
        with self._lock:
            if time.monotonic() - self._looked < _PERIOD:
                return
            self._looked = time.monotonic()
            run = self._renew()
            if (version := run.version()) != self._version:
                self._version = version
                self.events += 1
            files = set(run.files.of(METRICS))
            if not self._has_begun:
                self._begin(run)
            elif added := files - self._known:
                self._read(run, sorted(added, key=lambda file: file.path))
            self._has_begun = True
            self._known = files

    def _read(self, run: LakeRun, files: list[DataFile]) -> None:
        reached = dict(self._reached)
        for new in run.points_behind(self._reached, files):
            held = self._hold(new.name, new.source, new.writer)
            held.steps.extend(new.steps)
            held.values.extend(new.values)
            held.times.extend(new.times)
            held.trim()
            reached[new.writer] = max(reached.get(new.writer, -1), new.last)
        self._reached = reached

    def _begin(self, run: LakeRun) -> None:
        for one in run.counts():
            self._hold(one.name, one.source, one.writer).start += one.points
            self._reached[one.writer] = max(self._reached.get(one.writer, -1), one.last)
