"""Another tracelet store, or one run's folder: its files are copied as they are, so the runs stay exactly the same."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final, NamedTuple

from tracelet.config.settings import RUN_ID
from tracelet.errors import UsageError
from tracelet.importers.journal_file import JournalFile, writer_id
from tracelet.importers.merging import ImportResult
from tracelet.journal import read_columns, writers
from tracelet.journal.format import (
    COMPACTED,
    COMPACTED_MAGIC,
    FOLDER,
    HEADER,
    MAGIC,
    SUFFIX,
    parse_file_name,
    unpack_header,
)
from tracelet.layout import DATA_FOLDER, runs_folder
from tracelet.run.folder import make_run_folder
from tracelet.run.run_files import new_part, open_inside, remove_tree
from tracelet.safe_files import (
    Descriptor,
    UnsafeFileError,
    open_file,
    open_folder,
    read_at,
    walk_files,
    write_all,
)
from tracelet.store import open_store
from tracelet.store.packing.layout import LEFT_OUT

_UNFINISHED: Final = ".part"  # ends the name of a file that is still being written
_CHUNK: Final = 1 << 20
UNREADABLE: Final = "files that cannot be read"


class ForeignStore(NamedTuple):
    """The folder with the runs of another store, and the names of those to import."""

    runs: Path
    names: list[str]


def find_store(source: str) -> ForeignStore | None:
    """Return the store at a path: a data folder, a project that has one, or the folder of one run; else ``None``."""
    path = Path(os.path.abspath(source))
    if "://" in source or not path.is_dir():
        return None
    if _is_run(path):
        return ForeignStore(path.parent, [path.name])
    for folder in (path, path / DATA_FOLDER):
        runs = runs_folder(folder)
        if runs.is_dir() and not runs.is_symlink():
            names = [name for name in sorted(os.listdir(runs)) if _is_run(runs / name)]
            if names:
                return ForeignStore(runs, names)
    return None


def _is_run(path: Path) -> bool:
    if not re.fullmatch(RUN_ID, path.name) or path.is_symlink():
        return False
    try:
        names = open_folder(path, FOLDER).call(os.listdir)
    except OSError:
        return False
    return any(parse_file_name(name) for name in names)


def is_same(store: ForeignStore, data: Path) -> bool:
    """Return whether a store is the one with this data folder."""
    return runs_folder(data).exists() and os.path.samefile(store.runs, runs_folder(data))


def import_store(
    store: ForeignStore,
    data: Path,
    *,
    project: str | None,
    dry_run: bool,
    progress: Callable[[ImportResult], None] | None,
) -> list[ImportResult]:
    """Copy the runs of another store.

    Raises:
        UsageError: it is the store to import into.
    """
    if is_same(store, data):
        raise UsageError(
            f"import: expected another store, found the one to import into, {data}; --dir names the target"
        )
    results = []
    for name in store.names:
        result = _import_run(store.runs / name, data, project, dry_run=dry_run)
        results.append(result)
        if progress is not None:
            progress(result)
    return results


def _import_run(source: Path, data: Path, project: str | None, *, dry_run: bool) -> ImportResult:
    target = runs_folder(data) / source.name
    record = open_store(source).run()
    new = not target.exists()
    before = {} if new else _counts(target)
    params_before, tags_before = ({}, {}) if new else _params_and_tags(target)
    result = ImportResult(
        source.name, record.name, project or record.project, "tracelet", started_at=record.started_at
    )
    result.outcome, result.is_new = record.outcome, new
    result.metrics = len(record.metrics())
    if not dry_run:
        make_run_folder(data, source.name)
    copy = _Copy(source, target, result, dry_run=dry_run)
    copy.copy_files()  # first: an event never names a file that is not there
    copy.copy_journal()
    after = _counts(source) if dry_run else _counts(target)
    result.points = max(0, sum(after.values()) - sum(before.values()))
    result.known_points = sum(before.values())
    params, tags = _params_and_tags(source if dry_run else target)
    if dry_run:  # a value that differs may have been edited here, which an import would keep
        params, tags = {**params, **params_before}, {**tags, **tags_before}
    result.params, result.tags = _count_new(params, params_before), _count_new(tags, tags_before)
    if project and not dry_run and open_store(target).run().project != project:
        _move(target, project)
    return result


def _params_and_tags(run_dir: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    record = open_store(run_dir).run()
    return record.params, record.tags


def _count_new(values: Mapping[str, Any], before: Mapping[str, Any]) -> int:
    """Count the values that are new or have changed."""
    return sum(name not in before or repr(before[name]) != repr(value) for name, value in values.items())


def _counts(run_dir: Path) -> dict[str, int]:
    return {name: len(columns) for name, columns in read_columns(run_dir).items()}


def _move(run_dir: Path, project: str) -> None:
    """Record another project. The file belongs to the first writer, so it does not decide how the run went."""
    own = list(writers(run_dir))
    started = open_store(run_dir).run().ended_at or open_store(run_dir).run().started_at
    facts = {"run": {"id": run_dir.name}, "owner": own[0], "started_at": started, "edit": True}
    journal = JournalFile(run_dir, writer_id(f"{run_dir.name} {project}", len(own), started), facts, started)
    journal.event("run", {"project": project}, started)
    journal.close(None, None, started)


class _Copy:
    """Copies the files of one run that are missing, or that have grown."""

    def __init__(self, source: Path, target: Path, result: ImportResult, *, dry_run: bool) -> None:
        self._source, self._target, self._result, self._dry_run = source, target, result, dry_run

    def copy_files(self) -> None:
        """Copy artifacts, media and whatever else belongs to the run, but not to the machine that it ran on."""
        for path in walk_files(self._source):
            top = path.partition("/")[0]
            if top not in (FOLDER, *LEFT_OUT) and not path.endswith(_UNFINISHED):
                with self._counting():
                    self._copy_file(path)

    def _counting(self) -> _Counting:
        return _Counting(self._count_unreadable)

    def _count_unreadable(self) -> None:
        self._result.damage[UNREADABLE] = self._result.damage.get(UNREADABLE, 0) + 1

    def _copy_file(self, path: str) -> None:
        opened = open_file(self._source, path)
        size = opened.stat().st_size
        try:
            there = open_file(self._target, path)
        except FileNotFoundError:
            there = None
        if there is not None and (there.stat().st_size, _digest(there)) == (size, _digest(opened)):
            self._result.known_files += 1
            return
        self._result.files += 1
        if not self._dry_run:
            self._write(opened, path, size)

    def _write(self, opened: Descriptor, path: str, size: int) -> None:
        place = PurePosixPath(path)
        folder = open_inside(self._target, place.parent)
        writing, part = new_part(folder)
        try:
            at = 0
            while at < size and (chunk := read_at(opened, min(_CHUNK, size - at), at)):
                write_all(writing, chunk)
                at += len(chunk)
            os.rename(part, place.name, src_dir_fd=folder.fd, dst_dir_fd=folder.fd)
        except BaseException:
            remove_tree(folder, part)
            raise

    def copy_journal(self) -> None:
        """Copy the segments that are missing here, or that were still being written at the last import."""
        for path in walk_files(self._source, FOLDER):
            name = PurePosixPath(path).name
            if parse_file_name(name):
                with self._counting():
                    self._copy_segment(path, name)

    def _copy_segment(self, path: str, name: str) -> None:
        opened = open_file(self._source, path)
        stem = name.rpartition(".")[0]
        present = {suffix: self._heartbeat(f"{FOLDER}/{stem}{suffix}") for suffix in (SUFFIX, COMPACTED)}
        if any(heartbeat is not None and heartbeat < 0 for heartbeat in present.values()):
            return  # ended: nothing follows
        theirs = _heartbeat(opened)
        if (
            any(heartbeat is not None and heartbeat >= abs(theirs) for heartbeat in present.values())
            and theirs > 0
        ):
            return
        if self._dry_run:
            return
        self._write(opened, path, opened.stat().st_size)
        if name.endswith(COMPACTED) and present[SUFFIX] is not None:
            folder = open_inside(self._target, PurePosixPath(FOLDER))
            os.unlink(stem + SUFFIX, dir_fd=folder.fd)

    def _heartbeat(self, path: str) -> float | None:
        try:
            return _heartbeat(open_file(self._target, path))
        except FileNotFoundError:
            return None


class _Counting:
    """Counts files that cannot be read, and continues."""

    def __init__(self, count: Callable[[], None]) -> None:
        self._count = count

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        if isinstance(error, (UnsafeFileError, PermissionError, FileNotFoundError)):
            self._count()
            return True
        return False


def _heartbeat(opened: Descriptor) -> float:
    """Return the sign of life in a segment's header; 0 if it is damaged."""
    data = read_at(opened, HEADER, 0)
    info = unpack_header(data, COMPACTED_MAGIC if data[:8] == COMPACTED_MAGIC else MAGIC)
    return info.heartbeat if info is not None else 0.0


def _digest(opened: Descriptor) -> str:
    digest, at = hashlib.sha256(), 0
    while chunk := read_at(opened, _CHUNK, at):
        digest.update(chunk)
        at += len(chunk)
    return digest.hexdigest()
