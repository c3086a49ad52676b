"""Bringing indexed runs up to date from the documents of a lake: one small object per run that has changed."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from tracelet.lake.documents import Document
from tracelet.store.details import Details, describe_problem
from tracelet.store.index.run_updates import IndexedRun, KnownRun, WriterProgress
from tracelet.store.journal_access import Files
from tracelet.store.lake_runs import LakeLocation, accumulators_of, details_of, history_of, last_seen_of
from tracelet.store.outcome import RUNNING

_TOGETHER: Final = 512  # documents read in parallel


class LakeUpdater:
    """Reads documents whose version is another than the index has."""

    def __init__(self, location: LakeLocation) -> None:
        self._location = location
        self._due: deque[str] = deque()
        self._read: dict[str, tuple[int, Document | None]] = {}  # with the version of each
        self._running: dict[str, tuple[int, Document]] = {}  # those that may be found to have been killed

    def is_settled(self, run_dir: str, known: KnownRun, load_files: Callable[[], dict[str, Files]]) -> bool:
        """Return whether the document is the one that the index has."""
        entry = self._location.entries.get(os.path.basename(run_dir))
        return entry is not None and known.settled == entry.version

    def prepare(self, ids: Sequence[str]) -> None:
        """Take note of what is read next."""
        self._due = deque(id for id in ids if not self._has_running(id))

    def _has_running(self, id: str) -> bool:
        entry, kept = self._location.entries.get(id), self._running.get(id)
        return entry is not None and kept is not None and kept[0] == entry.version

    def read(self, run_dir: Path, run: IndexedRun) -> tuple[IndexedRun, Details]:
        """Return a run as its document says."""
        id = run_dir.name
        version, document = self._document(id)
        if document is None:
            return IndexedRun(version), describe_problem(run_dir, "its document is gone from the lake")
        details = details_of(run_dir, document)
        if document.problem is not None:
            return IndexedRun(version), details
        if details.outcome == RUNNING:
            self._running[id] = (version, document)
        seen = last_seen_of(document)
        states = {writer: one.last_seen.state for writer, one in run.writers.items()}
        if run.folder_changed == version and states == {writer: one.state for writer, one in seen.items()}:
            return run, details
        metrics = accumulators_of(document)
        return (
            IndexedRun(
                folder_changed=version,
                history=history_of({writer: one.events for writer, one in document.writers.items()}),
                writers={writer: WriterProgress(one, [[version]]) for writer, one in seen.items()},
                metrics=metrics,
                changed=set(metrics),
            ),
            details,
        )

    def _document(self, id: str) -> tuple[int, Document | None]:
        if self._has_running(id):
            return self._running[id]
        if id not in self._read:
            if id not in self._due:
                self._due.appendleft(id)
            self._fetch(id)
        return self._read.pop(id)

    def _fetch(self, id: str) -> None:
        """Read the documents that come next, in parallel."""
        while self._due and self._due[0] != id:  # it was read before
            self._due.popleft()
        wanted = [self._due.popleft() for _ in range(min(_TOGETHER, len(self._due)))]
        entries = [self._location.entries[one] for one in wanted if one in self._location.entries]
        self._read = dict.fromkeys(wanted, (0, None))
        documents = self._location.lake.documents(entries)
        self._read |= {
            entry.id: (entry.version, document) for entry, document in zip(entries, documents, strict=True)
        }

    def keep_only(self, running: Iterable[Path]) -> None:
        """Let go of the documents of runs that are over."""
        ids = {run_dir.name for run_dir in running}
        self._running = {id: kept for id, kept in self._running.items() if id in ids}
