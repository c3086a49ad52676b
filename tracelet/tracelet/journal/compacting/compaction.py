"""Compacting the journals of ended processes: smaller files with exactly the same records."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tracelet.errors import JournalError
from tracelet.journal import identity
from tracelet.journal.compacting.compacted_file import Packed, compact_slots
from tracelet.journal.format import (
    COMPACTED,
    FOLDER,
    HEADER,
    SEGMENT_SHIFT,
    SEGMENT_SLOTS,
    SLOT,
    SUFFIX,
    SegmentInfo,
    file_name,
)
from tracelet.journal.reading.lifetime import liveness, runs_here, writer_facts
from tracelet.journal.reading.source import Source, segments
from tracelet.safe_files import (
    Descriptor,
    UnsafeFileError,
    open_file,
    open_folder,
    read_at,
    refuse_linked_folder,
    write_all,
)

_PART = ".part"
_LARGEST = HEADER + SEGMENT_SLOTS * SLOT  # bytes of the largest segment file
_ABANDONED = 3600.0  # seconds after which another host's unfinished file is removed
_SURELY_DEAD = 86400.0  # seconds without a heartbeat of a process on another host


class Compaction(NamedTuple):
    """The result of compacting: the number of segments, their bytes before and after, and the points in them.
    ``left`` maps each writer that was skipped to the reason: it is recording, may be recording, or has files
    of a newer tracelet.
    """

    segments: int = 0
    before: int = 0
    after: int = 0
    points: int = 0
    left: dict[str, str] = {}

    def combine(self, other: Compaction) -> Compaction:
        """Return the sum of both results."""
        return Compaction(
            self.segments + other.segments,
            self.before + other.before,
            self.after + other.after,
            self.points + other.points,
            {**self.left, **other.left},
        )


def compact(run_dir: Path, *, numpy: bool | None = None) -> Compaction:
    """Compact the segments of all processes of a run that have ended; skip those of other processes.

    Sequence numbers stay, so cursors stay valid; a reader that has a file open may read on. A crash at any
    moment leaves all records in place, each once; compacting again completes the work, and does nothing if
    there is none. Uses about 90 MB of memory, whatever the size of the run.

    Raises:
        JournalError: there is no room for the new file, or the folder is not writable. Everything stays
        readable.
        UnsafeFileError: the folder is a symbolic link.
    """
    refuse_linked_folder(run_dir)
    done = Compaction()
    run_dir = Path(run_dir)
    _remove_abandoned(run_dir)
    for writer, numbers in segments(run_dir).items():
        source = Source(run_dir, writer)
        reason = _reason_to_wait(source, numbers[-1])
        if reason:
            done = done.combine(Compaction(left={writer: reason}))
            continue
        for segment in numbers:
            done = done.combine(_compact_file(source, segment, is_last=segment == numbers[-1], numpy=numpy))
    return done


def _reason_to_wait(source: Source, last: int) -> str | None:
    """Return why a writer may still write, or None if it certainly does not."""
    if refusal := source.refusal(last):
        return refusal
    header = source.header(last)
    state = liveness(source.run_dir, source.writer)
    if header is not None and header.heartbeat < 0:
        return None
    facts = writer_facts(source) or {}
    who = f"process {facts.get('pid', 'unknown')} on {facts.get('host', 'an unknown host')}"
    if runs_here(source):
        return f"{who} is still recording: finish the run first" if state == "running" else None
    silence = time.time() - header.heartbeat if header is not None else 0.0
    if silence > _SURELY_DEAD:
        return None
    return (
        f"{who} may still be recording: its last heartbeat was {silence:.0f} s ago, and from this host, only "
        f"{_SURELY_DEAD / 3600:.0f} h of silence would prove that it has ended. Compact it there"
    )


def _compact_file(source: Source, segment: int, *, is_last: bool, numpy: bool | None) -> Compaction:
    """Put a compacted file in place of a plain one, if there is one."""
    name = file_name(source.writer, segment, SUFFIX)
    try:
        return _compact_segment(source, name, segment, is_last=is_last, numpy=numpy)
    except FileNotFoundError:  # compacted before, or by another process just now
        return Compaction()
    except UnsafeFileError as error:
        return Compaction(left={source.writer: str(error)})
    except OSError as error:
        raise JournalError(
            f"{source.folder / name}: expected room and permission to replace it by a compacted file, found: "
            f"{error.strerror}. It stays as it was; compact again when that is fixed"
        ) from error


def _compact_segment(
    source: Source, name: str, segment: int, *, is_last: bool, numpy: bool | None
) -> Compaction:
    folder = open_folder(source.run_dir, FOLDER)
    opened = open_file(source.folder, name, within=folder)
    data = read_at(opened, _LARGEST, 0)
    slots = data[HEADER:] + bytes((HEADER - len(data)) % SLOT if len(data) > HEADER else 0)
    info = source.header(segment) or _header_by_name(source.writer, segment)
    if is_last and liveness(source.run_dir, source.writer) == "ended":  # the header may not say so yet
        info = info._replace(heartbeat=-abs(info.heartbeat or info.created or 1.0))
    # Written even if a compacted file exists after a crash: the plain file counts until it is removed.
    small = file_name(source.writer, segment, COMPACTED)
    points, after = _write(
        source.folder, small, folder, compact_slots(slots, info, is_last=is_last, numpy=numpy)
    )
    os.unlink(name, dir_fd=folder.fd)
    folder.call(os.fsync)
    return Compaction(1, len(data), after, points)


def _header_by_name(writer: str, segment: int) -> SegmentInfo:
    """Return a header for a segment whose own is damaged."""
    return SegmentInfo(writer, segment, segment << SEGMENT_SHIFT, 0.0, 0.0, 0)


def _write(path: Path, name: str, folder: Descriptor, content: Iterable[Packed]) -> tuple[int, int]:
    """Write a file as a whole or not at all; return how many points and bytes it holds."""
    part = f".{name}.{_describe_process()}.{os.urandom(4).hex()}{_PART}"
    points = size = 0
    try:
        opened = open_file(path, part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, within=folder)
        for packed in content:
            points, size = points + packed.points, size + len(packed.data)
            write_all(opened, packed.data)
        opened.call(os.fsync)
        os.rename(part, name, src_dir_fd=folder.fd, dst_dir_fd=folder.fd)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part, dir_fd=folder.fd)
        raise
    folder.call(os.fsync)
    return points, size


# --- what a crash during compacting left behind --------------------------------------------------------------


def _describe_process() -> str:
    """Return the part of a file's name that identifies the process writing it."""
    facts = identity.process_facts()
    return f"{facts['boot_id']}.{facts['pid_namespace']}.{facts['pid']}.{facts['pid_started']}"


def _remove_abandoned(run_dir: Path) -> None:
    """Remove the files that no process will finish."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, UnsafeFileError):
        folder = open_folder(run_dir, FOLDER)
        for name in folder.call(os.listdir):
            if name.startswith(".") and name.endswith(_PART):
                with contextlib.suppress(FileNotFoundError):
                    if _is_abandoned(name, folder):
                        os.unlink(name, dir_fd=folder.fd)


def _is_abandoned(name: str, folder: Descriptor) -> bool:
    mine = _describe_process().split(".")
    theirs = name.split(".")[-len(mine) - 2 : -2]
    if theirs[:2] == mine[:2] and theirs[2].isdigit():
        return not identity.is_alive(int(theirs[2]), int(theirs[3]) if theirs[3].isdigit() else None)
    return time.time() - os.lstat(name, dir_fd=folder.fd).st_mtime > _ABANDONED
