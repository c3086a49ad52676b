"""Compacting: the same records in less room, and never a moment in which they are not all there."""

from __future__ import annotations

import math
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.journal.conftest import Journal
from tests.journal.test_bulk import by_columns, by_follower, record_at_random
from tests.journal.test_following import fill_segments

from tracelet.delivery.ledger.counting import count, ends
from tracelet.errors import JournalError
from tracelet.journal import (
    Cursor,
    Damage,
    PointRecord,
    compact,
    liveness,
    read_columns,
    read_events,
    writers,
)
from tracelet.journal.compacting.table import ChunkTable, UnsuitableError
from tracelet.journal.format import HEADER, KIND_SHIFT, MULTI_HEAD, POINT, POINT_HEAD, ROW, SLOT
from tracelet.journal.segments.packing import pack, pack_bytes, unpack, unpack_bytes
from tracelet.journal.segments.unpacking import unpack_slots

EFFORT = int(os.environ.get("TRACELET_TEST_EFFORT", "1"))
BOTH = pytest.mark.parametrize("numpy", [True, False], ids=["numpy", "plain"])


def everything(journal, writer=None):
    damage = Damage()
    return journal.records(writer, damage), damage.counts


# --- packing -----------------------------------------------------------------------------------------------

FLOATS = st.lists(st.lists(st.floats(width=64), max_size=30), max_size=4)
INTEGERS = st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=30), max_size=4)


@settings(max_examples=60 * EFFORT, deadline=None)
@given(floats=FLOATS, integers=INTEGERS, ways=st.tuples(st.booleans(), st.booleans()))
def test_series_come_back_to_the_bit(floats, integers, ways):
    for series, code in ((floats, "d"), (integers, "q")):
        packed = pack(series, code, ways[0])
        again = unpack(packed, [len(numbers) for numbers in series], code, ways[1])
        assert [bits(numbers, code) for numbers in again] == [bits(numbers, code) for numbers in series]


def bits(numbers, code):
    return struct.pack(f"<{len(numbers)}{code}", *numbers)


def test_every_bit_of_a_nan_comes_back():
    patterns = ["010000000000f07f", "efbeaddedeadff7f", "000000000000f8ff", "0000000000000000"]
    numbers = struct.unpack("<4d", bytes.fromhex("".join(patterns)))
    for numpy in (True, False):
        assert bits(unpack(pack([numbers], "d", numpy), [4], "d", numpy)[0], "d") == bits(numbers, "d")


@given(data=st.binary(max_size=200), rest=st.binary(max_size=5))
def test_bytes_come_back(data, rest):
    assert unpack_bytes(pack_bytes(data) + rest, len(data)) == (data, rest)


SERIES = {
    "a decaying loss": lambda step: 2 * math.exp(-step / 1000) + 0.1,
    "a wave": lambda step: math.sin(step / 50),
    "a schedule": lambda step: 1e-3 * (1 - step / 20_000),
    "an epoch": lambda step: step // 100,
    "float32 noise": lambda step: struct.unpack("<f", struct.pack("<f", random.Random(step).gauss(1, 0.1)))[
        0
    ],
    "noise in all bits": lambda step: random.Random(step).gauss(1, 0.1),
}


@pytest.mark.parametrize("series", SERIES)
def test_ten_bytes_a_point_and_less(journal, series):
    writer = journal.writer()
    for step in range(20_000):
        writer.point("a", SERIES[series](step), step)
    writer.close()
    before = everything(journal)
    done = compact(journal.run_dir)
    assert done.after < 20_000 * 10
    assert done.after == sum(file.stat().st_size for file in journal.files())
    assert everything(journal) == before


# --- whole runs --------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("seed", range(2))
def test_everything_reads_as_before(journal, seed, numpy):
    writer = journal.writer({"rank": 1})
    record_at_random(writer, random.Random(seed), 40_000)
    writer.close("finished")
    records, events = everything(journal), read_events(journal.run_dir)
    done = compact(journal.run_dir, numpy=numpy)
    assert (done.segments, done.left) == (1, {})
    assert done.points == sum(isinstance(record, PointRecord) for record in records[0])
    assert [file.suffix for file in journal.files()] == [".trz"]
    assert everything(journal) == records
    assert read_events(journal.run_dir) == events
    assert writers(journal.run_dir) == [writer.id]
    assert liveness(journal.run_dir, writer.id) == "ended"
    expected = by_follower(journal)
    for way in (True, False):
        damage = Damage()
        assert by_columns(journal, way, damage) == expected
        assert not damage
        for name in expected:
            assert by_columns(journal, way, damage, [name]) == {name: expected[name]}
        assert by_columns(journal, way, damage, []) == {}
        assert not damage
    assert compact(journal.run_dir).segments == 0  # there is nothing left to do


def test_metrics_in_no_order_are_packed_as_columns_too(journal):
    writer, chance = journal.writer(), random.Random(3)
    names = [f"m{number}" for number in range(9)]
    for name in names:
        writer.point(name, 0, 0)
    for step in range(70_000):
        writer.point(chance.choice(names), step, step)
    writer.close()
    before = by_follower(journal)
    assert compact(journal.run_dir).after < 4 * 70_009
    assert by_follower(journal) == before
    assert all(by_columns(journal, way) == before for way in (True, False))


@BOTH
def test_one_metric_is_read_though_the_event_with_its_name_is_lost(journal, numpy):
    """It is told again further down; until then a reader that wants one metric cannot know which it is."""
    writer = journal.writer()
    for name in ("a", "b"):
        writer.point(name, 1, 0)
    writer.row({"c": 2, "d": 3}, 0)
    writer.event("note", {"text": "x" * 1_200_000})  # a chunk by itself
    for step in range(1, 34_000):
        writer.point("ab"[step % 2], step, step)
    writer.row({"c": 4, "d": 5}, 1)
    (file,) = journal.files()
    while b'"dictionary"' not in file.read_bytes():
        time.sleep(0.05)
    writer.close()
    data = bytearray(file.read_bytes())
    for text in (b'"name":"a"', b'"name":"d"', b'"columns"'):
        data[data.index(text)] ^= 1
    file.write_bytes(data)
    before = by_follower(journal)
    compact(journal.run_dir)
    assert set(before) == {"a", "b", "c", "d"}
    for name in before:
        assert by_columns(journal, numpy, names=[name]) == {name: before[name]}


def test_many_segments_wide_rows_and_a_reader_amid_them(journal):
    writer = journal.writer()
    fill_segments(writer, 2)
    writer.row({f"{width}": 0.0 for width in range(9)})
    writer.close()
    before = everything(journal)
    follower = journal.follow()
    found = follower.read(10)
    assert compact(journal.run_dir).segments == 2
    while records := follower.read():
        found += records
    assert found == before[0]
    assert everything(journal) == before
    assert journal.values("segment") == [0, 1]


def test_a_cursor_stays_valid(journal):
    writer = journal.writer()
    record_at_random(writer, random.Random(7), 8000)
    writer.close()
    whole = journal.records()
    follower = journal.follow()
    parts = [(follower.cursor, len(whole))]
    while records := follower.read(501):
        parts.append((follower.cursor, parts[-1][1] - len(records)))
    compact(journal.run_dir)
    for cursor, left in parts[::3]:
        rest = []
        follower = journal.follow(cursor=Cursor.from_json(cursor.to_json()))
        while records := follower.read(5000):
            rest += records
        assert rest == whole[len(whole) - left :]


@BOTH
def test_what_was_damaged_before_stays_so_and_no_more(journal, numpy):
    writer = journal.writer()
    for step in range(200_000):
        writer.point("a", step / 8, step)
    writer._stream.slots.reserve(500)
    writer.point("a", -1, -1)
    time.sleep(2)  # what was taken just before the end would be left out on purpose
    writer.close()
    (file,) = journal.files()
    data = bytearray(file.read_bytes())
    data[HEADER + 40_000 * SLOT + 5] ^= 1
    data[HEADER + 90_000 * SLOT : HEADER + 90_100 * SLOT] = bytes(range(100)) * SLOT
    file.write_bytes(data)
    before = everything(journal)
    assert before[1] == {"damaged": 101, "unwritten": 500}
    compact(journal.run_dir, numpy=numpy)
    assert everything(journal) == before


def test_a_killed_run_is_compacted_without_its_empty_tail(journal):
    program = """
import os, sys
from pathlib import Path
from tracelet.journal import Writer
writer = Writer(Path(sys.argv[1]), {})
for step in range(1000):
    writer.point("a", step, step)
os._exit(1)
"""
    subprocess.run([sys.executable, "-c", program, journal.run_dir])
    before = everything(journal)
    done = compact(journal.run_dir)
    assert done.before > 250_000
    assert done.after < 10_000
    assert everything(journal) == before
    assert liveness(journal.run_dir, writers(journal.run_dir)[0]) == "killed"


def test_zeros_at_the_end_of_a_killed_run_are_kept(journal):
    program = """
import os, sys
from pathlib import Path
from tracelet.journal import Writer
writer = Writer(Path(sys.argv[1]), {})
writer.row({str(at): 0.0 for at in range(50)}, 1)
os._exit(1)
"""
    subprocess.run([sys.executable, "-c", program, journal.run_dir])
    before = everything(journal)
    assert compact(journal.run_dir).points == 50
    assert everything(journal) == before
    assert journal.values("49") == [0.0]


def test_where_a_run_ends_is_told_over_chunks(journal):
    writer = journal.writer()
    for step in range(40_000):
        writer.row({"a": step, "b": step}, step)
    writer.close()
    before = ends(journal.run_dir, [writer.id])
    compact(journal.run_dir)
    assert ends(journal.run_dir, [writer.id]) == before
    assert count(journal.run_dir, writer.id, 0, before[writer.id]) == 80_000


def test_a_running_writer_is_left_alone(journal):
    running, ended = journal.writer(), journal.writer()
    for writer in (running, ended):
        writer.point("a", 1)
    ended.close()
    done = compact(journal.run_dir)
    assert (done.segments, done.points, list(done.left)) == (1, 1, [running.id])
    assert f"process {os.getpid()} on" in done.left[running.id]
    assert "is still recording" in done.left[running.id]
    running.point("a", 2)
    assert sorted(journal.values("a")) == [1, 1, 2]


def test_a_writer_of_another_host_is_left_alone_for_a_day(journal, monkeypatch):
    from tracelet.journal import identity

    writer = journal.writer()
    writer.point("a", 1)
    writer.sync()
    monkeypatch.setattr(identity, "host_name", lambda: "elsewhere")
    writer._stream.slots.files.write_heartbeat(time.time() - 3600)
    (reason,) = compact(journal.run_dir).left.values()
    assert "may still be recording: its last heartbeat was 36" in reason
    writer._stream.slots.files.write_heartbeat(time.time() - 2 * 86400)
    assert compact(journal.run_dir).left == {}


EDGES = [0.0, -0.0, math.inf, -math.inf, 5e-324, -2.2250738585072014e-308, 1.7976931348623157e308]
PAYLOADS = st.integers(0, 2**51 - 1).map(
    lambda bits: struct.unpack("<d", struct.pack("<Q", 0x7FF8 << 48 | bits))[0]
)
VALUES = st.floats(width=64) | st.sampled_from(EDGES) | PAYLOADS
STEPS = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-(2**63), 2**63 - 1, 0, -1]) | st.integers(0, 9)
TIMES = st.floats(-1e12, 1e12) | st.sampled_from([0.0, -0.0, 1.7e9])
RECORDS = st.tuples(STEPS, TIMES, st.lists(VALUES, min_size=1, max_size=6))


@settings(max_examples=60 * EFFORT, deadline=None)
@given(records=st.lists(RECORDS, max_size=60), ways=st.tuples(st.booleans(), st.booleans()))
def test_any_bits_of_steps_times_and_values_come_back(tmp_path_factory, records, ways):
    """NaNs with a payload, zeros with a sign, steps at both ends and out of order, clocks that go backwards."""
    journal = Journal(tmp_path_factory.mktemp("run"))
    with journal.writer() as writer:
        slots, (first, more) = writer._stream.slots, ways
        for step, when, values in records:
            payload = struct.pack(f"<{len(values)}d", *values)
            if len(values) == 1:
                slots.write(POINT_HEAD.pack(values[0], step, when, POINT << KIND_SHIFT | 1))
            else:
                tag = ROW << KIND_SHIFT | len(values)
                slots.write(MULTI_HEAD.pack(crc32(payload), len(values), step, when, tag), payload)
    before, columns = everything_to_the_bit(journal), columns_to_the_bit(journal, more)
    assert compact(journal.run_dir, numpy=first).points == sum(len(values) for *_, values in records)
    assert everything_to_the_bit(journal) == before
    assert columns_to_the_bit(journal, more) == columns
    shutil.rmtree(journal.run_dir)


def everything_to_the_bit(journal):
    records = journal.records()
    return [(*r[:5], struct.pack("<qdd", *r[5:])) if isinstance(r, PointRecord) else r for r in records]


def columns_to_the_bit(journal, numpy):
    found = read_columns(journal.run_dir, numpy=numpy)
    return {
        name: [bytes(memoryview(each)) for each in (c.steps, c.times, c.values)] for name, c in found.items()
    }


def test_two_at_once_do_it_once(journal):
    """Two compactions of the same run at the same moment, a reader beside them."""
    for place in range(4):
        with journal.writer({"rank": place}) as writer:
            for step in range(3000):
                writer.point("a", math.sin(step), step)
    ids = writers(journal.run_dir)
    whole = [everything(journal, writer) for writer in ids]
    program = f"""
from pathlib import Path
from tracelet.journal import compact
input()
compact(Path({str(journal.run_dir)!r}))
"""
    both = [
        subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for one in both:
        one.stdin.write("\n")
        one.stdin.flush()
    while any(one.poll() is None for one in both):
        assert [everything(journal, writer) for writer in ids] == whole
    assert [one.communicate()[1] for one in both] == ["", ""]
    assert [file.suffix for file in journal.files()] == [".trz"] * 4
    assert [everything(journal, writer) for writer in ids] == whole


def test_a_follower_amid_the_file_reads_on(journal):
    with journal.writer() as writer:
        record_at_random(writer, random.Random(5), 20_000)
    whole = journal.records()
    follower, found = journal.follow(), []
    while records := follower.read(3000):
        found += records
        if len(found) < 4000:
            compact(journal.run_dir)
    assert found == whole
    later = journal.follow(cursor=follower.cursor)
    assert later.read() == []
    assert later.cursor == follower.cursor


# --- faults ------------------------------------------------------------------------------------------------


def test_a_crash_at_any_moment_loses_nothing(journal):
    for _ in range(3):
        writer = journal.writer()
        for step in range(10_000):
            writer.point("a", math.sin(step), step)
        writer.close()
    ids = writers(journal.run_dir)
    whole = [everything(journal, writer) for writer in ids]
    program = f"""
from pathlib import Path
from tracelet.journal import compact
print("begins", flush=True)
compact(Path({str(journal.run_dir)!r}))
print("done", flush=True)
"""
    chance, delay, done = random.Random(), 0.0, False
    while not done:
        victim = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        victim.stdout.readline()
        time.sleep(delay * chance.random())
        victim.send_signal(signal.SIGKILL)
        done = "done" in victim.communicate()[0]
        assert [everything(journal, writer) for writer in ids] == whole
        delay += 0.15
    compact(journal.run_dir)
    assert {file.suffix for file in journal.files()} == {".trz"}
    assert [everything(journal, writer) for writer in ids] == whole


def test_what_a_crash_left_behind_is_swept_away(journal):
    writer = journal.writer()
    writer.point("a", 1)
    writer.close()
    old, new = (journal.run_dir / "journal" / f".{name}.trz.1.part" for name in ("old", "new"))
    old.touch()
    new.touch()
    os.utime(old, (0, 0))
    compact(journal.run_dir)
    assert (old.exists(), new.exists()) == (False, True)


def test_a_full_disk_leaves_everything_as_it_was(journal, monkeypatch):
    writer = journal.writer()
    writer.point("a", 1)
    writer.close()
    before = everything(journal)
    write = os.write

    def full(handle, data):
        if len(data) > HEADER:
            raise OSError(28, "No space left on device")
        return write(handle, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(JournalError, match=rf"{writer.id}.*No space left.*compact again"):
            compact(journal.run_dir)
    assert [file.suffix for file in journal.files()] == [".trj"]
    assert everything(journal) == before


def test_damage_of_a_compacted_file_costs_a_chunk_at_most(journal):
    writer = journal.writer()
    for step in range(70):  # in three chunks
        writer.point("a", step, step)
        writer.event("note", {"text": "x" * 32_000})
    writer.close()
    compact(journal.run_dir)
    (file,) = journal.files()
    data = file.read_bytes()
    chance = random.Random(3)
    for place in [
        *range(0, HEADER, 3),
        *range(HEADER, HEADER + 40, 9),
        *(chance.randrange(len(data)) for _ in range(4 * EFFORT)),
        len(data) - 1,
    ]:
        damaged = bytearray(data)
        damaged[place] ^= 0xFF
        file.write_bytes(damaged)
        damage = Damage()
        values = {int(point.value) for point in journal.records(damage=damage) if hasattr(point, "value")}
        columns = read_columns(journal.run_dir, numpy=place % 2 == 0)
        assert {int(value) for value in columns["a"].values} == values
        if place < HEADER:
            assert len(values) == 70
            assert damage.counts == ({"header": 1} if place < 56 else {})
        else:
            assert len(values) >= 70 - 34
            assert 0 < damage.counts["damaged"] <= 34_000


def test_truncation_of_a_compacted_file_keeps_whole_chunks(journal):
    writer = journal.writer()
    for step in range(100_000):
        writer.point("a", step, step)
    writer.close()
    compact(journal.run_dir)
    (file,) = journal.files()
    data = file.read_bytes()
    for size in [0, 1, 63, 64, 65, 96, len(data) // 2, len(data) - 1]:
        file.write_bytes(data[:size])
        records, damage = everything(journal)
        assert len({record.seq for record in records}) == len(records)
        assert damage


def test_slots_that_are_no_records_are_refused():
    with pytest.raises(UnsuitableError):
        ChunkTable.of(b"\1" * SLOT * 3, 0)
    assert unpack_slots(ChunkTable.of(bytes(SLOT * 3), 0).pack(False), 3) == bytes(SLOT * 3)


def test_compacting_a_run_that_is_not_there(tmp_path):
    assert compact(tmp_path / "none").segments == 0
    shutil.rmtree(tmp_path / "none", ignore_errors=True)
