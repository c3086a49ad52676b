"""What earlier imports of a run have recorded, so that the next one adds only what is new.

Only their own files are read. What a user has changed since, such as a name or a tag, is not changed back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tracelet.importers.columns import Columns, KnownSeries, as_columns
from tracelet.importers.journal_file import Metric
from tracelet.journal import EventRecord, read_columns, read_events_by_writer

FileKey = tuple[Any, ...]


@dataclass
class Known:
    """The content of earlier imports of one run."""

    imports: int = 0
    began: float | None = None
    run: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    end: tuple[Any, ...] = (None, None, None)  # outcome, error, when
    files: set[FileKey] = field(default_factory=set)
    series: dict[Metric, KnownSeries] = field(default_factory=dict)

    def find_new(self, metric: Metric, columns: Columns) -> Columns:
        """Return the points that no import has recorded yet."""
        return self.series.setdefault(metric, KnownSeries()).find_new(columns)


def read_known(run_dir: Path) -> Known:
    """Return what the imports of a run have recorded; nothing if there is no such run yet."""
    known = Known()
    if not run_dir.is_dir():
        return known
    own = set()
    for writer, events in read_events_by_writer(run_dir).items():
        if events and "imported" in events[0].payload:
            own.add(writer)
            known.imports += 1
            _add_events(known, events)
    if own:
        _add_points(known, run_dir, own)
    return known


def _add_events(known: Known, events: Iterable[EventRecord]) -> None:
    for event in events:
        payload: Mapping[str, Any] = event.payload
        if event.type == "writer":
            if known.began is None:
                known.began = payload.get("started_at")
            known.run.update(payload.get("run") or {})
        elif event.type == "run":
            known.run.update(payload)
        elif event.type in ("params", "tags"):
            getattr(known, event.type).update(payload[event.type])
        elif event.type == "fact":
            known.facts.update(payload["facts"])
        elif event.type == "artifact":
            known.files.update(file_key(payload, file) for file in payload.get("files") or ())
        elif event.type == "outcome":
            known.end = (payload.get("outcome"), payload.get("error"), event.time)


def file_key(record: Mapping[str, Any], file: Mapping[str, Any]) -> FileKey:
    """Return what identifies a recorded file: the same content in another place or at another step is another one."""
    place = None if record.get("media") else record.get("artifact_path")
    about = (record.get("media"), record.get("name"), record.get("step"), place)
    return (*about, file.get("size"), file.get("sha256"))


def _add_points(known: Known, run_dir: Path, own: set[str]) -> None:
    several: dict[Metric, list[Columns]] = {}
    for name, columns in read_columns(run_dir).items():
        for part in columns.parts:
            if part.writer in own:
                span = slice(part.start, part.stop)
                points, _ = as_columns(name, columns.steps[span], columns.values[span], columns.times[span])
                several.setdefault((name, part.type, part.source), []).append(points)
    for metric, parts in several.items():
        known.series[metric] = KnownSeries(Columns._make(map(b"".join, zip(*parts, strict=True))))
