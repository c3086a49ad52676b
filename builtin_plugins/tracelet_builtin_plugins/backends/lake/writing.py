"""Writing one run: files of points and events under names that a repeat computes again, then the run document."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from tracelet_builtin_plugins.backends.lake.boundaries import Boundaries
from tracelet_builtin_plugins.backends.lake.document import RunDocument
from tracelet_builtin_plugins.backends.lake.failures import ChangedError
from tracelet_builtin_plugins.backends.lake.kept import KeptEntries
from tracelet_builtin_plugins.backends.lake.mapping import (
    event_row,
    file_row,
    listed_files,
    metric_columns,
    original_names,
    place_of,
    value_rows,
)
from tracelet_builtin_plugins.backends.lake.objects import Objects
from tracelet_builtin_plugins.backends.lake.sorted_points import sort_points
from tracelet_builtin_plugins.backends.lake.tables import (
    decode_places,
    encode_columns,
    encode_metrics,
    encode_rows,
    names_metadata,
)
from tracelet_builtin_plugins.backends.lake.uploads import Uploader, find_file
from tracelet_hookspecs import MetricColumns, MetricData, RecordId, RunView
from tracelet_hookspecs.lake_layout import EVENTS, METRICS, FileName, Place, data_file, document_path

__all__ = ["RunWriter"]

_TRIES: Final = 6  # to replace the document, while others replace it, too
_PART_SECONDS: Final = 3600.0  # between two documents of a host without the job's rank zero
_MISSED: Final = 3  # heartbeats after which a reader takes a run for killed
_DOCUMENT_SECONDS: Final = 10.0  # between two documents without new points


class RunWriter:
    """Writes one run. Everything may be repeated."""

    def __init__(self, objects: Objects, run: RunView, heartbeat: float = 300.0) -> None:
        """``heartbeat`` is the longest time, in seconds, between two documents of a live run."""
        self._heartbeat = heartbeat
        self.id = run.id
        self._run = run
        self._project = run.project  # files stay in one folder, whatever the run is called later
        self._objects = objects
        self._boundaries = Boundaries(run.dir, objects.url)
        self._kept = KeptEntries(run.dir, objects.url)
        self._uploads = Uploader(objects)
        self._document: RunDocument | None = None
        self._version: str | None = None
        self._saved = self._listed = float("-inf")
        self._dirty = False
        self.counts = {"files": 0, "bytes": 0, "points": 0, "documents": 0, "missing_artifacts": 0}

    # -- points ------------------------------------------------------------------------------------

    def store_points(self, points: Sequence[MetricData]) -> None:
        """Store points: a file for each writer, then the document, so that it never promises what is not there."""
        by_writer: dict[str, list[MetricData]] = {}
        for point in points:
            by_writer.setdefault(point.id[0], []).append(point)  # type: ignore[index]
        document = self._load()
        for writer, ones in by_writer.items():
            state = document.writer(writer)
            places: list[Any] = [one.id[1:] for one in ones]  # type: ignore[index]
            for where, is_known in self._boundaries.split(writer, places):
                some = ones[where] if is_known else self._missing(writer, ones[where], places[where])
                if some:
                    self._store_metrics(writer, some, state.rank)
            state.add_points(ones)
            self._dirty = True
        self._kept.write(document.kept())
        self.counts["points"] += len(points)
        if any(not document.writer(writer).rank for writer in by_writer) or self._is_part_due():
            self.save()

    def store_columns(self, columns: MetricColumns) -> None:
        """Store points of one writer, which is faster as columns. Repeats and late points are stored one by one."""
        state = self._load().writer(columns.writer)
        first, last = (Place(*columns.id(at)[1:]) for at in (0, -1))
        is_new = first > state.at and self._boundaries.is_after_all(columns.writer, first)
        points = sort_points(columns) if is_new else None
        if points is None:
            self.store_points(columns.points())
            return
        about = self._about() | names_metadata(original_names(key[0] for key in points.keys))
        data = encode_metrics(points, state.rank, about)
        self._boundaries.note(columns.writer, first, last)
        self._create(METRICS, FileName(columns.writer, first, last), data)
        state.add_series(points.series(), last, columns.times[-1])
        self._dirty = True
        self._kept.write(self._load().kept())
        self.counts["points"] += len(columns)
        if not state.rank or self._is_part_due():
            self.save()

    def _missing(self, writer: str, points: list[MetricData], places: list[Any]) -> list[MetricData]:
        """Return the points that no file has that was written before, in other batches."""
        names = self._boundaries.overlapping(writer, min(places), max(places))
        if not names:
            return points
        stored: set[tuple[int, int]] = set()
        for name in names:
            found = self._objects.read(data_file(self._project, self.id, METRICS, name))
            if found is not None:
                stored |= decode_places(found.data)
        return [point for point, place in zip(points, places, strict=True) if place not in stored]

    def _store_metrics(self, writer: str, points: Sequence[MetricData], rank: int | None) -> None:
        places: list[Any] = [point.id[1:] for point in points]  # type: ignore[index]
        name = FileName(writer, Place(*min(places)), Place(*max(places)))
        originals = original_names({point.name for point in points})
        data = encode_columns(
            METRICS, metric_columns(points, rank), self._about() | names_metadata(originals)
        )
        self._boundaries.note(writer, Place(*places[0]), Place(*places[-1]))
        self._create(METRICS, name, data)

    # -- events ------------------------------------------------------------------------------------

    def store_event(self, type: str, payload: Mapping[str, Any], timestamp: float, id: RecordId) -> None:
        """Store an event: the contents of its files first, then its rows."""
        document = self._load()
        state, place = document.writer(id[0]), place_of(id)
        if type == "writer" and isinstance(payload.get("rank"), int):
            state.rank = payload["rank"]
        about = {"time": timestamp, "rank": state.rank, "writer": id[0], "sequence": id[1]}
        rows = [event_row(type, payload, about)]
        rows += self._store_contents(listed_files(type, payload), about)
        self._store_rows(EVENTS, id[0], place, rows)
        kind, values = value_rows(type, payload, about)
        if values:
            self._store_rows(kind, id[0], place, values)
        state.add_event(place, type, payload, timestamp)
        self._dirty = True
        self._kept.write(document.kept())
        is_due = time.monotonic() - self._saved >= _DOCUMENT_SECONDS and not state.rank
        if is_due or self._is_part_due():
            self.save()

    def _is_part_due(self) -> bool:
        """Say whether to list the processes of a host without rank zero: at first, and rarely after that."""
        if not getattr(self._run, "is_part", False) or time.monotonic() - self._listed < _PART_SECONDS:
            return False
        self._listed = time.monotonic()
        return True

    def _store_contents(
        self, files: Iterable[Mapping[str, Any]], about: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        rows, end = [], self._uploads.end()
        for index, file in enumerate(files, 1):
            found = find_file(self._run.dir, file["path"])
            if found is None:
                self.counts["missing_artifacts"] += 1
                continue
            size, sha256 = self._uploads.store(found, end)
            rows.append(file_row(file["path"], size, sha256, index, dict(about)))
        return rows

    def _store_rows(self, kind: str, writer: str, place: Place, rows: Sequence[Mapping[str, Any]]) -> None:
        self._create(kind, FileName(writer, place, place), encode_rows(kind, rows, self._about()))

    # -- files -------------------------------------------------------------------------------------

    def _about(self) -> dict[str, str]:
        return {"tracelet.run": self.id.encode("utf-8", "replace").decode()}

    def _create(self, kind: str, name: FileName, data: bytes) -> None:
        self._objects.create(data_file(self._project, self.id, kind, name), data)
        self.counts["files"] += 1
        self.counts["bytes"] += len(data)

    # -- the document ------------------------------------------------------------------------------

    def begin(self) -> None:
        """Create the document, if there is none: a run is listed before it has any data."""
        self._load()
        if self._version is None:
            self.save()

    def end(self, outcome: str, states: Mapping[str, Any] | None) -> None:
        """Store how the run ended."""
        self._load().end(outcome, states)
        self.save()

    def keep_alive(self) -> float:
        """Replace the document of a live run, if that was long ago. Returns the seconds until it is due again."""
        document = self._load()
        if not document.is_live or not document.is_primary():
            return self._heartbeat
        left = self._saved + self._heartbeat - time.monotonic()
        if left <= 0:
            self.save()
        return left if left > 0 else self._heartbeat

    def close(self) -> None:
        """Store what the document does not have yet."""
        if self._document is not None and getattr(self._run, "is_part", False):
            self._document.end_part(getattr(self._run, "writer_states", None) or {})
            self._dirty = True
        if self._dirty:
            self.save()

    def _load(self) -> RunDocument:
        if self._document is None:
            document = RunDocument(self._run, self._kept.read(), _MISSED * self._heartbeat)
            self._read_into(document)
            self._document = document
        return self._document

    def _read_into(self, document: RunDocument) -> None:
        found = self._objects.read(document_path(self._project, self.id))
        document.learn(found.data if found else None)
        self._version = found.version if found else None

    def save(self) -> None:
        """Replace the document. If others have changed it, take that in and try again."""
        document, path = self._load(), document_path(self._project, self.id)
        for attempt in range(_TRIES):
            data = document.render()
            try:
                self._version = self._objects.replace(path, data, self._version)
            except ChangedError:
                time.sleep(random.random() * 0.05 * 2**attempt)
                self._read_into(document)
                continue
            self._saved, self._dirty = time.monotonic(), False
            self.counts["documents"] += 1
            return
        raise TimeoutError(f"{self._objects.url}/{path}: other processes keep changing it")
