"""The journal's format, version 1: every constant and layout that a reader or writer needs.

The precise description, for readers in any language, is docs/journal-format.md.
"""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

MAGIC = b"TRACELET"
COMPACTED_MAGIC = b"TRACELTZ"
VERSION = 1

SLOT = 32
HEADER = 2 * SLOT
SEGMENT_SHIFT = 20  # slots in a segment: 2**20 of 32 bytes, and a header
SEGMENT_SLOTS = 1 << SEGMENT_SHIFT
WINDOW_SHIFT = 13  # slots that are mapped at a time: 256 KiB
WINDOW_SLOTS = 1 << WINDOW_SHIFT
WINDOW_BYTES = WINDOW_SLOTS * SLOT

POINT, ROW, BLOB, PAD = 1, 2, 3, 4
KIND_SHIFT = 24
ID_MASK = (1 << KIND_SHIFT) - 1
MAX_BLOB = SEGMENT_SLOTS * SLOT // 2  # bytes of one event: it has to fit into one segment
MAX_ROW = 4096  # metrics in one row: it has to fit into one window
MAX_CHUNK = (
    (1 << 15) + 1 + MAX_BLOB // SLOT
)  # slots in a chunk of a compacted segment: it is unpacked as a whole
MAX_CHUNKS = 1 << 16  # in one compacted segment
MAX_RECORDS = 1 << 16  # in one chunk, stretches of empty slots included

NO_STEP = -(1 << 63)  # in events and pads, which have none
MIN_STEP, MAX_STEP = -(1 << 63), (1 << 63) - 1

POINT_HEAD = struct.Struct("<dqdI")  # value, step, time, tag
MULTI_HEAD = struct.Struct("<IIqdI")  # payload checksum, count (ROW) or bytes (BLOB), step, time, tag
SLOT_STRUCT = struct.Struct("<dqdII")  # a point with its checksum
MULTI_STRUCT = struct.Struct("<IIqdII")  # the head of a row or blob with its checksum
SEALED = struct.Struct("<28sI")  # a head and its checksum: what is written
SEGMENT_HEADER = struct.Struct("<8sHHIQd16sI")  # see SegmentInfo; then checksum u32 and heartbeat f64
HEARTBEAT_OFFSET = 56

EMPTY_SLOT = bytes(SLOT)
SUFFIX = ".trj"
COMPACTED = ".trz"
FOLDER = "journal"
_FILE_NAME = re.compile(r"([0-9a-f]{32})-([0-9]{6})\.tr[jz]")


class SegmentInfo(NamedTuple):
    """What a segment's header says."""

    writer: str
    segment: int
    first: int
    created: float
    heartbeat: float  # seconds since the epoch; negative once the writer has ended
    slots: int  # of a compacted segment, else 0
    version: int = VERSION


def payload_slots(size: int) -> int:
    """Return how many slots a payload of ``size`` bytes takes."""
    return (size + SLOT - 1) // SLOT


def offset_of(seq: int) -> int:
    """Return the offset of the slot with this sequence number in its segment's file."""
    return HEADER + (seq & (SEGMENT_SLOTS - 1)) * SLOT


def seal(head: bytes, seq: int) -> bytes:
    """Return a whole slot: the head and the checksum that binds it to its place."""
    return SEALED.pack(head, zlib.crc32(head, seq & 0xFFFFFFFF))


def file_name(writer: str, segment: int, suffix: str = SUFFIX) -> str:
    """Return the name of a segment's file."""
    return f"{writer}-{segment:06d}{suffix}"


def parse_file_name(name: str) -> tuple[str, int] | None:
    """Return writer and segment number of a segment file's name, or None for any other file."""
    match = _FILE_NAME.fullmatch(name)
    return (match[1], int(match[2])) if match else None


def pack_header(info: SegmentInfo, magic: bytes = MAGIC) -> bytes:
    """Return the 64 bytes that start a segment's file."""
    writer, segment, first, created, heartbeat, slots, version = info
    fixed = SEGMENT_HEADER.pack(magic, version, SLOT, segment, first, created, bytes.fromhex(writer), slots)
    return fixed + struct.pack("<Id", zlib.crc32(fixed), heartbeat)


def unpack_header(data: bytes, magic: bytes = MAGIC) -> SegmentInfo | None:
    """Return what a segment's header says, or None if it is damaged. Later versions have the same layout."""
    if len(data) < HEADER or data[:8] != magic:
        return None
    fixed = data[: SEGMENT_HEADER.size]
    checksum, heartbeat = struct.unpack_from("<Id", data, SEGMENT_HEADER.size)
    if checksum != zlib.crc32(fixed):
        return None
    _, version, slot, segment, first, created, writer, slots = SEGMENT_HEADER.unpack(fixed)
    if version < VERSION or (version == VERSION and slot != SLOT):
        return None
    return SegmentInfo(writer.hex(), segment, first, created, heartbeat, slots, version)


def journal_folder(run_dir: Path) -> Path:
    """Return the folder that holds the journal of a run."""
    return run_dir / FOLDER
