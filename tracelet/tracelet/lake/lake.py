"""A lake: its runs, and what the files of each say, in the terms of a journal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from tracelet.errors import StoreError
from tracelet.journal import Columns, EventRecord
from tracelet.lake.cache import DEFAULT_LIMIT, FileCache
from tracelet.lake.documents import Document, make_event, parse_document
from tracelet.lake.points import (
    Count,
    NewPoints,
    count_points,
    place_number,
    read_behind,
    read_original_names,
    read_points,
)
from tracelet.lake.query import run_query
from tracelet.lake.run_files import DataFile, RunFiles, are_disjoint, list_files
from tracelet.lake.storage import Storage
from tracelet_hookspecs.lake_layout import (
    EVENTS,
    METRICS,
    RUNS,
    Place,
    artifact_path,
    parse_document_path,
    run_folder,
)

_WHOLE: Final = 64 << 20  # bytes: a larger file is not copied here, only the parts that are needed are read
_DOWNLOADS: Final = 16  # at a time


class RunEntry(NamedTuple):
    """A run in the list of a lake, and a number that changes when its document does."""

    id: str
    project: str
    path: str
    version: int


class Lake:
    """The runs below a URL. Any thread may use it."""

    def __init__(
        self,
        url: str,
        cache: Path,
        options: Mapping[str, Any] | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> None:
        """Open a lake.

        Args:
            url: where it is: what fsspec reads, or a folder.
            cache: a private folder on a local disk, for copies of its files.
            options: for fsspec: credentials, an endpoint.
            limit: the size of the cache in bytes.
        """
        self.storage = Storage(url, options)
        self._cache = FileCache(cache / "files", limit)

    @property
    def shown(self) -> str:
        """The URL, for messages."""
        return self.storage.shown

    def entries(self) -> dict[str, RunEntry]:
        """Return all runs by id: one request per 1000 runs, and nothing is read."""
        found: dict[str, RunEntry] = {}
        for one in self.storage.find(RUNS):
            parsed = parse_document_path(one.path)
            if parsed is not None and _is_plain(parsed[1]):
                digest = hashlib.blake2b(f"{one.version} {one.size}".encode(), digest_size=8).digest()
                version = (int.from_bytes(digest, "big") >> 1) or 1
                found[parsed[1]] = RunEntry(parsed[1], parsed[0], one.path, version)
        return found

    def documents(self, entries: Sequence[RunEntry]) -> list[Document | None]:
        """Return the documents of runs, read in parallel; ``None`` for a run that is gone."""
        found = self.storage.read_several([entry.path for entry in entries])
        return [None if data is None else parse_document(data) for data in found]

    def run(self, entry: RunEntry) -> LakeRun:
        """Return a run, as of when its files are first looked at."""
        return LakeRun(self, entry)

    def query(self, files: Sequence[DataFile]) -> tuple[list[str], Any]:
        """Return the names by which DuckDB reads files, and a function that runs a query on them."""
        if self.storage.folder is not None:
            return [str(self.storage.folder / file.path) for file in files], run_query
        small = [file for file in files if file.size <= _WHOLE]
        with ThreadPoolExecutor(_DOWNLOADS) as pool:
            copies = dict(zip(small, pool.map(self._copy, small), strict=True))
        if len(copies) == len(files):
            return [str(copies[file]) for file in files], run_query
        filesystem, root = self.storage.filesystem()
        scheme = self.storage.url.partition("://")[0]
        names = [str(copies[file]) if file in copies else f"{scheme}://{root}/{file.path}" for file in files]
        return names, lambda sql, values=(): run_query(sql, values, filesystem=filesystem)

    def _copy(self, file: DataFile) -> Path:
        name = f"{self.storage.url}/{file.path}"
        try:
            return self._cache.get(name, file.size, lambda target: self.storage.download(file.path, target))
        except FileNotFoundError:
            raise StoreError(
                f"lake: {self.storage.shown}/{file.path} is gone: the run was merged since it was read; read it again"
            ) from None


class LakeRun:
    """One run of a lake. Its files are listed once, when they are first needed."""

    def __init__(self, lake: Lake, entry: RunEntry) -> None:
        self._lake = lake
        self.entry = entry

    @property
    def location(self) -> str:
        """The URL of the run's folder."""
        return f"{self._lake.shown}/{run_folder(self.entry.project, self.entry.id)}"

    def version(self) -> str | None:
        """Return a text that changes when the run's document does; ``None`` if it is gone."""
        return self._lake.storage.version(self.entry.path)

    @cached_property
    def document(self) -> Document:
        """What the run's document says."""
        (found,) = self._lake.documents([self.entry])
        if found is None:
            raise StoreError(f"lake: run {self.entry.id} is gone from {self._lake.shown}", run=self.entry.id)
        return found

    @cached_property
    def files(self) -> RunFiles:
        """The run's files that count."""
        return list_files(self._lake.storage, self.entry.project, self.entry.id)

    def columns(self, names: Collection[str] | None) -> dict[str, Columns]:
        """Return the points of metrics by recorded name (``None``: of all)."""
        files, query = self._lake.query(self.files.of(METRICS))
        if not self._has_foreign_names:
            return read_points(files, names, query)
        originals = read_original_names(files, query)
        stored = {name: fitted for fitted, name in originals.items()}
        wanted = (
            None
            if names is None
            else [stored.get(name, name) for name in names if _is_unicode(stored.get(name, name))]
        )
        found = read_points(files, wanted, query)
        return {originals.get(name, name): columns for name, columns in found.items()}

    @cached_property
    def _has_foreign_names(self) -> bool:
        """Whether a metric has a name that UTF-8 cannot hold, so that files have another one."""
        return not all(_is_unicode(name) for one in self.document.writers.values() for name, _ in one.metrics)

    def events(self) -> dict[str, list[EventRecord]]:
        """Return all events of each process."""
        files, query = self._lake.query(self.files.of(EVENTS))
        found: dict[str, dict[int, EventRecord]] = {}
        if files:
            table = query(
                'SELECT writer, sequence, type, payload, time FROM read_parquet($1) WHERE "index" = 0'
                " ORDER BY writer, sequence",
                [files],
            )
            for writer, seq, type_, payload, time in zip(
                *(each.to_pylist() for each in table.columns), strict=True
            ):
                event = make_event(seq, type_, _load(payload), time)
                if event is not None:
                    found.setdefault(writer, {})[seq] = event
        for writer, summary in self.document.writers.items():  # it may know of events whose file comes later
            known = found.setdefault(writer, {})
            for event in summary.events:
                known.setdefault(event.seq, event)
        return {writer: [found[writer][seq] for seq in sorted(found[writer])] for writer in sorted(found)}

    def counts(self) -> list[Count]:
        """Return how many points each process has recorded of each metric."""
        listed = self.files.of(METRICS)
        files, query = self._lake.query(listed)
        found = count_points(files, once=not are_disjoint(listed), query=query)
        originals = read_original_names(files, query) if self._has_foreign_names else {}
        return [one._replace(name=originals.get(one.name, one.name)) for one in found]

    def points_behind_document(self) -> list[NewPoints]:
        """Return the points in files that the run's document does not know yet."""
        reached = {writer: one.reached for writer, one in self.document.writers.items()}
        late = [
            file
            for file in self.files.of(METRICS)
            if file.name is not None and file.name.last > reached.get(file.name.writer, Place(-1))
        ]
        return self.points_behind({writer: place_number(*one) for writer, one in reached.items()}, late)

    def points_behind(self, reached: Mapping[str, int], files: Iterable[DataFile]) -> list[NewPoints]:
        """Return the points in some files that come after a place of each process."""
        names, query = self._lake.query(list(files))
        found = read_behind(names, reached, query)
        if not self._has_foreign_names:
            return found
        originals = read_original_names(names, query)
        return [one._replace(name=originals.get(one.name, one.name)) for one in found]

    def open_content(self, sha256: str) -> BinaryIO:
        """Open the contents with this SHA-256, to be read piece by piece. Raises FileNotFoundError."""
        return self._lake.storage.open(artifact_path(sha256))


def _load(payload: Any) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, TypeError, RecursionError):
        return None


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def _is_plain(run_id: str) -> bool:
    """Say whether an id can be the name of a folder: one that leads elsewhere is left out."""
    return run_id not in ("", ".", "..") and "/" not in run_id and "\\" not in run_id and "\0" not in run_id
