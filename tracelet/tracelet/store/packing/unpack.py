"""Restoring runs from a packed file, bit for bit. The file may come from anybody, so nothing in it is believed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from tracelet.config.settings import is_run_id
from tracelet.errors import StoreError
from tracelet.layout import runs_folder
from tracelet.store.packing.layout import (
    CLOSING,
    GENERATOR,
    LONGEST,
    MAGIC,
    OPENING,
    VERSION,
    check_digest,
    check_path,
    check_size,
)

Progress = Callable[[int, int], None]  # bytes done, bytes in all
_HEAD: Final = 1 << 10  # bytes at the beginning that tell a packed file from others
_STEP: Final = 1 << 20  # bytes that are decompressed at a time
_SPARE: Final = 1 << 26  # bytes that have to stay free on the disk


class UnpackedRun(NamedTuple):
    """A restored run: its folder, the number of its files and their bytes."""

    id: str
    dir: Path
    files: int
    size: int


def is_pack(file: str | os.PathLike[str]) -> bool:
    """Return whether a file was made by ``tracelet pack``, judged by its beginning."""
    try:
        if not os.path.isfile(file):
            return False
        with open(file, "rb") as stream:
            head = stream.read(_HEAD)
    except OSError:
        return False
    return GENERATOR.encode() in head


def unpack(
    file: str | os.PathLike[str], data: str | os.PathLike[str], *, progress: Progress | None = None
) -> list[UnpackedRun]:
    """Restore the runs of a packed file into an empty data folder. Every file is compared with its SHA-256.

    Nothing is written outside that folder, and no more than the file says and the disk has room for.

    Raises:
        StoreError: it is no packed file, it was cut short or changed, or the disk has not enough room.
    """
    runs = runs_folder(Path(data))
    with open(file, encoding="ascii", errors="strict", newline="\n") as stream:
        try:
            return list(_restore(_Lines(stream, str(file)), runs, progress))
        except UnicodeDecodeError:
            raise StoreError(
                f"{file}: expected a file made by 'tracelet pack', found bytes that are not ASCII"
            ) from None
        except OSError as error:
            raise StoreError(f"{file}: cannot be restored to {data}: {error.strerror or error}") from error


class _Lines:
    """The lines of the part that has the runs' files."""

    def __init__(self, stream: IO[str], name: str) -> None:
        self._stream = stream
        self._name = name
        self._ahead: str | None = None
        self._digest = hashlib.sha256()
        self._find_beginning()

    def _find_beginning(self) -> None:
        at_line_start = True
        while piece := self._stream.readline(LONGEST):  # the view is one line, of any length
            if at_line_start and piece.rstrip("\n") == OPENING:
                break
            at_line_start = piece.endswith("\n")
        else:
            raise self.fault("no packed runs")
        words = self.take().split()
        if len(words) != 2 or words[0] != MAGIC or not words[1].isdecimal():
            raise self.fault("no packed runs")
        if int(words[1][:9]) > VERSION:
            raise StoreError(
                f"{self._name}: was packed by a newer tracelet (format {words[1][:9]}); upgrade tracelet"
            )

    def fault(self, found: str) -> StoreError:
        return StoreError(f"{self._name}: expected a file made by 'tracelet pack', found {found}")

    def take(self) -> str:
        """Return the next line."""
        if self._ahead is not None:
            line, self._ahead = self._ahead, None
            return line
        line = self._stream.readline(LONGEST)
        if not line.endswith("\n"):
            raise self.fault(
                "a line that is too long" if len(line) >= LONGEST else "the end: it was cut short"
            )
        return line[:-1]

    def take_object(self) -> dict[str, Any]:
        """Return the next line, a JSON object."""
        line = self.take()
        self.digest = self._digest.hexdigest()  # of the lines before this one
        self._digest.update(f"{line}\n".encode())
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            raise self.fault(f"{line[:40]!r} in place of a JSON object") from None
        if not isinstance(value, dict):
            raise self.fault(f"{line[:40]!r} in place of a JSON object")
        return value

    def take_data(self) -> Iterator[bytes]:
        """Yield the data of a file, as it was packed: up to the next line that is none."""
        while True:
            line = self.take()
            if line.startswith(("{", CLOSING)):
                self._ahead = line
                return
            try:
                yield base64.b64decode(line, validate=True)
            except (binascii.Error, ValueError):
                raise self.fault(f"{line[:40]!r} in place of base64") from None


def _restore(lines: _Lines, runs: Path, progress: Progress | None) -> Iterator[UnpackedRun]:
    head = lines.take_object()
    ids = head.get("runs")
    if not isinstance(ids, list) or not all(map(is_run_id, ids)) or len(set(ids)) != len(ids):
        raise lines.fault("no list of runs")
    total = check_size(head.get("size"))
    runs.mkdir(mode=0o700, parents=True, exist_ok=True)
    free = shutil.disk_usage(runs).free
    if total > free - _SPARE:
        raise StoreError(
            f"pack: its runs need {total:,} bytes, but {runs} has room for {max(0, free - _SPARE):,}"
        )
    done = 0
    counts = {run: [0, 0] for run in ids}
    for run in ids:
        (runs / run).mkdir(mode=0o700)
    while "end" not in (entry := lines.take_object()):
        run, path = str(entry.get("run")), check_path(entry.get("path"))
        if run not in counts:
            raise lines.fault(f"a file of run {run!r}, which is not in its list")
        size = _restore_file(lines, runs / run, path, total - done)
        counts[run][0] += 1
        counts[run][1] += size
        done += size
        if progress is not None:
            progress(done, total)
    if entry.get("sha256") != lines.digest:
        raise lines.fault("other paths and sizes than its SHA-256 says: it was changed or damaged")
    for run, (files, size) in counts.items():
        yield UnpackedRun(run, runs / run, files, size)


def _restore_file(lines: _Lines, run_dir: Path, path: str, room: int) -> int:
    """Restore a file of at most ``room`` bytes, and return how many there were."""
    target = run_dir / path
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # in a folder that was empty: no link in it
    digest, size = hashlib.sha256(), 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    with open(os.open(target, flags, 0o600), "wb") as stream:
        for piece in _decompress(lines, path):
            size += len(piece)
            if size > room:
                raise lines.fault("more data than it says")
            digest.update(piece)
            stream.write(piece)
    end = lines.take_object()
    if (check_size(end.get("size")), check_digest(end.get("sha256"))) != (size, digest.hexdigest()):
        raise lines.fault(f"other content of {path!r} than its SHA-256 says: it was changed or damaged")
    return size


def _decompress(lines: _Lines, path: str) -> Iterator[bytes]:
    """Yield the content of a file in pieces of limited size, however much it expands."""
    decompressor = zlib.decompressobj()
    try:
        for data in lines.take_data():
            while data and not decompressor.eof:
                yield decompressor.decompress(data, _STEP)
                data = decompressor.unconsumed_tail
        while piece := decompressor.decompress(b"", _STEP):
            yield piece
    except zlib.error:
        raise lines.fault(f"damaged data of {path!r}") from None
