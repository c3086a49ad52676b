"""Brings one run of a source into the store: what no earlier import has recorded becomes another journal file."""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from tracelet.errors import UsageError
from tracelet.importers.columns import as_columns, valid_time
from tracelet.importers.files import FileImport
from tracelet.importers.journal_file import JournalFile, writer_id
from tracelet.importers.known import Known, read_known
from tracelet.journal.writing.values import MAX_NAME
from tracelet.layout import runs_folder
from tracelet.run.folder import make_run_folder
from tracelet.run.parameters import flatten_parameters, split_by_size
from tracelet.run.run import recorded_error
from tracelet.safe_files import Descriptor, open_folder
from tracelet.secrets import mask_command_line, mask_recorded, redact
from tracelet_hookspecs import ImportedPoints, ImportedRun, MetricType

_SAFE_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{7,63}")
_ABOUT: Final = ("group", "job_type", "notes")  # of the run itself, besides its name and project
_FACTS_OF_WRITER: Final = ("host", "script", "cwd", "python", "argv")
_LONGEST_TEXT: Final = 100_000  # characters of notes


@attrs.define
class ImportResult:
    """What became of one run of the source. The counts are of what was new, ``known_*`` of what was there already."""

    id: str
    name: str
    project: str
    format: str
    metrics: int = 0
    points: int = 0
    known_points: int = 0
    params: int = 0
    tags: int = 0
    files: int = 0
    known_files: int = 0
    started_at: float | None = None
    outcome: str | None = None
    is_new: bool = True
    damage: dict[str, int] = attrs.field(factory=dict)

    @property
    def changed(self) -> bool:
        """Whether anything was new."""
        return bool(self.is_new or self.points or self.params or self.tags or self.files)

    def add(self, later: ImportResult) -> None:
        """Add what a later import of the same run has added."""
        for count in ("points", "params", "tags", "files"):
            setattr(self, count, getattr(self, count) + getattr(later, count))
        self.metrics, self.outcome = later.metrics, later.outcome


def run_id_of(format: str, key: str) -> str:
    """Return the id of an imported run: the format, what is readable of the key, and a hash of it if needed."""
    prefix = re.sub(r"[^A-Za-z0-9]+", "-", format).strip("-")[:30] or "import"
    if _SAFE_KEY.fullmatch(key):
        return f"{prefix}-{key}"
    words = re.sub(r"[^A-Za-z0-9]+", "-", key).strip("-")[:40].strip("-")
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return "-".join(filter(None, (prefix, words, digest)))


@attrs.define
class Counted:
    """What an import has brought into a run so far, by name: what comes in several parts counts once."""

    metrics: set[Any] = attrs.field(factory=set)
    changed: dict[str, set[str]] = attrs.field(factory=dict)  # params, tags and facts


class RunImport:
    """One run that is being imported, in one part or several.

    ``counted`` is what was imported before this run was closed and opened again.
    """

    def __init__(
        self,
        data: Path,
        format: str,
        root: Path | None,
        key: str,
        *,
        project: str | None,
        default_project: str,
        dry_run: bool,
        counted: Counted | None = None,
    ) -> None:
        self.key = key
        self._format, self._dry_run = format, dry_run
        self._dir = runs_folder(data) / run_id_of(format, key)
        self._data = data
        self._lock = None if dry_run else _lock(data, self._dir)
        self._known: Known = read_known(self._dir)
        self._project, self._default_project = project, default_project
        self._about = ImportedRun(key)
        self._journal: JournalFile | None = None
        self._latest = 0.0  # the latest time seen: when the run ended, if the source does not say
        self._first: float | None = None
        self._counted = Counted() if counted is None else counted
        self._files = FileImport(self._dir, root, self._known.files, dry_run=dry_run)
        self.result = ImportResult(self._dir.name, "", "", format, is_new=not self._known.imports)

    # --- one part ----------------------------------------------------------------------------------------------

    def add(self, part: ImportedRun) -> None:
        """Take in the next part of the run."""
        self._merge(part)
        self._count_damage(part.damage)
        self._note_times(part)
        self._open_if_new()
        self._add_changes()
        for points in part.points:
            self._add_points(points)
        before = self._files.new
        self._files.add_all(part.files, self._write_file, self._count_damage)
        self.result.files += self._files.new - before
        self.result.known_files = self._files.known

    def _merge(self, part: ImportedRun) -> None:
        about = self._about
        for field in ("name", "project", "started_at", "ended_at", "outcome", "error", "parent", *_ABOUT):
            if (value := getattr(part, field)) is not None:
                setattr(about, field, value)
        about.params = {**about.params, **part.params}
        about.tags = {**about.tags, **part.tags}
        about.facts = {**about.facts, **part.facts}

    def _note_times(self, part: ImportedRun) -> None:
        """Note when the run began and ended, by its earliest and latest record."""
        if self._about.started_at is not None:
            self._first = valid_time(float(self._about.started_at))
        for points in part.points:
            times: Any = points.timestamps
            if len(times) and (limits := _limits(times)) is not None:
                low, high = limits
                self._latest = max(self._latest, valid_time(high))
                if self._about.started_at is None:
                    self._first = (
                        valid_time(low) if self._first is None else min(self._first, valid_time(low))
                    )
        for file in part.files:
            self._latest = max(self._latest, valid_time(file.timestamp or 0.0))

    def _open_if_new(self) -> None:
        """Begin the journal of a run that was never imported: it is there even if it has no points."""
        if not self._known.imports:
            self._open()

    def _open(self) -> JournalFile | None:
        if self._journal is None and not self._dry_run:
            known = self._known
            began = known.began if known.began is not None else self._began()
            self._journal = self._new_journal(began)
            known.run.update({key: value for key, value in self._run().items() if value is not None})
        return self._journal

    def _new_journal(self, began: float) -> JournalFile:
        """Begin a file. A number may be taken by an import that was killed before it could write anything."""
        for number in itertools.count(self._known.imports):
            try:
                return JournalFile(
                    self._dir, writer_id(self._dir.name, number, began), self._facts(began), began
                )
            except FileExistsError:
                continue
        raise AssertionError("the numbers do not end")

    def _began(self) -> float:
        if self._first is None:
            self._first = time.time()
        return self._first

    def _run(self) -> dict[str, Any]:
        about = self._about
        texts = {key: getattr(about, key) for key in _ABOUT}
        parent = run_id_of(self._format, about.parent) if about.parent else None
        project = self._project or about.project or self._known.run.get("project") or self._default_project
        return {
            "name": plain_text(about.name or self.key, MAX_NAME),
            "project": plain_text(project, MAX_NAME),
            "parent": parent,
            **{key: text and redact(plain_text(text, _LONGEST_TEXT)) for key, text in texts.items()},
        }

    def _facts(self, began: float) -> dict[str, Any]:
        facts = {key: self._about.facts.get(key) for key in _FACTS_OF_WRITER}
        argv = facts["argv"]
        texts = {key: str(value) for key, value in facts.items() if value is not None and key != "argv"}
        return {
            "run": {"id": self._dir.name, **{k: v for k, v in self._run().items() if v is not None}},
            "started_at": began,
            "boot_id": None,
            **texts,
            "argv": mask_command_line([str(word) for word in argv])
            if isinstance(argv, (list, tuple))
            else None,
            "resumed": bool(self._known.imports),
            **({"attempt": self._known.imports} if self._known.imports else {}),
            "imported": {"format": self._format, "key": self.key, "at": time.time()},
        }

    # --- what is new -------------------------------------------------------------------------------------------

    def _add_changes(self) -> None:
        """Record what differs from what earlier imports have recorded of the run itself."""
        known, when = self._known, self._began()
        run = {key: value for key, value in self._run().items() if value is not None}
        changed = {key: value for key, value in run.items() if known.run.get(key) != value}
        if changed and known.imports:
            self._event("run", changed, when)
            known.run.update(changed)
        self.result.name, self.result.project = run["name"], run["project"]
        self.result.params = self._add_values("params", self._about.params, known.params, when)
        self.result.tags = self._add_values("tags", self._about.tags, known.tags, when)
        facts = {key: value for key, value in self._about.facts.items() if value is not None}
        self._add_values("facts", facts, known.facts, when)

    def _add_values(self, kind: str, given: Mapping[str, Any], known: dict[str, Any], when: float) -> int:
        """Record values that are new or have changed; return how many this import has so far, each name once."""
        refused: list[Any] = []
        flat = mask_recorded(flatten_parameters(dict(given), refused)).values
        self._count_damage({f"{kind} that cannot be kept": len(refused)})
        plain = json.loads(json.dumps(flat, default=str))
        new = {key: value for key, value in plain.items() if key not in known or not _same(known[key], value)}
        for part in split_by_size(new) if new else ():
            if kind == "facts":
                self._event("fact", {"source": self._format, "facts": part}, when)
            else:
                self._event(kind, {kind: part}, when)
        known.update(new)
        changed = self._counted.changed.setdefault(kind, set())
        changed.update(new)
        return len(changed)

    def _event(self, type: str, payload: Mapping[str, Any], when: float) -> None:
        if (journal := self._open()) is not None:
            journal.event(type, payload, when)

    def _add_points(self, points: ImportedPoints) -> None:
        name = plain_text(points.name, MAX_NAME) or "unnamed"
        began = self._known.began if self._known.began is not None else self._began()
        columns, wrong = as_columns(name, points.steps, points.values, points.timestamps, began)
        self._count_damage({"time": wrong})
        metric = (name, MetricType(points.type).value, points.source)
        new = self._known.find_new(metric, columns)
        self.result.points += new.points
        self.result.known_points += columns.points - new.points
        self._counted.metrics.add(metric)
        self.result.metrics = len(self._counted.metrics)
        if new.points and (journal := self._open()) is not None:
            journal.points(metric, new)

    def _write_file(self, record: dict[str, Any], when: float | None) -> None:
        if (journal := self._open()) is not None:
            journal.event(
                "artifact", record, valid_time(when) if when is not None else self._latest or self._began()
            )

    def _count_damage(self, damage: Mapping[str, int]) -> None:
        for reason, count in damage.items():
            if count:
                self.result.damage[str(reason)] = self.result.damage.get(str(reason), 0) + int(count)

    # --- the end -----------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Make what was added visible to readers, while more may follow."""
        if self._journal is not None:
            self._journal.flush(time.time())

    def close(self) -> ImportResult:
        """End the import of this run."""
        about = self._about
        error = recorded_error(about.error)
        ended = about.ended_at if about.ended_at is not None else max(self._latest, self._began())
        end = (about.outcome, error, valid_time(float(ended)))
        if self._journal is None and self._known.imports and end[:2] != self._known.end[:2]:
            self._open()
        if self._journal is not None:
            self._journal.close(*end)
            self._journal = None
        if self._lock is not None:
            self._lock.close()
        self.result.started_at, self.result.outcome = self._known.began or self._began(), about.outcome
        return self.result


def _lock(data: Path, run_dir: Path) -> Descriptor:
    """Keep other imports of the run away: both would add what they find missing.

    Raises:
        UsageError: another import of this run is in progress.
    """
    folder = open_folder(make_run_folder(data, run_dir.name))
    try:
        fcntl.flock(folder.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(
            f"import: run {run_dir.name} is being imported by another process; try again when that has ended"
        ) from None
    except OSError:
        pass  # a file system without locks
    return folder


def plain_text(text: Any, limit: int) -> str:
    """Return a text that JSON and a terminal can hold, cut to a number of characters."""
    return str(text).encode("utf-8", "backslashreplace").decode()[:limit]


def _limits(times: Any) -> tuple[float, float] | None:
    """Return the earliest and the latest of the times that are possible, ``None`` if there is none."""
    if hasattr(times, "min"):
        times = times[times > 0]
        return (float(times.min()), float(times.max())) if len(times) else None
    numbers = [float(time) for time in times if time > 0]
    return (min(numbers), max(numbers)) if numbers else None


def _same(one: Any, other: Any) -> bool:
    return json.dumps(one) == json.dumps(other)
