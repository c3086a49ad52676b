"""Reading much at once: with NumPy, without it, and record by record, it is the same."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
from array import array

import numpy as np
import pytest
from tests.journal.conftest import same

from tracelet.journal import Damage, PointRecord, Writer, read_columns, read_events
from tracelet.journal.format import HEADER, POINT, POINT_HEAD, SLOT, journal_folder, seal
from tracelet.journal.segments.checksums import are_intact, expected_checksum

#: Its multiples by powers of two look like the heads of points: the kind is in the fourth byte of every eight.
POINT_LIKE = struct.unpack("<d", struct.pack("<II", POINT << 24, 0x3FF00000))[0]


def record_at_random(writer, chance, records):
    """Stretches of points of one metric, of some in turn, of some at random, rows, equal rows, events and pads."""
    names = [f"m{number}" for number in range(7)]
    wide = [f"wide{number}" for number in range(21)]  # its rows do not fill windows: pads follow
    step = 0
    while step < records:
        for _ in range(chance.choice([1, 3, 50, 3000])):
            step += 1
            match chance.choice([0, 0, 1, 2, 3]) if step % 50 else 4:
                case 0:
                    writer.point("one", chance.random(), step)
                case 1:
                    writer.point(names[step % 3], step, step)
                case 2:
                    writer.point(chance.choice(names), chance.gauss(0, 1), step)
                case 3:
                    chosen = names[: chance.randint(1, 7)]
                    writer.row({name: chance.choice([0.0, step, -1.5]) for name in chosen}, step)
                case 4:
                    writer.event("note", {"text": "x" * chance.randint(0, 200)})
        for _ in range(chance.choice([0, 2000, 9000])):
            step += 1
            writer.point("one", 0.0, step)
        chosen = wide[: chance.choice([4, 5, 21])]
        for _ in range(chance.choice([0, 1, 2, 50])):
            step += 1
            writer.row(dict.fromkeys(chosen, POINT_LIKE * 2.0 ** (step % 9)), step)


def by_follower(journal):
    found = {}
    for point in journal.points():
        column = found.setdefault(point.name, [])
        column.append((point.step, point.time, point.value))
    return found


def by_columns(journal, numpy, damage=None, names=None):
    columns = read_columns(journal.run_dir, names, numpy=numpy, damage=damage)
    return {
        name: list(
            zip(map(int, column.steps), map(float, column.times), map(float, column.values), strict=True)
        )
        for name, column in columns.items()
    }


@pytest.mark.parametrize("seed", range(3))
def test_all_ways_of_reading_agree(journal, seed):
    chance = random.Random(seed)
    writer = journal.writer()
    record_at_random(writer, chance, 40_000)
    writer.close()
    damage = Damage()
    expected = by_follower(journal)
    assert sum(map(len, expected.values())) == writer.recorded
    some = ["one", "wide4", "wide1", "wide20"]
    for numpy in (True, False):
        assert by_columns(journal, numpy, damage) == expected
        assert by_columns(journal, numpy, damage, some) == {name: expected[name] for name in some}
    assert not damage


@pytest.mark.parametrize("seed", range(3))
def test_all_ways_of_reading_agree_on_what_damage_leaves(journal, seed):
    chance = random.Random(seed)
    writer = journal.writer()
    record_at_random(writer, chance, 20_000)
    writer.close()
    (file,) = journal.files()
    data = bytearray(file.read_bytes())
    for _ in range(5):
        data[chance.randrange(HEADER, len(data))] ^= 1 << chance.randrange(8)
    start = chance.randrange(HEADER, len(data)) // SLOT * SLOT
    data[start : start + 2500 * SLOT] = bytes(len(data[start : start + 2500 * SLOT]))
    file.write_bytes(data)
    expected = by_follower(journal)
    damages = [Damage(), Damage(), Damage()]
    journal.records(damage=damages[0])
    for numpy in (True, False):
        assert by_columns(journal, numpy, damages[1 + numpy]) == expected
    counts = [{**damage.counts, "cut": 0} for damage in damages]
    assert counts[0] == counts[1] == counts[2]


def test_only_the_metrics_asked_for_are_read(journal):
    writer = journal.writer()
    for step in range(100):
        writer.point("a", step)
        writer.point("b", step)
        writer.row({"c": step, "d": step})
    for numpy in (True, False):
        assert set(read_columns(journal.run_dir, ["a", "d", "none"], numpy=numpy)) == {"a", "d"}
        assert set(read_columns(journal.run_dir, [], numpy=numpy)) == set()
    assert read_columns(journal.run_dir.parent / "nowhere") == {}


def test_points_and_rows_of_one_metric_keep_their_order(journal):
    writer = journal.writer()
    for step in range(3000):
        writer.point("a", step, step) if step % 3 else writer.row({"a": step, "b": 0}, step)
    for numpy in (True, False):
        assert [int(value) for value in read_columns(journal.run_dir, numpy=numpy)["a"].values] == list(
            range(3000)
        )


def test_parts_say_who_recorded_what(journal):
    for rank in range(3):
        writer = journal.writer({"rank": rank})
        for step in range(rank + 2):
            writer.point("loss", rank, step)
        writer.point("loss", -1, 0, type="system", source="me")
        writer.close()
    for numpy in (True, False):
        column = read_columns(journal.run_dir, numpy=numpy)["loss"]
        parts = [(part.rank, part.type, part.source, part.start, part.stop) for part in column.parts]
        assert parts == [
            (0, "scalar", None, 0, 2),
            (0, "system", "me", 2, 3),
            (1, "scalar", None, 3, 6),
            (1, "system", "me", 6, 7),
            (2, "scalar", None, 7, 11),
            (2, "system", "me", 11, 12),
        ]
        assert [float(value) for value in column.values] == [0, 0, -1, 1, 1, 1, -1, 2, 2, 2, 2, -1]


def test_the_kinds_of_arrays(journal):
    writer = journal.writer()
    writer.point("a", 1)
    writer.row({"a": 1, "b": 2})
    for name in "ab":
        column = read_columns(journal.run_dir)[name]
        kinds = column.steps.dtype, column.times.dtype, column.values.dtype
        assert kinds == (np.int64, np.float64, np.float64)
        assert all(part.flags.c_contiguous for part in (column.steps, column.times, column.values))
        plain = read_columns(journal.run_dir, numpy=False)[name]
        assert [type(part) for part in (plain.steps, plain.times, plain.values)] == [array] * 3


def test_a_running_writer_can_be_read_at_any_moment(journal):
    """What has been recorded before is there; what is in the making is not taken for damage."""
    writer = journal.writer()
    for step in range(5000):
        writer.point("a", step, step)
    writer._stream.slots.reserve(3)  # in the making
    writer.point("a", 5000, 5000)
    for numpy in (True, False):
        damage = Damage()
        assert len(read_columns(journal.run_dir, numpy=numpy, damage=damage)["a"]) == 5001
        assert not damage
    assert read_events(journal.run_dir)[0].type == "writer"


def test_everything_works_where_numpy_is_not_installed(journal):
    writer = journal.writer()
    for step in range(5000):
        writer.point("a", step / 2, step)
        writer.row({"b": step, "c": step})
    writer.close()
    program = f"""
import sys
sys.modules["numpy"] = None
from pathlib import Path
from tracelet.journal import Follower, read_columns, read_events, writers
run = Path({str(journal.run_dir)!r})
columns = read_columns(run)
assert list(columns["a"].values) == [step / 2 for step in range(5000)]
assert [len(column) for column in columns.values()] == [5000] * 3
assert read_events(run)[-1].type == "outcome"
assert len(Follower(run, writers(run)[0]).read(100_000)) == 15_002
"""
    subprocess.run([sys.executable, "-c", program], check=True)


# --- checks of many records at once ------------------------------------------------------------------------


def slots_of(first, count):
    heads = [POINT_HEAD.pack(i * 0.5, i, 3.25, POINT << 24 | i % 5) for i in range(count)]
    return b"".join(seal(head, (first + i) & 0xFFFFFFFFFFFF) for i, head in enumerate(heads))


@pytest.mark.parametrize("first", [0, 1, 4095, 4096 * 3, (1 << 32) - 4096, (1 << 32) - 5, 1 << 40])
def test_one_checksum_checks_many_slots(first):
    count = min(300, 4096 - first % 4096)
    data = slots_of(first, count)
    assert are_intact(data, first)
    assert not are_intact(data, first + 1 if count < 4096 - first % 4096 else first - 1)
    for place in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[place] ^= 1
        assert not are_intact(bytes(damaged), first)


def test_the_expected_checksum_is_that_of_any_whole_records():
    import zlib

    chance = random.Random(5)
    for size in (8, 32, 84):
        records = [chance.randbytes(size - 4) for _ in range(50)]
        sealed = b"".join(record + zlib.crc32(record).to_bytes(4, "little") for record in records)
        assert zlib.crc32(sealed) == expected_checksum(50, size)


def test_values_are_exact_to_the_bit(journal):
    values = [
        float.fromhex(text) for text in ("0x1p-1074", "-0x0p+0", "0x1.fffffffffffffp+1023", "inf", "-inf")
    ]
    writer = journal.writer()
    for value in values:
        writer.point("a", value)
        writer.row({"b": value, "c": 0})
    for numpy in (True, False):
        columns = read_columns(journal.run_dir, numpy=numpy)
        assert all(map(same, columns["a"].values, values))
        assert all(map(same, columns["b"].values, values))
    assert all(isinstance(record, PointRecord) for record in journal.points())


def test_events_are_all_read_whatever_a_damaged_row_holds(tmp_path):
    with Writer(tmp_path, {}) as writer:
        for step in range(300):
            writer.row({f"metric{place}": float(place) for place in range(60)}, step)
            if step % 50 == 0:
                writer.event("tags", {"tags": {f"at{step}": True}})
    whole = read_events(tmp_path)
    assert len([event for event in whole if event.type == "tags"]) == 6
    file = next(journal_folder(tmp_path).glob("*.trj"))
    data = bytearray(file.read_bytes())
    at = data.index(struct.pack("<3d", 30.0, 31.0, 32.0), len(data) // 4)
    data[at : at + 24] = b"\x01\x00\x00\x03" * 6  # reads like the tag of an event
    file.write_bytes(data)
    damage = Damage()
    assert read_events(tmp_path) == read_events(tmp_path, damage=damage) == whole
    assert damage.counts
