"""Following a journal: in order, each record once, cheaply, over holes and from segment to segment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tracelet.journal import Cursor, PointRecord, compact, liveness, read_columns, writers
from tracelet.journal.format import KIND_SHIFT, POINT, POINT_HEAD, SEGMENT_SLOTS


def steps(records):
    return [record.step for record in records if isinstance(record, PointRecord)]


def test_a_live_writer_is_followed_record_by_record(journal):
    writer = journal.writer()
    follower = journal.follow()
    follower.read()
    for step in range(300):
        writer.point("a", 0, step)
        assert steps(follower.read()) == [step]
        assert follower.read() == []
    assert not follower.damage


@pytest.mark.parametrize("mapped", [True, False], ids=["mapped", "plain"])
def test_a_reader_beside_a_busy_writer_misses_and_repeats_nothing(journal, mapped):
    writer = journal.writer(mapped=mapped)

    def train():
        for step in range(40_000):
            writer.point("a", step, step)
            if step % 100 == 0:
                writer.row({"b": step, "c": step, "d": step}, step)
                writer.event("note", {"step": step})

    thread = threading.Thread(target=train)
    thread.start()
    follower, found = journal.follow(), []
    while thread.is_alive() or (records := follower.read(777)):
        found += follower.read(1000) if thread.is_alive() else records
    thread.join()
    assert steps(record for record in found if record.type == "scalar" and record.name == "a") == list(
        range(40_000)
    )
    assert len(found) == len({(record.seq, getattr(record, "index", 0)) for record in found})
    assert [record.seq for record in found] == sorted(record.seq for record in found)


def test_a_limit_is_kept_but_rows_stay_whole(journal):
    writer = journal.writer()
    for step in range(20):
        writer.point("a", 0, step)
        writer.row({"b": 0, "c": 0, "d": 0}, step)
    follower = journal.follow()
    sizes = []
    while records := follower.read(5):
        sizes.append(len(records))
        rows = [record.seq for record in records if getattr(record, "name", "") in ("b", "c", "d")]
        assert all(rows.count(seq) == 3 for seq in rows)
    assert max(sizes) <= 7


def test_a_cursor_goes_on_exactly_where_it_stands(journal):
    writer = journal.writer()
    for step in range(100):
        writer.point("a", 0, step)
        writer.row({"a": 1, "b": 2}, step)
        writer.event("note", {"step": step})
    whole = journal.records()
    for limit in (1, 2, 3, 10, 1000):
        found = []
        follower = journal.follow()
        while records := follower.read(limit):
            found += records
            cursor = Cursor.from_json(json.loads(json.dumps(follower.cursor.to_json())))
            follower = journal.follow(cursor=cursor)
        assert found == whole


def test_a_cursor_survives_the_end_of_the_writer(journal):
    writer = journal.writer()
    writer.point("a", 0, 1)
    follower = journal.follow()
    follower.read()
    cursor = follower.cursor
    writer.point("a", 0, 2)
    writer.close("finished")
    point, outcome = journal.follow(cursor=cursor).read()
    assert (point.name, point.step, outcome.type) == ("a", 2, "outcome")


# --- holes -------------------------------------------------------------------------------------------------


def leave_hole(writer, slots=1):
    """Do what a thread does that was interrupted between drawing a slot and filling it in."""
    return writer._stream.slots.reserve(slots)


def fill(writer, seq, step):
    tag = writer._stream.metrics["a"].tag
    assert tag >> 24 == POINT
    writer._stream.slots.put(seq, POINT_HEAD.pack(0.0, step, time.time(), tag))


def test_a_hole_is_waited_for_and_its_record_comes_in_order(journal):
    writer = journal.writer()
    writer.point("a", 0, 0)
    hole = leave_hole(writer)
    writer.point("a", 0, 2)
    follower = journal.follow()
    assert steps(follower.read()) == [0]
    assert follower.is_waiting
    assert follower.read() == []
    fill(writer, hole, 1)
    assert steps(follower.read()) == [1, 2]
    assert not follower.is_waiting


def test_an_old_hole_is_passed_over_and_its_record_comes_late(journal):
    writer = journal.writer()
    writer.point("a", 0, 0)
    hole = leave_hole(writer)
    for step in range(2, 1000):
        writer.point("a", 0, step)
    second = leave_hole(writer)
    writer.point("a", 0, 1001)
    follower, found = journal.follow(), []
    began = time.monotonic()
    while (records := follower.read(100)) or follower.is_waiting:
        found += records
    assert 0.9 < time.monotonic() - began < 10
    assert steps(found) == [0, *range(2, 1000), 1001]
    cursor = Cursor.from_json(json.loads(json.dumps(follower.cursor.to_json())))
    assert cursor.holes == ((hole, hole + 1), (second, second + 1))
    fill(writer, hole, 1)
    time.sleep(0.15)
    later = journal.follow(cursor=cursor)
    assert steps(later.read()) == [1]
    assert later.cursor.holes == ((second, second + 1),)
    writer.close()
    time.sleep(1.1)  # for so long it is taken to be alive
    records = later.read()
    assert steps(records) == []
    assert later.cursor.holes == ()
    assert later.damage.counts == {"unwritten": 1}


def test_many_holes_stay_few_ranges(journal):
    writer = journal.writer()
    leave_hole(writer, 5000)
    writer.point("a", 0, 1)
    follower, found = journal.follow(), []
    while (records := follower.read(100)) or follower.is_waiting:
        found += records
    assert steps(found) == [1]
    assert [stop - start for start, stop in follower.cursor.holes] == [5000]


def test_nothing_is_waited_for_once_the_writer_is_dead(journal, project):
    project.write(
        "train.py",
        f"""
        import os
        from pathlib import Path
        from tracelet.journal import Writer
        writer = Writer(Path({str(journal.run_dir)!r}), {{}})
        writer.point("a", 0, 0)
        writer._stream.slots.reserve(1)
        writer.point("a", 0, 2)
        os._exit(9)
        """,
    )
    project.python("train.py", status=9)
    follower = journal.follow()
    began = time.monotonic()
    assert steps(follower.read()) == [0, 2]
    assert time.monotonic() - began < 0.9
    assert follower.damage.counts == {"unwritten": 1}
    assert follower.cursor.holes == ()
    assert liveness(journal.run_dir, follower.writer) == "killed"


# --- segments ----------------------------------------------------------------------------------------------


def fill_segments(writer, segments):
    """Record rows and events until a segment is full, and one point at the beginning of each."""
    wide = {f"m{place}": float(place) for place in range(4096)}
    for segment in range(segments):
        if segment:
            writer.event("text", {"text": "x" * 9_000_000})
            writer.row(wide)
        while writer._stream.slots.allocated < segment * SEGMENT_SLOTS:
            writer.event("text", {"text": "x" * 1_000_000})  # leaves few slots at the end: each is a pad
        writer.point("segment", segment)


@pytest.mark.parametrize(("mapped", "segments"), [(True, 3), (False, 2)], ids=["mapped", "plain"])
def test_segments_roll_over(journal, mapped, segments):
    writer = journal.writer(mapped=mapped)
    fill_segments(writer, segments)
    writer.close()
    numbers = list(range(segments))
    assert [file.name[-10:] for file in journal.files()] == [f"{number:06}.trj" for number in numbers]
    assert journal.values("segment") == numbers
    assert journal.values("segment", numpy=False) == numbers
    follower, found = journal.follow(), []
    while records := follower.read():
        found += [record for record in records if getattr(record, "name", "") == "segment"]
    assert [record.value for record in found] == numbers
    assert not follower.damage


def test_a_later_segment_can_be_read_without_the_earlier_ones(journal):
    writer = journal.writer()
    fill_segments(writer, 2)
    end = time.monotonic() + 30
    while b'"dictionary"' not in journal.files()[1].read_bytes() and time.monotonic() < end:
        time.sleep(0.1)  # the keeper lists the names once more
    writer.close()
    journal.files()[0].unlink()
    assert journal.values("segment") == [1]
    assert journal.values("segment", numpy=False) == [1]
    follower, found = journal.follow(), []
    while records := follower.read():
        found += [record.value for record in records if getattr(record, "name", "") == "segment"]
    assert found == [1]
    assert follower.damage.counts["missing"] == SEGMENT_SLOTS


# --- liveness ----------------------------------------------------------------------------------------------

SLEEPER = """
import sys, time
from pathlib import Path
from tracelet.journal import Writer
writer = Writer(Path(sys.argv[1]), {})
writer.point("a", 1)
print("ready", flush=True)
time.sleep(60)
"""


def test_liveness_follows_the_process(journal):
    sleeper = subprocess.Popen([sys.executable, "-c", SLEEPER, journal.run_dir], stdout=subprocess.PIPE)
    try:
        sleeper.stdout.readline()
        (writer,) = writers(journal.run_dir)
        assert liveness(journal.run_dir, writer) == "running"
        os.kill(sleeper.pid, signal.SIGSTOP)
        assert liveness(journal.run_dir, writer) == "running"
        sleeper.kill()
        deadline = time.monotonic() + 10
        while liveness(journal.run_dir, writer) == "running":  # a zombie does not count as alive
            assert time.monotonic() < deadline
    finally:
        sleeper.kill()
        sleeper.communicate()
    assert liveness(journal.run_dir, writer) == "killed"
    assert [len(columns) for columns in read_columns(journal.run_dir).values()] == [1]


def test_a_writer_that_closed_has_ended(journal):
    writer = journal.writer()
    assert liveness(journal.run_dir, writer.id) == "running"
    writer.close()
    assert liveness(journal.run_dir, writer.id) == "ended"


def test_a_writer_of_another_host_is_alive_while_its_heart_beats(journal, monkeypatch):
    from tracelet.journal import identity
    from tracelet.journal.writing.segment_files import SegmentFiles

    writer = journal.writer()
    monkeypatch.setattr(identity, "host_name", lambda: "elsewhere")
    assert liveness(journal.run_dir, writer.id) == "running"
    files = writer._stream.slots.files
    assert isinstance(files, SegmentFiles)
    files.write_heartbeat(time.time() - 61)
    assert liveness(journal.run_dir, writer.id) == "killed"


def test_a_writer_from_before_the_last_boot_is_dead_at_once(journal, monkeypatch):
    from tracelet.journal import identity

    writer = journal.writer()
    monkeypatch.setattr(identity, "boot_id", lambda: "another boot")
    now = time.time()
    for booted, state in ((now - 100, "running"), (now + 100, "killed"), (0.0, "running")):
        monkeypatch.setattr(identity, "booted_at", lambda booted=booted: booted)
        assert liveness(journal.run_dir, writer.id) == state
    monkeypatch.setattr(identity, "booted_at", lambda: now + 100)
    monkeypatch.setattr(identity, "host_name", lambda: "elsewhere")
    assert liveness(journal.run_dir, writer.id) == "running"


def test_when_this_host_was_booted():
    from tracelet.journal import identity

    with open("/proc/uptime") as file:
        assert abs(time.time() - float(file.read().split()[0]) - identity.booted_at()) < 60


@pytest.mark.parametrize("compacted", [False, True], ids=["plain", "compacted"])
@pytest.mark.parametrize("late", ["a long error", "late rows", "a reserved tail"])
def test_the_outcome_is_found_behind_and_before_much(journal, late, compacted):
    """The process died between its last word and the closing of the file."""
    program = """
import os, sys, time
from pathlib import Path
from tracelet.journal import Writer
from tracelet.journal.writing.segment_files import SegmentFiles
SegmentFiles.trim = lambda *_: os._exit(1)
writer = Writer(Path(sys.argv[1]), {})
if sys.argv[2] == "late rows":
    end = writer._stream.slots.allocated
    writer._stream.write_event(b'{"type":"outcome","outcome":"finished","error":null}', time.time())
    for step in range(500):
        writer.row({str(at): float(at) for at in range(40)}, step)
    os._exit(1)
writer.close("failed", "x" * 500_000 if sys.argv[2] == "a long error" else None)
"""
    subprocess.run([sys.executable, "-c", program, journal.run_dir, late])
    (writer,) = writers(journal.run_dir)
    if compacted:
        assert compact(journal.run_dir).segments == 1
    assert liveness(journal.run_dir, writer) == "ended"


def test_a_writer_that_was_only_silent_is_waited_for_again(journal, monkeypatch):
    """Taken for dead from another host, since its heart was not heard: what comes later is not given up."""
    from tracelet.journal import identity
    from tracelet.journal.reading import gaps

    monkeypatch.setattr(gaps, "_ASK_AGAIN", 0.0)
    writer = journal.writer()
    monkeypatch.setattr(identity, "host_name", lambda: "elsewhere")
    slots, beat = writer._stream.slots, writer._stream.slots.files.write_heartbeat
    writer.point("a", 0, 0)
    slots.reserve(1)
    writer.point("a", 2, 2)
    beat(time.time() - 100)
    follower = journal.follow()
    assert steps(follower.read()) == [0, 2]
    assert follower.damage.counts == {"unwritten": 1}
    beat(time.time())
    late = slots.reserve(1)
    writer.point("a", 4, 4)
    assert steps(follower.read()) == []
    slots.put(late, POINT_HEAD.pack(3.0, 3, 0.0, POINT << KIND_SHIFT | 1))
    assert steps(follower.read()) == [3, 4]
    assert follower.damage.counts == {"unwritten": 1}


def test_writers_come_in_the_order_of_their_beginning(journal):
    opened = []
    for _ in range(5):
        opened.append(journal.writer().id)
        time.sleep(0.002)
    assert writers(journal.run_dir) == opened
    assert writers(journal.run_dir.parent / "nowhere") == []
