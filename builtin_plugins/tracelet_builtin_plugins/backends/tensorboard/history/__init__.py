"""Runs that event files hold, whoever has written them: TensorFlow, PyTorch, tensorboardX, Keras or tracelet."""

from __future__ import annotations

import os
import re
import struct
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins.backends.tensorboard.history.records import Block, RecordReader
from tracelet_builtin_plugins.backends.tensorboard.history.values import (
    Event,
    Point,
    Session,
    Unsupported,
    read_event,
)
from tracelet_hookspecs import ImportedFile, ImportedPoints, ImportedRun, MetricType

__all__ = ["import_event_files"]

_MARK: Final = "tfevents"
_MOST_ENTRIES: Final = 1_000_000  # files and folders that are looked at
_NAME: Final = re.compile(r"tfevents\.(\d+)\.(.+?)\.(\d+)\.(\d+)(?:\.v2)?$")
_WRONG: Final = (ValueError, ArithmeticError, LookupError, TypeError, struct.error, RecursionError)
DAMAGED: Final = "damaged records"
CUT: Final = "records that are cut off"

Found = dict[tuple[str, "str | None"], list[tuple[int, int, float, float]]]  # place, step, value, time


def import_event_files(source: str, *, follow: bool) -> Iterator[ImportedRun | None] | None:
    """Return the runs below a folder, or of one file; ``None`` if there is no event file."""
    root = Path(source)
    files = _find_files(root)
    if not files:
        return None
    return _follow(root) if follow else _read_folders(root, files)


def _find_files(root: Path) -> dict[Path, list[Path]]:
    """Return the event files of each folder, in the order in which TensorBoard reads them. No link is followed."""
    if root.is_file():
        return {root.parent: [root]} if _MARK in root.name else {}
    found: dict[Path, list[Path]] = {}
    count = 0
    for folder, folders, names in os.walk(root, followlinks=False):
        folders.sort()
        count += len(names) + 1
        files = [Path(folder, name) for name in sorted(names) if _MARK in name]
        files = [path for path in files if path.is_file() and not path.is_symlink()]
        if files:
            found[Path(folder)] = files
        if count > _MOST_ENTRIES:
            break
    return found


def _read_folders(root: Path, files: dict[Path, list[Path]]) -> Iterator[ImportedRun]:
    for folder, several in files.items():
        run = EventFolder(root, folder, several[0])
        for path in several:
            yield from run.read(path)
        yield run.finish()


def _follow(root: Path) -> Iterator[ImportedRun | None]:
    """Yield what is there, then what is added; ``None`` whenever there is nothing new."""
    runs: dict[Path, EventFolder] = {}
    while True:
        for folder, several in _find_files(root).items():
            run = runs.setdefault(folder, EventFolder(root, folder, several[0]))
            for path in several:
                yield from run.read(path)
        yield None


class EventFolder:
    """One folder with event files, which is a run."""

    def __init__(self, root: Path, folder: Path, first: Path) -> None:
        relative = os.path.relpath(folder, root) if root.is_dir() else "."
        name = folder.absolute().name if relative == "." else relative
        self._key = f"{folder.absolute().name}/{first.name}"
        self._about: dict[str, Any] = {"name": name}
        host = _NAME.search(first.name)
        self._about["facts"] = {"folder": str(folder.absolute()), **({"host": host[2]} if host else {})}
        self._readers: dict[Path, RecordReader] = {}

    def read(self, path: Path) -> Iterator[ImportedRun]:
        """Yield what is new in a file."""
        reader = self._readers.setdefault(path, RecordReader(path))
        try:
            for block in reader.blocks():
                yield self._read_block(block, reader)
        except OSError:
            yield ImportedRun(self._key, damage={"files that cannot be read": 1}, **self._about)

    def finish(self) -> ImportedRun:
        """Return an account of what could not be read."""
        cut = sum(reader.is_cut for reader in self._readers.values())
        damaged = sum(reader.damaged for reader in self._readers.values())
        return ImportedRun(self._key, damage={CUT: cut, DAMAGED: damaged}, **self._about)

    def _read_block(self, block: Block, reader: RecordReader) -> ImportedRun:
        run = ImportedRun(self._key, **self._about)
        damage = {DAMAGED: reader.damaged}
        reader.damaged = 0
        points, others = _read_scalars(block, damage)
        found: Found = {}
        for place, is_checked in others:
            if not is_checked and not block.is_intact(place):
                damage[DAMAGED] += 1
                continue
            try:
                event = read_event(block.record(place))
            except _WRONG:
                damage[DAMAGED] += 1
                continue
            self._add(run, event, place, found, damage)
        run.points = _merge(points, found)
        run.damage = damage
        if run.started_at is not None:
            self._about["started_at"] = min(run.started_at, self._about.get("started_at", run.started_at))
        return run

    def _add(self, run: ImportedRun, event: Event, place: int, found: Found, damage: dict[str, int]) -> None:
        if not event.items:
            if "started_at" not in self._about and run.started_at is None and event.time > 0:
                run.started_at = event.time  # the version of the file comes first
            return
        for item in event.items:
            if isinstance(item, Point):
                found.setdefault((item.name, item.source), []).append(
                    (place, event.step, item.value, event.time)
                )
            elif isinstance(item, ImportedFile):
                run.files = [*run.files, item]
            elif isinstance(item, Session):
                run.params = {**run.params, **item.params}
                run.group = item.group or run.group
                run.outcome = item.outcome or run.outcome
                run.ended_at = item.ended_at or run.ended_at
            elif isinstance(item, Unsupported):
                damage[item.kind] = damage.get(item.kind, 0) + 1


def _read_scalars(block: Block, damage: dict[str, int]) -> tuple[dict[Any, Any], list[tuple[int, bool]]]:
    """Return the columns that NumPy can read, and the places of all other records, with whether they are intact."""
    try:
        from tracelet_builtin_plugins.backends.tensorboard.history.columns import read_columns

        columns, others, damaged = read_columns(block)
    except ImportError:
        return {}, [(place, False) for place in range(len(block.starts))]
    damage[DAMAGED] += damaged
    decoded = {
        (_decode(name), None if source is None else _decode(source)): each
        for (name, source), each in columns.items()
    }
    return decoded, [(place, False) for place in others]


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _merge(columns: dict[Any, Any], found: Found) -> list[ImportedPoints]:
    """Return the points of each metric in the order of the file."""
    result = []
    for key in dict.fromkeys((*columns, *found)):
        name, source = key
        type_ = MetricType.SCALAR if source is None else MetricType.SYSTEM
        if key not in found:
            _, *numbers = columns[key]
        else:
            places, *numbers = (
                array(code, column)
                for code, column in zip("qqdd", zip(*found[key], strict=True), strict=True)
            )
            if key in columns:
                numbers = _interleave([columns[key], (places, *numbers)])
        steps, values, times = numbers
        result.append(ImportedPoints(name, steps, values, times, type_, source))
    return result


def _interleave(parts: Sequence[Sequence[Any]]) -> list[Any]:
    """Return steps, values and times of both in the order of their places in the file."""
    import numpy as np

    places, *numbers = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(places, kind="stable")
    return [column[order] for column in numbers]
