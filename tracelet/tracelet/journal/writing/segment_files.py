"""The segment files of one writer: created, preallocated, synced, trimmed. Every step may run twice
concurrently.

Descriptors stay open between calls, so each use checks that the program has not closed them. If it has, the
file is reopened by name, and used only if it is still the same file.
"""

from __future__ import annotations

import errno
import os
import struct
import time
from pathlib import Path

from tracelet.journal.format import (
    FOLDER,
    HEADER,
    HEARTBEAT_OFFSET,
    SEGMENT_SHIFT,
    SEGMENT_SLOTS,
    SLOT,
    SegmentInfo,
    file_name,
    journal_folder,
    pack_header,
)
from tracelet.safe_files import Descriptor, LostDescriptorError, open_file, open_folder

_CHUNK = 1 << 20  # bytes reserved on the disk ahead of need, at most
_sync_data = getattr(os, "fdatasync", os.fsync)
_LARGEST = HEADER + SEGMENT_SLOTS * SLOT


class SegmentFiles:
    """Opens a writer's segment files in a run's folder. Nothing here holds a lock: doing a step again is harmless."""

    def __init__(self, run_dir: Path, writer: str, *, preallocate: bool) -> None:
        self.run_dir = run_dir
        self.folder = journal_folder(run_dir)
        self.writer = writer
        self.created = time.time()
        self._preallocate = preallocate
        self._folder_file: Descriptor | None = None
        self._files: dict[int, Descriptor] = {}
        self._identities: dict[int, tuple[int, int] | None] = {}  # device and inode of each segment's file
        self._reserved: dict[int, int] = {}
        self._new_entries = True
        self._is_closed = False

    def open(self, segment: int) -> Descriptor:
        """Return a segment's open file. The first call creates the file."""
        known = self._files.get(segment)
        if known is not None:
            if not known.is_lost:
                return known
            self._files.pop(segment, None)
        return self._open(segment)

    def _open(self, segment: int) -> Descriptor:
        if self._is_closed:  # the header says so, and must not be rewritten
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        name = file_name(self.writer, segment)
        expected = self._identities.get(segment)
        flags = os.O_RDWR if expected else os.O_RDWR | os.O_CREAT
        opened = open_file(self.folder, name, flags, within=self._open_folder())
        first = segment << SEGMENT_SHIFT
        header = pack_header(SegmentInfo(self.writer, segment, first, self.created, time.time(), slots=0))
        if expected:
            # An inode number may have been reused for a new file, so the header is compared as well.
            found = opened.call(os.pread, HEARTBEAT_OFFSET, 0)
            is_same = opened.identity == expected and found == header[:HEARTBEAT_OFFSET]
            if not is_same:
                raise FileNotFoundError(errno.ENOENT, "another file has its name", name)
            return self._files.setdefault(segment, opened)
        if self._preallocate:
            opened.call(os.posix_fallocate, 0, HEADER)
        # Threads that get here at the same time write the same bytes.
        opened.call(os.pwrite, header, 0)
        self._new_entries = True
        self._identities[segment] = opened.identity
        return self._files.setdefault(segment, opened)

    def _open_folder(self) -> Descriptor:
        """Return the open folder: files are created relative to it, so that it may be moved."""
        known = self._folder_file
        if known is None or known.is_lost:
            self.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            known = self._folder_file = open_folder(self.run_dir, FOLDER, create=True)
        return known

    def reserve(self, segment: int, end: int) -> None:
        """Make sure that the disk has room for a segment's first ``end`` bytes."""
        done = self._reserved.get(segment, 0)
        if done >= end:
            return
        opened = self.open(segment)
        # Little at first, because many writers record little; then enough to call this rarely.
        ample = min(end + min(done, _CHUNK), _LARGEST)
        try:
            opened.call(os.posix_fallocate, done, ample - done)
        except LostDescriptorError:
            raise
        except OSError:
            ample = end
            opened.call(os.posix_fallocate, done, ample - done)
        self._reserved[segment] = max(ample, self._reserved.get(segment, 0))

    def size(self, segment: int) -> int:
        """Return how many slots a segment's file has room for."""
        return (self.open(segment).stat().st_size - HEADER) // SLOT

    def is_deleted(self, segment: int) -> bool:
        """Say whether a segment's file was deleted; if that one is not open, the newest file counts."""
        if segment not in self._files:
            if not self._files:
                return False
            segment = max(self._files.copy())
        try:
            return self.open(segment).stat().st_nlink == 0
        except (FileNotFoundError, NotADirectoryError):
            return True  # the program closed the descriptor, and no file has the name

    def sync(self) -> None:
        """Wait until the disk holds what was written, and the folder entries of the files."""
        for segment in list(self._files):
            self.open(segment).call(_sync_data)
        if self._new_entries and self._folder_file is not None:
            self._new_entries = False
            self._open_folder().call(os.fsync)
            for above in (self.run_dir, self.run_dir.parent):
                open_folder(above).call(os.fsync)

    def release(self, before: int) -> None:
        """Close the segments before one. A late writer opens its segment again."""
        for segment in [segment for segment in list(self._files) if segment < before]:
            opened = self._files.get(segment)
            if opened is not None:
                self.open(segment).call(_sync_data)
                self._files.pop(segment, None)

    def write_heartbeat(self, when: float) -> None:
        """Rewrite the heartbeat in the newest segment's header; a negative time says that the writer ended."""
        known = self._files.copy()
        if known:
            self.open(max(known)).call(os.pwrite, struct.pack("<d", when), HEARTBEAT_OFFSET)

    def trim(self, last: int) -> None:
        """Release the space reserved beyond the last slot that was taken."""
        segment, within = divmod(last, SEGMENT_SLOTS)
        size = HEADER + (within + 1) * SLOT
        if segment in self._files and self.open(segment).stat().st_size > size:
            self.open(segment).call(os.ftruncate, size)
        for later in [known for known in list(self._files) if known > segment]:  # opened ahead and never used
            self._files.pop(later, None)
            folder = self._open_folder()
            os.unlink(file_name(self.writer, later), dir_fd=folder.fd)

    def close(self) -> None:
        """Close every file as soon as it is no longer in use."""
        self._is_closed = True
        self._files.clear()
        self._folder_file = None
