"""The segment files of one writer: created, preallocated, synced, trimmed. Every step may run twice at once."""

from __future__ import annotations

import contextlib
import os
import struct
import time
from pathlib import Path

from tracelet.journal.format import HEADER, HEARTBEAT_OFFSET, SEGMENT_SLOTS, SLOT, file_name, pack_header

_CHUNK = 1 << 20  # bytes reserved on disk at a time
_LARGEST = HEADER + SEGMENT_SLOTS * SLOT


class SegmentFiles:
    """Opens a writer's segment files in a folder. Nothing here holds a lock: doing a step again is harmless."""

    def __init__(self, folder: Path, writer: str, *, preallocate: bool) -> None:
        self.folder = folder
        self.writer = writer
        self.created = time.time()
        self._preallocate = preallocate
        self._folder_handle: int | None = None
        self._handles: dict[int, int] = {}
        self._reserved: dict[int, int] = {}

    @property
    def opened(self) -> bool:
        """Whether any segment exists yet."""
        return bool(self._handles)

    def handle(self, segment: int) -> int:
        """Return the file descriptor of a segment, creating the file at first."""
        known = self._handles.get(segment)
        return self._create(segment) if known is None else known

    def _create(self, segment: int) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        handle = os.open(file_name(self.writer, segment), flags, 0o600, dir_fd=self._folder())
        try:
            if self._preallocate:
                os.posix_fallocate(handle, 0, HEADER)
            os.pwrite(handle, pack_header(self.writer, segment, self.created), 0)
        except BaseException:
            os.close(handle)
            raise
        first = self._handles.setdefault(segment, handle)
        if first != handle:
            os.close(handle)
        return first

    def _folder(self) -> int:
        if self._folder_handle is None:
            with contextlib.suppress(FileExistsError):
                self.folder.mkdir(mode=0o700)
            handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            if self._folder_handle is None:
                self._folder_handle = handle
            else:
                os.close(handle)
        return self._folder_handle

    def reserve(self, segment: int, end: int) -> None:
        """See to it that the disk has room for a segment's first ``end`` bytes."""
        done = self._reserved.get(segment, 0)
        if done >= end:
            return
        handle = self.handle(segment)
        ample = min(-(-end // _CHUNK) * _CHUNK + HEADER, _LARGEST)
        try:
            os.posix_fallocate(handle, done, ample - done)
        except OSError:
            os.posix_fallocate(handle, done, end - done)
            ample = end
        self._reserved[segment] = max(ample, self._reserved.get(segment, 0))

    def is_deleted(self) -> bool:
        """Say whether somebody deleted the newest segment's file."""
        handles = list(self._handles.items())
        return bool(handles) and os.fstat(max(handles)[1]).st_nlink == 0

    def sync(self) -> None:
        """Wait until the disk holds what was written, and the folder's entries for the files."""
        for _, handle in sorted(self._handles.items()):
            os.fdatasync(handle)
        if self._folder_handle is not None:
            os.fsync(self._folder_handle)

    def release(self, before: int) -> None:
        """Let go of the segments before one."""
        for segment in [segment for segment in self._handles if segment < before]:
            handle = self._handles.pop(segment, None)
            if handle is not None:
                os.fdatasync(handle)
                os.close(handle)

    def beat(self, when: float) -> None:
        """Rewrite the heartbeat in the newest segment's header; a negative time says that the writer ended."""
        if self._handles:
            os.pwrite(self._handles[max(self._handles)], struct.pack("<d", when), HEARTBEAT_OFFSET)

    def trim(self, segment: int, slots: int) -> None:
        """Give back what was reserved in a segment beyond its first ``slots``."""
        handle = self._handles.get(segment)
        if handle is not None and os.fstat(handle).st_size > HEADER + slots * SLOT:
            os.ftruncate(handle, HEADER + slots * SLOT)

    def close(self) -> None:
        """Let go of every file."""
        handles = [*self._handles.values(), *([] if self._folder_handle is None else [self._folder_handle])]
        self._handles, self._folder_handle = {}, None
        for handle in handles:
            os.close(handle)
