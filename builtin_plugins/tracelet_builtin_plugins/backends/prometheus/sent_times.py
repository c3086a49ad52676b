"""The last times of series, kept in the run's folder: a batch delivered again after a crash gets the same ones."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins.backends.prometheus.mapping import SeriesKey

__all__ = ["SentTimes"]

_FOLDER: Final = "prometheus"
_WRITER: Final = re.compile("[0-9A-Za-z_-]{1,64}")
_LARGEST: Final = 16 << 20  # bytes that are read
_LINES: Final = 512  # of batches, until the file is rewritten
_KEPT: Final = 64  # then; delivery stores its position every 50 ms, so it can fall behind by some batches

Place = tuple[int, int]  # sequence and index of a point
Times = dict[SeriesKey, int]
Note = tuple[Place, Place, Times]  # where a batch began and ended, and the last times after it


class SentTimes:
    """A file for each writer, with a line for each batch: where it began and ended, and the last times after it.

    A line is written before its batch is sent. After a crash, delivery continues at the beginning of one of these
    batches, or behind the last one: the times before that are those of the lines before it. Without the file, or if it
    cannot be used, nothing is known.
    """

    def __init__(self, run_dir: Path) -> None:
        self._folder = run_dir / _FOLDER
        self._lines: dict[str, int] = {}
        #: By writer: up to where a process before this one may have sent points.
        self.ends: dict[str, Place] = {}

    def note(self, writer: str, first: Place, last: Place, after: Times) -> None:
        """Note what is about to be sent."""
        if not _WRITER.fullmatch(writer):
            return
        with contextlib.suppress(OSError):  # a folder that is read-only, or full: only a crash would need it
            if not self._is_own_folder():
                return
            self._lines[writer] = self._lines.get(writer, 0) + 1
            if self._lines[writer] > _LINES:
                self._compact(writer)
            self._write(self._folder / f"{writer}.jsonl", os.O_APPEND, [(first, last, after)])

    def recall(self, writer: str, first: Place) -> Times:
        """Return the last times of a writer's series before a point."""
        notes = self._read(writer)
        self._lines[writer] = len(notes)
        if notes and first < notes[0][0]:
            return {}
        times: Times = {}
        for _, end, after in notes:
            if first <= end:
                break
            times |= after
        return times

    def _compact(self, writer: str) -> None:
        notes = self._read(writer)
        old, kept = notes[:-_KEPT], notes[-_KEPT:]
        if old:
            times = {key: when for _, _, after in old for key, when in after.items()}
            kept.insert(0, (old[0][0], old[-1][1], times))
        part = self._folder / f".{writer}.{os.getpid()}.part"
        self._write(part, os.O_TRUNC, kept)
        os.replace(part, self._folder / f"{writer}.jsonl")
        self._lines[writer] = len(kept)

    def _write(self, file: Path, how: int, notes: list[Note]) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        fd = os.open(file, flags | how, 0o600)
        with open(fd, "wb", buffering=0) as stream:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                stream.write(b"".join(map(_line, notes)))

    def _read(self, writer: str) -> list[Note]:
        """Return the notes in order. Where a batch was delivered again, the later note counts."""
        notes: list[Note] = []
        for line in self._bytes(writer).splitlines():
            try:
                [[one, two], [three, four], series] = json.loads(line)
                note: Note = (int(one), int(two)), (int(three), int(four)), dict(_times(writer, series))
            except (ValueError, TypeError, LookupError, RecursionError):
                continue  # cut off by a crash, or damaged later
            self.ends[writer] = max(note[1], self.ends.get(writer, note[1]))
            while notes and notes[-1][0] >= note[0]:
                notes.pop()
            notes.append(note)
        return notes

    def _bytes(self, writer: str) -> bytes:
        if not _WRITER.fullmatch(writer):
            return b""
        with contextlib.suppress(OSError):
            if self._is_own_folder():
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                fd = os.open(self._folder / f"{writer}.jsonl", flags)
                with open(fd, "rb") as stream:
                    if stat.S_ISREG(os.fstat(fd).st_mode):
                        return stream.read(_LARGEST)
        return b""

    def _is_own_folder(self) -> bool:
        """Create the folder if necessary; ``False`` if something else is there, such as a link that leads elsewhere."""
        with contextlib.suppress(FileExistsError):
            self._folder.mkdir(mode=0o700)
        return stat.S_ISDIR(os.lstat(self._folder).st_mode)


def _line(note: Note) -> bytes:
    first, last, after = note
    series = [[key.name, key.kind, key.source, key.is_step, when] for key, when in after.items()]
    return json.dumps([first, last, series], separators=(",", ":")).encode() + b"\n"


def _times(writer: str, series: Any) -> Iterator[tuple[SeriesKey, int]]:
    for name, kind, source, is_step, when in series:
        if source is not None and not isinstance(source, str):
            raise TypeError("expected the name of a collector")
        yield SeriesKey(str(name), str(kind), source, writer, bool(is_step)), int(when)
