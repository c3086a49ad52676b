"""Where one file ends and the next begins: remembered on the local disk before a file is written.

After a crash, records are delivered again from an earlier position and in other batches. They have to end up in the
same files. If the memory is lost (a copied run, a read-only folder), files overlap; readers keep one row per record.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from tracelet_hookspecs.lake_layout import FileName, Place

__all__ = ["Boundaries", "Part"]

_FOLDER: Final = "lake"
BEFORE_ALL: Final = Place(-1)


class Part(NamedTuple):
    """Consecutive places, and whether they are exactly those of a file that was begun before."""

    where: slice
    is_known: bool


class Boundaries:
    """The ranges of points that belong into one file, by writer."""

    def __init__(self, run_dir: Path, url: str) -> None:
        digest = hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        self._path = run_dir / _FOLDER / f"{digest}.ranges"
        #: By writer: the last place of a range by its first one. A later range with the same beginning replaces an
        #: earlier one, whose file was never written.
        self._known: dict[str, dict[Place, Place]] = {}
        self._last: dict[str, Place] = {}
        for writer, first, last in self._read():
            self._remember(writer, first, last)

    def is_after_all(self, writer: str, place: Place) -> bool:
        """Say whether a place is after all those that are known."""
        return place > self._last.get(writer, BEFORE_ALL)

    def split(self, writer: str, places: Sequence[Place]) -> list[Part]:
        """Return which consecutive places belong into one file each."""
        known = self._known.get(writer, {})
        if self.is_after_all(writer, places[0]):
            return [Part(slice(0, len(places)), False)]  # nearly always: new records, in order
        where = {place: at for at, place in enumerate(places)}
        parts: list[Part] = []
        begin = at = 0
        while at < len(places):
            last = known.get(places[at])
            stop = -1 if last is None else where.get(last, -1) + 1
            if stop <= at:
                at += 1
                continue
            if begin < at:
                parts.append(Part(slice(begin, at), False))
            parts.append(Part(slice(at, stop), True))
            begin = at = stop
        if begin < len(places):
            parts.append(Part(slice(begin, len(places)), False))
        return parts

    def overlapping(self, writer: str, first: Place, last: Place) -> list[FileName]:
        """Return the files that may have some of these places.

        A batch that is delivered again may end in the middle of a file, and a record that was late may belong into one.
        """
        if first > self._last.get(writer, first):
            return []
        return [
            FileName(writer, start, end)
            for start, end in self._known.get(writer, {}).items()
            if start <= last and end >= first
        ]

    def note(self, writer: str, first: Place, last: Place) -> None:
        """Remember a range, before its file is written. A disk that refuses it costs overlaps after a crash only."""
        if self._known.get(writer, {}).get(first) == last:
            return
        self._remember(writer, first, last)
        line = f"{writer} {first.sequence}.{first.index} {last.sequence}.{last.index}\n"
        with contextlib.suppress(OSError):
            self._append(line.encode("utf-8", "surrogatepass"))

    def _remember(self, writer: str, first: Place, last: Place) -> None:
        self._known.setdefault(writer, {})[first] = last
        self._last[writer] = max(last, self._last.get(writer, last))

    def _append(self, line: bytes) -> None:
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        fd = self._open(os.O_RDWR | os.O_APPEND | os.O_CREAT)
        try:
            size = os.fstat(fd).st_size
            if size and os.pread(fd, 1, size - 1) != b"\n":  # a line was cut off by a crash
                line = b"\n" + line
            os.write(fd, line)
            os.fsync(fd)
        finally:
            os.close(fd)

    def _open(self, flags: int) -> int:
        """Open the file; the run's folder may come from somebody else, so that nothing follows a link."""
        if stat.S_ISLNK(os.lstat(self._path.parent).st_mode):
            raise OSError(f"{self._path.parent}: expected a folder, found a symbolic link")
        return os.open(self._path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)

    def _read(self) -> Iterator[tuple[str, Place, Place]]:
        try:
            with os.fdopen(self._open(os.O_RDONLY), "rb") as file:
                lines = file.read().split(b"\n")[:-1]
        except OSError:
            return
        for line in lines:
            with contextlib.suppress(ValueError):
                writer, first, last = line.decode("utf-8", "surrogatepass").split(" ")
                yield writer, _place(first), _place(last)


def _place(text: str) -> Place:
    sequence, _, index = text.partition(".")
    return Place(int(sequence), int(index))
