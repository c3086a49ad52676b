"""The trash: runs that were deleted and can be brought back until it is emptied.

A deleted run is its folder, moved from ``runs`` to ``trash`` in the same data folder: one rename, so that a crash
leaves it in one place or the other, whole.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tracelet.errors import StoreError
from tracelet.journal import liveness, writers
from tracelet.journal.reading.lifetime import is_edit
from tracelet.layout import RUNS_FOLDER, TRASH_FOLDER
from tracelet.messages import did_you_mean
from tracelet.safe_files import refuse_linked_folder
from tracelet.store.details import EMPTY
from tracelet.store.outcome import RUNNING
from tracelet.store.record import RunRecord
from tracelet.store.run_source import Location

_MARK: Final = "~"  # between the id of a run and a number, if several of that id were deleted


class DeletedRun(NamedTuple):
    """A run in the trash. ``deleted_at`` is in seconds since the epoch, ``size`` in bytes."""

    id: str
    name: str
    deleted_at: float
    size: int
    dir: Path


def move_to_trash(location: Location, record: RunRecord) -> Path:
    """Move a run to the trash and return its folder there. Raises :class:`StoreError` if it is still recording."""
    if record.dir.parent.name != RUNS_FOLDER or location.runs != record.dir.parent:
        raise StoreError(
            f"run {record.id} is not in a store, but at {record.dir}: there is no trash for it; remove its folder"
        )
    is_new = record.outcome == EMPTY and record.problem is None
    if (who := _recording(record.dir)) or record.outcome == RUNNING or is_new:
        who = who or "a process that is about to begin"
        raise StoreError(f"run {record.name} ({record.id}) is still recording ({who}): end it first")
    trash = _trash_folder(location.data, create=True)
    for number in range(1, 10_000):
        target = trash / (record.id if number == 1 else f"{record.id}{_MARK}{number}")
        if not os.path.lexists(target):
            _rename(record.dir, target)
            return target
    raise StoreError(
        f"run {record.id}: the trash has too many runs of this id; tracelet delete --empty-trash"
    )


def list_trash(data: Path) -> list[DeletedRun]:
    """Return the deleted runs, the latest deletion first."""
    found = [_describe(folder) for folder in _deleted_folders(data)]
    return sorted(found, key=lambda one: (one.deleted_at, one.dir.name), reverse=True)


def restore_run(location: Location, key: str) -> Path:
    """Bring a run back, given by its id or name, and return its folder. Raises :class:`StoreError`."""
    deleted = list_trash(location.data)
    found = [run for run in deleted if run.id == key] or [run for run in deleted if run.name == key]
    if not found:
        known = [word for run in deleted for word in (run.id, run.name)]
        raise StoreError(f"store: no run {key!r} in the trash of {location.data}{did_you_mean(key, known)}")
    target = location.runs / found[0].id
    if os.path.lexists(target):
        raise StoreError(
            f"run {found[0].id} cannot be restored, since there is another run of this id: {target}"
        )
    _rename(found[0].dir, target)
    return target


def empty_trash(data: Path) -> list[DeletedRun]:
    """Remove the deleted runs for good, and return what they were. Raises :class:`StoreError` for what has to stay."""
    removed: list[DeletedRun] = []
    for run in list_trash(data):
        try:
            _remove(run.dir)
        except OSError as error:
            raise StoreError(
                f"{error.filename or run.dir}: cannot be removed ({error.strerror}); fix its permissions and empty the"
                f" trash again; {len(removed)} runs were removed"
            ) from error
        removed.append(run)
    return removed


def _trash_folder(data: Path, *, create: bool = False) -> Path:
    trash = data / TRASH_FOLDER
    refuse_linked_folder(trash)  # it could lead anywhere, and everything in it gets removed
    if create:
        trash.mkdir(mode=0o700, exist_ok=True)
    return trash


def _deleted_folders(data: Path) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError):
        yield from sorted(_trash_folder(data).iterdir())


def _describe(folder: Path) -> DeletedRun:
    run_id = folder.name.partition(_MARK)[0]
    name = RunRecord.read(folder).name if not folder.is_symlink() and folder.is_dir() else run_id
    # A rename changes the time of the last change of a folder's own data, and nothing else in it.
    return DeletedRun(
        run_id, run_id if name == folder.name else name, folder.lstat().st_ctime, _size(folder), folder
    )


def _size(folder: Path) -> int:
    """Return the bytes on disk. Links count as themselves."""
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(root, name)).st_size
    return total


def _recording(run_dir: Path) -> str | None:
    """Return which process may still record into a run, ``None`` if none does."""
    with contextlib.suppress(OSError):
        for writer in writers(run_dir):
            if liveness(run_dir, writer) == RUNNING and not is_edit(run_dir, writer):
                process = RunRecord.read(run_dir)._history.processes.get(writer)
                return (
                    f"process {process.pid} on {process.host}" if process is not None else f"writer {writer}"
                )
    return None


def _rename(source: Path, target: Path) -> None:
    try:
        os.rename(source, target)
    except OSError as error:
        hint = "move it by hand" if error.errno == errno.EXDEV else "check the permissions of both folders"
        raise StoreError(f"{source}: cannot be moved to {target} ({error.strerror}); {hint}") from error


def _remove(folder: Path) -> None:
    """Remove a folder with all in it, folders that are read-only included. Links are removed, not followed."""
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink()
        return
    try:
        shutil.rmtree(folder)
    except PermissionError:
        for root, folders, _ in os.walk(folder):
            for name in folders:
                path = os.path.join(root, name)
                if stat.S_ISDIR(os.lstat(path).st_mode):
                    os.chmod(path, 0o700)
        shutil.rmtree(folder)
