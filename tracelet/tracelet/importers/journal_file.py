"""The journal file of an import: points with the source's own times, written in blocks.

The writer of a training process stamps what it records with the time of the call, and survives anything. An import has
all points at hand and can be repeated, so a simple file of the same format is enough. Its id follows from the run and
the number of the import, so two imports of one run at the same moment cannot both write.
"""

from __future__ import annotations

import hashlib
import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final
from zlib import crc32

from tracelet.errors import UsageError
from tracelet.importers.columns import Columns, encode_points
from tracelet.journal.events import encode_event
from tracelet.journal.format import (
    BLOB,
    FOLDER,
    HEARTBEAT_OFFSET,
    ID_MASK,
    KIND_SHIFT,
    MULTI_HEAD,
    NO_STEP,
    SEGMENT_SHIFT,
    SEGMENT_SLOTS,
    SLOT,
    SegmentInfo,
    file_name,
    pack_header,
    payload_slots,
    seal,
)
from tracelet.run.run_files import open_inside
from tracelet.safe_files import Descriptor, write_all

_BUFFER: Final = 8 << 20  # bytes
_LISTED: Final = 1000  # names in one dictionary event
_DOUBLE: Final = struct.Struct("<d").pack
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Metric = tuple[str, str, str | None]  # name, type, source


def writer_id(run_id: str, number: int, began: float) -> str:
    """Return the id of an import's file: the milliseconds at which the run began, the import's number, and a hash."""
    digest = hashlib.sha256(run_id.encode()).hexdigest()
    return f"{int(began * 1000) & 0xFFFFFFFFFFFF:012x}{number & 0xFFFF:04x}{digest[:16]}"


class JournalFile:
    """Appends records to one journal file, over as many segments as it takes."""

    def __init__(self, run_dir: Path, writer: str, facts: Mapping[str, Any], began: float) -> None:
        """Create the file.

        Raises:
            FileExistsError: an import that was killed has left it.
            OSError: the disk does not take it.
        """
        self.writer = writer
        self._began = began
        self._folder = open_inside(run_dir, PurePosixPath(FOLDER))
        self._seq = 0
        self._metrics: dict[Metric, int] = {}
        self._buffer: list[bytes] = []
        self._size = 0
        self._file = self._open_segment()
        self.event("writer", {"owner": None, **facts, "id": writer}, began)
        self.flush()  # the next import recognizes it by this event, whatever happens to this one

    def _open_segment(self) -> Descriptor:
        segment = self._seq >> SEGMENT_SHIFT
        name = file_name(self.writer, segment)
        opened = Descriptor(os.open(name, _NEW, 0o600, dir_fd=self._folder.fd))
        info = SegmentInfo(self.writer, segment, self._seq, self._began, time.time(), 0)
        write_all(opened, pack_header(info))
        return opened

    # --- records ---------------------------------------------------------------------------------------------

    def points(self, metric: Metric, columns: Columns) -> None:
        """Append points of one metric."""
        identity = self._identify(metric)
        start = 0
        while start < columns.points:
            self._make_room(1)
            room = min(SEGMENT_SLOTS - self._seq % SEGMENT_SLOTS, columns.points - start, _BUFFER // SLOT)
            self._append(encode_points(identity, columns.part(start, start + room), self._seq))
            start += room

    def _identify(self, metric: Metric) -> int:
        identity = self._metrics.get(metric)
        if identity is None:
            identity = len(self._metrics) + 1
            if identity > ID_MASK:
                raise UsageError(f"import: expected at most {ID_MASK} metrics in a run, found more")
            self._metrics[metric] = identity
            self.event("name", _entry(identity, metric), self._began)
        return identity

    def event(self, type: str, payload: Mapping[str, Any], when: float) -> None:
        """Append an event with the time at which it happened."""
        data = encode_event(type, payload)
        slots = 1 + payload_slots(len(data))
        self._make_room(slots)
        head = MULTI_HEAD.pack(crc32(data), len(data), NO_STEP, when, BLOB << KIND_SHIFT)
        self._append(seal(head, self._seq) + data.ljust((slots - 1) * SLOT, b"\0"))

    def _make_room(self, slots: int) -> None:
        """Begin the next segment if a record of this size does not fit into the current one."""
        place = self._seq % SEGMENT_SLOTS
        if place + slots <= SEGMENT_SLOTS and (place or not self._seq):
            return
        self.flush()
        start, self._seq = self._seq, -(-self._seq // SEGMENT_SLOTS) * SEGMENT_SLOTS
        self._file = self._open_segment()
        if start < self._seq:
            self._append_first("skip", {"from": start, "to": self._seq})
        self._list_names()

    def _append_first(self, type: str, payload: Mapping[str, Any]) -> None:
        data = encode_event(type, payload)
        head = MULTI_HEAD.pack(crc32(data), len(data), NO_STEP, self._began, BLOB << KIND_SHIFT)
        self._append(seal(head, self._seq) + data.ljust(payload_slots(len(data)) * SLOT, b"\0"))

    def _list_names(self) -> None:
        """Repeat all names, so that they survive damage."""
        entries = [_entry(identity, metric) for metric, identity in self._metrics.items()]
        for start in range(0, len(entries), _LISTED):
            listed = {"names": entries[start : start + _LISTED], "columns": []}
            if self._seq % SEGMENT_SLOTS:
                self.event("dictionary", listed, self._began)
            else:
                self._append_first("dictionary", listed)

    def _append(self, slots: bytes) -> None:
        self._buffer.append(slots)
        self._size += len(slots)
        self._seq += len(slots) // SLOT
        if self._size >= _BUFFER:
            self.flush()

    # --- ends ------------------------------------------------------------------------------------------------

    def flush(self, heartbeat: float | None = None) -> None:
        """Pass everything on to the operating system, with a sign of life."""
        write_all(self._file, b"".join(self._buffer))
        self._buffer, self._size = [], 0
        if heartbeat is not None:
            os.pwrite(self._file.fd, _DOUBLE(heartbeat), HEARTBEAT_OFFSET)

    def close(self, outcome: str | None, error: str | None, ended_at: float) -> None:
        """Write how the run ended as the last record, and wait for the disk."""
        self._list_names()
        self.event("outcome", {"outcome": outcome, "error": error}, ended_at)
        self.flush(-time.time())
        self._file.call(os.fsync)
        self._file.close()


def _entry(identity: int, metric: Metric) -> dict[str, Any]:
    name, type, source = metric
    return {"id": identity, "name": name, "metric": type, "source": source}
