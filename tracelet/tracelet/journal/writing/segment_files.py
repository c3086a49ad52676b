"""The segment files of one writer: created, preallocated, synced, trimmed. Every step may run twice at once."""

from __future__ import annotations

import errno
import os
import struct
import time
from pathlib import Path

from tracelet.journal.format import (
    HEADER,
    HEARTBEAT_OFFSET,
    SEGMENT_SHIFT,
    SEGMENT_SLOTS,
    SLOT,
    SegmentInfo,
    file_name,
    pack_header,
)
from tracelet.safe_files import Descriptor

_CHUNK = 1 << 20  # bytes reserved on the disk ahead of need, at most
_sync_data = getattr(os, "fdatasync", os.fsync)
_LARGEST = HEADER + SEGMENT_SLOTS * SLOT


class SegmentFiles:
    """Opens a writer's segment files in a folder. Nothing here holds a lock: doing a step again is harmless."""

    def __init__(self, folder: Path, writer: str, *, preallocate: bool) -> None:
        self.folder = folder
        self.writer = writer
        self.created = time.time()
        self._preallocate = preallocate
        self._folder_handle: Descriptor | None = None
        self._handles: dict[int, Descriptor] = {}
        self._reserved: dict[int, int] = {}
        self._new_entries = True
        self._is_closed = False

    def handle(self, segment: int) -> Descriptor:
        """Return a segment's open file, creating it at first."""
        return self._handles.get(segment) or self._create(segment)

    def _create(self, segment: int) -> Descriptor:
        if self._is_closed:  # its header says so, and is not to be written again
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        name = file_name(self.writer, segment)
        handle = Descriptor(os.open(name, flags, 0o600, dir_fd=self._folder().fd))
        if self._preallocate:
            os.posix_fallocate(handle.fd, 0, HEADER)
        # Each thread that comes here at the same time writes the very same bytes.
        first = segment << SEGMENT_SHIFT
        info = SegmentInfo(self.writer, segment, first, self.created, heartbeat=time.time(), slots=0)
        os.pwrite(handle.fd, pack_header(info), 0)
        self._new_entries = True
        return self._handles.setdefault(segment, handle)

    def _folder(self) -> Descriptor:
        """Return the open folder: files are created relative to it, so that it may be moved."""
        known = self._folder_handle
        if known is None:
            for folder in (self.folder.parent, self.folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            known = Descriptor(os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            self._folder_handle = known
        return known

    def reserve(self, segment: int, end: int) -> None:
        """See to it that the disk has room for a segment's first ``end`` bytes."""
        done = self._reserved.get(segment, 0)
        if done >= end:
            return
        handle = self.handle(segment)
        # Little at first, since many a writer records little; then so much that it is rarely asked for.
        ample = min(end + min(done, _CHUNK), _LARGEST)
        try:
            os.posix_fallocate(handle.fd, done, ample - done)
        except OSError:
            ample = end
            os.posix_fallocate(handle.fd, done, ample - done)
        self._reserved[segment] = max(ample, self._reserved.get(segment, 0))

    def size(self, segment: int) -> int:
        """Return how many slots a segment's file has room for."""
        return (os.fstat(self.handle(segment).fd).st_size - HEADER) // SLOT

    def is_deleted(self, segment: int) -> bool:
        """Say whether somebody deleted a segment's file, or the newest one's where that one is not open."""
        handle = self._handles.get(segment) or self._newest()
        return handle is not None and os.fstat(handle.fd).st_nlink == 0

    def _newest(self) -> Descriptor | None:
        handles = self._handles.copy()
        return handles[max(handles)] if handles else None

    def sync(self) -> None:
        """Wait until the disk holds what was written, and the folders' entries for the files."""
        for handle in list(self._handles.values()):
            _sync_data(handle.fd)
        folder = self._folder_handle
        if self._new_entries and folder is not None:
            self._new_entries = False
            os.fsync(folder.fd)
            for above in (self.folder.parent, self.folder.parent.parent):
                parent = Descriptor(os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
                os.fsync(parent.fd)

    def release(self, before: int) -> None:
        """Let go of the segments before one. A late writer opens its segment again."""
        for segment in [segment for segment in list(self._handles) if segment < before]:
            handle = self._handles.pop(segment, None)
            if handle is not None:
                _sync_data(handle.fd)

    def beat(self, when: float) -> None:
        """Rewrite the heartbeat in the newest segment's header; a negative time says that the writer ended."""
        newest = self._newest()
        if newest is not None:
            os.pwrite(newest.fd, struct.pack("<d", when), HEARTBEAT_OFFSET)

    def trim(self, last: int) -> None:
        """Give back what was reserved beyond the last slot that was given out."""
        segment, within = divmod(last, SEGMENT_SLOTS)
        handle, size = self._handles.get(segment), HEADER + (within + 1) * SLOT
        if handle is not None and os.fstat(handle.fd).st_size > size:
            os.ftruncate(handle.fd, size)
        for later in [known for known in list(self._handles) if known > segment]:  # opened ahead in vain
            self._handles.pop(later, None)
            os.unlink(file_name(self.writer, later), dir_fd=self._folder().fd)

    def close(self) -> None:
        """Let go of every file, as soon as nobody uses it any more."""
        self._is_closed = True
        self._handles.clear()
        self._folder_handle = None
