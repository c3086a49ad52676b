"""A short campaign of the fuzzer, and properties of what takes bytes apart. The long one is tests/faults/fuzz.py."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import struct
import time
import zlib
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracelet.journal.compacting.table import ChunkTable
from tracelet.journal.events import InvalidEventError, decode_event, encode_event
from tracelet.journal.format import MAX_CHUNK, SLOT
from tracelet.journal.segments.packing import PackedError
from tracelet.journal.segments.pieces import pieces
from tracelet.journal.segments.unpacking import UnpackedChunk, unpack_slots

_spec = importlib.util.spec_from_file_location("faults_fuzz", Path(__file__).with_name("fuzz.py"))
fuzz = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fuzz)

SECONDS = 15 * int(os.environ.get("TRACELET_TEST_EFFORT", "1"))

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
keys = st.sampled_from(fuzz._KEYS) | st.text(max_size=8)
types = st.sampled_from([one for one in fuzz._TYPES if isinstance(one, str)])
quickly = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def test_a_short_campaign(tmp_path):
    campaign = fuzz.Campaign(random.randrange(2**31), tmp_path)
    end, number = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        campaign.try_input(number)
        number += 1
    assert not campaign.faults, "\n\n".join(campaign.faults)
    assert campaign.tried.total() == number > 0


@quickly
@given(
    st.sampled_from([one for one in fuzz._TYPES if isinstance(one, str)]),
    st.dictionaries(keys, json_values, max_size=6),
)
def test_an_event_is_valid_or_refused(type_, payload):
    data = json.dumps({"type": type_, **payload}).encode()
    try:
        found = decode_event(data)
    except InvalidEventError:
        return
    assert set(found.payload) <= set(payload)
    assert decode_event(encode_event(found.type, found.payload)).faults == 0


@quickly
@given(st.binary(max_size=400), st.integers(1, MAX_CHUNK))
def test_a_chunk_of_any_bytes_is_taken_or_refused(data, slots):
    try:
        unpack_slots(data, slots)
    except PackedError:
        return
    raise AssertionError("bytes at random are no chunk")


def _chunk() -> tuple[bytes, int]:
    data = b""
    for step in range(60):
        seq = len(data) // SLOT
        kind = (1, 1, 2, 3, 4, 0)[step % 6]
        payload = {2: struct.pack("<3d", 1, 2, step), 3: b'{"type":"note"}'}.get(kind, b"")
        size = 3 if kind == 2 else len(payload)
        head = struct.pack(
            "<IIqdI",
            zlib.crc32(payload),
            size,
            -(1 << 63) if kind > 2 else step,
            1.0,
            kind << 24 | (kind < 3),
        )
        if kind == 1:
            head = struct.pack("<dqdI", step / 2, step, 1.0, 1 << 24 | 1)
        data += bytes(SLOT) if not kind else head + struct.pack("<I", zlib.crc32(head, seq))
        data += payload + bytes(-len(payload) % SLOT)
    return ChunkTable.of(data, 0).pack(False), len(data) // SLOT


PACKED, SLOTS = _chunk()


@quickly
@given(
    st.lists(st.tuples(st.integers(0, len(PACKED) - 1), st.integers(0, 255)), min_size=1, max_size=6),
    st.booleans(),
)
def test_a_chunk_that_was_changed_is_taken_or_refused(changes, numpy):
    data = bytearray(PACKED)
    for at, byte in changes:
        data[at] = byte
    try:
        chunk = UnpackedChunk(bytes(data), SLOTS, numpy=numpy)
        list(chunk.events())
        list(chunk.columns(lambda _, count: range(count or 1)))
        slots = unpack_slots(bytes(data), SLOTS, numpy)
    except PackedError:
        return
    assert len(slots) == SLOTS * SLOT
    assert sum(piece.slots for piece in pieces(slots, 0, trusted=True)) >= SLOTS
