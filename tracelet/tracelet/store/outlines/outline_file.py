"""The file of an outline: a line of JSON that describes it, then the columns."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import zlib
from collections.abc import Iterable, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from tracelet.journal import EventRecord
from tracelet.logs import get_logger
from tracelet.store.history import History
from tracelet.store.index.index_folder import index_folders, make_private_folder
from tracelet.store.index.seal import key_id, make_seal
from tracelet.store.point_columns import Points, require_numpy
from tracelet.store.windows import Means, Window

log = get_logger("tracelet.store")

FOLDER: Final = "outlines"
SUFFIX: Final = ".outline"
VERSION: Final = 1
PIXELS: Final = 512  # parts into which the whole range is divided
_MOST_HEAD: Final = 1 << 26  # bytes
_KINDS: Final = ("int64", "float64", "float64", "float64", "float64")


def outline_folder(data: Path) -> Path | None:
    """Return the folder for the outlines of a data folder, ``None`` if there is no place for one."""
    for folder in index_folders(data):
        if make_private_folder(folder / FOLDER):
            return folder / FOLDER
    return None


def outline_path(folder: Path, run: str) -> Path:
    """Return the file of a run's outline. Users who share a folder have their own."""
    return folder / f"{run}.{key_id()}{SUFFIX}"


class OutlineWriter:
    """Writes an outline beside its place and moves it there at the end, so that it is whole or absent."""

    def __init__(self, path: Path, state: Any, events: Iterable[tuple[str, EventRecord]]) -> None:
        self._path = path
        self._head: dict[str, Any] = {
            "version": VERSION,
            "seal": make_seal(path),
            "state": state,
            "events": [[writer, *event] for writer, event in events],
            "metrics": {},
        }
        self._columns: list[bytes] = []
        self._size = 0

    def add(self, name: str, facts: Mapping[str, Any], windows: Mapping[str, Window]) -> None:
        """Add a metric: its facts, and its window along each axis."""
        places = {axis: self._add_window(window) for axis, window in windows.items()}
        self._head["metrics"][name] = {**facts, "windows": places}

    def _add_window(self, window: Window) -> list[int]:
        numpy = require_numpy("tracelet ui")
        means = window.means or Means(numpy.zeros(0), numpy.zeros(0))
        columns = zip((*window.points, *means), _KINDS, strict=True)
        data = b"".join(numpy.ascontiguousarray(column, dtype=kind).tobytes() for column, kind in columns)
        packed = zlib.compress(data, 1)
        start = self._size
        self._columns.append(packed)
        self._size += len(packed)
        return [start, len(packed), len(window.x), len(means.x), window.total]

    def write(self) -> None:
        """Write the file."""
        fd, name = tempfile.mkstemp(dir=self._path.parent, prefix=".", suffix=".part")  # 0600
        try:
            with os.fdopen(fd, "wb") as stream:
                stream.write(json.dumps(self._head).encode() + b"\n")
                stream.writelines(self._columns)
            os.replace(name, self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise


class Outline:
    """An outline that was read. Its columns are read when they are asked for."""

    def __init__(self, path: Path, head: dict[str, Any], start: int) -> None:
        self._path = path
        self._head = head
        self._start = start

    @classmethod
    def read(cls, path: Path, state: Any) -> Outline | None:
        """Return an outline that was made by this user from these files of the journal, ``None`` if there is none."""
        try:
            with path.open("rb") as stream:
                line = stream.readline(_MOST_HEAD)
            head = json.loads(line)
            if (head["version"], head["seal"], head["state"]) == (VERSION, make_seal(path), state):
                return cls(path, head, len(line))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            log.debug("outline %s cannot be read", path, exc_info=True)
        return None

    def is_of(self, state: Any) -> bool:
        """Return whether the outline was made from these files."""
        return bool(self._head["state"] == state)

    def history(self) -> History:
        """Return what the events of the run add up to."""
        history = History()
        for writer, *event in self._head["events"]:
            history.add_event(writer, EventRecord(*event))
        return history

    def facts(self, name: str) -> dict[str, Any] | None:
        """Return the ``type``, ``count`` and ``cursor`` of a metric, ``None`` if the outline has no such metric."""
        found: dict[str, Any] | None = self._head["metrics"].get(name)
        return found

    def window(self, name: str, axis: str, start: float) -> Window | None:
        """Return the whole range of a metric along an axis (``step``, ``time``, ``relative``)."""
        numpy = require_numpy("tracelet ui")
        place = self._head["metrics"][name]["windows"]["step" if axis == "step" else "time"]
        at, size, count, means, total = map(int, place)
        sizes = [count] * 3 + [means] * 2
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._start + at)
                data = zlib.decompressobj().decompress(stream.read(size), 8 * sum(sizes))
            ends = [0, *accumulate(sizes)]
            steps, values, times, mean_x, mean_values = (
                numpy.frombuffer(data, kind, size, 8 * end)
                for size, kind, end in zip(sizes, _KINDS, ends, strict=False)
            )
        except (OSError, ValueError, zlib.error):
            return None  # it was removed, or cut short
        shift = start if axis == "relative" else 0.0
        return Window(
            steps if axis == "step" else times - shift,
            Points(steps, values, times),
            total,
            Means(mean_x - shift, mean_values) if means else None,
        )
